"""Backfill, and what works on a copy of a ledger or makes another: plan, export, migrate."""

import os
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
import yaml
from support.in_process import run
from support.ledger import Ledger, custom_pipeline
from support.three_days import (
    CUSTOMERS,
    DAYS,
    HEADER,
    TABLES,
    agrees_with_its_archive,
    artifacts,
    filled,
    quietly,
    tables,
)

from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.export import export
from dropledger.core.operations.migrate import migrate
from dropledger.core.operations.plan import plan
from dropledger.core.operations.retract import retract
from dropledger.infra.local.inbox import dropped_file
from dropledger.infra.local.store import LocalStore

pytestmark = pytest.mark.slow

LEDGER = ("drop_ledger", "delivery", "retraction", "check_result", "src_account", *TABLES)


@pytest.mark.parametrize("already", [(), ("accounts_2025-12-31.csv",), ("accounts_2025-11-30.csv",)])
def test_backfill_of_any_order_equals_drops_in_order(new_ledger, tmp_path: Path, already: tuple[str, ...]):
    expected, found = filled(new_ledger("expected")), filled(new_ledger("found"), already)
    old = tmp_path / "old"
    old.mkdir()
    for name in reversed(DAYS):
        (old / name).write_text(DAYS[name])
    facts = [dropped_file(path, keep_original=True) for path in sorted(old.iterdir(), reverse=True)]

    outcomes = backfill(found.runtime, facts, lambda _: None)

    verdicts = {outcome.drop.name: outcome.delivered for outcome in outcomes}
    assert verdicts == {name: Delivered.DUPLICATE if name in already else Delivered.ACCEPTED for name in DAYS}
    assert tables(found) == tables(expected)
    assert artifacts(found) == artifacts(expected)
    assert agrees_with_its_archive(found)


def test_file_without_rows_may_be_among_those_of_a_backfill(tmp_path: Path):
    delta = {f"{feed}.yaml": {"mode": "delta"} for feed in ("customer", "account")}
    found = Ledger(tmp_path / "root", custom_pipeline(tmp_path / "pipeline", delta))
    old = tmp_path / "old"
    old.mkdir()
    for name, text in (
        ("accounts_2025-10-01.csv", f"{HEADER}11,1,20,Savings\n"),
        ("customers_2025-10-02.csv", CUSTOMERS.replace("Yes", "No")),
        ("customers_2025-10-03.csv", CUSTOMERS),
        ("accounts_2025-10-04.csv", HEADER),
    ):
        (old / name).write_text(text)
    outcomes = backfill(
        found.runtime, [dropped_file(path, keep_original=True) for path in old.iterdir()], lambda _: None
    )
    assert [outcome.delivered for outcome in outcomes] == [Delivered.ACCEPTED] * 4
    assert found.rows("SELECT new_balance FROM account_summary") == [(Decimal("20.30"),)]
    assert agrees_with_its_archive(found)


def test_name_with_a_day_that_no_calendar_has_keeps_no_other_from_a_backfill(tmp_path: Path):
    names = ("accounts_2025-02-28.csv", "accounts_2025-02-30.csv", "accounts_2025-03-31.csv")
    (tmp_path / "old").mkdir()
    for name in names:
        (tmp_path / "old" / name).write_text(f"{HEADER}11,1,5,Savings\n")
    left = run("backfill", "old", "--json", cwd=tmp_path)
    assert left.code == 3
    told = {outcome["name"]: (outcome["outcome"], outcome["rule"]) for outcome in left.json["outcomes"]}
    assert told == dict(
        zip(names, [("accepted", None), ("quarantined", "ambiguous_as_of"), ("accepted", None)], strict=True)
    )


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system here keeps such a time")
def test_file_changed_at_a_time_that_no_calendar_has_keeps_no_other_from_a_backfill():
    with TemporaryDirectory(dir="/dev/shm") as folder:
        old = Path(folder) / "old"
        old.mkdir()
        for name in ("accounts_2025-01-31.csv", "accounts_2025-02-28.csv", "accounts_2025-03-31.csv"):
            (old / name).write_text(f"{HEADER}11,1,5,Savings\n")
        os.utime(old / "accounts_2025-02-28.csv", (0, 300_000_000_000))
        left = run("backfill", "old", "--json", cwd=Path(folder))
        assert left.code == 4
        assert [outcome["outcome"] for outcome in left.json["outcomes"]] == ["accepted", "accepted"]
        assert left.json["error"]["what"] == f"{old / 'accounts_2025-02-28.csv'} cannot be read"
        assert "a time that no calendar has" in left.json["error"]["why"]
        assert "touch" in left.err


def test_plan_tells_what_the_drop_does_and_changes_nothing(new_ledger, tmp_path: Path):
    found = filled(new_ledger("found"), ("accounts_2025-10-31.csv",))
    path = tmp_path / "accounts_2025-11-30.csv"
    path.write_text(DAYS[path.name] + "14,2,-1,Savings\n")
    before = {file: file.read_bytes() for file in found.root.rglob("*") if file.is_file() and file.name != ".lock"}

    planned = plan(found.runtime, dropped_file(path))

    assert {
        file: file.read_bytes() for file in found.root.rglob("*") if file.is_file() and file.name != ".lock"
    } == before
    done = found.drop(path.name, path.read_text())
    for fact in ("rows_read", "rows_accepted", "rows_rejected", "versions_opened", "versions_closed", "recomputed"):
        assert getattr(planned.outcome, fact) == getattr(done, fact)
    effect = planned.effects["account_summary"]
    assert (str(effect["total_before"]), str(effect["total_after"])) == ("155.00", "505.00")
    assert [row["rule"] for row in planned.rejects] == ["balance >= 0"]


