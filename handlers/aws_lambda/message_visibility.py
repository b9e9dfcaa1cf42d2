"""How long a message of a queue stays invisible before SQS delivers it again.

In a FIFO queue all others of its group wait with it. So a message whose error concerns one message or one file alone is
delivered again soon, and is a dead letter before long; only for an error that concerns all of them, such as an outage,
does it stay invisible longer each time.
"""

import math
from collections.abc import Iterable

from dropledger.core.errors import Busy, OutOfTime
from dropledger.core.ledger.fault import meets_one_file
from dropledger.core.ledger.outcome import PartialFailure

_SECONDS = (30, 60, 120, 300, 900)  # after the first try, the second, and so on; after all others the last
_MAX_SECONDS = 42_000  # SQS refuses more than 12 hours, of which the call has had up to 15 minutes


def widest_error(errors: Iterable[Exception]) -> Exception:
    """Of the errors of a message's files, one that concerns other files too, where there is one."""
    return min(errors, key=_concerns_one_file)


def seconds_until_visible(error: Exception, tries: int) -> int:
    """Seconds until the next delivery of a message that failed by an error, after `tries` deliveries (1 or more)."""
    if isinstance(error, OutOfTime):  # the next call has time
        return 0
    if isinstance(error, Busy) and error.seconds is not None:
        return math.ceil(min(max(error.seconds, 0), _MAX_SECONDS))
    if _concerns_one_file(error):
        return _SECONDS[0]
    return _SECONDS[min(tries, len(_SECONDS)) - 1]


def _concerns_one_file(error: Exception) -> bool:
    return isinstance(error, PartialFailure) or meets_one_file(error)
