"""Progress of work that lasts: a bar with rate and time left on a terminal, nothing elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count


@contextmanager
def progress(task: str, unit: str, *, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """A function that shows how much is done, and of how much in all; it shows nothing where that is to be hidden."""
    if hidden or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(task, total=None, rate="")

        def show(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - began, 0.001)
            bar.update(shown, completed=done, total=total, rate=f"{rate:.1f} {unit}/s")

        yield show


def one_by_one(on_progress: Callable[[int, int], None], total: int) -> Callable[[object], None]:
    """A function to be called once for each of `total` things that is done."""
    done = count(1)
    return lambda _: on_progress(next(done), total)
