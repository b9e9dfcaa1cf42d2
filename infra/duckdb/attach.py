"""How the file of an embedded warehouse is attached to an engine, and copied into a form that older engines read."""

import re
from contextlib import suppress
from pathlib import Path

import duckdb

from dropledger.core.errors import Busy, ConfigurationError, DropledgerError, PipelineError, Unavailable
from dropledger.core.sql.text import literal
from dropledger.infra.duckdb.engine import REPAIR, classify_error, is_not_allowed, translated_errors
from dropledger.infra.duckdb.file import STORAGE
from dropledger.infra.duckdb.kept_engine import KeptEngine
from dropledger.infra.duckdb.metadata_copy import MetadataCopy

ATTACHED_AS = "warehouse"

_LOCKED = "Could not set lock on file"
_ATTACHED = "Unique file handle conflict"  # by another thread of this process
_MAY_PASS = re.compile(
    "No space left|Input/output error|Too many open files|Stale file handle|Permission denied|Read-only file system"
)
_HOLDER = re.compile(r"held in (.+?\(PID \d+\)|.+?(?=\. |$))", re.MULTILINE)


def attach(connection: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool, new: bool) -> None:
    """Attach a file; a `new` one may be made.

    Raises:
        FileNotFoundError: it is not there, and none is to be made.
        Busy: it is open elsewhere.
    """
    if not (new or path.exists()):
        raise FileNotFoundError(str(path))
    # The engine refuses to attach a file as an older version than it has.
    options = f"READ_ONLY {read_only}" if path.exists() else f"READ_ONLY {read_only}, {STORAGE}"
    statement = f"ATTACH {literal(str(path))} AS {ATTACHED_AS} ({options})"
    try:
        connection.execute(statement)
    except duckdb.Error as error:
        raise _told(error, statement, path) from error


def _told(error: duckdb.Error, statement: str, path: Path) -> DropledgerError:
    """Why a file could not be attached."""
    text = str(error)
    if _LOCKED in text or _ATTACHED in text:
        holder = _HOLDER.search(text)
        return Busy(
            f"the warehouse {path} is open elsewhere",
            holder=holder[1] if holder else "",
            hint="close the other program, or try again when it is done",
        )
    ours = classify_error(error, statement)
    settled = isinstance(ours, ConfigurationError) and not isinstance(ours, PipelineError)
    if ours is not None and (settled or is_not_allowed(text)):
        return ours
    what, why = f"the warehouse {path} cannot be opened", text.splitlines()[0]
    if _MAY_PASS.search(text):
        hint = "see what is wrong with the disk, or with the rights of its folder, and try again"
        return Unavailable(what, why=why, hint=hint)
    return ConfigurationError(what, why=why, hint=REPAIR)


def copy_for_older_engines(connection: duckdb.DuckDBPyConnection, copy: Path) -> None:
    """Copy all that the attached file holds into a new one.

    Raises:
        DropledgerError: it could not be; what was written is left.
    """
    connection.execute(f"ATTACH {literal(str(copy))} AS rewritten ({STORAGE})")
    # The rows of a source lie in the order of its file, by which their lines are told.
    connection.execute("SET GLOBAL preserve_insertion_order = TRUE")
    try:
        with translated_errors("COPY FROM DATABASE"):
            connection.execute(f"COPY FROM DATABASE {ATTACHED_AS} TO rewritten")
    finally:
        connection.execute("DETACH rewritten")
        connection.execute("SET GLOBAL preserve_insertion_order = FALSE")


class AttachedFile:
    """The file that is attached to a connection of the engine; `metadata` is what undoes a write that is cut short."""

    def __init__(
        self, engine: KeptEngine, connection: duckdb.DuckDBPyConnection, metadata: MetadataCopy | None
    ) -> None:
        self._engine = engine
        self._connection = connection
        self.metadata = metadata

    def holds_tables(self) -> bool:
        """Whether there is anything in it."""
        tables = f"SELECT 1 FROM duckdb_tables() WHERE database_name = {literal(ATTACHED_AS)} LIMIT 1"
        try:
            return self._connection.execute(tables).fetchone() is not None
        except duckdb.Error:  # nothing is known of a file whose engine has failed, so it stays
            return True

    def detach(self) -> None:
        """Close the file, whatever state the engine is in."""
        failed = True
        try:
            if self.metadata is not None:
                with suppress(OSError):  # a disk that is full; what was copied at the beginning is mostly as good
                    self.metadata.renew(self._connection)
            self._connection.execute("USE memory.main")
            self._connection.execute(f"DETACH {ATTACHED_AS}")
            failed = False
        except duckdb.Error:  # an engine that has failed badly does nothing more; its end lets go of the file
            self._engine.end()
        finally:
            if self.metadata is not None:
                self.metadata.close(keep=failed)
