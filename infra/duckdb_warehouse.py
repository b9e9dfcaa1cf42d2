"""The embedded warehouse: one DuckDB file, opened only while it is worked on."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from glob import escape
from pathlib import Path
from typing import Any, Protocol

import duckdb

from core.errors import Busy, ConfigurationError, NoLedger, PipelineError, Unavailable
from core.patience import Waiting, without_a_word
from core.ports import Warehouse
from core.sql import literal
from infra.duckdb_engine import REPAIR, by_what_to_do, is_not_allowed, new_engine
from infra.duckdb_session import ATTACHED_AS, STATEMENTS_KEPT, DuckDBSession
from infra.folders import share
from infra.turns import in_turn, is_alive

_LOCKED = "Could not set lock on file"
_MAY_PASS = re.compile(
    "No space left|Input/output error|Too many open files|Stale file handle|Permission denied|Read-only file system"
)
_ASIDE = ("planning", "exporting", "verifying", "rebuilding", "migrating", "previous")
_HOLDER = re.compile(r"held in (.+?\(PID \d+\)|.+?(?=\. |$))", re.MULTILINE)


class Keeper(Protocol):
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
            Overtaken: another process was first; the copy does not count.
        """
        ...

    def confirm(self) -> None:
        """Make sure that what is kept is what was fetched or put there last.

        Raises:
            Overtaken: another process has written it since.
        """
        ...


