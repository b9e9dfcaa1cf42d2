"""What is done to many files is done to some of them at a time."""

from collections.abc import Callable, Sequence
from typing import TypeVar

_THREADS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def for_each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The function's results, in order, several at a time."""
    if len(items) < 2:
        return [function(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(function, items))
