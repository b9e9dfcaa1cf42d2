"""A ledger for tests: a root in a folder of its own, with the real pipeline, store and DuckDB on it."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import duckdb
import pytest
import yaml

from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline, load_pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.ingest import micro_batch
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.steps import checks, compare, history, marts, patch, validate
from dropledger.infra.duckdb.session import DuckDBSession
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.local.inbox import dropped_file
from dropledger.infra.local.store import LocalStore
from support.looking import looking_at

Record = tuple[Any, ...]


@dataclass
class SettableClock:
    """A clock that stands where it is set, but for a millisecond that each look at it takes.

    It is ahead of the machine's, so that no file of a test comes from the future.
    """

    moment: datetime = field(default_factory=lambda: datetime(2030, 1, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


class PreparedRoots:
    """Roots with tables and without drops, one for each pipeline: to copy it costs less than to make its tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filled: dict[tuple[str, str], Ledger] = {}

    def copy(self, pipeline: Pipeline, root: Path) -> None:
        """Make a root of the pipeline at a path where there is none."""
        prepared = self._folder / pipeline.sha256
        if not prepared.exists():
            with Ledger(prepared, pipeline, bare=True).runtime.session():
                pass
        shutil.copytree(prepared, root)

    def fill(self, ledger: "Ledger", label: str, fill: "Callable[[Ledger], object]") -> None:
        """Let a ledger be what `fill` makes of a new one of its pipeline: made once by this label, and copied then."""
        pipeline = ledger.runtime.pipeline
        if ledger.clock != SettableClock() or any((ledger.root / "archive").iterdir()):
            fill(ledger)  # it is no new one
            return
        key = pipeline.sha256, label
        if key not in self._filled:
            self._filled[key] = Ledger(self._folder / f"{pipeline.sha256} {label}", pipeline)
            fill(self._filled[key])
        filled = self._filled[key]
        shutil.rmtree(ledger.root)
        shutil.copytree(filled.root, ledger.root)
        ledger.clock.moment = filled.clock.moment


class Ledger:
    """A root with everything that runs on it. `runtime` is what `dropledger.core.ingest.run.process` takes.

    A new one has its tables; a `bare` one has just its folders, as before the first drop.
    """

    prepared: ClassVar[PreparedRoots]
    """Where new roots come from; `conftest.py` makes it."""

    def __init__(
        self, root: Path, pipeline: Pipeline, clock: SettableClock | None = None, *, bare: bool = False
    ) -> None:
        if not bare and not root.exists():
            self.prepared.copy(pipeline, root)
        self.root = root
        self.clock = clock or SettableClock()
        self.database = root / "warehouse" / "ledger.duckdb"
        self._schema = pipeline.file.db_schema
        store = LocalStore(root, self.clock)
        store.prepare()
        # One thread: tables of a few rows gain nothing from more, and tests run side by side.
        warehouse = DuckDBWarehouse(
            self.database, self._schema, wait_seconds=5.0, settings={"threads": "1"}, root=root.resolve()
        )
        self.runtime = Runtime(pipeline, store, warehouse, self.clock, wait_seconds=5.0)

    def copy(self, root: Path) -> "Ledger":
        """A ledger of its own that goes on from where this one is."""
        shutil.copytree(self.root, root)
        return Ledger(root, self.runtime.pipeline, SettableClock(self.clock.moment))

    def put(
        self,
        name: str,
        text: str | bytes,
        *,
        feed: str | None = None,
        as_of: datetime | None = None,
        modified_at: datetime | None = None,
    ) -> FileDropped:
        """Let a file land in the inbox; `feed` goes by its folder there, `as_of` by option."""
        path = self.root / "inbox" / (feed or "") / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if modified_at is not None:
            os.utime(path, (modified_at.timestamp(), modified_at.timestamp()))
        return dropped_file(path, feed=feed, as_of=as_of)

    def process(self, *dropped: FileDropped) -> list[Outcome]:
        """Take files that landed through the pipeline as one batch."""
        return process(self.runtime, dropped, lambda _: None)

    def drop(self, name: str, text: str | bytes, *, feed: str | None = None, as_of: datetime | None = None) -> Outcome:
        """Let one file land and take it through the pipeline."""
        return self.process(self.put(name, text, feed=feed, as_of=as_of))[0]

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The closed warehouse file, opened to read as people would; bare names are tables of the schema."""
        with looking_at(self.database, self._schema) as connection:
            yield connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Record]:
        """What a query finds; timestamps are aware UTC."""
        with self.connection() as connection:
            return fetch(connection, sql, parameters)

    def table(self, name: str, columns: str = "*") -> list[Record]:
        """A table's rows in the order of all the columns that are asked for."""
        return self.rows(f'SELECT {columns} FROM "{name}" ORDER BY ALL')

    def tables(self, *names: str) -> dict[str, list[Record]]:
        """The rows of some tables, in any order."""
        with self.connection() as connection:
            return {name: fetch(connection, f'SELECT * FROM "{name}"') for name in names}


