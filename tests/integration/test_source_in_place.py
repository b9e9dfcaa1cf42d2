"""`src_` and `stg_` read the archived file where it lies, and say the same as a copy of its rows would."""

import errno
import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from support.in_process import Left, run
from support.ledger import Ledger, custom_pipeline, extracts_compared_from, with_unlimited_balances, without_marts
from support.reading import AS_OF

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ingest.prepare import prepare
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.plan import plan
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import restore, retract
from dropledger.core.operations.verify import verify
from dropledger.core.steps.intake import read_again
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

HEADER = "AccountID,CustomerID,Balance,AccountType\n"
ACCOUNTS = f"{HEADER}11,1,100.00,Savings\n12,2,200.00,Savings\n"
NAME = "accounts_2026-01-01.csv"


@pytest.fixture
def feeds(tmp_path: Path) -> Ledger:
    """A new ledger of the feeds alone."""
    return Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline"))


def is_read_in_place(ledger: Ledger, feed: str = "account") -> bool:
    """Whether the view names the file, and no copy is kept."""
    [(text,)] = ledger.rows("SELECT sql FROM duckdb_views() WHERE view_name = ?", [f"src_{feed}"])
    copies = ledger.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [f"received_src_{feed}"])
    assert ("read_csv" in text) == (not copies)
    return "read_csv" in text


def archive(ledger: Ledger) -> list[Path]:
    return sorted(path for path in (ledger.root / "archive").rglob("*") if path.is_file())


def with_copies(ledger: Ledger) -> Ledger:
    """The ledger with a warehouse that does not know the root, as that of a root in a bucket."""
    warehouse = DuckDBWarehouse(ledger.database, ledger.runtime.pipeline.file.db_schema)
    ledger.runtime = replace(ledger.runtime, warehouse=warehouse)
    return ledger


# What is read


@pytest.mark.parametrize(
    "text",
    [
        ACCOUNTS,
        ACCOUNTS.replace("\n", "\r\n"),
        ACCOUNTS.removesuffix("\n"),
        f"\ufeff{ACCOUNTS}",
        ACCOUNTS.replace(",", ";"),
        f'{HEADER}11,1,"100.00","Sav""ings, all"\n12,,200.00,""\n',
        f"{HEADER}11, 1 ,100.00,Savings\n12,2,200.00,\n",
        "Note,AccountType,Balance,CustomerID,AccountID\nx,Savings,1.00,2,11\n,Savings,2.00,1,12\n",
    ],
    ids=["plain", "CRLF", "no last line end", "BOM", "semicolons", "quotes", "blanks", "other order"],
)
def test_rows_are_those_that_a_copy_would_have(tmp_path: Path, text: str):
    pipeline = custom_pipeline(
        tmp_path / "pipeline",
        {"account.yaml": {"max_rejected": 1.0, "ignore": ["Note"]}},
        without=["marts", "intermediate", "explain", "checks/account_summary", "checks/customer_profile"],
    )
    in_place, copied = Ledger(tmp_path / "in place", pipeline), with_copies(Ledger(tmp_path / "copied", pipeline))
    outcomes = [ledger.drop(NAME, text) for ledger in (in_place, copied)]
    assert outcomes[0].rows_accepted == outcomes[1].rows_accepted
    assert in_place.table("src_account") == copied.table("src_account")
    assert in_place.table("stg_account") == copied.table("stg_account")
    assert not is_read_in_place(copied)
    assert is_read_in_place(in_place) == (outcomes[0].rows_rejected == 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{NAME}.gz", gzip.compress(ACCOUNTS.encode())),
        (NAME, f"{ACCOUNTS}13,2,-1,Savings\n"),
        (NAME, f'{ACCOUNTS}13,2,1.00,"Savings\nfor two"\n'),
        ("accounts\\_2026-01-01.csv", ACCOUNTS),
    ],
    ids=["packed", "a row refused", "a row of two lines", "a backslash in its name"],
)
def test_files_that_cannot_be_read_as_they_lie_are_copied(feeds: Ledger, name: str, text: str | bytes):
    outcome = feeds.drop(name, text)
    assert (str(outcome.delivered), is_read_in_place(feeds)) == ("accepted", False)
    assert feeds.table("src_account", "_line, account_id")[:2] == [(2, "11"), (3, "12")]


