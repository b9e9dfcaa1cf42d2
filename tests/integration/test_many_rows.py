"""Files of more rows than the engine keeps in one group, where it works in other ways than with a few."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from support.ledger import Ledger, Record, custom_pipeline

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.retract import retract
from dropledger.infra.duckdb.engine import limit_memory
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.local.process_name import process_name

pytestmark = pytest.mark.slow

ROWS = 130_000  # DuckDB's row groups have 122,880


@pytest.fixture
def ledger(tmp_path: Path, lending: Pipeline) -> Ledger:
    """A ledger whose engine has its usual threads."""
    return with_settings(Ledger(tmp_path / "root", lending))


def with_settings(ledger: Ledger, **settings: str) -> Ledger:
    schema = ledger.runtime.pipeline.file.db_schema
    ledger.runtime = replace(ledger.runtime, warehouse=DuckDBWarehouse(ledger.database, schema, settings=settings))
    return ledger


def put(ledger: Ledger, name: str, select: str) -> FileDropped:
    path = ledger.root / "inbox" / name
    duckdb.execute(f"COPY ({select}) TO '{path}' (HEADER)")
    return ledger.put(name, path.read_text(encoding="utf-8"))


def customers(ledger: Ledger, day: str, rows: int) -> FileDropped:
    select = f"SELECT i AS CustomerID, 'Name ' || i AS Name, 'No' AS HasLoan FROM range(1, {rows} + 1) AS t(i)"
    return put(ledger, f"customers_{day}.csv", select)


def accounts(ledger: Ledger, day: str, rows: int) -> FileDropped:
    select = f"""SELECT i AS AccountID, i AS CustomerID, '100.00' AS Balance, 'Savings' AS AccountType
        FROM range(1, {rows} + 1) AS t(i)"""
    return put(ledger, f"accounts_{day}.csv", select)


def totals(ledger: Ledger) -> Sequence[Record]:
    return ledger.rows("SELECT count(*), sum(savings_accounts), sum(total_annual_interest) FROM customer_profile")


def test_a_drop_without_changes_before_one_of_many_rows_in_one_transaction(ledger: Ledger) -> None:
    ledger.process(customers(ledger, "2026-01-01", 1), accounts(ledger, "2026-01-01", 1))
    outcomes = ledger.process(
        customers(ledger, "2026-01-02", 1),
        accounts(ledger, "2026-01-02", 1),
        customers(ledger, "2026-01-03", ROWS),
        accounts(ledger, "2026-01-03", ROWS),
    )
    assert [outcome.versions_opened for outcome in outcomes] == [0, 0, ROWS - 1, ROWS - 1]
    assert totals(ledger) == [(ROWS, ROWS, ROWS)]


def test_marts_renewed_for_a_changed_pipeline(ledger: Ledger, tmp_path: Path) -> None:
    ledger.process(customers(ledger, "2026-01-01", ROWS), accounts(ledger, "2026-01-01", ROWS))
    changed = custom_pipeline(tmp_path / "changed", {"customer.yaml": {"description": "Other words."}})
    ledger = with_settings(Ledger(ledger.root, changed))
    ledger.process(customers(ledger, "2026-01-02", 1))
    assert totals(ledger) == [(ROWS, ROWS, ROWS)]


def test_what_a_killed_process_moved_out_of_memory_or_rewrote_is_removed(ledger: Ledger):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    running = f"{ledger.database.name}.tmp-{process_name(os.getppid())}"
    for name in (
        running,
        f"{ledger.database.name}.tmp-{process_name(ended.pid)}",
        f"{ledger.database.name}.tmp-lines-{process_name(ended.pid)}",
        f"{ledger.database.name}.tmp-17-{os.getppid()}",  # of a container that is gone, whose numbers mean nothing here
        f"{ledger.database.name}.tmp-{os.getppid()}",  # as earlier versions called them
    ):
        spilled = ledger.database.with_name(name)
        spilled.mkdir()
        (spilled / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"rows")

    ledger.process(customers(ledger, "2026-01-01", 1))

    assert sorted(path.name for path in ledger.database.parent.iterdir()) == [ledger.database.name, running]


def test_file_that_memory_does_not_suffice_for_waits_and_keeps_no_other(ledger: Ledger):
    large, *small = customers(ledger, "2026-01-01", 2_000_000), accounts(ledger, "2026-01-01", 2)
    small.append(accounts(ledger, "2026-01-02", 3))

    with_settings(ledger, memory_limit="36MB", threads="1")
    first = ledger.process(large, *small)
    second = ledger.process()
    retract(ledger.runtime, first[1].drop.drop_id, "a day too many", "ann")
    with_settings(ledger)
    [third] = ledger.process()

    assert [outcome.delivered for outcome in first] == [Delivered.POSTPONED, Delivered.ACCEPTED, Delivered.ACCEPTED]
    assert [outcome.delivered for outcome in second] == [Delivered.POSTPONED]
    assert "Out of Memory" in (first[0].error or "")
    assert (third.drop.name, third.rows_accepted) == ("customers_2026-01-01.csv", 2_000_000)
    assert ledger.rows("SELECT count(*) FROM account_summary") == [(3,)]


@pytest.mark.parametrize(("found", "kept"), [("100GiB", "1.5 GiB"), ("700MiB", "700.0 MiB")])
def test_engine_takes_no_more_memory_than_helps(found: str, kept: str):
    with duckdb.connect(config={"memory_limit": found}) as engine:
        limit_memory(engine)
        assert engine.execute("SELECT current_setting('memory_limit')").fetchall() == [(kept,)]


@pytest.mark.parametrize(
    ("settings", "kept"), [({}, r"1\.5 GiB|\d{1,3}\.\d MiB"), ({"memory_limit": "4TiB"}, r"4\.0 TiB")]
)
def test_memory_is_limited_unless_told_otherwise(ledger: Ledger, settings: dict[str, str], kept: str):
    with with_settings(ledger, **settings).runtime.session() as session:
        [found] = session.query("SELECT current_setting('memory_limit') AS kept")
    assert re.fullmatch(kept, found["kept"])


def test_little_memory_will_do(ledger: Ledger):
    with_settings(ledger, memory_limit="100MB", threads="1")
    ledger.process(customers(ledger, "2026-01-01", ROWS), accounts(ledger, "2026-01-01", ROWS))
    assert totals(ledger) == [(ROWS, ROWS, ROWS)]
