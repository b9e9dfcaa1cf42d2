"""Claimed files that bear the name by which they are to be kept already: a hard link beside the one in their claim.

Until the claim is kept or taken back both names lead to the same bytes, and by that a process that died in between is
found out: no note of it has to be made durable.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from dropledger.core.errors import ConfigurationError
from dropledger.infra.local.folders import folder_of

Mark = tuple[int, int]
"""By what a file is the same under several names: its device and inode."""


def mark_of(path: Path) -> Mark | None:
    """The mark of a file that has several names; None of one that has not, or is gone."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_nlink > 1 else None


def place(content: Path, root: Path, name: str) -> bool:
    """Give a file another name below the root, if the file system can and nothing bears it; whether it has it now."""
    with suppress(OSError, ConfigurationError), folder_of(root, name) as (folder, last):
        os.link(content, last, dst_dir_fd=folder)
        if mark_of(content) is not None:
            return True
        os.unlink(last, dir_fd=folder)  # nobody could tell whose it is where names are not counted
    return False


def take_back(content: Path, root: Path, name: str) -> None:
    """Remove a file's other name; what else bears it stays."""
    mark = mark_of(content)
    if mark is not None and mark_of(root / name) == mark:
        with folder_of(root, name) as (folder, last):
            os.unlink(last, dir_fd=folder)


def found(contents: Iterable[Path], root: Path, names: Callable[[], Iterator[str]]) -> dict[Path, str]:
    """Those of the files that bear one of the names too, each with that."""
    marks = {mark: content for content in contents if (mark := mark_of(content)) is not None}
    if not marks:
        return {}
    return {marks[mark]: name for name in names() if (mark := mark_of(root / name)) in marks}
