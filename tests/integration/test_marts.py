"""Marts: computed for the rows touched or as a whole, drop by drop or once for several."""

import csv
from pathlib import Path

import pytest
from support.ledger import Ledger, custom_pipeline, rows_moved_to_the_engine, work_on_tables_as_a_whole_from

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.steps.marts import WHOLE_FROM

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n3,Cy,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n13,9,5.00,Savings\n"
LATER = (
    "AccountID,CustomerID,Balance,AccountType\n"
    "11,2,100.00,Savings\n12,2,1.00,Checking\n13,9,5.00,Savings\n14,3,7.00,Savings\n"
)


@pytest.fixture
def published(tmp_path: Path, lending: Pipeline, request: pytest.FixtureRequest) -> dict[str, bytes]:
    with work_on_tables_as_a_whole_from(request.param):
        return published_by(Ledger(tmp_path / "root", lending))


def published_by(ledger: Ledger) -> dict[str, bytes]:
    """The marts' artifacts and change files after a few drops."""
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2026-01-01.csv", ACCOUNTS)  # fills the mart, so it has no change file
    ledger.drop("accounts_2026-01-02.csv", LATER)
    ledger.drop("customers_2026-01-03.csv", CUSTOMERS.replace("Bo,No", "Bo,Yes"))
    outputs = ledger.root / "outputs"
    return {path.name: path.read_bytes() for path in outputs.rglob("*.csv")}


def test_touched_keys_and_the_rows_before_may_be_had_by_one_statement(tmp_path: Path, lending: Pipeline):
    one, other = (Ledger(tmp_path / name, lending) for name in ("one", "other"))
    with rows_moved_to_the_engine():
        by_one = published_by(one)
    assert by_one == published_by(other)


@pytest.mark.parametrize("published", [0, WHOLE_FROM], ids=["tables as a whole", "rows touched"], indirect=True)
def test_change_files_tell_what_was_added_changed_and_removed(published: dict[str, bytes]):
    changes = sorted(
        [*line.split(",")[:2], line.split(",")[-1]]
        for name, content in published.items()
        if name not in {"account_summary.csv", "customer_profile.csv"}
        for line in content.decode().splitlines()[1:]
    )

    assert changes == [
        ["11", "changed", "101.00"],
        ["11", "changed", "101.50"],
        ["12", "removed", ""],
        ["14", "added", "7.07"],
    ]
    assert published["account_summary.csv"].decode().splitlines()[1:] == [
        "2,11,100.00,0.015000,1.50,101.50",
        "3,14,7.00,0.010000,0.07,7.07",
    ]


def test_mart_with_more_rows_than_are_touched_is_not_computed_as_a_whole(ledger: Ledger):
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2026-01-01.csv", LATER.replace("Checking", "Savings"))
    with work_on_tables_as_a_whole_from(1):
        outcome = ledger.drop("accounts_2026-01-02.csv", LATER)

    assert len(ledger.table("account_summary")) == 2
    assert outcome.recomputed == {"account_summary": 0, "customer_profile": 1}


def checked(ledger: Ledger, outcome: Outcome) -> set[str]:
    found = ledger.rows(
        "SELECT model FROM check_result WHERE drop_id = ? AND sequence = ?", [outcome.drop.drop_id, outcome.sequence]
    )
    return {model for (model,) in found}


def test_mart_without_change_file_is_computed_once_for_files_that_wait_together(ledger: Ledger):
    first, last = ledger.process(
        ledger.put("customers_2026-01-01.csv", CUSTOMERS), ledger.put("accounts_2026-01-01.csv", ACCOUNTS)
    )

    assert first.recomputed == {"account_summary": 0}
    assert last.recomputed == {"account_summary": 2, "customer_profile": 3}
    assert "customer_profile" in checked(ledger, last) - checked(ledger, first)
    assert ledger.table("customer_profile", "customer_id, savings_accounts") == [(1, 1), (2, 1), (3, 0)]


def test_mart_computed_once_for_several_files_is_so_for_what_each_of_them_touches(ledger: Ledger):
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2026-01-01.csv", ACCOUNTS)
    first, last = ledger.process(
        ledger.put("customers_2026-01-02.csv", CUSTOMERS.replace("Ann,Yes", "Ann,No")),
        ledger.put("accounts_2026-01-02.csv", f"{ACCOUNTS}14,3,7.00,Savings\n"),
    )

    assert first.recomputed == {"account_summary": 1}
    assert last.recomputed == {"account_summary": 1, "customer_profile": 2}
    assert ledger.table("customer_profile", "customer_id, has_loan, savings_accounts") == [
        (1, False, 1),
        (2, False, 1),
        (3, False, 1),
    ]


def test_mart_that_waits_is_computed_though_the_last_file_is_refused(ledger: Ledger):
    accepted, refused = ledger.process(
        ledger.put("customers_2026-01-01.csv", CUSTOMERS), ledger.put("accounts_2026-01-02.csv", "AccountID\n1\n")
    )

    assert refused.delivered == Delivered.QUARANTINED
    assert accepted.recomputed == {"account_summary": 0, "customer_profile": 3}
    assert "customer_profile" in checked(ledger, accepted)
    assert ledger.table("customer_profile", "customer_id, savings_accounts") == [(1, 0), (2, 0), (3, 0)]


FORMULAS = ("=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "Ann=1", "'quoted")


@pytest.mark.parametrize(
    ("csv_formulas", "names"),
    [
        ("harmless", ["'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(A1)", "Ann=1", "'quoted"]),
        ("as_they_are", list(FORMULAS)),
    ],
)
def test_texts_that_spreadsheets_would_run_are_made_harmless_in_csv(
    tmp_path: Path, csv_formulas: str, names: list[str]
):
    ledger = Ledger(
        tmp_path / "root", custom_pipeline(tmp_path / "pipeline", {"pipeline.yaml": {"csv_formulas": csv_formulas}})
    )
    rows = "".join(f"{number},{name},No\n" for number, name in enumerate(FORMULAS, 1))
    outcome = ledger.drop("customers_2026-01-01.csv", f"CustomerID,Name,HasLoan\n{rows}-x,=1,No\n")

    def column(path: str, name: str) -> list[str]:
        with (ledger.root / path).open(newline="", encoding="utf-8") as file:
            return [row[name] for row in csv.DictReader(file)]

    assert column("outputs/customer_profile.csv", "customer_name") == names
    refused = column(f"quarantine/{outcome.drop.name}.rejects.csv", "raw")
    assert refused == ["'-x,=1,No" if csv_formulas == "harmless" else "-x,=1,No"]
    assert [name for (name,) in ledger.rows("SELECT customer_name FROM customer_profile ORDER BY customer_id")] == list(
        FORMULAS
    )


def test_texts_that_hardly_repeat_are_kept_in_marts_as_in_history(ledger: Ledger):
    rows = "".join(f"{key},Name {key},No\n" for key in range(1, 5_001))
    ledger.drop("customers_2025-10-31.csv", f"CustomerID,Name,HasLoan\n{rows}")
    for table in ("history_customer", "customer_profile"):
        kept = ledger.rows(
            f"""SELECT DISTINCT compression
            FROM pragma_storage_info('{table}')
            WHERE column_name = 'customer_name' AND segment_type = 'VARCHAR'"""
        )
        assert kept == [("ZSTD",)], table
    assert ledger.rows("SELECT count(*), min(customer_name) FROM customer_profile") == [(5_000, "Name 1")]