def _write_ahead_log(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _is_filled(path: Path) -> bool:
    return path.stat().st_size > 0 or _write_ahead_log(path).exists()


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


class DuckDBWarehouse:
    """A `core.ports.Warehouse` in a DuckDB file at `path`; the tables live in `schema`.

    With a `keeper`, the file at the path is a copy of the one that it keeps. A file that is made may be read by those
    who may read its folder, unless it is `private`.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        wait_seconds: float = 30.0,
        settings: Mapping[str, str] | None = None,
        waiting: Waiting = without_a_word,
        keeper: Keeper | None = None,
        private: bool = False,
    ) -> None:
        self._path = path
        self._keeper = keeper
        self._private = private
        self._schema = schema
        self._wait_seconds = wait_seconds
        self._waiting = waiting
        self._settings: dict[str, Any] = dict(settings or {})
        self._instance: duckdb.DuckDBPyConnection | None = None

    @property
    def location(self) -> str:
        return self._keeper.location if self._keeper else str(self._path)

    def exists(self) -> bool:
        # A file of 0 bytes is none: a process that was killed while it made one has left it, or what it held is lost.
        return self._keeper.exists() if self._keeper else self._path.exists() and _is_filled(self._path)

    def confirm(self) -> None:
        if self._keeper:
            self._keeper.confirm()

    @contextmanager
    def fetched(self, *, read_only: bool) -> Iterator[Path]:
        """Have the newest file in place; its path."""
        with self._keeper.fetched(self._path, read_only=read_only) if self._keeper else nullcontext():
            yield self._path

    def _sibling(self, path: Path) -> "DuckDBWarehouse":
        return DuckDBWarehouse(
            path,
            self._schema,
            wait_seconds=self._wait_seconds,
            settings=self._settings,
            waiting=self._waiting,
            private=self._private,
        )

    def aside(self, label: str, *, copied: bool = False) -> "DuckDBWarehouse":
        other = self._sibling(self._path.with_name(f"{self._path.stem}.{label}{self._path.suffix}"))
        other.remove()
        self._refuse_other_files()
        if self._keeper and not copied:
            with self.fetched(read_only=True):
                pass  # what is put in place later takes the place of what is kept now, and of nothing newer
        if copied and self.exists():
            with self.fetched(read_only=True) as path:
                shutil.copyfile(path, other.location)
                log = _write_ahead_log(path)
                if log.exists():
                    shutil.copyfile(log, _write_ahead_log(Path(other.location)))
        return other

    def at(self, location: str) -> "DuckDBWarehouse":
        other = self._sibling(Path(location).resolve())
        # A copy of the whole ledger, which may be put into a folder that all may read.
        other._private = True  # noqa: SLF001 (one of this class)
        return other

    def put_in_place(self, rebuilt: Warehouse, keep_as: str) -> "DuckDBWarehouse":
        left = _write_ahead_log(Path(rebuilt.location))
        if left.exists():  # as when the disk was full when the file was closed, of which the engine says nothing
            raise Unavailable(
                "the rebuilt warehouse is not whole, so it does not take the live one's place",
                why=f"what was committed last is in {left.name} alone",
                hint="free disk space, and try again",
            )
        previous = self.aside(keep_as)
        if self._keeper:
            self._keeper.changing(self._path)
        elif self._path.exists():
            # A second name for the old file first: at every instant there is a warehouse under the live name.
            os.link(self._path, previous.location)
        os.replace(rebuilt.location, self._path)
        _write_ahead_log(self._path).unlink(missing_ok=True)
        if self._keeper:
            self._keeper.keep(self._path)
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
        _write_ahead_log(self._path).unlink(missing_ok=True)

    def versions(self) -> Sequence[tuple[str, str]]:
        return (("duckdb", duckdb.__version__),)

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[DuckDBSession]:
        with self.fetched(read_only=read_only):
            if read_only and not self._path.exists():
                raise NoLedger(
                    f"there is no warehouse at {self.location}",
                    hint="drop a file first (dropledger process FILE), "
                    "or point --root or --warehouse at an existing one",
                )
            self._refuse_other_files()
            if not read_only and self._path.is_file() and not _is_filled(self._path):
                self._path.unlink()  # else the engine refuses it as damaged
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = not self._path.exists()
            with self._engine().cursor() as connection:
                self._attach(connection, read_only)
                if not read_only:  # so that whoever else may need what lies beside the file is done with it
                    self._remove_spilled()
                try:
                    keeping = (self._keeper, self._path) if self._keeper else None
                    session = DuckDBSession(connection, self._parse, self._schema, self._passing, keeping)
                    session.enter_schema(create=not read_only)
                    yield session
                finally:
                    shutil.rmtree(self._passing, ignore_errors=True)
                    self._detach(connection)
                    if new:  # not earlier: whoever closes the file lets go of the engine's lock on it
                        share(self._path, None if self._private else self._path.parent)

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
        try:
            connection.execute("USE memory.main")
            connection.execute(f"DETACH {ATTACHED_AS}")
        except duckdb.Error:  # an engine that has failed badly does nothing more; its end lets go of the file
            self._engine().close()
            self._instance = None

    def _refuse_other_files(self) -> None:
        # DuckDB opens a CSV as a database in memory without a word, and all that is written goes with the process.
        if self._path.is_dir() or (self._path.is_file() and _is_filled(self._path) and not _is_database(self._path)):
            raise ConfigurationError(
                f"{self._path} is not a DuckDB file",
                hint="name the warehouse's own file with --warehouse, or leave it out",
            )

    def _attach(self, connection: duckdb.DuckDBPyConnection, read_only: bool) -> None:
        attach = f"ATTACH {literal(str(self._path))} AS {ATTACHED_AS} (READ_ONLY {read_only})"

        def attempt() -> None:
            try:
                connection.execute(attach)
            except duckdb.Error as error:
                text = str(error)
                if _LOCKED in text:
                    holder = _HOLDER.search(text)
                    raise Busy(
                        f"the warehouse {self._path} is open elsewhere",
                        holder=holder[1] if holder else "",
                        hint="close the other program, or try again when it is done",
                    ) from error
                ours = by_what_to_do(error, attach)
                settled = isinstance(ours, ConfigurationError) and not isinstance(ours, PipelineError)
                if ours is None or not (settled or is_not_allowed(text)):
                    what, why = f"the warehouse {self._path} cannot be opened", text.splitlines()[0]
                    if _MAY_PASS.search(text):
                        ours = Unavailable(
                            what,
                            why=why,
                            hint="see what is wrong with the disk, or with the rights of its folder, and try again",
                        )
                    else:
                        ours = ConfigurationError(what, why=why, hint=REPAIR)
                raise ours from error

        in_turn(self._path.parent, attempt, self._wait_seconds, self._waiting)
