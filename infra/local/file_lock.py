"""Turns: who waits for a lock comes before who has just let go of it.

Locks of files know no order. A process that takes one again as soon as it has let go of it, as a watch does under a
stream of files, would keep out all who look in now and then.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from dropledger.core.errors import Busy
from dropledger.core.retry import OnWait, retry_while_busy

T = TypeVar("T")

_UNKNOWN_THERE = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP}
_QUEUE_SECONDS = 0.4  # longer than the pauses between the attempts of the one whose turn it is


def retry_in_turn(folder: Path, attempt: Callable[[], T], seconds: float, on_wait: OnWait) -> T:
    """What `attempt` gives, as `dropledger.core.retry.retry_while_busy` has it, after those who were there before.

    They queue by a lock on `folder`, where its file system has such locks; for a moment, so that nobody who is
    stopped holds up the others.
    """
    queue = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    queued_until = time.monotonic() + min(_QUEUE_SECONDS, seconds / 2)

    def attempt_in_turn() -> T:
        try:
            fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < queued_until:
                raise Busy(f"others wait for what is in {folder}") from error
        except OSError as error:
            if error.errno not in _UNKNOWN_THERE:
                raise
        return attempt()

    try:
        return retry_while_busy(attempt_in_turn, seconds, on_wait)
    finally:
        os.close(queue)


@contextmanager
def held(
    path: Path, what: str, holder: str, seconds: float, on_wait: OnWait, *, shared: bool = False
) -> Iterator[None]:
    """Hold the lock file `path` until the block ends, or the process does, however it ends.

    `what` is told to those who come too late, and so is `holder`, unless the lock is `shared` with others.

    Raises:
        Busy: somebody else still holds it after so many seconds.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def take() -> None:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                what,
                holder=os.pread(lock, 200, 0).decode("utf-8", "replace").strip(),
                hint="try again when that process is done",
            ) from error

    try:
        retry_in_turn(path.parent, take, seconds, on_wait)
        if not shared:
            os.ftruncate(lock, 0)
            os.pwrite(lock, holder.encode(), 0)
        yield
    finally:
        os.close(lock)  # which lets go of the lock, as the end of the process would


def is_alive(process: int) -> bool:
    """Whether this machine runs a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
