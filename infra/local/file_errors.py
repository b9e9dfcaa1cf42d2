"""What the file system refuses, told from bugs by its error number and said with what to try."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropledger.core.errors import Unavailable

_FULL = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free disk space"),
    errno.EFBIG: "free disk space, or lift the limit on the size of files",
}
_REMEDIES = {
    **_FULL,
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "give this user the right to read and write there"),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "see what is wrong with it"),
}


def is_full(error: OSError) -> bool:
    """Whether there was no room for what was to be written."""
    return error.errno in _FULL


def unavailable(root: Path, error: OSError) -> Unavailable:
    """What to tell of an error that has a remedy."""
    return Unavailable(
        f"the work in {root} cannot go on",
        why=str(error),
        hint=f"{_REMEDIES[error.errno or 0]}, and try again; what was taken is completed then",
    )


@contextmanager
def translated_errors(root: Path) -> Iterator[None]:
    """Let errors that have a remedy leave the block as Unavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in _REMEDIES:
            raise unavailable(root, error) from error
        raise
