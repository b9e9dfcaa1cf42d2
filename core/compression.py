"""Compressed files: told by their first bytes, whatever their names say, and unpacked within bounds.

gzip is RFC 1952, Zstandard is RFC 8878; of both, several members or frames in a row are one text.
"""

import gzip
import sys
import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from dropledger.core.errors import DataRefused

MOST_TIMES = 200
ALWAYS_ALLOWED = 64 << 20
MOST_BYTES = 64 << 30
_CHUNK = 1 << 20
_ENDINGS = (".gz", ".zst")
_ZSTD_FRAME = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED = b"\x2a\x4d\x18"  # behind a byte from 50 to 5f


class Compression(StrEnum):
    """How the text of a file is packed."""

    GZIP = "gzip"
    ZSTD = "zstd"


def compression_of(beginning: bytes) -> Compression | None:
    """What a file that begins so is packed with; no UTF-8 text without control characters begins like that."""
    if beginning.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if beginning.startswith(_ZSTD_FRAME) or (beginning[1:4] == _ZSTD_SKIPPED and 0x50 <= beginning[0] <= 0x5F):
        return Compression.ZSTD
    return None


def unpacked_name(name: str) -> str:
    """A file name without the ending that says how it is packed."""
    ending = next((ending for ending in _ENDINGS if name.casefold().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def unpacked(path: Path, compression: Compression) -> Iterator[bytes]:
    """The text of a packed file in chunks, in a bounded amount of memory.

    Raises:
        DataRefused: it is damaged, or unpacks to more than 64 GiB or than 200 times its size; 64 MiB are
            always allowed.
    """
    received = path.stat().st_size
    most = min(MOST_BYTES, max(ALWAYS_ALLOWED, MOST_TIMES * received))
    size = 0
    with path.open("rb") as file:
        for chunk in _GZIP_OR_ZSTD[compression](file):
            size += len(chunk)
            if size > most:
                raise DataRefused(
                    "unpacks_to_too_much",
                    f"the {received:,} bytes of the {compression} file unpack to more than {most:,}",
                    hint="drop the file as it is before packing, if it is right",
                )
            yield chunk


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as text:
        try:
            while chunk := text.read(_CHUNK):
                yield chunk
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(Compression.GZIP, error) from error


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    # Imported where such a file comes, which is seldom: every start would pay for it.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    with zstd.ZstdFile(file) as text:
        try:
            while chunk := text.read(_CHUNK):
                yield chunk
        except (EOFError, zstd.ZstdError) as error:
            raise _damaged(Compression.ZSTD, error) from error


_GZIP_OR_ZSTD = {Compression.GZIP: _gunzipped, Compression.ZSTD: _unzstd}


def _damaged(compression: Compression, error: Exception) -> DataRefused:
    return DataRefused(
        "cannot_unpack",
        f"the {compression} file is damaged or cut off",
        hint="transfer it again, and test it first (gzip -t, zstd -t)",
        detail=str(error),
    )
