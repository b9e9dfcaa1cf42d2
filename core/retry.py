"""OnWait for what others hold, within bounds."""

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from dropledger.core.errors import Busy

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

OnWait = Callable[[Busy, float], None]
"""Told of each wait that is worth a word what is waited for and who holds it: with 0 when that shows, and with the
seconds that it took when it is over.
"""

_WORTH_A_WORD_SECONDS = 0.5


def silently(busy: Busy, seconds: float) -> None:
    """Wait and say nothing."""
    del busy, seconds


def retry_while_busy(
    attempt: Callable[[], T], seconds: float, on_wait: OnWait = silently, *, while_raised: type[Busy] = Busy
) -> T:
    """What `attempt` gives; while it raises Busy, or that kind of it, it is tried again, for as long as `seconds`.

    Raises:
        Busy: the last one of `attempt`.
    """
    try:
        return attempt()
    except while_raised:
        # Imported where there is something to wait for, which is seldom: every start would pay for it.
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

        told: Busy | None = None
        began = monotonic()

        def tell(state: "RetryCallState") -> None:
            nonlocal told
            busy = state.outcome.exception() if state.outcome else None
            if isinstance(busy, Busy) and told is None and (state.seconds_since_start or 0.0) > _WORTH_A_WORD_SECONDS:
                told = busy
                on_wait(busy, 0.0)

        attempts = Retrying(
            retry=retry_if_exception_type(while_raised),
            stop=stop_after_delay(seconds),
            wait=wait_random_exponential(multiplier=0.01, max=0.25),
            before_sleep=tell,
            reraise=True,
        )
        try:
            return attempts(attempt)
        finally:
            if told is not None:
                on_wait(told, monotonic() - began)
