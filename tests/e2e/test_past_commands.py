"""The commands that work on the past, from the command line."""

from pathlib import Path

import duckdb
import pytest
from support.buckets import BucketRoot
from support.console import Console

pytestmark = pytest.mark.slow

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n"
HEADER = "AccountID,CustomerID,Balance,AccountType\n"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


def filled(console: Console) -> str:
    """Two days of drops; the id of the second day's."""
    files = [
        console.file("customers_2025-10-31.csv", CUSTOMERS),
        console.file("accounts_2025-10-31.csv", HEADER + "11,1,100,Savings\n"),
        console.file("accounts_2025-11-30.csv", HEADER + "11,1,200,Savings\n"),
    ]
    outcomes = console.run("process", *files, "--json").json["outcomes"]
    return next(outcome["drop_id"] for outcome in outcomes if outcome["as_of"].startswith("2025-11-30"))


def test_retract_takes_a_drop_back_once(console: Console):
    drop_id = filled(console)
    done = console.run("retract", drop_id, "--reason", "wrong month", "--json")
    assert (done.code, done.json["drop_id"], done.json["reason"]) == (0, drop_id, "wrong month")
    again = console.run("retract", drop_id, "--reason", "wrong month")
    assert (again.code, "retracted already" in again.err, "Try:" in again.err) == (2, True, True)
    assert console.run("retract", drop_id).code == 2


def test_verify_exits_0_then_5_with_the_differences(console: Console):
    filled(console)
    assert console.run("verify", "--json").json["differences"] == []
    with duckdb.connect(str(console.root / "warehouse/ledger.duckdb")) as connection:
        connection.execute("UPDATE ledger.lending.account_summary SET annual_interest = 7")
    done = console.run("verify", "--json")
    assert done.code == 5
    assert {(found["table"], found["only"]) for found in done.json["differences"]} == {
        ("account_summary", "live"),
        ("account_summary", "rebuilt"),
    }
    assert "account_summary" in console.run("verify").out


def test_migrate_says_what_it_needs(console: Console):
    filled(console)
    done = console.run("migrate", "--to", "databricks")
    assert (done.code, "DATABRICKS_HOST" in done.err, "docs/databricks.md" in done.err) == (2, True, True)
    assert console.run("migrate").code == 2


def test_replay_mends_and_a_part_goes_elsewhere(console: Console, tmp_path: Path):
    filled(console)
    assert console.run("replay", "--json").json["in_place"] is True
    part = console.run("replay", "--to", "2025-10-31", "--json")
    assert (part.code, "--into" in part.err) == (2, True)
    done = console.run("replay", "--known-at", "2100-01-01", "--into", tmp_path / "then.duckdb", "--json")
    assert (done.code, done.json["drops"], done.json["in_place"]) == (0, 3, False)


def test_backfill_takes_a_folder(console: Console):
    filled(console)
    old = console.folder / "old"
    old.mkdir()
    for day in ("01", "02", "03"):
        (old / f"accounts_2025-09-{day}.csv").write_text(HEADER + f"11,1,{day},Savings\n")
    done = console.run("backfill", old, "--json")
    assert (done.code, [outcome["outcome"] for outcome in done.json["outcomes"]]) == (0, ["accepted"] * 3)
    versions = console.run("history", "account", "11", "--json").json["versions"]
    assert [version["balance"] for version in versions] == ["1.00", "2.00", "3.00", "100.00", "200.00"]
    assert console.run("backfill", console.folder / "nowhere").code == 2


@pytest.mark.parametrize("in_bucket", [False, True], ids=["into a folder", "into a bucket"])
def test_backfill_takes_a_prefix_of_a_bucket(console: Console, s3: None, in_bucket: bool):
    old, root = BucketRoot(), BucketRoot()
    old.put("2025/accounts_2025-09-02.csv", HEADER + "11,1,2,Savings\n")
    old.put("account/of old.csv", HEADER + "11,1,1,Savings\n", as_of="2025-09-01")
    old.put("accounts_2025-09-03.csv", HEADER + "11,1,9,Savings\n")
    old.put("accounts_2025-09-03.csv", HEADER + "11,1,3,Savings\n")
    old.put("accounts_2025-09-04.csv.part", HEADER)
    where = ("--root", root.uri) if in_bucket else ()
    done = console.run("backfill", old.uri, *where, "--json")
    assert (done.code, [outcome["outcome"] for outcome in done.json["outcomes"]]) == (0, ["accepted"] * 3), done.err
    versions = console.run("history", "account", "11", *where, "--json").json["versions"]
    assert [version["balance"] for version in versions] == ["1.00", "2.00", "3.00"]
    assert versions[0]["valid_from"] == "2025-09-01T00:00:00Z"
    assert len(old.names()) == 4
    if not in_bucket:
        with duckdb.connect(console.root / "warehouse/ledger.duckdb", read_only=True) as warehouse:
            uris = warehouse.sql("SELECT uri FROM ledger.lending.drop_ledger").fetchall()
        assert {uri for (uri,) in uris} == {f"{old.uri}/{name}" for name in old.names() if "part" not in name}


def test_plan_says_what_would_be_and_explain_and_export_what_was(console: Console):
    filled(console)
    file = console.file("accounts_2025-12-31.csv", HEADER + "11,1,300,Savings\n12,1,-1,Savings\n")
    planned = console.run("plan", file, "--json")
    assert planned.code == 3
    effect = planned.json["effects"]["account_summary"]
    assert (effect["total_before"], effect["total_after"], planned.json["outcome"]["rows_rejected"]) == (
        "3.00",
        "4.50",
        1,
    )
    assert len(console.run("drops", "--json").json["drops"]) == 3
    then = console.run("explain", "11", "--as-of", "2025-11-01", "--json").json
    assert (then["figure"]["annual_interest"], then["account"]["balance"]) == ("1.50", "100.00")
    written = console.run("export", "--as-of", "2025-11-01", "--to", "then", "--json")
    assert written.code == 0
    assert (console.folder / "then/account_summary.csv").read_text().splitlines()[
        1
    ] == "1,11,100.00,0.015000,1.50,101.50"
