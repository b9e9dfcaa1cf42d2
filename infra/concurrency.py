"""What is done to many files is done to some of them at a time."""

from collections import deque
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

    pending, found = deque(enumerate(items)), dict[int, Result]()

    def work() -> None:
        """Take one after the other: to hand each over to a thread costs more than most of them."""
        while True:
            try:
                place, item = pending.popleft()
            except IndexError:
                return
            found[place] = function(item)

    threads = min(_THREADS, len(items))
    with ThreadPoolExecutor(threads) as executor:
        for worker in [executor.submit(work) for _ in range(threads)]:
            worker.result()
    return [found[place] for place in range(len(items))]
