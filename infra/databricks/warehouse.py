"""The warehouse in Databricks: a schema of a catalog."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import cast
from uuid import uuid4

from dropledger.core.errors import ConfigurationError, Conflict, NoLedger, PipelineError
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.retry import OnWait, silently
from dropledger.infra.databricks.changes import clustered
from dropledger.infra.databricks.connection import Access, Statements
from dropledger.infra.databricks.dialect import literal, ticked
from dropledger.infra.databricks.local_reader import LocalReader
from dropledger.infra.databricks.memory import Memory
from dropledger.infra.databricks.schemas import VOLUME, drop_schema, has_table, schemas_like, tables_of
from dropledger.infra.databricks.session import DatabricksSession
from dropledger.infra.databricks.writer import Writer

_ASIDE = ("planning", "exporting", "verifying", "rebuilding", "migrating")
_OF_A_DAY = r"\d{8}_[0-9a-f]{12}(_work_[0-9a-f]{12})?"
_STANDING = ("delivery", "retraction", "restoration")
_COMPLETE = """CREATE OR REPLACE VIEW complete_drop AS
SELECT l.*
FROM drop_ledger AS l
CROSS JOIN writer AS w
WHERE w.after_sequence IS NULL
    OR l.sequence <= w.after_sequence"""


Standing = Mapping[str, int]
"""What a ledger held at a moment: of the tables of which each change adds to one, how many rows."""


class DatabricksWarehouse:
    """A `Warehouse` of core in a schema; statements run in the SQL warehouse that `access` tells.

    Names of catalogs, schemas and tables are those that Unity Catalog stores: in lower case, however they are given.
    `function` is the ARN of the function of AWS Lambda that this process serves, if it does.
    """

    def __init__(
        self,
        access: Access,
        schema: str,
        local: Path,
        *,
        wait_seconds: float = 30.0,
        settings: Mapping[str, str] | None = None,
        on_wait: OnWait = silently,
        function: str = "",
        statements: Statements | None = None,
    ) -> None:
        self._access = replace(access, catalog=access.catalog.lower())
        self._name = schema.lower()
        self._local = local
        self._wait_seconds = wait_seconds
        self._settings = dict(settings or {})
        self._on_wait = on_wait
        self._function = function
        self._statements = statements or Statements(access, local, on_wait)
        self._prepared = False
        self._memory = Memory()
        # For a schema aside: what the live one stood at.
        self.made_beside: Standing = {}

    @property
    def location(self) -> str:
        return f"databricks:{self._access.catalog}.{self._name}"

    @property
    def schema(self) -> str:
        """The schema's full name, as statements have it."""
        return f"{ticked(self._access.catalog)}.{ticked(self._name)}"

    def exists(self) -> bool:
        if self._prepared:
            return True
        found = self._statements.rows(f"SHOW SCHEMAS IN {ticked(self._access.catalog)} LIKE '{self._name}'")
        return bool(found) and self._has("pipeline_state")

    def _has(self, name: str) -> bool:
        return has_table(self._statements, self.schema, name)

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[DatabricksSession]:
        if read_only:
            if not self.exists():
                raise NoLedger(
                    f"there is no warehouse at {self.location}",
                    hint="drop a file first (dropledger process FILE), or correct DATABRICKS_CATALOG and _SCHEMA",
                )
            self._use()
            with self._reader() as local:
                yield self._session(local, None)
            self._statements.rest()
            return
        writer = Writer(
            self._statements,
            self._access.catalog,
            self._name,
            self._wait_seconds,
            self._on_wait,
            self._function,
            self._memory,
        )
        if self._prepared:
            self._use()
        else:
            self._prepare(writer)
        try:
            writer.take()
            self._statements.run(f"CREATE VOLUME {ticked(self._access.catalog)}.{ticked(writer.work)}.{VOLUME}")
            with self._reader() as local:
                session = self._session(local, writer)
                try:
                    yield session
                finally:
                    session.remove_uploads()
            if not self._prepared and self._has("drop_ledger"):
                self._statements.run(_COMPLETE)
                self._prepared = True
        finally:
            writer.leave()
            self._statements.rest()

    def _session(self, local: LocalReader, writer: Writer | None) -> DatabricksSession:
        work = writer.work if writer else ""
        volume = f"/Volumes/{self._access.catalog}/{work}/{VOLUME}"
        scratch = f"{ticked(self._access.catalog)}.{ticked(work)}"
        return DatabricksSession(self._statements, self.schema, scratch, volume, local, writer, self._memory)

    @contextmanager
    def _reader(self) -> Iterator[LocalReader]:
        self._local.mkdir(0o700, parents=True, exist_ok=True)
        passing = Path(mkdtemp(dir=self._local))
        try:
            yield LocalReader(passing, self._settings)
        finally:
            shutil.rmtree(passing, ignore_errors=True)

    def _prepare(self, writer: Writer) -> None:
        self._statements.run(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
        self._use()
        if not self._has("writer") or not self._statements.rows("SELECT place FROM writer"):
            writer.prepare()

    def _use(self) -> None:
        self._statements.use(self.schema)

    def staging_copy(self, label: str, *, copied: bool = False) -> "DatabricksWarehouse":
        beginning, today = f"{self._name}_{label}_", datetime.now(UTC).date()
        for left in self._left_over(label):
            drop_schema(self._statements, self._access.catalog, left)  # of a process that was killed
        # Two machines may do alike on one root in a bucket, so that each needs a schema of its own.
        other = self._sibling(f"{beginning}{today:%Y%m%d}_{uuid4().hex[:12]}")
        if self.exists():
            with self.session():  # which undoes what a killed process has left, and nobody else writes meanwhile
                other.made_beside = self._standing()
                if copied:
                    other.become(self)
        return other

    def stamp(self) -> str | None:
        return None

    def size_bytes(self) -> int | None:
        return None

    def confirm(self) -> None:
        """Nothing to do: there is one writer at a time."""

    def _left_over(self, label: str) -> list[str]:
        beginning, today = f"{self._name}_{label}_", datetime.now(UTC).date()
        return [
            left
            for left in schemas_like(self._statements, self._access.catalog, beginning, _OF_A_DAY)
            if date.fromisoformat(left.removeprefix(beginning)[:8]) < today - timedelta(days=1)
        ]

    def left_over(self) -> Sequence[str]:
        return [left for label in _ASIDE for left in self._left_over(label)]

    def remove_left_over(self) -> None:
        """Nothing: another machine may be at work on what is younger, and `aside` removes what is older."""

    def become(self, live: "DatabricksWarehouse") -> None:
        """Hold the tables and views of another schema, by their data at this moment."""
        with self.session():
            for table in tables_of(self._statements, live.schema):
                self._become(f"{self.schema}.{ticked(table)}", f"{live.schema}.{ticked(table)}")
            self.copy_views(live)
            self._memory.forget()

    def _become(self, table: str, other: str) -> None:
        """Make a table by another one's data: by name of its files, or where the platform refuses that, by its rows."""
        try:
            self._statements.run(f"CREATE TABLE {table} SHALLOW CLONE {other}")
        except PipelineError:
            near = clustered(self._key_of(other))
            self._statements.run(f"CREATE TABLE {table} {near}AS SELECT * FROM {other}")

    def _key_of(self, table: str) -> Sequence[str]:
        """The columns by which the rows of a table are kept together."""
        return self._statements.rows(f"DESCRIBE DETAIL {table}")[0]["clusteringColumns"] or ()

    def _standing(self) -> Standing:
        """What grows with each delivery, retraction and restoration: the platform's own OPTIMIZE adds no row."""
        there = set(tables_of(self._statements, self.schema))
        counts = [
            f"SELECT {literal(table)} AS name, count(*) AS row_count FROM {table}"
            for table in _STANDING
            if table in there
        ]
        rows = self._statements.rows(" UNION ALL ".join(counts)) if counts else []
        return {row["name"]: row["row_count"] for row in rows}

    def _sibling(self, name: str) -> "DatabricksWarehouse":
        return DatabricksWarehouse(
            self._access,
            name,
            self._local,
            wait_seconds=self._wait_seconds,
            settings=self._settings,
            on_wait=self._on_wait,
            function=self._function,
            statements=self._statements,
        )

    def at(self, location: str) -> "DatabricksWarehouse":
        catalog, _, schema = location.removeprefix("databricks:").lower().rpartition(".")
        if not schema.replace("_", "").isalnum() or catalog not in {"", self._access.catalog}:
            raise ConfigurationError(
                f"{location} is no schema of the catalog {self._access.catalog}",
                hint=f"write it like databricks:{self._access.catalog}.lending_then",
            )
        return self._sibling(schema)

    def copy_views(self, other: "DatabricksWarehouse") -> None:
        """Make the views of another schema here, each after those that it reads."""
        found = self._statements.rows(f"SHOW VIEWS IN {other.schema}")
        texts = {row["viewName"]: other.text_of(row["viewName"]) for row in found if not row["isTemporary"]}
        self._use()
        while texts:
            before, failure = len(texts), None
            for name, text in list(texts.items()):
                try:
                    self._statements.run(f"CREATE OR REPLACE VIEW {self.schema}.{ticked(name)} AS\n{text}")
                except ConfigurationError as error:  # it reads one that is not there yet
                    failure = error
                else:
                    del texts[name]
            if failure is not None and len(texts) == before:
                raise failure

    def text_of(self, view: str) -> str:
        """The query of a view."""
        described = self._statements.rows(f"DESCRIBE TABLE EXTENDED {self.schema}.{ticked(view)}")
        return next(str(row["data_type"]) for row in described if row["col_name"] == "View Text")

    def swap_in(self, rebuilt: Warehouse, keep_as: str) -> "DatabricksWarehouse":
        """As one change: after a death in the middle, what was there is restored. It stays in the tables' versions."""
        other = cast("DatabricksWarehouse", rebuilt)
        with self.session() as session, session.transaction():
            if self._standing() != other.made_beside:
                raise Conflict("another process has written to the ledger while it was rebuilt", hint="try again")
            here = set(tables_of(self._statements, self.schema))
            for table in tables_of(self._statements, other.schema):
                self._fill(session, table, f"{other.schema}.{ticked(table)}", is_there=table in here)
            self.copy_views(other)
            self._memory.forget()
        other.remove()
        return self._sibling(f"{self._name}_{keep_as}")

    def _fill(self, session: DatabricksSession, table: str, other: str, *, is_there: bool) -> None:
        """Let a table have another one's rows; it stays what it is where it has the same columns."""
        if is_there and list(session.columns(table).items()) == list(session.columns_of(other).items()):
            session.overwrite(table, f"SELECT * FROM {other}")
        else:
            session.make_anew(table, self._key_of(other), f"SELECT * FROM {other}")

    def remove(self) -> None:
        self._prepared = False
        self._memory.forget()
        drop_schema(self._statements, self._access.catalog, self._name)

    def versions(self) -> Sequence[tuple[str, str]]:
        from databricks.sql import __version__

        return (("databricks-sql-connector", __version__),)
