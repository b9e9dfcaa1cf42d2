"""The file of an embedded warehouse: its form, its log, and the names that earlier versions gave it."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePath

from dropledger.core.errors import ConfigurationError, Unavailable

STORAGE = "STORAGE_VERSION 'v1.5.0'"
"""The option of ATTACH by which a new file is one that DuckDB 1.5 reads."""

HEADERS_BYTES = 3 * 4096
"""The main header of a file, and two of which the newer counts."""

_STORAGE_NUMBER = 68
"""What the header of such a file says."""


def write_ahead_log(path: Path) -> Path:
    """Where the engine keeps what it has not folded into the file yet."""
    return path.with_name(f"{path.name}.wal")


def copy_with_log(path: Path, other: Path) -> None:
    """Copy a file that nobody writes to."""
    shutil.copyfile(path, other)
    if write_ahead_log(path).exists():
        shutil.copyfile(write_ahead_log(path), write_ahead_log(other))


def is_filled(path: Path) -> bool:
    """Whether a file that is there holds anything, be it in its log alone.

    One that is shorter than its headers was never made to its end: the disk was full, or a kill came in between.
    """
    return path.stat().st_size >= HEADERS_BYTES or write_ahead_log(path).exists()


def state_of(path: Path) -> tuple[int, bytes] | None:
    """What changes whenever somebody writes to a file that nobody has open: its inode, and the headers of which each
    checkpoint writes one. None where that is not told, as the log holds more, or there is no file.
    """
    if write_ahead_log(path).exists():
        return None
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_ino, file.read(HEADERS_BYTES)
    except FileNotFoundError:
        return None


def refuse_other_files(path: Path) -> None:
    """Stop where a file is none of DuckDB's.

    Raises:
        ConfigurationError: DuckDB would open a CSV as a database in memory without a word, and all that is written
            would go with the process.
    """
    if path.is_dir() or (path.is_file() and _is_other(path)):
        raise ConfigurationError(
            f"{path} is not a DuckDB file", hint="name the warehouse's own file with --warehouse, or leave it out"
        )


def is_for_newer_engines(path: Path) -> bool:
    """Whether DuckDB 1.5 cannot read a database file."""
    header = _header(path)
    return header[8:12] == b"DUCK" and int.from_bytes(header[12:], "little") > _STORAGE_NUMBER


def _is_other(path: Path) -> bool:
    """Whether a file holds anything that is not DuckDB's; of one with a log alone the log must not be taken for it."""
    holds = path.stat().st_size > 0 or write_ahead_log(path).exists()
    return holds and _header(path)[8:12] != b"DUCK"


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(20)


def refuse_log_left(closed: Path) -> None:
    """Stop before a file takes another's place that is not whole by itself.

    Raises:
        Unavailable: as when the disk was full when the file was closed, of which the engine says nothing.
    """
    left = write_ahead_log(closed)
    if left.exists():
        raise Unavailable(
            f"{closed.name} is not whole, so it takes no other file's place",
            why=f"what was committed last is in {left.name} alone",
            hint="free disk space, and try again",
        )


def refuse_other_pipelines(root: str, beside: Iterable[str], earlier: str) -> None:
    """Stop where a root has no warehouse of this pipeline, and one that an earlier version named after another.

    `beside` are the names of the files in the root's `warehouse/`, `earlier` is the one of this pipeline.

    Raises:
        ConfigurationError: it says which pipeline to set.
    """
    pipeline = PurePath(earlier).stem
    for name in sorted(beside):
        stem, ending = PurePath(name).stem, PurePath(name).suffix
        if ending == ".duckdb" and "." not in stem and name != earlier:
            raise ConfigurationError(
                f"{root} belongs to the pipeline {stem}, and the pipeline that is set is {pipeline}",
                why=f"its warehouse is {name}",
                hint=f"set DROPLEDGER_PIPELINE={stem}, or --pipeline {stem}; or name another --root",
            )
