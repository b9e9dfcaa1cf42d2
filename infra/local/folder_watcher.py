"""Follows the inbox of a root by what the platform says of its files.

Where the platform says nothing, as on network mounts, it tells no more than whether the inbox is there.
"""

import errno
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from dropledger.core.errors import Unavailable
from dropledger.infra.local.private_file import written_by_nobody

_PAIRING_SECONDS = 0.02
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]


class Listener(Protocol):
    """What is called back; the first two from a thread of the observer's own, the others by `FolderWatcher.follows`."""

    def file_complete(self, path: str) -> None:
        """A file was closed after writing, or moved in."""

    def changed(self) -> None:
        """A file is complete, or a folder came that may hold some, or one went."""

    def inbox_new(self) -> None:
        """A folder is watched from now on: what lies in it already was never announced."""

    def inbox_gone(self, inbox: Path) -> None:
        """The inbox is not there any more."""

    def inbox_back(self, inbox: Path) -> None:
        """It is there again."""


class FolderWatcher:
    """Keeps an observer on the inbox, on a new one if another folder has taken its name; with `poll`, none at all."""

    def __init__(self, root: Path, listener: Listener, *, poll: bool) -> None:
        self._root = root
        self._inbox = root / "inbox"
        self._listener = listener
        self._poll = poll
        self._observer: BaseObserver | None = None
        self._observed: tuple[int, int] | None = None
        self._gone = False

    def __enter__(self) -> Self:
        self.follows()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def follows(self) -> bool:
        """Whether the inbox is there, and watched; it may vanish, and another may come.

        Raises:
            Unavailable: the platform cannot watch any more folders.
        """
        try:
            found = self._inbox.stat()
            there = (found.st_dev, found.st_ino)
            if there != self._observed:
                self._stop()
                self._start()
                self._listener.inbox_new()
                self._observed = there
        except (FileNotFoundError, NotADirectoryError):
            self._stop()
            self._observed = None
            if not self._gone:
                self._listener.inbox_gone(self._inbox)
            self._gone = True
            return False
        if self._gone:
            self._listener.inbox_back(self._inbox)
        self._gone = False
        return True

    def _start(self) -> None:
        if self._poll:
            return
        _pair_moves_quickly()
        self._observer = Observer()
        handler = _EventHandler(self._listener)
        self._observer.schedule(handler, str(self._inbox), recursive=True, event_filter=_EVENTS)
        self._observer.schedule(handler, str(self._root), event_filter=_EVENTS)  # which tells when the inbox goes
        try:
            self._observer.start()
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENOSPC}:
                raise
            raise Unavailable(
                f"{self._inbox} cannot be watched",
                why=str(error),
                hint="raise fs.inotify.max_user_instances and max_user_watches, or follow it with --poll",
            ) from error

    def _stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            with suppress(RuntimeError):  # it was never started, as what it was to watch had gone
                self._observer.join()
        self._observer = None


class _EventHandler(FileSystemEventHandler):
    """Passes on which files are complete, and that a folder came or went."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def dispatch(self, event: FileSystemEvent) -> None:
        match event:
            case FileClosedEvent():
                self._listener.file_complete(str(event.src_path))
            case FileMovedEvent():
                self._listener.file_complete(str(event.dest_path))
            case FileCreatedEvent() if written_by_nobody(Path(str(event.src_path))):
                # moved in from a folder that is not watched, which comes as if it were made here
                self._listener.file_complete(str(event.src_path))
            case DirCreatedEvent() | DirMovedEvent() | DirDeletedEvent():
                pass
            case _:
                return
        self._listener.changed()


def _pair_moves_quickly() -> None:
    """Have the two halves of a move waited for no longer than it takes the kernel to tell of them."""
    # While watchdog waits for where a file was moved to, it tells of nothing else; and each file that we take is moved
    # out of what is watched. Its half second is nowhere to be set but here.
    with suppress(ImportError):  # other platforms, other versions
        from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

        InotifyMoveEventGrouper.delay = _PAIRING_SECONDS
