"""What is done to many files is done to some of them at a time."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from core.errors import Unavailable

_THREADS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


def first_of(refusals: dict[str, Unavailable]) -> Unavailable | None:
    """The first by name of what was refused, which says how many others there were; with that all are told."""
    told = [refusals[name] for name in sorted(refusals)]
    refusals.clear()
    if len(told) > 1:
        told[0].why += f"; and so cannot {len(told) - 1} others"
    return told[0] if told else None


def for_each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The function's results, in order, several at a time."""
    if len(items) < 2:
        return [function(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor

    waiting, found = deque(enumerate(items)), dict[int, Result]()

    def work() -> None:
        """Take one after the other: to hand each over to a thread costs more than most of them."""
        while True:
            try:
                place, item = waiting.popleft()
            except IndexError:
                return
            found[place] = function(item)

    threads = min(_THREADS, len(items))
    with ThreadPoolExecutor(threads) as executor:
        for worker in [executor.submit(work) for _ in range(threads)]:
            worker.result()
    return [found[place] for place in range(len(items))]