def test_plan_of_a_late_file_reads_what_waits_to_be_archived(new_ledger, tmp_path: Path, monkeypatch):
    """As when a process was killed between its commit and the last move."""
    found = filled(new_ledger("found"), ("accounts_2025-10-31.csv",))
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "keep", killed)
        with pytest.raises(OSError, match="killed"):
            found.drop("accounts_2025-12-31.csv", DAYS["accounts_2025-12-31.csv"])
    path = tmp_path / "accounts_2025-11-30.csv"
    path.write_text(DAYS[path.name])

    planned = plan(found.runtime, dropped_file(path))

    expected = filled(new_ledger("expected"), ("accounts_2025-10-31.csv", "accounts_2025-12-31.csv"))
    assert planned.outcome.versions_opened == expected.drop(path.name, DAYS[path.name]).versions_opened == 3


def killed(*_: object) -> None:
    raise OSError("killed")


def test_export_gives_the_artifacts_of_a_moment(new_ledger, tmp_path: Path):
    then = filled(new_ledger("then"), ("accounts_2025-10-31.csv", "accounts_2025-11-30.csv"))
    now = filled(new_ledger("now"))
    (tmp_path / "out").mkdir()
    written = export(now.runtime, tmp_path / "out", datetime(2025, 12, 1, tzinfo=UTC))
    assert written["account_summary.csv"].read_bytes() == artifacts(then)["account_summary.csv"]
    assert (
        export(now.runtime, tmp_path / "out", None)["account_summary.csv"].read_bytes()
        == artifacts(now)["account_summary.csv"]
    )


def test_migrated_ledger_is_the_one_that_it_comes_from_and_goes_on_alike(new_ledger, tmp_path: Path):
    source = filled(new_ledger("source"))
    source.drop("accounts_2025-11-15.csv", HEADER + "11,1,7,Savings\n12,2,x,Savings\n")
    source.drop("accounts_2025-11-15 again.csv", HEADER + "11,1,7,Savings\n12,2,x,Savings\n")
    source.drop("accounts_2026-01-01.csv", "Nothing\nof this\n")
    source.drop("accounts_2026-01-02.csv", HEADER + "11,1,8,Savings\n")
    newest = source.rows("SELECT drop_id FROM drop_ledger ORDER BY sequence DESC LIMIT 1")[0][0]
    retract(source.runtime, newest, "wrong month", "ann")
    before = {name: source.table(name) for name in LEDGER}
    target = source.runtime.warehouse.at(str(tmp_path / "target" / "ledger.duckdb"))

    moved = migrate(source.runtime, target, quietly)

    assert (moved.drops, moved.differences) == (5, ())
    assert {name: source.table(name) for name in LEDGER} == before
    source.database.unlink()
    shutil.move(target.location, source.database)
    assert {name: source.table(name) for name in LEDGER} == before
    assert source.drop("accounts_2026-01-02.csv", HEADER + "11,1,8,Savings\n").delivered == Delivered.RETRACTED
    assert source.drop("accounts_2026-01-03.csv", HEADER + "11,1,9,Savings\n").delivered == Delivered.ACCEPTED
    assert agrees_with_its_archive(source)


def test_migration_leaves_nothing_where_the_ledger_is_not_what_its_archive_says(new_ledger, tmp_path: Path):
    source = filled(new_ledger("source"))
    with duckdb.connect(str(source.database)) as connection:
        connection.execute("UPDATE ledger.lending.account_summary SET annual_interest = 7")
    target = source.runtime.warehouse.at(str(tmp_path / "target" / "ledger.duckdb"))
    moved = migrate(source.runtime, target, quietly)
    assert {found.table for found in moved.differences} == {"account_summary"}
    assert list((tmp_path / "target").iterdir()) == []


def test_migration_writes_over_no_ledger_and_needs_one(new_ledger, tmp_path: Path, lending: Pipeline):
    source, other = filled(new_ledger("source")), filled(new_ledger("other"), ())
    before = tables(other)
    with pytest.raises(ConfigurationError, match="there is a ledger at"):
        migrate(source.runtime, other.runtime.warehouse, quietly)
    assert tables(other) == before
    with pytest.raises(ConfigurationError, match="there is no warehouse"):
        migrate(Ledger(tmp_path / "empty", lending, bare=True).runtime, source.runtime.warehouse, quietly)


def test_backfill_leaves_rows_as_their_parents_had_them_accepted(tmp_path: Path):
    """Customer 2 is gone by now; the account that it had was accepted while it was there."""
    columns = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))["columns"]
    (relationship,) = (rule for column in columns for rule in column["rules"] if "to" in rule)
    relationship["severity"] = "error"
    changes = {"customer.yaml": {"missing_keys": "close"}, "account.yaml": {"columns": columns, "mode": "delta"}}
    found = Ledger(tmp_path / "root", custom_pipeline(tmp_path / "pipeline", changes))
    found.drop("customers_2025-01-01.csv", CUSTOMERS)
    found.drop("accounts_2025-02-10.csv", f"{HEADER}11,1,5,Savings\n12,2,6,Savings\n")
    found.drop("customers_2025-03-01.csv", CUSTOMERS.replace("2,Bob,No\n", ""))
    before = found.table("history_account")
    facts = []
    for name, row in (("accounts_2025-01-05.csv", "21,1,5,Savings"), ("accounts_2025-01-06.csv", "22,1,6,Savings")):
        (tmp_path / name).write_text(f"{HEADER}{row}\n")
        facts.append(dropped_file(tmp_path / name, keep_original=True))
    assert [one.delivered for one in backfill(found.runtime, facts, lambda _: None)] == [Delivered.ACCEPTED] * 2
    assert set(before) < set(found.table("history_account"))
    assert agrees_with_its_archive(found)
