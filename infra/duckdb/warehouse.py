"""The embedded warehouse: one DuckDB file, opened only while it is worked on."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import duckdb

from dropledger.core.errors import DropledgerError, NoLedger
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.retry import OnWait, silently
from dropledger.infra.duckdb.attach import ATTACHED_AS, AttachedFile, attach, copy_for_older_engines
from dropledger.infra.duckdb.file import (
    copy_with_log,
    is_filled,
    is_for_newer_engines,
    refuse_log_left,
    refuse_other_files,
    refuse_other_pipelines,
    state_of,
    write_ahead_log,
)
from dropledger.infra.duckdb.kept_engine import KeptEngine
from dropledger.infra.duckdb.left_over import left_beside, remove_spilled, remove_tree
from dropledger.infra.duckdb.memory import Memory
from dropledger.infra.duckdb.metadata_copy import MetadataCopy, put_back, remove_copy
from dropledger.infra.duckdb.prepared_file import Prepare, PreparedFiles
from dropledger.infra.duckdb.remote_file import RemoteFile
from dropledger.infra.duckdb.session import DuckDBSession
from dropledger.infra.local.file_lock import retry_in_turn
from dropledger.infra.local.folders import share
from dropledger.infra.local.process_name import this_process

__all__ = ["DuckDBWarehouse", "RemoteFile"]


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
        self._engine = KeptEngine(f"{path}.tmp-{this_process()}", self._settings)
        self._memory = Memory()
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
            with self._engine.cursor() as connection, suppress(FileNotFoundError):  # another process was first
                # Which folds in what its log has alone.
                self._attach(connection, found, read_only=False, new=False).detach()
                refuse_log_left(found)
                os.rename(found, self._path)
        if self._path.exists() and is_for_newer_engines(self._path):
            self._rewrite()

    def _rewrite(self) -> None:
        """Copy all that the file holds into one that older engines read, and let that take its place."""
        copy = self.staging_copy("rewriting")
        with self._engine.cursor() as connection:
            file = self._attach(connection, self._path, read_only=False, new=False)
            try:
                copy_for_older_engines(connection, Path(copy.location))
            except DropledgerError:
                copy.remove()
                raise
            finally:
                file.detach()
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
                copy_with_log(path, Path(other.location))
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
        return [str(path) for path in left_beside(self._path)]

    def remove_left_over(self) -> None:
        for path in left_beside(self._path):
            remove_tree(path)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        write_ahead_log(self._path).unlink(missing_ok=True)
        remove_copy(self._path)

    def versions(self) -> Sequence[tuple[str, str]]:
        return (("duckdb", duckdb.__version__),)

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[DuckDBSession]:
        with self.fetched(read_only=read_only) as path:
            new = self._begin(path, read_only=read_only)
            with self._engine.cursor() as connection:
                file = self._attach(connection, path, read_only=read_only)
                if not read_only:  # so that whoever else may need what lies beside the file is done with it
                    remove_spilled(self._path)
                session, done = self._session_on(connection, file.metadata), False
                try:
                    if file.metadata:
                        file.metadata.renew(connection)
                    session.enter_schema(create=not read_only)
                    yield session
                    done = True
                finally:
                    shutil.rmtree(self._passing, ignore_errors=True)
                    vain = new and not done and not file.holds_tables()
                    file.detach()
                    if session.confined:
                        self._engine.end()
                    if vain:  # or the next command would find a warehouse that holds no ledger
                        self.remove()
                    elif new:  # not earlier: whoever closes the file lets go of the engine's lock on it
                        share(self._path, None if self._private else self._path.parent)
                    self._left_as = state_of(path)

    def _begin(self, path: Path, *, read_only: bool) -> bool:
        """Have what a session needs at the path; whether the file is a new one.

        Raises:
            NoLedger: it is to be read, and there is none.
        """
        refuse_other_files(path)
        if read_only and not (path.exists() and is_filled(path)):
            raise NoLedger(
                f"there is no warehouse at {self.location}",
                hint="drop a file first (dropledger process FILE), or point --root or --warehouse at an existing one",
            )
        if not read_only and path.is_file() and not is_filled(path):
            path.unlink()  # else the engine refuses it as damaged
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        if new and self._prepared:
            self._prepared.begin(self._path, self._passing, self._make_prepared)
        found = state_of(path)
        if found is None or found != self._left_as:  # others may have written to it since
            self._memory.clear()
        return new

    def _session_on(self, connection: duckdb.DuckDBPyConnection, metadata: MetadataCopy | None) -> DuckDBSession:
        keeping = (self._remote, self._path) if self._remote else None
        return DuckDBSession(
            connection,
            self._engine.parse,
            self._schema,
            self._passing,
            keeping,
            metadata,
            self._memory,
            self._root,
        )

    def _make_prepared(self, path: Path, prepare: Prepare) -> None:
        other = DuckDBWarehouse(path, self._schema, settings=self._settings, private=True)
        other._engine = self._engine
        with other.session() as session:
            prepare(session)

    @property
    def _passing(self) -> Path:
        return self._path.with_name(f"{self._path.name}.tmp-lines-{this_process()}")

    def _attach(
        self, connection: duckdb.DuckDBPyConnection, path: Path, *, read_only: bool, new: bool = True
    ) -> AttachedFile:
        """Attach the file; a `new` one may be made.

        Raises:
            FileNotFoundError: it is not there, and none is to be made.
        """
        refuse_other_files(path)

        def attempt() -> None:
            attach(connection, path, read_only=read_only, new=new)

        retry_in_turn(self._path.parent, attempt, self._wait_seconds, self._on_wait)
        # What lies elsewhere is fetched anew after a death, whatever state the copy is in.
        metadata = None if read_only or self._remote else MetadataCopy(path, ATTACHED_AS)
        return AttachedFile(self._engine, connection, metadata)
