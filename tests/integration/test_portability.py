"""One text serves both engines: what DuckDB has run here Spark's parser reads, and it uses what means the same in both.

What core hands to sessions, while drops are processed, looked at, taken back and rebuilt, is handed once more to a
session of Databricks, whose statements are noted in place of being sent. What they give on Spark is for
tests/databricks; this says at once which statement is at fault.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.engines import PROJECT, SPARK
from support.ledger import (
    Ledger,
    artifacts_patched_from,
    custom_pipeline,
    extracts_compared_from,
    micro_batches_from,
    rows_moved_to_the_engine,
    work_on_tables_as_a_whole_from,
)
from support.random_marts import Part, write_contracts, write_mart

from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline, load_pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.errors import ConfigurationError
from dropledger.core.ledger.alerts import Found
from dropledger.core.operations import check
from dropledger.core.operations.alerts import look
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.compile_sql import compile_sql
from dropledger.core.operations.export import export, refuse_before_first_drop
from dropledger.core.operations.last_seen import find_last_seen
from dropledger.core.operations.plan import plan
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import plan_retraction, restore, retract
from dropledger.core.operations.verify import verify
from dropledger.core.ports.notifier import AlertState, Target
from dropledger.core.retry import silently
from dropledger.core.sql.text import full_refresh, quoted
from dropledger.core.steps.soundness import in_work
from dropledger.core.views.ask import ask
from dropledger.core.views.checks import check_matrix, check_timeline
from dropledger.core.views.drops import (
    Wanted,
    count_uncorrected,
    find_drop,
    list_drops,
    list_rejects,
    rows_by_drop,
    superseded,
)
from dropledger.core.views.explain import explain
from dropledger.core.views.feeds import show_feed
from dropledger.core.views.keys import read_key
from dropledger.core.views.metrics import read_metrics
from dropledger.core.views.models import list_models, show_model
from dropledger.core.views.search import search
from dropledger.core.views.show import show
from dropledger.core.views.status import read_status
from dropledger.core.views.timeline import find_timeline
from dropledger.core.views.totals import mart_totals, totals_over_time
from dropledger.infra.databricks.connection import Access, Statements
from dropledger.infra.databricks.dialect import dialect
from dropledger.infra.databricks.local_reader import LocalReader
from dropledger.infra.databricks.memory import Memory
from dropledger.infra.databricks.session import DatabricksSession
from dropledger.infra.databricks.writer import Writer
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.local.inbox import dropped_file

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("portability")]

CORE = PROJECT / "dropledger" / "core"
INFERENCE = CORE / "inference"  # which asks an engine of this machine, wherever the warehouse is
OLDER = Path(__file__).parents[1] / "data" / "root_of_63ad2a1.tar.gz"
READS = {"query", "scratch", "view", "select_rows", "export"}
CHANGES = {
    *("insert_select", "insert_in_order", "delete_where", "delete_keys", "update_where", "update_matched"),
    *("replace_rows", "create_table", "create_table_like", "create_view"),
}
HANDED_ON = {*READS, *CHANGES, "execute"}
WRITTEN = re.compile(r"(?:INSERT INTO|MERGE INTO|UPDATE|DELETE FROM|CREATE OR REPLACE TABLE) (\S+)")
# A function joins these once it is seen to give the same in both engines. Of concat that holds for what is not NULL,
# which is all that it gets. What parses and means something else stays out: / of decimals and avg are DOUBLE in DuckDB,
# hash and log are other functions, and regexp_replace replaces the first match in one, and all in the other.
SAME_IN_BOTH = {
    *(
        "abs",
        "coalesce",
        "concat",
        "contains",
        "count",
        "greatest",
        "lag",
        "lead",
        "least",
        "lower",
        "max",
        "min",
        "nullif",
    ),
    *("regexp_like", "replace", "round", "row_number", "substr", "sum", "translate", "trim", "upper"),
}
UNPORTABLE = {  # all of which DuckDB reads
    "SELECT * EXCLUDE (a) FROM t",
    "SELECT * REPLACE (1 AS a) FROM t",
    "SELECT DISTINCT ON (a) b FROM t",
    "SELECT [1, 2]",
    "SELECT {'a': 1}",
    "SELECT a // 2 FROM t",
    "SELECT a / 2 FROM t",
    "WITH u AS (SELECT a / 2 AS b FROM t) SELECT b FROM u",
    "SELECT a FROM t WHERE a ~ 'b'",
    "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE regexp_matches(u.a, 'b'))",
    "SELECT hash(a) FROM t",
    "SELECT avg(a) OVER (ORDER BY b) FROM t",
    "SELECT list_transform(a, x -> x + 1) FROM t",
    "SELECT CAST(a AS VARCHAR) FROM t",
    "SELECT a FROM t USING SAMPLE 5",
    "CREATE TEMP TABLE t AS SELECT 1 AS a",
    "INSERT INTO t SELECT 1 ON CONFLICT DO NOTHING",
    "UPDATE t SET a = 1 FROM u WHERE t.b = u.b",
    "DELETE FROM t USING u WHERE t.a = u.a",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET a = epoch_ms(u.b)",
    "CREATE OR REPLACE VIEW v AS SELECT list_sum(a) AS b FROM t",
}
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,=Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"
RATES = "MinBalance,Rate,LoanBonus,Method\n"
COLLATERAL = {  # every type, and every rule as an error and as a warning
    "feed": "collateral",
    "files": ["collateral*.csv"],
    "mode": "delta",
    "effective_column": "valued_on",
    "operation": {"column": "operation"},
    "key": ["collateral_id", "part"],
    "columns": [
        {"name": "collateral_id", "type": "bigint", "rules": ["not_null"]},
        {"name": "part", "rules": ["not_null", {"rule": "pattern", "pattern": "^[a-z]+$"}]},
        {"name": "customer_id", "type": "bigint", "rules": [{"rule": "relationship", "to": "customer.customer_id"}]},
        {"name": "worth", "type": "decimal(18,2)", "rules": [{"rule": "range", "min": 0, "max": 1000}]},
        {"name": "number", "type": "text", "rules": ["unique", {"rule": "accepted_values", "values": ["A", "B"]}]},
        {"name": "colour", "default": "red", "rules": [{"rule": "unique", "severity": "warn"}]},
        {"name": "sold", "type": "boolean", "rules": [{"rule": "accepted_values", "values": {"y": True, "n": False}}]},
        {"name": "valued_on", "type": "timestamp"},
        {"name": "bought_on", "type": "date"},
        {"name": "operation"},
    ],
}
STOCK = {
    "feed": "stock",
    "files": ["stock*.csv"],
    "trailer": {"pattern": "^END", "rows": 2, "sums": {"worth": 3}},
    "drift": [{"column": "worth", "sum": "30%", "nulls": "5%"}],
    "key": ["stock_id"],
    "columns": [
        {"name": "stock_id", "aliases": ["StockID"], "type": "bigint", "rules": ["not_null"]},
        {"name": "worth", "type": "decimal(9,2)"},
    ],
}
ALIKE = {  # whose extracts are compared with the one before, among whose rows some break rules that only warn
    "feed": "alike",
    "files": ["alike*.csv"],
    "missing_keys": "close",
    "key": ["alike_id"],
    "columns": [
        {"name": "alike_id", "type": "bigint", "rules": ["not_null"]},
        {
            "name": "customer_id",
            "type": "bigint",
            "rules": [{"rule": "relationship", "to": "customer.customer_id", "severity": "warn"}],
        },
        {"name": "worth", "type": "bigint", "rules": [{"rule": "range", "max": 5, "severity": "warn"}]},
    ],
}

PAYMENT = {  # facts
    "feed": "payment",
    "files": ["payments*.csv"],
    "mode": "event",
    "effective_column": "paid_at",
    "key": ["payment_id", "part"],
    "columns": [
        {"name": "payment_id", "type": "bigint", "rules": ["not_null"]},
        {"name": "part", "rules": ["not_null"]},
        {
            "name": "customer_id",
            "type": "bigint",
            "rules": [{"rule": "relationship", "to": "customer.customer_id", "severity": "warn"}],
        },
        {"name": "paid_at", "type": "timestamp"},
    ],
}


@dataclass(frozen=True)
class Handed:
    """A call of a session, and by which line of which file."""

    file: str
    line: int
    verb: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        """The SQL in it."""
        of_arguments = [part for part in self.arguments if isinstance(part, str)]
        of_assignments = [text for part in self.arguments if isinstance(part, dict) for text in part.values()]
        return [*of_arguments, *(text for text in of_assignments if isinstance(text, str))]


class Recording:
    """A session that notes the calls of it that hand on SQL."""

    def __init__(self, session: Any, calls: list[Handed]) -> None:
        self._session = session
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._session, name)
        if name not in HANDED_ON:
            return verb

        def noted(*arguments: Any, **options: Any) -> Any:
            by = sys._getframe(1)
            self._calls.append(Handed(by.f_code.co_filename, by.f_lineno, name, arguments, options))
            return verb(*arguments, **options)

        return noted


class RecordedWarehouse(DuckDBWarehouse):
    """DuckDB, whose sessions all note their calls in one list."""

    def __init__(self, path: Path, schema: str, calls: list[Handed]) -> None:
        super().__init__(path, schema, settings={"threads": "1"})
        self._calls = calls

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[Any]:
        with super().session(read_only=read_only) as session:
            yield Recording(session, self._calls)

    def _sibling(self, path: Path) -> "RecordedWarehouse":
        return RecordedWarehouse(path, self._schema, self._calls)


def recorded(folder: Path, pipeline: Pipeline, calls: list[Handed]) -> Ledger:
    ledger = Ledger(folder, pipeline)
    warehouse = RecordedWarehouse(ledger.database, pipeline.file.db_schema, calls)
    ledger.runtime = replace(ledger.runtime, warehouse=warehouse)
    return ledger


class NotedStatements(Statements):
    """What would be sent to a SQL warehouse; each statement changes one row there, and finds none."""

    def __init__(self) -> None:
        super().__init__(Access("localhost", "/", "catalog"), Path())
        self.noted: list[str] = []

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        self.noted.append(sql)
        return 1

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        self.noted.append(sql)
        return []


def as_databricks_has_it(calls: list[Handed], folder: Path) -> dict[str, str]:
    """The statements that the verbs become there, each with its verb."""
    statements, memory = NotedStatements(), Memory()
    writer = Writer(statements, "catalog", "schema", 0, silently, memory=memory)
    session = DatabricksSession(statements, "schema", "work", "volume", LocalReader(folder, {}), writer, memory)
    found = {}
    for call in calls:
        place = {"scratch": 0, "view": 0, "select_rows": 1}.get(call.verb)
        if place is not None:  # names, of which those that verbs read are brought along
            name, select = call.arguments[place : place + 2]
            session.view(name, f"SELECT * FROM {quoted(f'from_{name}')}" if call.verb != "view" else select)
        if call.verb in {"scratch", "select_rows"}:
            session._scratch.add(name)
        if call.verb in CHANGES:
            del statements.noted[:]
            getattr(session, call.verb)(*call.arguments, **call.options)
            found[statements.noted[-1]] = call.verb
    return found


TOLD = (("AT_ONCE", 0), ("GATHERED", 3600))


def three_days(ledger: Ledger, month: str) -> list[FileDropped]:
    days = range(7, 10)
    return [ledger.put(f"accounts_{month}-{day:02}.csv", f"{ACCOUNTS}11,1,{day}.00,Savings\n") for day in days]


def do_everything(ledger: Ledger, folder: Path) -> None:
    """What one can do with a ledger, in such a way that each statement of core is come by."""
    runtime = ledger.runtime
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    broken = "12,2,2.00,Savings\n12,2,3.00,Savings\n13,2,x,Savings\n14,2,1.00,=Gold\n"
    sound = "".join(f"{key},{customer},1.00,Savings\n" for key, customer in ((11, 1), (15, 1), (16, 9), (18, 2)))
    first = ledger.drop("accounts_2026-01-02.csv", f"{ACCOUNTS}{sound}{broken}")
    for name in ("accounts_2026-01-03.csv", "accounts_2026-01-03 again.csv"):
        ledger.drop(name, f"{ACCOUNTS}11,1,{len(name)}.00,Savings\n17,2,2.00,Savings\n")
    for _ in range(2):
        ledger.drop("accounts_2026-01-04.csv", f"{ACCOUNTS}1,1,-1,Savings\n")
    ledger.drop("accounts_2025-12-31.csv", f"{ACCOUNTS}11,1,3.00,Savings\n")
    for day, tiers in ((2, "0,0.01,0,marginal\n5,0.02,0,marginal\n"), (4, "0,0.02,0,marginal\n"), (3, "0,0.03,0,\n")):
        ledger.drop(f"rates_2026-01-{day:02}.csv", f"{RATES}{tiers}")
    ledger.drop("rates_2026-01-02 again.csv", f"{RATES}0,0.04,0,marginal\n")
    with work_on_tables_as_a_whole_from(0):
        ledger.drop("accounts_2026-01-05.csv", f"{ACCOUNTS}11,1,3.00,Savings\n12,2,3.00,Savings\n")
    with artifacts_patched_from(1):
        for time in ("", "T100000Z"):
            ledger.drop(f"accounts_2026-01-06{time}.csv", f"{ACCOUNTS}11,1,{len(time)}.00,Savings\n")
    with micro_batches_from(2):
        ledger.process(*three_days(ledger, "2026-01"))
    ledger.process(*three_days(ledger, "2026-02"))
    backfill(runtime, three_days(ledger, "2025-11"), lambda _: None)
    file = folder / "accounts_2026-01-09.csv"
    file.write_text(f"{ACCOUNTS}11,1,99.00,Savings\n", encoding="utf-8")
    plan(runtime, dropped_file(file))
    export(runtime, folder, None)
    export(runtime, folder, datetime(2026, 1, 3, tzinfo=UTC))
    refuse_before_first_drop(runtime, datetime(2026, 1, 3, tzinfo=UTC))
    look_for_what_is_in_work(ledger)
    tell_of_trouble(ledger)
    newest = look_at_all(ledger, first.drop.drop_id)
    for drop_id in (newest, first.drop.drop_id):
        plan_retraction(runtime, drop_id)
        retract(runtime, drop_id, "sent by mistake", "the tests")
    edited = custom_pipeline(folder / "edited", {"account.yaml": {"description": "Accounts."}})
    ledger.runtime = replace(runtime, pipeline=edited)
    under_edited = ledger.drop("accounts_2025-12-30.csv", f"{ACCOUNTS}11,1,4.00,Savings\n").drop.drop_id
    with ledger.runtime.warehouse.session(read_only=True) as session:
        assert show(session, ledger.runtime.store, edited, under_edited)["contract"]["changes"]
    ledger.runtime = runtime
    for rate in ledger.rows("SELECT drop_id FROM drop_ledger WHERE feed = 'rate'"):
        retract(runtime, *rate, "sent by mistake", "the tests")
    with pytest.raises(ConfigurationError):
        retract(runtime, newest, "again", "the tests")
    ledger.drop("accounts_2026-01-02.csv", f"{ACCOUNTS}{sound}{broken}")
    restore(runtime, first.drop.drop_id, "right after all", "the tests")
    replay(runtime, Selection(), None, lambda *_: None)
    replay(runtime, Selection(known_at=datetime.now(UTC)), str(folder / "then.duckdb"), lambda *_: None)
    with duckdb.connect(str(ledger.database)) as connection:
        connection.execute('UPDATE ledger.lending."history_account" SET line = line + 1')
    assert verify(runtime, lambda *_: None).differences


def take_payments(ledger: Ledger) -> None:
    """Facts that repeat and contradict one another, in one file, in several, and together; some taken back and in."""

    def put(name: str, *rows: str) -> FileDropped:
        lines = "".join(f"{row},2026-01-01\n" for row in rows)
        return ledger.put(f"payments_{name}.csv", f"payment_id,part,customer_id,paid_at\n{lines}")

    first, _ = (ledger.process(put(name, *rows))[0] for name, rows in PAYMENTS.items())
    with micro_batches_from(2):
        ledger.process(put("c", "1,a,3", "3,a,1"), put("d", "3,a,2", "4,a,1"), put("e", "4,a,1", "3,a,1"))
    retract(ledger.runtime, first.drop.drop_id, "sent by mistake", "the tests")
    ledger.process(put("f", "6,a,1", "5,a,2"))
    restore(ledger.runtime, first.drop.drop_id, "right after all", "the tests")
    assert verify(ledger.runtime, lambda *_: None).differences == ()


PAYMENTS = {
    "a": ("1,a,1", "2,a,1", "5,a,1"),
    "b": ("1,a,1", "2,a,2", "7,a,1", "7,a,2", "8,a,1", "9,a,1", "10,a,1", "10,a,1"),
}


def look_at_all(ledger: Ledger, drop_id: str) -> str:
    """All that one can ask of a ledger; the newest of its drops."""
    runtime = ledger.runtime
    with runtime.warehouse.session(read_only=True) as session:
        read_status(session, runtime.pipeline, runtime.clock)
        newest: str = list_drops(session, None, 1)[0]["drop_id"]
        find_drop(session, newest)
        list_rejects(session, drop_id, 5)
        find_timeline(session, runtime.pipeline, "account", "11")
        accounts = runtime.pipeline.contract("account")
        seen = find_last_seen(session, runtime.archive, accounts, read_key("16", accounts))
        assert seen
        assert seen["files_since"] > 1
        assert [explain(session, runtime.pipeline, None, key)["figure"] is None for key in ("11", "16")] == [
            False,
            True,
        ]
        with pytest.raises(ConfigurationError, match="there is no account 7"):
            explain(session, runtime.pipeline, None, "7")
        show(session, runtime.store, runtime.pipeline, drop_id)
        for query in ("SHOW TABLES", "SELECT account_id FROM account_summary"):
            assert len(ask(session, query, 1).rows) == 1
        superseded(session, [newest])
        everything = Wanted("account", "published", "acc", datetime.min, datetime.max, 10**6)
        list_drops(session, None, 5, runtime.pipeline, everything)
        assert rows_by_drop(session, 5)["account"]
        count_uncorrected(session)
        assert mart_totals(session, runtime.pipeline, totals_over_time(session, runtime.pipeline))
        assert mart_totals(session, runtime.pipeline, {})
        assert read_metrics(session, runtime.pipeline).history_keys["account"]
        assert search(session, runtime.pipeline, "11")["keys"]
        search(session, runtime.pipeline, "ann")
        list_models(session, runtime.pipeline)
        for name in ("drop_ledger", "stg_account", "int_rate_tier", "account_summary"):
            show_model(session, runtime.pipeline, name)
        assert show_feed(session, runtime.pipeline, "account", runtime.clock, 5)["drops"]
        assert check_matrix(session, runtime.pipeline)["drops"]
        assert check_timeline(session, "account_summary", "unique_key", 5)
    return newest


def look_for_what_is_in_work(ledger: Ledger) -> None:
    left = ledger.root / "work" / "left"
    left.mkdir()
    (left / "content").touch()
    with ledger.runtime.warehouse.session(read_only=True) as session:
        in_work(ledger.runtime.store, session)
    shutil.rmtree(left)


def tell_of_trouble(ledger: Ledger) -> None:
    """Begin and end of states, told at once and gathered; a message that is taken, and one that is tried again."""
    everything = frozenset(AlertState)
    targets = tuple(Target(f"env:{name}", everything, frozenset(), seconds, None, None) for name, seconds in TOLD)
    runtime = replace(ledger.runtime, targets=targets)
    seen = Found(AlertState.POSTPONED, "account", "a.csv", "a.csv is postponed", "dropledger doctor")
    messages = look(runtime, [seen]).messages
    assert len(messages) == 2
    over = look(runtime, [replace(seen, over=True)], [messages[0].notices, messages[1].notices])
    assert [message.target.to for message in over.messages] == ["env:AT_ONCE"]
    look(runtime, told=[over.messages[0].notices])


def drop_collateral(ledger: Ledger) -> None:
    """A feed with every type, and every rule as an error; its marts have no rows before."""
    with work_on_tables_as_a_whole_from(0):
        ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    header = "CollateralID,Part,CustomerID,Worth,Number,Colour,Sold,ValuedOn,BoughtOn,Operation\n"
    sound = "".join(f"{key},a,1,5.00,A,,y,2026-01-02T10:00:00Z,2025-01-01,I\n" for key in (1, 1, 2))
    broken = (
        "3,a,9,5.00,B,,y,2026-01-02,2025-01-01,I\n4,a,1,5000,A,,x,2026-13-02,2025-13-01,X\n1,a,1,,,,,2026-01-03,,D\n"
    )
    ledger.drop("collateral_2026-01-02.csv", f"{header}{sound}{broken}")
    ledger.drop("collateral_2026-01-01.csv", f"{header}1,a,1,6.00,B,blue,n,2026-01-01,2025-01-01,I\n")


def drop_alike(ledger: Ledger) -> None:
    """Two extracts of which just one line differs."""
    with extracts_compared_from(0):
        for day, worth in ((1, 3), (2, 4)):
            ledger.drop(f"alike_2026-01-0{day}.csv", f"AlikeID,CustomerID,Worth\n1,9,{worth}\n2,9,9\n")


def drop_guarded(ledger: Ledger) -> None:
    """A feed whose files say what they hold, and whose totals may not move."""
    for day in (1, 2):
        ledger.drop(f"stock_2026-01-0{day}.csv", f"StockID,Worth\n1,{day}.00\nEND,1,{day}.00\n")


def check_whole(ledger: Ledger, folder: Path) -> None:
    """A pipeline whose marts have no SQL for their touched keys, and one of them is computed whole."""
    for day in (1, 2):
        ledger.drop(f"sale_{day}.csv", f"sale_id,sold_at,shop,item,amount\n{day},2026-01-0{day} 10:00:00,1,a,5\n")
        ledger.drop(f"shop_2026-01-0{day}.csv", f"shop,region,opened\n1,{'ns'[day - 1]},2026-01-01\n")
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(check, "MADE_UP", 3)
        checked = check.check(ledger.runtime, folder, ledger.runtime, lambda *_: None)
    assert checked.unequal == ()


def whole_pipeline(folder: Path) -> Pipeline:
    write_contracts(folder)
    items = "SELECT h.item AS k, count(*) AS n FROM history_sale AS h GROUP BY h.item"
    regions = "SELECT h.region AS k, count(*) AS n FROM history_shop AS h WHERE h.is_current GROUP BY h.region"
    for name, sql in (("items", items), ("two_items", f"{items} ORDER BY 1 LIMIT 2"), ("regions", regions)):
        write_mart(folder, name, Part(sql, {"k": "text", "n": "number"}), ["k"])
    return load_pipeline(str(folder))


def add_a_column(ledger: Ledger, folder: Path) -> None:
    """A contract gets a column that files may lack, whose late file was read without it."""
    ledger.drop("accounts_2026-01-02.csv", f"{ACCOUNTS}11,1,3.00,Savings\n")
    ledger.drop("accounts_2026-01-03.csv", f"{ACCOUNTS}11,1,5.00,Savings\n")
    before = yaml.safe_load((BUILT_IN / "lending/account.yaml").read_text(encoding="utf-8"))
    columns = [*before["columns"], {"name": "branch", "optional": True}]
    wider = custom_pipeline(folder / "wider", {"account.yaml": {"columns": columns}})
    ledger.runtime = replace(ledger.runtime, pipeline=wider)
    ledger.drop("accounts_2026-01-01.csv", f"{ACCOUNTS}11,1,4.00,Savings\n")


@pytest.fixture(scope="module")
def handed_on(tmp_path_factory: pytest.TempPathFactory, lending: Pipeline) -> list[Handed]:
    """What core hands on."""
    calls: list[Handed] = []
    folder = tmp_path_factory.mktemp("portability")
    do_everything(recorded(folder / "lending", lending, calls), folder)
    pipeline = custom_pipeline(folder / "pipeline", {"collateral.yaml": COLLATERAL, "alike.yaml": ALIKE})
    drop_collateral(recorded(folder / "collateral", pipeline, calls))
    drop_alike(recorded(folder / "alike", pipeline, calls))
    take_payments(recorded(folder / "payments", custom_pipeline(folder / "facts", {"payment.yaml": PAYMENT}), calls))
    drop_guarded(recorded(folder / "guarded", custom_pipeline(folder / "guards", {"stock.yaml": STOCK}), calls))
    add_a_column(recorded(folder / "added", lending, calls), folder)
    check_whole(recorded(folder / "checked", whole_pipeline(folder / "whole"), calls), folder)
    with recorded(folder / "compiled", lending, calls).runtime.session() as session:
        compile_sql(session, lending)
    moved = recorded(folder / "moved", lending, calls)
    with rows_moved_to_the_engine():
        moved.drop("customers_2026-01-01.csv", CUSTOMERS)
        moved.drop("customers_2026-01-02.csv", CUSTOMERS.rpartition("\n2,")[0] + "\n")
        with moved.runtime.warehouse.session(read_only=True) as session:
            customers = lending.contract("customer")
            assert find_last_seen(session, moved.runtime.archive, customers, read_key("2", customers))
    with tarfile.open(OLDER) as archive:
        archive.extractall(folder, filter="data")
    os.rename(folder / "root/warehouse/lending.duckdb", folder / "root/warehouse/ledger.duckdb")
    with recorded(folder / "root", lending, calls).runtime.reading():
        pass
    return calls


@pytest.fixture(scope="module")
def changes(handed_on: list[Handed], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return as_databricks_has_it(handed_on, tmp_path_factory.mktemp("local"))


def test_every_statement_of_core_is_come_by(handed_on: list[Handed]):
    written = {
        (str(path), call.lineno): call.func.attr
        for path in CORE.rglob("*.py")
        if not path.is_relative_to(INFERENCE)
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in HANDED_ON
        and ast.unparse(call.func.value).endswith("session")
    }
    assert len(written) > 90
    assert set(written.values()) == HANDED_ON
    assert written.keys() - {(call.file, call.line) for call in handed_on} == set()


def test_every_sql_file_is_come_by(handed_on: list[Handed]):
    met = "\n".join({full_refresh(text) for call in handed_on for text in call.texts})
    # That of other pipelines is asked for by itself, below.
    elsewhere = (INFERENCE, BUILT_IN / "engagement")
    for path in (path for path in CORE.rglob("*.sql") if not any(map(path.is_relative_to, elsewhere))):
        for text in re.split(r";\n", full_refresh(path.read_text("utf-8")).strip().rstrip(";")):
            pattern = "(?s:.+?)".join(map(re.escape, re.split(r"\$\{\w+\}", text)))
            assert not text or re.search(pattern, met), path


def test_statements_as_they_are_come_from_migrations_alone(handed_on: list[Handed]):
    by = {Path(call.file).relative_to(CORE).as_posix() for call in handed_on if call.verb == "execute"}
    assert by == {"ledger/migrations/__init__.py"}
    changed = {call.options["changes"] for call in handed_on if call.verb == "execute"}
    assert changed == {None, "delivery", "rejected_row", "check_result", "pipeline_state", "drop_ledger"}


def judged(statements: list[str]) -> dict[str, str]:
    """The statements that are not portable, each with what is against it."""
    program = [SPARK / "bin/python", PROJECT / "tests/support/spark_parser.py"]
    done = subprocess.run(program, input=json.dumps(statements), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {}
    for sql, answer in zip(statements, json.loads(done.stdout.splitlines()[-1]), strict=True):
        against = answer.get("refused") or ", ".join(sorted({*answer["uses"]} - SAME_IN_BOTH))
        if against:
            found[sql] = against
    return found


@pytest.mark.databricks  # Spark's parser
def test_statements_are_portable(handed_on: list[Handed], changes: dict[str, str]):
    place = {"scratch": 1, "view": 1, "select_rows": 2}
    as_they_are = {
        dialect(call.arguments[place.get(call.verb, 0)]) for call in handed_on if call.verb in {*READS, "execute"}
    }
    found = judged(sorted({*as_they_are, *changes}))
    assert found == {}


def test_what_writes_rows_depends_on_the_hold_of_its_writer(changes: dict[str, str]):
    """Unless it writes to a relation of the writer's own schema, which goes before the hold does."""
    assert set(changes.values()) == CHANGES
    for text, verb in changes.items():
        written = WRITTEN.match(text)
        assert bool(written) == (verb not in {"create_table", "create_view"}), text
        if written:
            assert ("_held" in text) != written[1].startswith("work."), text


@pytest.mark.databricks  # Spark's parser
def test_sql_of_built_in_pipelines_is_portable():
    """Divisions are those of doubles, which are the same in both."""
    files = {path: path.read_text("utf-8") for path in sorted(BUILT_IN.rglob("*.sql"))}
    found = judged(sorted({dialect(each) for text in files.values() for each in (text, full_refresh(text))}))
    assert {sql: against for sql, against in found.items() if against != "/"} == {}
    for path, text in files.items():
        code = re.sub(r"--[^\n]*|/\*.*?\*/", "", text)
        assert code.count("/") == code.count("AS DOUBLE) / CAST("), path


@pytest.mark.databricks  # Spark's parser
def test_what_one_engine_alone_knows_is_refused():
    assert all(len(duckdb.extract_statements(sql)) == 1 for sql in UNPORTABLE)
    assert judged(sorted(UNPORTABLE)).keys() == UNPORTABLE
