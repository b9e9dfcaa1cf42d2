"""What core asks of the world, and what each adapter must guarantee."""

from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], datetime]
"""Gives the present as aware UTC; passed in, so that tests can set it."""
