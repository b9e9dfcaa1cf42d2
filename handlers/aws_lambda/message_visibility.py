"""How long a message of a queue stays out of sight before it is handed over again.

In a FIFO queue all others of its group wait with it. So what keeps one message or one file is tried again soon, and is
a dead letter before long; only what keeps all of them, such as an outage, is waited for longer each time.
"""

import math
from collections.abc import Iterable

from dropledger.core.errors import Busy, OutOfTime
from dropledger.core.ledger.fault import meets_one_file
from dropledger.core.ledger.outcome import PartialFailure

_SECONDS = (30, 60, 120, 300, 900)  # after the first try, the second, and so on; after all others the last
_MOST_SECONDS = 42_000  # SQS refuses more than 12 hours, of which the call has had up to 15 minutes


def most_telling(errors: Iterable[Exception]) -> Exception:
    """Of the errors that kept a message's files, one that keeps the others too, where there is one."""
    return min(errors, key=_is_of_one_file)


def seconds_until_next(error: Exception, tries: int) -> int:
    """Seconds to wait after an error that kept a message, which was handed over `tries` times (1 or more)."""
    if isinstance(error, OutOfTime):  # the next call has time
        return 0
    if isinstance(error, Busy) and error.seconds is not None:
        return math.ceil(min(max(error.seconds, 0), _MOST_SECONDS))
    if _is_of_one_file(error):
        return _SECONDS[0]
    return _SECONDS[min(tries, len(_SECONDS)) - 1]


def _is_of_one_file(error: Exception) -> bool:
    return isinstance(error, PartialFailure) or meets_one_file(error)