def fetch(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> list[Record]:
    """What a query finds; timestamps are aware UTC."""
    return [tuple(map(_aware, row)) for row in connection.execute(sql, parameters).fetchall()]


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


class Template:
    """Makes new ledgers of a pipeline that are gone when they were used."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        self._folder = folder
        self._pipeline = pipeline

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """A new ledger, gone when the block ends."""
        with TemporaryDirectory(dir=self._folder) as folder:
            yield Ledger(Path(folder) / "root", self._pipeline)


@contextmanager
def work_on_tables_as_a_whole_from(rows: int) -> Iterator[None]:
    """Let marts be computed, tables be checked, keys be proved and closed versions be put in anew for so few rows."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(marts, "WHOLE_FROM", rows)
        patches.setattr(checks, "WHOLE_FROM", rows)
        patches.setattr(history, "UPDATED_IN_PLACE", rows)
        patches.setattr(validate, "LOOKED_AT_FROM", rows)
        yield


@contextmanager
def rows_moved_to_the_engine() -> Iterator[None]:
    """Let DuckDB be asked as an engine that files are moved to, and that statements cost by themselves."""
    with pytest.MonkeyPatch.context() as patches:
        moved = replace(DuckDBSession.capabilities, reads_in_place=False, cheap_statements=False)
        patches.setattr(DuckDBSession, "capabilities", moved)
        yield


@contextmanager
def extracts_compared_from(size: int) -> Iterator[None]:
    """Let extracts of so many bytes be compared with the one before."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(compare, "FEWEST_BYTES", size)
        yield


@contextmanager
def artifacts_patched_from(size: int) -> Iterator[None]:
    """Let CSVs of so many bytes be brought up to date by their changed lines, whatever share of them that is."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(patch, "SMALLEST_BYTES", size)
        patches.setattr(patch, "_SHARE", 1)
        yield


@contextmanager
def micro_batches_from(drops: int) -> Iterator[None]:
    """Let so few drops of a feed that wait together be folded together."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(micro_batch, "FEWEST", drops)
        yield


def custom_pipeline(
    folder: Path, changes: Mapping[str, Mapping[str, Any] | None], *, without: Sequence[str] = ()
) -> Pipeline:
    """The lending pipeline copied to `folder`, with changes.

    `changes` maps the paths of YAML files to the entries that they get beside or in place of theirs, to all
    entries for a new file, and to None for a file that goes. `without` names what else goes, such as `marts`.
    """
    shutil.copytree(BUILT_IN / "lending", folder)
    for name in without:
        shutil.rmtree(folder / name)
    for name, entries in changes.items():
        path = folder / name
        if entries is None:
            path.unlink()
        else:
            before = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
            path.write_text(yaml.safe_dump({**before, **entries}), encoding="utf-8")
    return load_pipeline(str(folder))


def without_marts(folder: Path, changes: Mapping[str, Mapping[str, Any] | None] | None = None) -> Pipeline:
    """The lending pipeline copied to `folder`, with changes: its feeds alone, which take a drop in half the time."""
    of_marts = ["marts", "intermediate", "explain", "checks/account_summary", "checks/customer_profile"]
    return custom_pipeline(folder, changes or {}, without=of_marts)


def with_unlimited_balances(folder: Path) -> Pipeline:
    """The lending pipeline copied to `folder`, which lets balances in that no longer fit with their interest."""
    columns = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))["columns"]
    for column in columns:
        column["rules"] = [rule for rule in column["rules"] if "max" not in rule]
    return custom_pipeline(folder, {"account.yaml": {"columns": columns}})