@pytest.mark.parametrize("folder", ["root", "a [b] *", 'it\'s "one"', "ünï"])
@pytest.mark.parametrize("name", ["a*.csv", "a?.csv", "a[b].csv", 'it\'s "one".csv', "ünï €.csv", "a = b.csv"])
def test_names_are_no_patterns(tmp_path: Path, lending: Pipeline, name: str, folder: str):
    ledger = Ledger(tmp_path / folder, lending)
    name = f"accounts_2026-01-01{name}"
    outcome = ledger.drop(name, ACCOUNTS)
    archived = ledger.root / outcome.file
    for decoy in {archived.name.translate({ord("*"): "X", ord("?"): "X"}), archived.name.replace("[b]", "b")}:
        if decoy != archived.name:
            archived.with_name(decoy).write_text(f"{HEADER}99,9,9.00,Savings\n", encoding="utf-8")
    assert is_read_in_place(ledger)
    found = ledger.table("stg_account", "_line, account_id")
    assert found == [(2, 11), (3, 12)]
    left = run("sql", "SELECT _line, account_id FROM stg_account ORDER BY 1", "--json", "--root", ledger.root)
    assert [(row["_line"], row["account_id"]) for row in left.json["rows"]] == found


def test_lines_are_right_in_a_large_file_whatever_the_client_is_set_to(tmp_path: Path, lending: Pipeline):
    """Beyond 32 MB the engine reads a file with several threads, in no order where it is let."""
    rows = 1_100_000
    root = tmp_path / "root"
    root.mkdir()
    path = root / "large.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        file.writelines(f"{line},{line % 997},{line % 1000}.00,Savings account\n" for line in range(2, rows + 2))
    assert path.stat().st_size > 34 << 20
    extract, _ = read_again(path, lending.contract("account"), AS_OF)
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb", "lending", settings={"threads": "4"}, root=root)
    misplaced = "SELECT count(*) AS n, sum(CASE WHEN _line <> CAST(account_id AS BIGINT) THEN 1 ELSE 0 END) AS wrong"
    with warehouse.session() as session:
        session.load(extract.path, replace(extract.layout, each_line_is_a_row=True), "loaded", drop_id="d")
        session.keep_loaded("loaded", "src_account", None, "large.csv")
        assert session.query(f"{misplaced} FROM src_account") == [{"n": rows, "wrong": 0}]
        few = session.query("SELECT _line, account_id FROM src_account WHERE customer_id = '5' AND account_id > '9'")
        assert len(few) > 50
        assert [row["_line"] for row in few] == [int(row["account_id"]) for row in few]
    for ordered in ("true", "false"):
        config = {"threads": "4", "preserve_insertion_order": ordered}
        with duckdb.connect(str(tmp_path / "w.duckdb"), read_only=True, config=config) as client:
            assert client.execute(f"{misplaced} FROM lending.src_account").fetchall() == [(rows, 0)]


def test_file_that_was_changed_by_hand_is_told_or_shown_as_it_is(feeds: Ledger):
    outcome = feeds.drop(NAME, ACCOUNTS)
    path = feeds.root / outcome.file
    path.write_text(ACCOUNTS.replace("100", "999"), encoding="utf-8")
    assert feeds.table("src_account", "balance") == [("200.00",), ("999.00",)]
    path.write_text(ACCOUNTS.replace("11,1,100.00", "11,1"), encoding="utf-8")
    with pytest.raises(duckdb.InvalidInputException, match="Line: 2"):
        feeds.table("src_account")
    assert [found.name for found in verify(feeds.runtime, lambda *_: None).files] == [outcome.file]


# Every way that rows come to be shown


