"""Folders that files are put into: reached without following links, and telling who may read what lies in them.

What dropledger makes is private, 0700 and 0600. Where a folder lets its group or others read, so do the files that are
put into it and the folders that are made in it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Lock

from dropledger.core.errors import ConfigurationError

PRIVATE = 0o700
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_making = Lock()


@contextmanager
def folder_of(root: Path, name: str) -> Iterator[tuple[int, str]]:
    """The folder of `name` under the root, made if it is not there: its descriptor, and the name within it.

    Folders right in the root may be links, which an operator makes; those below them may not.

    Raises:
        ConfigurationError: a link, or something else than a folder, stands in the way.
        OSError: also that of the block; it names the whole path, which a descriptor does not tell.
    """
    top, *below, last = PurePosixPath(name).parts
    try:
        folder = os.open(root / top, _OPEN)
    except FileNotFoundError:
        (root / top).mkdir(PRIVATE, parents=True, exist_ok=True)
        folder = os.open(root / top, _OPEN)
    try:
        for place, part in enumerate(below, 1):
            inner = _inner(folder, part, root.joinpath(top, *below[:place]))
            os.close(folder)
            folder = inner
        yield folder, last
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(root / name)) from error
    finally:
        os.close(folder)


def _inner(folder: int, name: str, path: Path) -> int:
    with _making:  # a folder is not used by one thread while another has yet to say who may read it
        made = False
        try:
            try:
                inner = os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=folder)
            except FileNotFoundError:
                with suppress(FileExistsError):  # another process was first
                    os.mkdir(name, PRIVATE, dir_fd=folder)
                    made = True
                inner = os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=folder)
        except NotADirectoryError as error:
            raise ConfigurationError(
                f"{path} is a link, or not a directory",
                why="links below the folders of the root are not followed, so that nothing is written elsewhere",
                hint="remove it, or put the folder itself in its place",
            ) from error
        if made:
            above = os.fstat(folder)
            with suppress(PermissionError):
                os.fchown(inner, -1, above.st_gid)
                os.fchmod(inner, PRIVATE | above.st_mode & 0o2055)
            os.fsync(folder)
        return inner


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """A private folder whose files move into `folder`, made if it is not there, when the block ends.

    Each takes the place of what bore its name, links included, and is seen whole or not at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".dropledger-", dir=folder) as passing:
        yield Path(passing)
        for path in sorted(Path(passing).iterdir()):
            share(path, folder)
            os.replace(path, folder / path.name)


def share(path: Path, folder: int | Path | None) -> None:
    """Let those read a file who may read `folder`, and nobody else, and make it durable. None lets nobody.

    A file of another owner stays as that one left it. A group that this user is not in gets nothing.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        share_open(descriptor, folder)
    finally:
        os.close(descriptor)


def share_open(descriptor: int, folder: int | Path | None) -> None:
    """What `share` does, for a file that is open."""
    if os.fstat(descriptor).st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)
        if folder is not None:
            readers = os.stat(folder)  # noqa: PTH116 (it may be a descriptor)
            with suppress(PermissionError):
                os.fchown(descriptor, -1, readers.st_gid)
                os.fchmod(descriptor, 0o600 | readers.st_mode & 0o044)
    os.fsync(descriptor)


@contextmanager
def temporary_in(parent: Path) -> Iterator[Path]:
    """A new private folder, gone when the block ends."""
    with TemporaryDirectory(prefix="temporary-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
