"""One account through five loads: in order, late, and two at once; and the trap of equal neighbours."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.ledger import Ledger, custom_pipeline

from dropledger.core.drop import FileDropped

Timeline = list[tuple[Decimal, datetime, datetime | None, bool]]


def day(number: int) -> datetime:
    return datetime(2025, 10, number, tzinfo=UTC)


def period(
    balance: str, valid_from: int, valid_to: int | None = None
) -> tuple[Decimal, datetime, datetime | None, bool]:
    return Decimal(balance), day(valid_from), None if valid_to is None else day(valid_to), valid_to is None


def timeline(ledger: Ledger) -> Timeline:
    return ledger.rows(
        """SELECT balance, valid_from, valid_to, is_current
        FROM history_account
        WHERE account_id = 1
        ORDER BY valid_from"""
    )


def test_late_load_and_a_batch_of_two_are_woven_into_the_timeline(ledger: Ledger):
    def load(number: int, balance: str) -> FileDropped:
        text = f"AccountID,CustomerID,Balance,AccountType\n1,7,{balance},Savings\n"
        return ledger.put(f"accounts_2025-10-{number}.csv", text)

    ledger.process(load(10, "100.00"))
    assert timeline(ledger) == [period("100.00", 10)]

    ledger.process(load(20, "200.00"))
    assert timeline(ledger) == [period("100.00", 10, 20), period("200.00", 20)]

    ledger.process(load(15, "150.00"))
    assert timeline(ledger) == [period("100.00", 10, 15), period("150.00", 15, 20), period("200.00", 20)]

    outcomes = ledger.process(load(25, "250.00"), load(12, "120.00"))
    assert timeline(ledger) == [
        period("100.00", 10, 12),
        period("120.00", 12, 15),
        period("150.00", 15, 20),
        period("200.00", 20, 25),
        period("250.00", 25),
    ]
    assert [(outcome.versions_opened, outcome.versions_closed) for outcome in outcomes] == [(1, 1), (1, 1)]


def test_equal_neighbours_that_a_late_drop_parts_become_two_versions(ledger: Ledger):
    drop_ids = {}
    for number, balance in ((1, "100.00"), (3, "100.00"), (2, "200.00")):
        text = f"AccountID,CustomerID,Balance,AccountType\n1,7,{balance},Savings\n"
        drop_ids[number] = ledger.drop(f"accounts_2025-10-0{number}.csv", text).drop.drop_id

    assert timeline(ledger) == [period("100.00", 1, 2), period("200.00", 2, 3), period("100.00", 3)]
    assert ledger.rows("SELECT drop_id, line FROM history_account ORDER BY valid_from") == [
        (drop_ids[1], 2),
        (drop_ids[2], 2),
        (drop_ids[3], 2),
    ]


@pytest.fixture
def delta_ledger(tmp_path: Path) -> Callable[..., Ledger]:
    """Makes a root whose account feed is a delta with these entries and columns more."""

    def make(columns: list[dict[str, Any]], **entries: Any) -> Ledger:
        names = [("account_id", "bigint"), ("balance", "decimal(18,2)")]
        contract = {
            "feed": "account",
            "files": ["accounts*.csv"],
            "mode": "delta",
            "key": ["account_id"],
            "columns": [{"name": name, "type": kind, "rules": ["not_null"]} for name, kind in names] + columns,
            **entries,
        }
        changes = {"account.yaml": contract, "customer.yaml": None, "rate.yaml": None, "pipeline.yaml": MOMENT}
        without = ["marts", "intermediate", "explain", "checks"]
        return Ledger(tmp_path / "root", custom_pipeline(tmp_path / "delta", changes, without=without))

    return make


MOMENT = {"moment": ["account"]}


def test_one_file_may_hold_several_versions_of_a_key(delta_ledger: Callable[..., Ledger]):
    ledger = delta_ledger([{"name": "changed_on", "type": "date"}], effective_column="changed_on")
    header = "account_id,balance,changed_on\n"
    ledger.drop("accounts_2025-10-20.csv", header + "1,100.00,2025-10-10\n1,200.00,2025-10-20\n")
    ledger.drop("accounts_2025-10-21.csv", header + "1,150.00,2025-10-15\n")
    ledger.drop("accounts_2025-10-25.csv", header + "1,250.00,2025-10-25\n1,120.00,2025-10-12\n")

    assert timeline(ledger) == [
        period("100.00", 10, 12),
        period("120.00", 12, 15),
        period("150.00", 15, 20),
        period("200.00", 20, 25),
        period("250.00", 25),
    ]


def test_drops_that_wait_together_may_hold_rows_of_each_others_past(delta_ledger: Callable[..., Ledger]):
    ledger = delta_ledger([{"name": "changed_on", "type": "date"}], effective_column="changed_on")
    header = "account_id,balance,changed_on\n"
    ledger.process(
        ledger.put("accounts_2025-10-20.csv", header + "1,100.00,2025-10-10\n1,100.00,2025-10-20\n"),
        ledger.put("accounts_2025-10-21.csv", header + "1,150.00,2025-10-15\n"),
    )

    assert timeline(ledger) == [period("100.00", 10, 15), period("150.00", 15, 20), period("100.00", 20)]


def test_late_deletion_leaves_a_gap_until_the_key_returns(delta_ledger: Callable[..., Ledger]):
    ledger = delta_ledger([{"name": "operation"}], operation={"column": "operation"})
    header = "account_id,balance,operation\n"
    ledger.drop("accounts_2025-10-10.csv", header + "1,100.00,I\n")
    ledger.drop("accounts_2025-10-20.csv", header + "1,100.00,U\n")
    ledger.drop("accounts_2025-10-15.csv", header + "1,,D\n")

    assert timeline(ledger) == [period("100.00", 10, 15), period("100.00", 20)]