def test_all_ways_into_history_read_in_place(feeds: Ledger):
    first = feeds.drop(NAME, ACCOUNTS)
    assert is_read_in_place(feeds)
    second = feeds.drop("accounts_2026-01-02.csv", ACCOUNTS.replace("100", "300"))
    retract(feeds.runtime, second.drop.drop_id, "wrong", "somebody")
    assert feeds.table("src_account", "_drop_id, balance")[0] == (first.drop.drop_id, "100.00")
    assert is_read_in_place(feeds)
    restore(feeds.runtime, second.drop.drop_id, "right", "somebody")
    assert feeds.table("src_account", "balance") == [("200.00",), ("300.00",)]
    assert is_read_in_place(feeds)
    shown = feeds.table("src_account")
    replay(feeds.runtime, Selection(), None, lambda *_: None)
    assert (feeds.table("src_account"), is_read_in_place(feeds)) == (shown, True)
    backfill(
        feeds.runtime,
        [feeds.put(f"accounts_2025-01-0{day}.csv", f"{ACCOUNTS}{day},1,1.00,Savings\n") for day in (1, 2)],
        print,
    )
    assert is_read_in_place(feeds)
    batch = [feeds.put(f"accounts_2026-02-0{day}.csv", f"{ACCOUNTS}{day},1,1.00,Savings\n") for day in range(1, 8)]
    assert {str(outcome.delivered) for outcome in feeds.process(*batch)} == {"accepted"}
    assert ("7", "1.00") in feeds.table("src_account", "account_id, balance")
    assert is_read_in_place(feeds)
    with extracts_compared_from(0):
        feeds.drop("accounts_2026-03-01.csv", f"{ACCOUNTS}7,1,2.00,Savings\n")
    assert ("7", "2.00") in feeds.table("src_account", "account_id, balance")
    assert is_read_in_place(feeds)
    assert verify(feeds.runtime, lambda *_: None).sound


def test_warehouses_elsewhere_read_the_same_archive(feeds: Ledger, tmp_path: Path):
    feeds.drop(NAME, ACCOUNTS)
    shown = feeds.table("src_account")
    replay(feeds.runtime, Selection(), str(tmp_path / "elsewhere.duckdb"), lambda *_: None)
    shutil.copyfile(feeds.database, tmp_path / "copy.duckdb")
    for path in ("elsewhere.duckdb", "copy.duckdb"):
        with duckdb.connect(str(tmp_path / path), read_only=True) as client:
            assert client.execute("FROM lending.src_account ORDER BY ALL").fetchall() == shown
            assert not client.execute("SELECT 1 FROM duckdb_tables() WHERE table_name LIKE 'received%'").fetchall()


def test_recovery_from_the_archive_alone_reads_in_place(feeds: Ledger):
    feeds.drop(NAME, ACCOUNTS)
    shown = feeds.table("src_account")
    feeds.database.unlink()
    replay(feeds.runtime, Selection(), None, lambda *_: None)
    assert (feeds.table("src_account"), is_read_in_place(feeds)) == (shown, True)


def test_plan_leaves_nothing_in_the_archive(feeds: Ledger, tmp_path: Path):
    feeds.drop(NAME, ACCOUNTS)
    before, shown = archive(feeds), feeds.table("src_account")
    fact = feeds.put("accounts_2026-02-01.csv", f"{ACCOUNTS}13,1,1.00,Savings\n")
    assert str(plan(feeds.runtime, fact).outcome.delivered) == "accepted"
    assert (archive(feeds), feeds.table("src_account")) == (before, shown)


def test_copy_that_an_earlier_version_kept_goes_with_the_next_drop(feeds: Ledger):
    in_place = feeds.runtime
    with_copies(feeds).drop(NAME, ACCOUNTS)
    assert not is_read_in_place(feeds)
    feeds.runtime = in_place
    assert feeds.rows("SELECT account_id FROM stg_account ORDER BY 1") == [(11,), (12,)]
    feeds.drop("accounts_2026-01-02.csv", f"{ACCOUNTS}13,1,1.00,Savings\n")
    assert is_read_in_place(feeds)
    assert feeds.rows("SELECT account_id FROM stg_account ORDER BY 1") == [(11,), (12,), (13,)]


# A root that has moved, and an archive that is gone

QUERY = "SELECT _line, account_id FROM stg_account ORDER BY 1"


def sql(root: Path, query: str = QUERY) -> Left:
    return run("sql", query, "--json", "--root", root)


