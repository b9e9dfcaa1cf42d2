"""What a checkpoint of DuckDB overwrites in place, and how a kill in the middle of it is undone.

A checkpoint writes rows to blocks that nothing stands on. But what tells of them, the metadata, goes into parts of
4 KiB of blocks whose other parts hold the metadata that the file stands on, until one write of a header switches over.
A process that is killed within the write of such a block leaves a part of it, whose checksum fails, and with it the
file.

So those blocks are copied beside the file before. As long as the headers are those of the copy, no checkpoint has come
to its end: whoever opens the file next puts the blocks back, and the engine goes on from its log, which has all that
was committed.
"""

import fcntl
import json
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import duckdb

from dropledger.core.sql.text import literal
from dropledger.infra.duckdb.engine import is_not_allowed, not_allowed
from dropledger.infra.duckdb.file import HEADERS_BYTES
from dropledger.infra.local.folders import share

_BLOCK_SIZE_AT = 4096 + 40


class MetadataCopy:
    """The blocks of metadata of a DuckDB file that is open for writing in this process, beside that file.

    The file stays open here until `close`: whoever closes a file lets go of all locks that his process has on it, those
    of the engine too.
    """

    def __init__(self, path: Path, attached_as: str) -> None:
        self._path = path
        self._attached_as = attached_as
        self._file = -1
        self._headers = b""

    def renew(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Copy the blocks, unless those that the file stands on are copied: before each checkpoint that might be.

        Raises:
            Unavailable: the folder cannot be written to.
            OSError: the disk is full, for one.
        """
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        headers = os.pread(self._file, HEADERS_BYTES, 0)
        if headers == self._headers:
            return
        size = int.from_bytes(headers[_BLOCK_SIZE_AT : _BLOCK_SIZE_AT + 8], "little")
        metadata = f"SELECT block_id FROM pragma_metadata_info({literal(self._attached_as)})"
        offsets = [HEADERS_BYTES + number * size for (number,) in connection.execute(metadata).fetchall()]
        blocks = [os.pread(self._file, size, offset) for offset in offsets]
        copy = _copy_of(self._path)
        beside = copy.with_name(f"{copy.name}.new")
        described = {"block_bytes": size, "offsets": offsets}
        try:
            with open(beside, "wb", opener=partial(os.open, mode=0o600)) as file:
                file.writelines([headers, json.dumps(described).encode(), b"\n", *blocks])
            share(beside, self._path.parent)  # which makes it durable
            os.replace(beside, copy)
        except OSError as error:
            if is_not_allowed(str(error)):
                raise not_allowed(f'{error.strerror}: file "{beside}"') from error
            raise
        self._headers = headers

    def close(self, *, keep: bool = False) -> None:
        """Let go of the file, as the engine has; the copy is removed, unless the engine failed and it is to be kept."""
        if not keep:
            remove_copy(self._path)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def put_back(path: Path) -> None:
    """Undo a checkpoint of the file that did not come to its end, if nobody has it open."""
    copy = _copy_of(path)
    if not (copy.exists() and path.exists()):
        return
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:  # who may only read cannot mend it
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as the engine locks it
        with suppress(FileNotFoundError), copy.open("rb") as saved:
            if saved.read(HEADERS_BYTES) == os.pread(file, HEADERS_BYTES, 0):
                described = json.loads(saved.readline())
                for offset in described["offsets"]:
                    os.pwrite(file, saved.read(described["block_bytes"]), offset)
                os.fsync(file)
            copy.unlink()
    except OSError:
        pass  # somebody has it open, who is at work
    finally:
        os.close(file)


def remove_copy(path: Path) -> None:
    """Remove the copy of a file that is gone, or that another has taken the place of."""
    _copy_of(path).unlink(missing_ok=True)


def _copy_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.metadata")
