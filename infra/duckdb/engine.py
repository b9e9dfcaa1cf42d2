"""An engine that no file is attached to yet: how every DuckDB of dropledger is set."""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import duckdb

from dropledger.core.errors import (
    ConfigurationError,
    DataRefused,
    DropledgerError,
    PipelineError,
    Postponed,
    Unavailable,
)
from dropledger.core.sql.text import literal

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_NOT_ALLOWED = tuple(os.strerror(number) for number in (errno.EACCES, errno.EPERM, errno.EROFS))
_NAMED = re.compile(r'file "([^"]+)"')
_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)
_NOT_FOUND = re.compile(r'No files found that match the pattern "(.+)"')
ENOUGH_MEBIBYTES = 1600
"""What an engine keeps in memory where it could have more: with 80 % of a machine loads are no faster."""

REPAIR = (
    "restore archive/ and warehouse/ from a backup, and drop again what came after it; without one, move the file away "
    "and rebuild it from the archive: dropledger replay"
)
"""What to try where the warehouse file is damaged."""


def new_engine(spill: str, settings: Mapping[str, str]) -> duckdb.DuckDBPyConnection:
    """An engine that moves what memory cannot hold to the folder `spill`; `settings` are the engine's own."""
    # An extension that is installed unasked would fetch code while data is worked on.
    ours = {"autoinstall_known_extensions": False, "preserve_insertion_order": False}
    engine = duckdb.connect(config={**ours, "temp_directory": spill, **settings})
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    if "memory_limit" not in settings:
        limit_memory(engine)
    return engine


def limit_memory(engine: duckdb.DuckDBPyConnection) -> None:
    """Have an engine keep `ENOUGH_MEBIBYTES` where it would take more."""
    [(limit,)] = engine.execute("SELECT current_setting('memory_limit')").fetchall()
    number, unit = limit.split()
    if Decimal(number) * 1024 ** _UNITS.index(unit) > ENOUGH_MEBIBYTES * 1024**2:
        engine.execute(f"SET GLOBAL memory_limit = '{ENOUGH_MEBIBYTES}MiB'")


_OPTIONS = {
    ".csv": "FORMAT csv, HEADER",
    # Thorough compression, and a dictionary of values that hardly repeat, take twice the time for the same size.
    ".parquet": "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 1",
}


def copied_to(select: str, path: Path) -> str:
    """The statement that writes a result to a file, as the ending of its name says."""
    return f"COPY ({select}) TO {literal(str(path))} ({_OPTIONS[path.suffix]})"


@contextmanager
def translated_errors(sql: str, *, asked: bool = False) -> Iterator[None]:
    """Tell the engine's errors in a statement as ours; `asked` is whether somebody wrote it just now."""
    try:
        yield
    except duckdb.Error as error:
        ours = classify_error(error, sql)
        if ours is None and asked and not isinstance(error, duckdb.InternalError):
            ours = _does_not_work(error, sql)
        if ours is None:
            raise
        raise ours from error


def is_not_allowed(text: str) -> bool:
    """Whether the engine says that the system refused it a file, however much room there is."""
    return any(reason in text for reason in _NOT_ALLOWED)


def not_allowed(text: str) -> Unavailable:
    """What to tell of a file that the engine may not open, or not make, for want of rights or as nothing may there."""
    named = _NAMED.search(text)
    path = Path(named[1]) if named else None
    if path is None:
        what = "the warehouse cannot be written to"
    elif path.exists():
        what = f"the file {path} cannot be opened"
    else:
        what = f"the folder {path.parent} cannot be written to"
    hint = "give this user the right to read and write there, and try again; what was taken is completed then"
    return Unavailable(what, why=text, hint=hint)


def _without_file(text: str) -> Unavailable | None:
    """What to tell of a file that a view reads and the engine finds no more, or that it may not open; else None."""
    if missing := _NOT_FOUND.search(text):
        return Unavailable(
            f"there is no file {missing[1]}",
            why="src_ and stg_ of a feed read its newest file in the archive",
            hint="restore it from a backup of the archive; where the whole root has moved, name it with --root",
        )
    return not_allowed(text) if is_not_allowed(text) else None


def classify_error(error: duckdb.Error, sql: str) -> DropledgerError | None:
    """The engine's error as one of ours; None if there is nothing that anybody could do."""
    text = str(error).partition("\n")[0]
    if "Corrupt" in text or "Could not read enough bytes" in text:
        return ConfigurationError(
            "the warehouse is damaged",
            why=text,
            hint=REPAIR,
        )
    match error:
        case duckdb.BinderException() | duckdb.CatalogException() | duckdb.ParserException():
            return _does_not_work(error, sql)
        case duckdb.OperationalError() | duckdb.FatalException() | duckdb.InterruptException():
            return _without_file(text) or _cannot_go_on(error, text)
        case duckdb.DataError() | duckdb.ProgrammingError() | duckdb.IntegrityError():
            return DataRefused(
                "not_computable",
                f"the engine cannot work with this file or its values ({type(error).__name__})",
                hint="look for values at the limits of their types, and for odd line ends or quotes",
                detail=text,
            )
        case _:
            return None


def _cannot_go_on(error: duckdb.Error, text: str) -> Unavailable:
    if isinstance(error, duckdb.InterruptException):
        return Unavailable(
            "a query was ended, as it took longer than it may", hint="ask for less; dropledger sql has no such limit"
        )
    kind = Postponed if isinstance(error, duckdb.OutOfMemoryException) else Unavailable
    return kind(
        f"the warehouse cannot go on: {text}",
        hint="free memory or disk space, and try again; what was taken is completed then",
    )


def _does_not_work(error: duckdb.Error, sql: str) -> PipelineError:
    pointed_at = _LINE.search(str(error))
    return PipelineError(
        "a statement of the pipeline does not work",
        why=" ".join(str(error).split())[:300],
        hint="correct the pipeline's SQL or YAML; the statement begins with: " + " ".join(sql.split())[:120],
        line=sql.splitlines()[int(pointed_at[1]) - 1] if pointed_at else "",
    )


def matches(pattern: str, text: str) -> bool:
    """Whether a regular expression is found in a text.

    Raises:
        ValueError: RE2, the engine's library, does not compile it.
    """
    with duckdb.connect() as connection:
        try:
            row = connection.execute("SELECT regexp_matches($text, $pattern)", {"text": text, "pattern": pattern})
            return bool((row.fetchone() or [False])[0])
        except duckdb.InvalidInputException as error:
            raise ValueError(str(error).partition(": ")[2]) from error