def test_moved_root_is_read_by_commands_at_once_and_by_others_after_the_next_drop(tmp_path: Path, lending: Pipeline):
    before = Ledger(tmp_path / "before", lending)
    before.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")
    before.drop(NAME, ACCOUNTS)
    before.root.rename(tmp_path / "after")
    rows = [{"_line": 2, "account_id": 11}, {"_line": 3, "account_id": 12}]
    assert sql(tmp_path / "after").json["rows"] == rows
    after = Ledger(tmp_path / "after", lending, before.clock)
    with pytest.raises(duckdb.IOException, match="before"):
        after.table("stg_account")
    with duckdb.connect(str(after.database), read_only=True) as client:
        client.execute(f"SET VARIABLE dropledger_root = '{after.root}'")
        assert client.execute("SELECT count(*) FROM lending.stg_account").fetchall() == [(2,)]
    after.drop("customers_2026-01-02.csv", "CustomerID,Name,HasLoan\n1,Ann,No\n")
    assert [row[:2] for row in after.table("stg_account", "_line, account_id")] == [(2, 11), (3, 12)]
    assert sql(after.root).json["rows"] == rows


def test_sql_reads_what_the_views_read_and_no_other_file(lending: Pipeline, tmp_path: Path):
    ledger = Ledger(tmp_path / "lending", lending)
    first = ledger.drop(NAME, f"{HEADER}99,9,9.00,Savings\n")
    ledger.drop("accounts_2026-01-02.csv", ACCOUNTS)
    assert len(sql(ledger.root).json["rows"]) == 2
    assert sql(ledger.root, "SELECT count(*) AS n FROM src_account").json["rows"] == [{"n": 2}]
    for read in (
        f"read_csv('{ledger.root / first.file}')",
        f"read_text('{ledger.root}/archive/**')",
        f"glob('{ledger.root}/*')",
    ):
        left = sql(ledger.root, f"SELECT * FROM {read}")
        assert (left.code, "disabled" in left.json["error"]["why"]) == (2, True)


def test_missing_file_is_told_by_name_with_what_to_do(tmp_path: Path, lending: Pipeline):
    ledger = Ledger(tmp_path / "root", lending)
    ledger.drop("rates_2026-01-01.csv", "MinBalance,Rate,LoanBonus,Method\n0,0.02,0.01,marginal\n")
    outcome = ledger.drop(NAME, ACCOUNTS)
    (ledger.root / outcome.file).rename(tmp_path / "kept.csv")
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")  # as ever
    error = sql(ledger.root).json["error"]
    assert outcome.file in error["what"]
    assert "restore" in error["try"]
    assert sql(ledger.root, "SELECT count(*) AS n FROM history_account").json["rows"] == [{"n": 2}]


def test_pipeline_may_change_while_a_file_is_missing(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline"))
    outcome = ledger.drop(NAME, ACCOUNTS)
    (ledger.root / outcome.file).unlink()
    changed = without_marts(tmp_path / "changed", {"account.yaml": {"description": "Accounts."}})
    with ledger.runtime.warehouse.session() as session:
        prepare(session, changed, None)
        assert session.count("stg_account") == 0
        assert session.count("history_account") == 2


# Files that come to nothing


def test_file_that_is_refused_with_others_leaves_nothing_in_the_archive(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", with_unlimited_balances(tmp_path / "pipeline"))
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")
    largest = "9999999999999999.99"
    files = [
        ledger.put(f"accounts_2026-01-0{day}.csv", ACCOUNTS.replace("100.00", balance))
        for day, balance in ((1, "5.00"), (2, "6.00"), (3, largest))
    ]
    outcomes = backfill(ledger.runtime, files, lambda _: None)
    assert sorted(str(outcome.delivered) for outcome in outcomes) == ["accepted", "accepted", "quarantined"]
    assert [path.name.partition("-")[2] for path in archive(ledger) if "account" in path.name] == [
        "accounts_2026-01-01.csv",
        "accounts_2026-01-02.csv",
    ]
    assert verify(ledger.runtime, lambda *_: None).sound


def test_file_system_without_hard_links_has_a_copy(feeds: Ledger, monkeypatch: pytest.MonkeyPatch):
    def other_file_system(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", other_file_system)
    outcome = feeds.drop(NAME, ACCOUNTS)
    assert (feeds.root / outcome.file).read_text(encoding="utf-8") == ACCOUNTS
    assert not is_read_in_place(feeds)
    assert feeds.table("src_account", "_line, account_id") == [(2, "11"), (3, "12")]


def test_archived_file_has_one_name_when_all_is_done(feeds: Ledger):
    outcome = feeds.drop(NAME, ACCOUNTS)
    assert (feeds.root / outcome.file).stat().st_nlink == 1
    assert [path.name for path in (feeds.root / "work").iterdir()] == [".lock"]
