"""How often the marts' whole artifacts are written, whose cost follows the tables and not what changed."""

import math
import time
from collections.abc import Callable


class PublishThrottle:
    """Tells a process when to write them: at most every `seconds` of its `clock`, or, where that is None, never."""

    def __init__(self, seconds: float | None = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = math.inf if seconds is None else seconds
        self._not_before = -math.inf if seconds is not None else math.inf
        self._put_off = False

    @property
    def due(self) -> bool:
        """Whether they may be written now."""
        return self._clock() >= self._not_before

    @property
    def seconds_left(self) -> float:
        """Until what was put off is due; infinite where nothing was, or where it never is."""
        return max(self._not_before - self._clock(), 0.0) if self._put_off else math.inf

    def written(self) -> None:
        """They were written just now."""
        self._not_before = self._clock() + self._seconds
        self._put_off = False

    def put_off(self) -> None:
        """They were not written, though the marts changed."""
        self._put_off = True
