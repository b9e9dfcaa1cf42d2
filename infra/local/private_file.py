"""Files that nobody else can change while they are worked on, nor in the archive.

Whoever opened a file before it was moved, has another name for it or owns it, can go on writing to it.
"""

import fcntl
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from dropledger.core.drop import FileDropped
from dropledger.core.errors import Busy
from dropledger.core.retry import retry_while_busy
from dropledger.infra.local.file_names import path_of

CopySource = Callable[[FileDropped, Path], FileDropped]
"""Copies a file that was named by hand to a local path, where it is whole or not at all; what is known of it then.

Raises FileNotFoundError if it is gone, and Busy if it keeps changing.
"""

_PATIENCE_SECONDS = 5.0


def written_by_nobody(path: Path) -> bool:
    """Whether Linux grants a read lease, which it does only while nobody has the file open for writing.

    It does so for the file's owner, and on this machine's own disks.
    """
    lease = getattr(fcntl, "F_SETLEASE", None)
    if lease is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Who opens the file for writing meanwhile has the kernel send a signal: SIGIO by itself, which ends a process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, lease, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, lease, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def make_private(path: Path) -> None:
    """Put a copy in the file's place, durably, unless it is certain that nobody else can write to it.

    Raises:
        Busy: it keeps changing.
    """
    found = path.stat()
    if found.st_uid != os.geteuid() or found.st_nlink > 1 or not written_by_nobody(path):
        copy_at_rest(path, path)


def copy_at_rest(source: Path, target: Path) -> None:
    """Copy a file that holds still meanwhile, with its modification time: durable, and seen whole or not at all.

    Raises:
        FileNotFoundError: it is gone.
        Busy: it keeps changing.
    """
    beside = target.with_name(f"{target.name}.tmp")

    def copy() -> None:
        before = source.stat()
        shutil.copyfile(source, beside)
        if _look(source.stat()) != _look(before):
            raise Busy(
                f"{source} cannot be taken, as it changes while it is copied",
                hint="try again when the program that writes it is done",
            )
        os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))

    try:
        retry_while_busy(copy, _PATIENCE_SECONDS)
    except Busy:
        beside.unlink()
        raise
    sync(beside)
    os.replace(beside, target)


def copied(dropped: FileDropped, target: Path) -> FileDropped:
    """Copy a local file that was named by hand; what dropped."""
    copy_at_rest(path_of(dropped.uri), target)
    return dropped


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _look(found: os.stat_result) -> tuple[int, int, int, int]:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
