"""Files in the user's cache: they can be made anew at any time, so that nothing depends on them."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree


def is_ours(descriptor: int) -> bool:
    """Whether an open file is this user's, and nobody else may write to it: what is run must come from nowhere else."""
    found = os.fstat(descriptor)
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def put(place: Path, write: Callable[[Path], object], *, most: int) -> None:
    """Let a file take its place that `write` makes at a path in a folder of its own: whole, or not at all.

    Of the files with the same ending the newest stay, and no more than `most`. Where nothing can be written, nothing
    is said.
    """
    from tempfile import mkdtemp

    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        passing = Path(mkdtemp(dir=place.parent, prefix="."))
        made = passing / place.name
        try:
            write(made)
            made.chmod(0o600)
            os.replace(made, place)
        finally:
            rmtree(passing, ignore_errors=True)
        newest_last = sorted(place.parent.glob(f"*{place.suffix}"), key=lambda path: path.stat().st_mtime_ns)
        for old in newest_last[:-most]:
            old.unlink()
