"""The embedded warehouse: one DuckDB file, opened only while it is worked on."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache
from glob import escape
from pathlib import Path
from typing import Any, Protocol

import duckdb

from dropledger.core.errors import Busy, ConfigurationError, DropledgerError, NoLedger, PipelineError, Unavailable
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.retry import OnWait, silently
from dropledger.core.sql.text import literal
from dropledger.infra.duckdb.engine import REPAIR, classify_error, is_not_allowed, new_engine, translated_errors
from dropledger.infra.duckdb.file import (
    STORAGE,
    is_filled,
    is_for_newer_engines,
    refuse_log_left,
    refuse_other_files,
    refuse_other_pipelines,
    state_of,
    write_ahead_log,
)
from dropledger.infra.duckdb.markers import STATEMENTS_KEPT
from dropledger.infra.duckdb.metadata_copy import MetadataCopy, put_back, remove_copy
from dropledger.infra.duckdb.prepared_file import Prepare, PreparedFiles
from dropledger.infra.duckdb.session import ATTACHED_AS, DuckDBSession
from dropledger.infra.local.file_lock import is_alive, retry_in_turn
from dropledger.infra.local.folders import share

_LOCKED = "Could not set lock on file"
_ATTACHED = "Unique file handle conflict"  # by another thread of this process
_MAY_PASS = re.compile(
    "No space left|Input/output error|Too many open files|Stale file handle|Permission denied|Read-only file system"
)
_ASIDE = ("planning", "exporting", "verifying", "rebuilding", "rewriting", "migrating", "previous")
_HOLDER = re.compile(r"held in (.+?\(PID \d+\)|.+?(?=\. |$))", re.MULTILINE)


class RemoteFile(Protocol):
    """Keeps a warehouse file elsewhere; what is at a local path is a copy to work on."""

    @property
    def location(self) -> str:
        """Where the file is kept, as people write it."""
        ...

    def exists(self) -> bool:
        """Whether there is anything to fetch."""
        ...

    def fetched(self, path: Path, *, read_only: bool) -> AbstractContextManager[None]:
        """Have the newest file at the path, if there is any, and nobody else write there, for as long as the block."""
        ...

    def changing(self, path: Path) -> None:
        """The copy is about to become another file than the one that is kept."""
        ...

    def keep(self, path: Path) -> None:
        """Put the copy in place of the file that was fetched.

        Raises:
            Conflict: another process was first; the copy does not count.
        """
        ...

    def confirm(self) -> None:
        """Make sure that what is kept is what was fetched or put there last.

        Raises:
            Conflict: another process has written it since.
        """
        ...


class DuckDBWarehouse:
    """A `dropledger.core.ports.warehouse.Warehouse` in a DuckDB file at `path`; the tables live in `schema`.

    With a `remote`, the file at the path is a copy of the one that it keeps. A file that is made may be read by those
    who may read its folder, unless it is `private`. `earlier` is where a version before this one had the file: who
    opens it to write gives it its place of now. A new file begins as one that was `prepared`, if that is given; those
    aside begin as nothing, since they prove what is there. `root` is the local folder that archived files are read
    in, by their names below it; without one the warehouse keeps a copy of what it shows of them.

    Files are made so that DuckDB 1.5 reads them, and older ones are rewritten for that when they are opened to write.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        wait_seconds: float = 30.0,
        settings: Mapping[str, str] | None = None,
        on_wait: OnWait = silently,
        remote: RemoteFile | None = None,
        private: bool = False,
        earlier: Path | None = None,
        prepared: PreparedFiles | None = None,
        root: Path | None = None,
    ) -> None:
        self._path = path
        self._earlier = earlier
        self._remote = remote
        self._private = private
        self._prepared = prepared
        self._root = root
        self._schema = schema
        self._wait_seconds = wait_seconds
        self._on_wait = on_wait
        self._settings: dict[str, Any] = dict(settings or {})
        self._instance: duckdb.DuckDBPyConnection | None = None
        self._metadata: MetadataCopy | None = None
        self._columns: dict[str, Mapping[str, str]] = {}
        self._left_as: tuple[int, bytes] | None = None

    @property
    def location(self) -> str:
        return self._remote.location if self._remote else str(self._path)

    def exists(self) -> bool:
        # A file without content is none: a process that was killed while it made one has left it.
        return self._remote.exists() if self._remote else self._found.exists() and is_filled(self._found)

    def stamp(self) -> str | None:
        # Not what `state_of` reads: to close the file lets go of the lock that another thread's engine has on it.
        if self._remote:
            return None
        files = [path for path in (self._found, write_ahead_log(self._found)) if path.exists()]
        return " ".join(f"{found.st_ino} {found.st_size} {found.st_mtime_ns}" for found in map(os.stat, files))

    def size_bytes(self) -> int | None:
        return None if self._remote or not self.exists() else self._found.stat().st_size

    def confirm(self) -> None:
        if self._remote:
            self._remote.confirm()

    @property
    def _found(self) -> Path:
        """Where the file is: its place, unless just that of an earlier version has one.

        Raises:
            ConfigurationError: just that of another pipeline has one.
        """
        if self._earlier is None or self._path.exists():
            return self._path
        if self._earlier.exists():
            return self._earlier
        folder = self._path.parent
        beside = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        refuse_other_pipelines(str(folder.parent), beside, self._earlier.name)
        return self._path

    @contextmanager
    def fetched(self, *, read_only: bool) -> Iterator[Path]:
        """Have the newest file at hand, and if it is to be written to, in its place; its path."""
        with self._remote.fetched(self._path, read_only=read_only) if self._remote else nullcontext():
            refuse_other_files(self._path)  # not earlier: a copy of what was kept before does not count
            put_back(self._found)
            if not read_only:
                self._renew()
            yield self._found

    def _renew(self) -> None:
        """Give a file of an earlier version its place of now, and a form that older engines read."""
        found = self._found
        if found != self._path:
            with self._engine().cursor() as connection, suppress(FileNotFoundError):  # another process was first
                self._attach(connection, found, read_only=False, new=False)  # which folds in what its log has alone
                self._detach(connection)
                refuse_log_left(found)
                os.rename(found, self._path)
        if self._path.exists() and is_for_newer_engines(self._path):
            self._rewrite()

    def _rewrite(self) -> None:
        """Copy all that the file holds into one that older engines read, and let that take its place."""
        copy = self.staging_copy("rewriting")
        with self._engine().cursor() as connection:
            self._attach(connection, self._path, read_only=False, new=False)
            connection.execute(f"ATTACH {literal(copy.location)} AS rewritten ({STORAGE})")
            # The rows of a source lie in the order of its file, by which their lines are told.
            connection.execute("SET GLOBAL preserve_insertion_order = TRUE")
            try:
                with translated_errors("COPY FROM DATABASE"):
                    connection.execute(f"COPY FROM DATABASE {ATTACHED_AS} TO rewritten")
            except DropledgerError:
                connection.execute("DETACH rewritten")
                copy.remove()
                raise
            else:
                connection.execute("DETACH rewritten")
            finally:
                connection.execute("SET GLOBAL preserve_insertion_order = FALSE")
                self._detach(connection)
        refuse_log_left(Path(copy.location))
        share(Path(copy.location), self._path.parent)
        if self._remote:
            self._remote.changing(self._path)
        os.replace(copy.location, self._path)
        if self._remote:
            self._remote.keep(self._path)

    def _sibling(self, path: Path) -> "DuckDBWarehouse":
        return DuckDBWarehouse(
            path,
            self._schema,
            wait_seconds=self._wait_seconds,
            settings=self._settings,
            on_wait=self._on_wait,
            private=self._private,
            root=self._root,
        )

    def staging_copy(self, label: str, *, copied: bool = False) -> "DuckDBWarehouse":
        other = self._sibling(self._path.with_name(f"{self._path.stem}.{label}{self._path.suffix}"))
        other.remove()
        if not self._remote:
            refuse_other_files(self._path)
        elif not copied:
            with self.fetched(read_only=True):
                pass  # what is put in place later takes the place of what is kept now, and of nothing newer
        if copied and self.exists():
            with self.fetched(read_only=True) as path:
                shutil.copyfile(path, other.location)
                log = write_ahead_log(path)
                if log.exists():
                    shutil.copyfile(log, write_ahead_log(Path(other.location)))
        return other

    def at(self, location: str) -> "DuckDBWarehouse":
        other = self._sibling(Path(location).resolve())
        # A copy of the whole ledger, which may be put into a folder that all may read.
        other._private = True  # noqa: SLF001 (one of this class)
        return other

    def swap_in(self, rebuilt: Warehouse, keep_as: str) -> "DuckDBWarehouse":
        refuse_log_left(Path(rebuilt.location))
        previous = self.staging_copy(keep_as)
        if self._remote:
            self._remote.changing(self._path)
        elif self._path.exists():
            # A second name for the old file first: at every instant there is a warehouse under the live name.
            os.link(self._path, previous.location)
        os.replace(rebuilt.location, self._path)
        write_ahead_log(self._path).unlink(missing_ok=True)
        remove_copy(self._path)
        if self._remote:
            self._remote.keep(self._path)
        return previous

    def left_over(self) -> Sequence[str]:
        beginnings = [f"{self._path.stem}.{label}{self._path.suffix}" for label in _ASIDE]
        found = [path for name in beginnings for path in self._path.parent.glob(f"{escape(name)}*")]
        return [str(path) for path in sorted(found)]

    def remove_left_over(self) -> None:
        for path in map(Path, self.left_over()):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        write_ahead_log(self._path).unlink(missing_ok=True)
        remove_copy(self._path)

    def versions(self) -> Sequence[tuple[str, str]]:
        return (("duckdb", duckdb.__version__),)

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[DuckDBSession]:
        with self.fetched(read_only=read_only) as path:
            refuse_other_files(path)
            if read_only and not (path.exists() and is_filled(path)):
                raise NoLedger(
                    f"there is no warehouse at {self.location}",
                    hint="drop a file first (dropledger process FILE), "
                    "or point --root or --warehouse at an existing one",
                )
            if not read_only and path.is_file() and not is_filled(path):
                path.unlink()  # else the engine refuses it as damaged
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            if new and self._prepared:
                self._prepared.begin(self._path, self._passing, self._make_prepared)
            found = state_of(path)
            if found is None or found != self._left_as:  # others may have written to it since
                self._columns.clear()
            with self._engine().cursor() as connection:
                self._attach(connection, path, read_only=read_only)
                if not read_only:  # so that whoever else may need what lies beside the file is done with it
                    self._remove_spilled()
                done = False
                keeping = (self._remote, self._path) if self._remote else None
                session = DuckDBSession(
                    connection,
                    self._parse,
                    self._schema,
                    self._passing,
                    keeping,
                    self._metadata,
                    self._columns,
                    self._root,
                )
                try:
                    if self._metadata:
                        self._metadata.renew(connection)
                    session.enter_schema(create=not read_only)
                    yield session
                    done = True
                finally:
                    shutil.rmtree(self._passing, ignore_errors=True)
                    vain = new and not done and not self._holds_tables(connection)
                    self._detach(connection)
                    if session.confined:
                        self._end_engine()
                    if vain:  # or the next command would find a warehouse that holds no ledger
                        self.remove()
                    elif new:  # not earlier: whoever closes the file lets go of the engine's lock on it
                        share(self._path, None if self._private else self._path.parent)
                    self._left_as = state_of(path)

    def _make_prepared(self, path: Path, prepare: Prepare) -> None:
        other = DuckDBWarehouse(path, self._schema, settings=self._settings, private=True)
        other._instance, other._parse = self._engine(), self._parse
        try:
            with other.session() as session:
                prepare(session)
        finally:
            self._instance = other._instance  # none, if it has failed badly

    @property
    def _passing(self) -> Path:
        return self._path.with_name(f"{self._path.name}.tmp-lines-{os.getpid()}")

    def _engine(self) -> duckdb.DuckDBPyConnection:
        """An engine that the file is attached to for each session: a new one takes far longer to start than that."""
        if self._instance is None:
            self._instance = new_engine(f"{self._path}.tmp-{os.getpid()}", self._settings)
            self._parse = lru_cache(STATEMENTS_KEPT)(self._instance.extract_statements)
        return self._instance

    def _remove_spilled(self) -> None:
        """Remove what processes that were killed had moved out of memory, or unpacked or rewrote to read it."""
        for folder in self._path.parent.glob(f"{escape(self._path.name)}.tmp-*"):
            process = folder.name.rpartition("-")[2]
            if process.isdecimal() and not is_alive(int(process)):
                shutil.rmtree(folder, ignore_errors=True)

    def _detach(self, connection: duckdb.DuckDBPyConnection) -> None:
        metadata, self._metadata = self._metadata, None
        failed = True
        try:
            if metadata is not None:
                with suppress(OSError):  # a disk that is full; what was copied at the beginning is mostly as good
                    metadata.renew(connection)
            connection.execute("USE memory.main")
            connection.execute(f"DETACH {ATTACHED_AS}")
            failed = False
        except duckdb.Error:  # an engine that has failed badly does nothing more; its end lets go of the file
            self._end_engine()
        finally:
            if metadata is not None:
                metadata.close(keep=failed)

    def _end_engine(self) -> None:
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.close()

    def _holds_tables(self, connection: duckdb.DuckDBPyConnection) -> bool:
        tables = f"SELECT 1 FROM duckdb_tables() WHERE database_name = {literal(ATTACHED_AS)} LIMIT 1"
        try:
            return connection.execute(tables).fetchone() is not None
        except duckdb.Error:  # nothing is known of a file whose engine has failed, so it stays
            return True

    def _attach(self, connection: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool, new: bool = True) -> None:
        """Attach the file; a `new` one may be made.

        Raises:
            FileNotFoundError: it is not there, and none is to be made.
        """
        refuse_other_files(path)

        def attempt() -> None:
            # The engine refuses to attach a file as an older version than it has.
            if not (new or path.exists()):
                raise FileNotFoundError(str(path))
            options = f"READ_ONLY {read_only}" if path.exists() else f"READ_ONLY {read_only}, {STORAGE}"
            attach = f"ATTACH {literal(str(path))} AS {ATTACHED_AS} ({options})"
            try:
                connection.execute(attach)
            except duckdb.Error as error:
                text = str(error)
                if _LOCKED in text or _ATTACHED in text:
                    holder = _HOLDER.search(text)
                    raise Busy(
                        f"the warehouse {path} is open elsewhere",
                        holder=holder[1] if holder else "",
                        hint="close the other program, or try again when it is done",
                    ) from error
                ours = classify_error(error, attach)
                settled = isinstance(ours, ConfigurationError) and not isinstance(ours, PipelineError)
                if ours is None or not (settled or is_not_allowed(text)):
                    what, why = f"the warehouse {path} cannot be opened", text.splitlines()[0]
                    if _MAY_PASS.search(text):
                        ours = Unavailable(
                            what,
                            why=why,
                            hint="see what is wrong with the disk, or with the rights of its folder, and try again",
                        )
                    else:
                        ours = ConfigurationError(what, why=why, hint=REPAIR)
                raise ours from error

        retry_in_turn(self._path.parent, attempt, self._wait_seconds, self._on_wait)
        # What lies elsewhere is fetched anew after a death, whatever state the copy is in.
        if not (read_only or self._remote):
            self._metadata = MetadataCopy(path, ATTACHED_AS)
