"""What a drop is, and where it stays: its identity, its moment, its place in history and in the archive."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from support.ledger import Ledger, without_marts, work_on_tables_as_a_whole_from
from support.small_files import DECEMBER, NOVEMBER, OCTOBER, accounts, customers, files, read_csv, timeline

from dropledger.core.ledger.ledger import Delivered
from dropledger.core.steps.history import UPDATED_IN_PLACE


@pytest.mark.parametrize("name", ["accounts_2025-10-31.csv", "accounts_20251031.csv", "Accounts_copy_2025-10-31.csv"])
def test_same_bytes_of_the_same_moment_are_one_drop_delivered_twice(ledger: Ledger, name: str):
    ledger.drop("customers_2025-10-31.csv", customers((1, "Yes")))
    first = ledger.drop("accounts_2025-10-31.csv", accounts((1, 1, "100.00")))
    outputs = files(ledger.root / "outputs")
    tables = {table: ledger.table(table) for table in ("drop_ledger", "history_account", "account_summary")}

    second = ledger.drop(name, accounts((1, 1, "100.00")))

    assert second.delivered == Delivered.DUPLICATE
    assert second.drop.drop_id == first.drop.drop_id
    assert {table: ledger.table(table) for table in tables} == tables
    assert ledger.rows("SELECT outcome FROM delivery WHERE drop_id = ? ORDER BY received_at", [first.drop.drop_id]) == [
        ("accepted",),
        ("duplicate",),
    ]
    assert files(ledger.root / "outputs") == outputs
    assert list((ledger.root / "inbox").iterdir()) == []
    assert [path for path in (ledger.root / "work").iterdir() if path.is_dir()] == []


def test_archive_is_unchanged_by_a_second_delivery(ledger: Ledger):
    ledger.drop("accounts_2025-10-31.csv", accounts((1, 1, "100.00")))
    archive = files(ledger.root / "archive")
    ledger.drop("accounts_2025-10-31.csv", accounts((1, 1, "100.00")))
    assert files(ledger.root / "archive") == archive


def test_archive_is_unchanged_by_a_second_delivery_under_another_name(ledger: Ledger):
    ledger.drop("accounts_2025-10-31.csv", accounts((1, 1, "100.00")))
    archive = files(ledger.root / "archive")
    ledger.drop("accounts_20251031.csv", accounts((1, 1, "100.00")))
    assert files(ledger.root / "archive") == archive


def test_drop_id_is_the_hash_of_feed_moment_and_bytes(ledger: Ledger):
    text = accounts((1, 1, "100.00"))
    outcome = ledger.drop("accounts_2025-10-31.csv", text)
    digest = hashlib.sha256(b"account\0" + b"2025-10-31T00:00:00Z\0" + text.encode()).hexdigest()
    assert outcome.drop.drop_id == digest[:16]
    assert ledger.rows("SELECT sha256, size_bytes FROM drop_ledger") == [
        (hashlib.sha256(text.encode()).hexdigest(), len(text))
    ]


def test_duplicates_within_a_batch_are_found(ledger: Ledger):
    text = accounts((1, 1, "100.00"))
    outcomes = ledger.process(ledger.put("accounts_2025-10-31.csv", text), ledger.put("accounts_20251031.csv", text))
    assert sorted(outcome.delivered for outcome in outcomes) == [Delivered.ACCEPTED, Delivered.DUPLICATE]
    assert len(ledger.table("drop_ledger")) == 1


def test_same_bytes_of_a_later_moment_are_a_new_drop_without_a_new_version(ledger: Ledger):
    text = accounts((1, 1, "100.00"))
    first = ledger.drop("accounts_2025-10-31.csv", text)
    second = ledger.drop("accounts_2025-11-30.csv", text)
    assert second.delivered == Delivered.ACCEPTED
    assert second.drop.drop_id != first.drop.drop_id
    assert (second.versions_opened, second.versions_closed) == (0, 0)
    assert ledger.rows("SELECT as_of, status FROM drop_ledger ORDER BY sequence") == [
        (OCTOBER, "published"),
        (NOVEMBER, "published"),
    ]
    assert timeline(ledger, 1) == [("100.00", OCTOBER, None)]


@pytest.mark.parametrize("whole_from", [0, UPDATED_IN_PLACE], ids=["closed anew", "closed in place"])
def test_state_that_returns_gives_three_versions(ledger: Ledger, whole_from: int):
    with work_on_tables_as_a_whole_from(whole_from):
        for moment, balance in (("2025-10-31", "100.00"), ("2025-11-30", "200.00"), ("2025-12-31", "100.00")):
            ledger.drop(f"accounts_{moment}.csv", accounts((1, 1, balance)))
    assert timeline(ledger, 1) == [
        ("100.00", OCTOBER, NOVEMBER),
        ("200.00", NOVEMBER, DECEMBER),
        ("100.00", DECEMBER, None),
    ]


@pytest.mark.parametrize(
    ("before", "drop", "opened", "closed"),
    [
        ({"10-31": "1.00", "12-31": "2.00"}, ("11-30", "1.00"), 0, 0),
        ({"10-31": "1.00", "12-31": "2.00"}, ("11-30", "3.00"), 1, 1),
        ({"10-31": "1.00", "12-31": "2.00"}, ("11-30", "2.00"), 1, 2),
        ({"10-31": "1.00", "12-31": "2.00"}, ("09-30", "3.00"), 1, 0),
        ({"10-31": "1.00", "12-31": "2.00"}, ("12-31", "3.00"), 1, 1),
        ({"10-31": "1.00", "12-31": "2.00"}, ("12-31", "1.00"), 0, 1),
        ({"10-31": "1.00", "11-30": "2.00", "12-31": "3.00"}, ("11-30", "1.00"), 0, 1),
    ],
    ids=["unchanged", "between", "next-begins-earlier", "first", "replaced", "last-is-gone", "middle-is-gone"],
)
def test_woven_drop_counts_versions_that_are_new_and_those_gone_or_ended_earlier(
    ledger: Ledger, before: dict[str, str], drop: tuple[str, str], opened: int, closed: int
):
    for day, balance in before.items():
        ledger.drop(f"accounts_2025-{day}.csv", accounts((1, 1, balance)))
    outcome = ledger.drop(f"accounts_2025-{drop[0]}.csv", accounts((1, 1, drop[1])))
    assert (outcome.versions_opened, outcome.versions_closed) == (opened, closed)


def test_as_of_comes_from_option_then_name_then_modification_time(ledger: Ledger):
    text = accounts((1, 1, "100.00"))
    by_option = ledger.drop("accounts_2025-10-31.csv", text, as_of=NOVEMBER)
    by_name = ledger.drop("accounts_20251031T103000Z.csv", text)
    by_time = ledger.put("accounts.csv", text)
    assert by_option.drop.as_of.moment == NOVEMBER
    assert by_name.drop.as_of.moment == datetime(2025, 10, 31, 10, 30, tzinfo=UTC)
    assert ledger.process(by_time)[0].drop.as_of.moment == by_time.modified_at


def test_repeat_of_a_row_in_conflict_is_nothing_that_a_late_drop_has_to_consult(ledger: Ledger):
    """Of lines 3, 4 and 5 the ledger rejects two, and counts the third as a duplicate."""
    good = [(number, 1, "1.00") for number in range(21, 25)]
    ledger.drop(
        "accounts_2025-11-30.csv", accounts(*good[:1], (11, 1, "5.00"), (11, 1, "6.00"), (11, 1, "5.00"), *good)
    )
    before = ledger.table("history_account", "account_id, balance, valid_from, valid_to")

    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "4.00")))

    after = ledger.table("history_account", "account_id, balance, valid_from, valid_to")
    assert after == [(11, Decimal("4.00"), OCTOBER, None), *before]


def test_complete_extract_without_a_good_row_closes_the_keys_that_it_lacks(tmp_path: Path):
    closing = {"account.yaml": {"missing_keys": "close", "max_rejected": "1"}}
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline", closing))
    ledger.drop("accounts_2025-10-31.csv", accounts((1, 1, "100.00"), (2, 1, "200.00")))
    outcome = ledger.drop("accounts_2025-11-30.csv", accounts((1, 1, "-5.00")))

    assert (outcome.rows_accepted, outcome.rows_rejected) == (0, 1)
    assert timeline(ledger, 1) == [("100.00", OCTOBER, None)]
    assert timeline(ledger, 2) == [("200.00", OCTOBER, NOVEMBER)]


def test_delta_without_rows_observes_nothing(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline", {"account.yaml": {"mode": "delta"}}))
    nothing = ledger.drop("accounts_2025-12-31.csv", accounts())
    after = ledger.drop("accounts_2025-11-30.csv", accounts((1, 1, "100.00")))

    assert (nothing.delivered, after.late) == (Delivered.ACCEPTED, False)
    assert ledger.table("drop_ledger", "name, first_effective, last_effective") == [
        ("accounts_2025-11-30.csv", NOVEMBER, NOVEMBER),
        ("accounts_2025-12-31.csv", None, None),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"AccountID,CustomerID,Balance,AccountType\r\n11,1,1.00,Savings\r\n",
        b"\xef\xbb\xbfAccountID;CustomerID;Balance;AccountType\n11;1;1.00;Savings",
    ],
    ids=["crlf", "bom-and-no-last-line-end"],
)
def test_archive_keeps_a_drop_byte_for_byte_under_its_day(ledger: Ledger, content: bytes):
    outcome = ledger.drop("accounts_20251031T103000Z.csv", content.decode())
    name = f"archive/account/2025/10/31/{outcome.drop.drop_id}-accounts_20251031T103000Z.csv"
    assert outcome.file == name
    assert (ledger.root / name).read_bytes() == content
    assert set(files(ledger.root / "archive")) == {name.removeprefix("archive/")}


def test_drop_with_refused_rows_is_archived_whole_and_its_refused_rows_are_set_apart(ledger: Ledger):
    text = accounts((11, 1, "1.00"), (12, 1, "-2.00"), (13, 1, "3.00"))
    outcome = ledger.drop("accounts_2025-10-31.csv", text)
    assert (ledger.root / outcome.file).read_text() == text
    (row,) = read_csv(ledger.root / "quarantine" / "accounts_2025-10-31.csv.rejects.csv")
    assert (row["line"], row["column_name"], row["rule"], row["raw"]) == (
        "3",
        "balance",
        "balance >= 0",
        "12,1,-2.00,Savings",
    )
