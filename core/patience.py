"""Waiting for what others hold, within bounds."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def patiently(attempt: Callable[[], T], error: type[Exception], seconds: float) -> T:
    """What `attempt` gives; while it raises `error` it is tried again, for as long as `seconds`."""
    try:
        return attempt()
    except error:
        # Imported where there is something to wait for, which is seldom: every start would pay for it.
        from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

        attempts = Retrying(
            retry=retry_if_exception_type(error),
            stop=stop_after_delay(seconds),
            wait=wait_random_exponential(multiplier=0.01, max=0.25),
            reraise=True,
        )
        return attempts(attempt)
