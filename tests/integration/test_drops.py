"""What a drop does, from its identity to its artifacts: real files through the real pipeline and engine."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import pytest
from ledger import Ledger, with_unlimited_balances

from core.definition import Pipeline
from core.ledger import Delivered

OCTOBER = datetime(2025, 10, 31, tzinfo=UTC)
NOVEMBER = datetime(2025, 11, 30, tzinfo=UTC)
DECEMBER = datetime(2025, 12, 31, tzinfo=UTC)

SUMMARY = ["customer_id", "account_id", "original_balance", "interest_rate", "annual_interest", "new_balance"]
PROFILE = [
    "customer_id",
    "customer_name",
    "has_loan",
    "savings_accounts",
    "total_savings_balance",
    "total_annual_interest",
]


def customers(*rows: tuple[int, str]) -> str:
    """A customer file: ids, and whether each has a loan."""
    return "CustomerID,Name,HasLoan\n" + "".join(f"{key},Name {key},{loan}\n" for key, loan in rows)


def accounts(*rows: tuple[int, int, str] | tuple[int, int, str, str]) -> str:
    """An account file: account, customer, balance, and the type where it is not Savings."""
    lines = (",".join(map(str, row if len(row) == 4 else (*row, "Savings"))) for row in rows)
    return "AccountID,CustomerID,Balance,AccountType\n" + "".join(f"{line}\n" for line in lines)


def rates(*rows: tuple[str, str, str], method: str = "whole_balance") -> str:
    """A rate card: floor, rate and loan bonus of each tier."""
    lines = (",".join((*row, method)) for row in rows)
    return "MinBalance,Rate,LoanBonus,Method\n" + "".join(f"{line}\n" for line in lines)


CARD = (("0", "0.01", "0.005"), ("10000", "0.015", "0.005"), ("20000", "0.02", "0.005"))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below a folder: its bytes and when it was last changed."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def figures(ledger: Ledger) -> dict[int, tuple[str, ...]]:
    """Rate, interest and new balance of each account in the mart, as text."""
    found = ledger.rows("SELECT account_id, interest_rate, annual_interest, new_balance FROM account_summary")
    return {account: tuple(map(str, rest)) for account, *rest in found}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def timeline(ledger: Ledger, account: int) -> list[tuple[str, datetime, datetime | None]]:
    found = ledger.rows(
        "SELECT balance, valid_from, valid_to FROM history_account WHERE account_id = ? ORDER BY valid_from", [account]
    )
    return [(str(balance), since, until) for balance, since, until in found]


# Identity


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


def test_state_that_returns_gives_three_versions(ledger: Ledger):
    for moment, balance in (("2025-10-31", "100.00"), ("2025-11-30", "200.00"), ("2025-12-31", "100.00")):
        ledger.drop(f"accounts_{moment}.csv", accounts((1, 1, balance)))
    assert timeline(ledger, 1) == [
        ("100.00", OCTOBER, NOVEMBER),
        ("200.00", NOVEMBER, DECEMBER),
        ("100.00", DECEMBER, None),
    ]


def test_as_of_comes_from_option_then_name_then_modification_time(ledger: Ledger):
    text = accounts((1, 1, "100.00"))
    by_option = ledger.drop("accounts_2025-10-31.csv", text, as_of=NOVEMBER)
    by_name = ledger.drop("accounts_20251031T103000Z.csv", text)
    by_time = ledger.put("accounts.csv", text)
    assert by_option.drop.as_of.moment == NOVEMBER
    assert by_name.drop.as_of.moment == datetime(2025, 10, 31, 10, 30, tzinfo=UTC)
    assert ledger.process(by_time)[0].drop.as_of.moment == by_time.modified_at


# Marts


def test_flag_of_one_customer_recomputes_that_customers_accounts_alone(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No"), (2, "No"), (3, "No")))
    ledger.drop(
        "accounts_2025-10-31.csv",
        accounts((11, 1, "100.00"), (21, 2, "100.00"), (22, 2, "200.00"), (23, 2, "9.00", "Checking"), (31, 3, "1.00")),
    )
    outcome = ledger.drop("customers_2025-11-30.csv", customers((1, "No"), (2, "Yes"), (3, "No")))
    assert (outcome.versions_opened, outcome.versions_closed) == (1, 1)
    assert outcome.recomputed == {"account_summary": 2, "customer_profile": 1}
    changes = read_csv(ledger.root / "outputs" / "changes" / f"{outcome.drop.drop_id}.csv")
    assert {(row["account_id"], row["annual_interest_before"], row["annual_interest_after"]) for row in changes} == {
        ("21", "1.00", "1.50"),
        ("22", "2.00", "3.00"),
    }
    sources = dict(ledger.rows("SELECT account_id, customer_drop_id FROM account_summary"))
    assert {account for account, source in sources.items() if source == outcome.drop.drop_id} == {21, 22}


def test_drop_that_changes_nothing_recomputes_nothing(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No")))
    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00")))
    outcome = ledger.drop("accounts_2025-11-30.csv", accounts((11, 1, "100.00")))
    assert outcome.recomputed == {"account_summary": 0, "customer_profile": 0}


@pytest.mark.parametrize("mover", ["customer", "account"])
def test_rate_card_waits_for_its_day_and_then_changes_all(ledger: Ledger, mover: str):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No"), (2, "Yes")))
    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00"), (21, 2, "100.00")))
    before = figures(ledger)

    card = ledger.drop("rates_2025-11-30.csv", rates(("0", "0.03", "0.01")))
    assert card.recomputed == {"account_summary": 0, "customer_profile": 0}
    assert figures(ledger) == before

    if mover == "customer":
        outcome = ledger.drop("customers_2025-11-30.csv", customers((1, "No"), (2, "Yes")))
    else:
        outcome = ledger.drop("accounts_2025-11-30.csv", accounts((11, 1, "100.00"), (21, 2, "100.00")))
    assert outcome.versions_opened == 0
    assert outcome.recomputed == {"account_summary": 2, "customer_profile": 2}
    assert figures(ledger) == {11: ("0.030000", "3.00", "103.00"), 21: ("0.040000", "4.00", "104.00")}
    assert set(ledger.rows("SELECT rate_drop_id FROM account_summary")) == {(card.drop.drop_id,)}


def test_rate_card_of_a_day_gone_by_changes_all_at_once(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No")))
    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00")))
    outcome = ledger.drop("rates_2025-10-31.csv", rates(("0", "0.03", "0.01")))
    assert outcome.recomputed == {"account_summary": 1, "customer_profile": 1}
    assert figures(ledger) == {11: ("0.030000", "3.00", "103.00")}


def test_new_card_replaces_the_old_one_whole(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No")))
    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "15000.00")))
    outcome = ledger.drop("rates_2025-10-31.csv", rates(("0", "0.01", "0.005"), ("20000", "0.03", "0.005")))
    assert (outcome.versions_opened, outcome.versions_closed) == (1, 2)
    tiers = ledger.rows("SELECT min_balance, rate, valid_from, valid_to FROM history_rate ORDER BY ALL")
    start = datetime(1970, 1, 1, tzinfo=UTC)
    assert [(str(floor), str(rate), since, until) for floor, rate, since, until in tiers] == [
        ("0.00", "0.010000", start, None),
        ("10000.00", "0.015000", start, OCTOBER),
        ("20000.00", "0.020000", start, OCTOBER),
        ("20000.00", "0.030000", OCTOBER, None),
    ]
    assert figures(ledger) == {11: ("0.010000", "150.00", "15150.00")}


def test_orphan_is_reported_and_gains_its_row_when_its_customer_comes(ledger: Ledger):
    orphan = ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00")))
    assert orphan.delivered == Delivered.ACCEPTED
    assert [warning.split(" ")[0] for warning in orphan.warnings] == ["orphan_account"]
    assert timeline(ledger, 11) == [("100.00", OCTOBER, None)]
    assert figures(ledger) == {}
    assert ledger.rows(
        "SELECT severity, passed, failing_rows FROM check_result WHERE check_name = 'orphan_account'"
    ) == [("warn", False, 1)]

    outcome = ledger.drop("customers_2025-10-31.csv", customers((1, "Yes")))
    assert outcome.recomputed == {"account_summary": 1, "customer_profile": 1}
    assert figures(ledger) == {11: ("0.015000", "1.50", "101.50")}


def test_account_that_moves_updates_both_customers(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No"), (2, "Yes"), (3, "No")))
    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00"), (12, 1, "200.00"), (31, 3, "5.00")))
    outcome = ledger.drop("accounts_2025-11-30.csv", accounts((11, 2, "100.00"), (12, 1, "200.00"), (31, 3, "5.00")))
    assert outcome.recomputed == {"account_summary": 1, "customer_profile": 2}
    columns = "customer_id, savings_accounts, total_savings_balance, total_annual_interest"
    assert [tuple(map(str, row)) for row in ledger.table("customer_profile", columns)] == [
        ("1", "1", "200.00", "2.00"),
        ("2", "1", "100.00", "1.50"),
        ("3", "1", "5.00", "0.05"),
    ]


def test_checking_account_has_no_row(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "Yes")))
    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00", "Checking"), (12, 1, "100.00")))
    assert set(figures(ledger)) == {12}
    assert timeline(ledger, 11) == [("100.00", OCTOBER, None)]


def test_savings_account_that_becomes_a_checking_account_loses_its_row(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "Yes")))
    ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00")))
    outcome = ledger.drop("accounts_2025-11-30.csv", accounts((11, 1, "100.00", "Checking")))
    assert figures(ledger) == {}
    (change,) = read_csv(ledger.root / "outputs" / "changes" / f"{outcome.drop.drop_id}.csv")
    assert (change["account_id"], change["change"]) == ("11", "removed")
    assert ledger.rows("SELECT savings_accounts, total_annual_interest FROM customer_profile") == [(0, Decimal("0.00"))]


# Interest


def interest_of(ledger: Ledger, balances: Iterable[str], *, loan: str = "No") -> list[tuple[str, ...]]:
    """What each balance earns, in their order."""
    ledger.drop("customers_2025-10-31.csv", customers((1, loan)))
    outcome = ledger.drop("accounts_2025-10-31.csv", accounts(*((key, 1, text) for key, text in enumerate(balances))))
    assert outcome.error is None
    return [figure for _, figure in sorted(figures(ledger).items())]


EDGES = ["0.00", "9999.99", "10000.00", "19999.99", "20000.00"]


def test_tier_goes_by_the_balance_and_applies_to_all_of_it(ledger: Ledger):
    assert interest_of(ledger, EDGES) == [
        ("0.010000", "0.00", "0.00"),
        ("0.010000", "100.00", "10099.99"),
        ("0.015000", "150.00", "10150.00"),
        ("0.015000", "300.00", "20299.99"),
        ("0.020000", "400.00", "20400.00"),
    ]


def test_loan_adds_half_a_point(ledger: Ledger):
    assert interest_of(ledger, EDGES, loan="Yes") == [
        ("0.015000", "0.00", "0.00"),
        ("0.015000", "150.00", "10149.99"),
        ("0.020000", "200.00", "10200.00"),
        ("0.020000", "400.00", "20399.99"),
        ("0.025000", "500.00", "20500.00"),
    ]


@pytest.mark.parametrize(("loan", "has_loan"), [(" yes ", True), ("YES", True), ("nO", False), ("none", False)])
def test_loan_is_read_in_any_case_and_padding(ledger: Ledger, loan: str, has_loan: bool):
    ledger.drop("customers_2025-10-31.csv", customers((1, loan)))
    assert ledger.rows("SELECT has_loan FROM history_customer") == [(has_loan,)]


def test_half_a_cent_rounds_up(ledger: Ledger):
    # A half rounded to even, or a binary fraction, would give 0.00, 0.02, 0.04 and 150.02 or less.
    assert interest_of(ledger, ["0.50", "2.50", "4.50", "10001.00", "0.49"]) == [
        ("0.010000", "0.01", "0.51"),
        ("0.010000", "0.03", "2.53"),
        ("0.010000", "0.05", "4.55"),
        ("0.015000", "150.02", "10151.02"),
        ("0.010000", "0.00", "0.49"),
    ]


def test_marginal_card_pays_each_tier_on_its_own_slice(ledger: Ledger):
    ledger.drop("rates_2025-10-31.csv", rates(*CARD, method="marginal"))
    # 10,000 x 1 % + 10,000 x 1.5 % + the rest x 2 %
    assert interest_of(ledger, [*EDGES, "25000.00"]) == [
        ("0.010000", "0.00", "0.00"),
        ("0.010000", "100.00", "10099.99"),
        ("0.015000", "100.00", "10100.00"),
        ("0.015000", "250.00", "20249.99"),
        ("0.020000", "250.00", "20250.00"),
        ("0.020000", "350.00", "25350.00"),
    ]


def test_marginal_card_pays_the_loan_bonus_on_every_slice(ledger: Ledger):
    ledger.drop("rates_2025-10-31.csv", rates(*CARD, method="marginal"))
    assert interest_of(ledger, ["15000.00", "25000.33"], loan="Yes") == [
        ("0.020000", "250.00", "15250.00"),
        ("0.025000", "475.01", "25475.34"),
    ]


@pytest.mark.parametrize("method", ["whole_balance", "marginal"])
@pytest.mark.parametrize(
    "balances",
    [
        ["97560975609755.99", "12345678901234.57"],
        ["4000000000000000.01", "4999999999999999.99", "1234567890123456.78"],
    ],
    ids=["10^14", "5*10^15"],
)
def test_great_balances_are_exact(ledger: Ledger, balances: list[str], method: str):
    ledger.drop("rates_2025-10-31.csv", rates(*CARD, method=method))
    expected = []
    for text in balances:
        balance = Decimal(text)
        exact = balance * Decimal("0.025") - (Decimal(150) if method == "marginal" else 0)
        earned = exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
        expected.append(("0.025000", str(earned), str(balance + earned)))
    assert interest_of(ledger, balances, loan="Yes") == expected


@pytest.mark.parametrize("names", list(permutations(("customers", "accounts", "rates"))))
def test_balance_that_interest_might_take_beyond_its_column_is_refused_in_any_order(
    ledger: Ledger, names: tuple[str, ...]
):
    """The greatest that is accepted is computed at 100 %."""
    files = {
        "customers": customers((1, "Yes")),
        "accounts": accounts((11, 1, "4999999999999999.99"), (12, 1, "5000000000000000.00"), (13, 1, "100.00")),
        "rates": rates(("0", "0.5", "0.5")),
    }
    outcomes = [ledger.drop(f"{name}_2025-10-31.csv", files[name]) for name in names]
    assert [outcome.delivered for outcome in outcomes] == [Delivered.ACCEPTED] * 3
    assert ledger.rows("SELECT line, rule FROM rejected_row") == [(3, "balance_leaves_room_for_interest")]
    assert ledger.rows("SELECT new_balance FROM account_summary ORDER BY account_id") == [
        (Decimal("9999999999999999.98"),),
        (Decimal("200.00"),),
    ]


def test_balance_whose_sum_fits_no_column_sends_the_file_to_quarantine(tmp_path: Path):
    """Where the contract lets it through."""
    ledger = Ledger(tmp_path / "root", with_unlimited_balances(tmp_path / "pipeline"))
    ledger.drop("customers_2025-10-31.csv", customers((1, "Yes")))
    outcome = ledger.drop("accounts_2025-10-31.csv", accounts((11, 1, "100.00"), (12, 1, "9999999999999999.99")))
    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "not_computable")
    assert ledger.table("history_account") == []
    assert figures(ledger) == {}


# Artifacts


def fill(ledger: Ledger) -> Ledger:
    """Two drops: keys out of order, names that must be quoted or are missing, an orphan."""
    text = 'CustomerID,Name,HasLoan\n3,"Berg, ""Jo""",No\n1,Tomás,Yes\n2,,No\n'
    ledger.drop("customers_2025-10-31.csv", text)
    ledger.drop(
        "accounts_2025-10-31.csv",
        accounts((300, 3, "20000"), (20, 1, "0.5"), (100, 1, "10000.00"), (7, 2, "3.00", "Checking"), (8, 99, "1.00")),
    )
    return ledger


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """A filled ledger to drop more into."""
    return fill(ledger)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, lending: Pipeline) -> Ledger:
    """A filled ledger to look at."""
    return fill(Ledger(tmp_path_factory.mktemp("published") / "root", lending))


def test_summary_has_six_columns_in_order_of_account(published: Ledger):
    assert (published.root / "outputs/account_summary.csv").read_bytes().decode() == (
        ",".join(SUMMARY) + "\n"
        "1,20,0.50,0.015000,0.01,0.51\n"
        "1,100,10000.00,0.020000,200.00,10200.00\n"
        "3,300,20000.00,0.020000,400.00,20400.00\n"
    )


def test_profile_has_its_columns_in_order_of_customer(published: Ledger):
    rows = list(csv.reader(io.StringIO((published.root / "outputs/customer_profile.csv").read_text(encoding="utf-8"))))
    assert rows == [
        PROFILE,
        ["1", "Tomás", "true", "2", "10000.50", "200.01"],
        ["2", "", "false", "0", "0.00", "0.00"],
        ["3", 'Berg, "Jo"', "false", "1", "20000.00", "400.00"],
    ]


def test_parquet_holds_what_the_csv_holds(published: Ledger):
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT * FROM read_parquet(?)", [str(published.root / "outputs/account_summary.parquet")]
        )
        columns = [(column[0], str(column[1])) for column in found.description]
        rows = found.fetchall()
    assert columns == list(
        zip(
            SUMMARY,
            ["BIGINT", "BIGINT", "DECIMAL(18,2)", "DECIMAL(9,6)", "DECIMAL(18,2)", "DECIMAL(18,2)"],
            strict=True,
        )
    )
    assert [list(map(str, row)) for row in rows] == [
        list(row.values()) for row in read_csv(published.root / "outputs/account_summary.csv")
    ]


def test_empty_mart_is_published_with_its_header(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No")))
    assert (ledger.root / "outputs/account_summary.csv").read_text() == ",".join(SUMMARY) + "\n"


def test_manifest_says_which_bytes_belong_together(filled: Ledger):
    outcome = filled.drop("accounts_2025-11-30.csv", accounts((300, 3, "20001")))
    drop_id = outcome.drop.drop_id
    manifest = json.loads((filled.root / "outputs/manifest.json").read_text())
    assert manifest["drop_id"] == drop_id
    assert {entry["name"] for entry in manifest["artifacts"]} == {
        "account_summary.csv",
        "account_summary.parquet",
        "customer_profile.csv",
        f"changes/{drop_id}.csv",
        f"quality_reports/quality_report_{drop_id}.json",
    }
    for entry in manifest["artifacts"]:
        content = (filled.root / "outputs" / entry["name"]).read_bytes()
        assert entry == {
            "name": entry["name"],
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "drop_id": drop_id,
        }


def test_outputs_hold_nothing_but_artifacts(published: Ledger):
    drop_ids = [drop_id for (drop_id,) in published.rows("SELECT drop_id FROM drop_ledger")]
    assert set(files(published.root / "outputs")) == {
        "account_summary.csv",
        "account_summary.parquet",
        "customer_profile.csv",
        "manifest.json",
        *(f"changes/{drop_id}.csv" for drop_id in drop_ids),
        *(f"quality_reports/quality_report_{drop_id}.json" for drop_id in drop_ids),
    }


def test_change_file_shows_each_figure_before_and_after(filled: Ledger):
    text = accounts((300, 3, "20000"), (20, 1, "7.00"), (100, 1, "1.00", "Checking"), (400, 2, "50.00"))
    outcome = filled.drop("accounts_2025-11-30.csv", text)
    path = filled.root / "outputs" / "changes" / f"{outcome.drop.drop_id}.csv"
    columns = [name for name in SUMMARY if name != "account_id"]
    header = ["account_id", "change", *(f"{name}_{when}" for name in columns for when in ("before", "after"))]
    assert path.read_text().splitlines() == [
        ",".join(header),
        "20,changed,1,1,0.50,7.00,0.015000,0.015000,0.01,0.11,0.51,7.11",
        "100,removed,1,,10000.00,,0.020000,,200.00,,10200.00,",
        "400,added,,2,,50.00,,0.010000,,0.50,,50.50",
    ]


def test_quality_report_says_what_was_read_checked_and_refused(filled: Ledger):
    text = accounts((300, 3, "20001"), (20, 1, "-1.00"), (500, 99, "1.00"), (500, 99, "1.00"))
    outcome = filled.drop("accounts_2025-11-30.csv", text)
    drop_id = outcome.drop.drop_id
    report: dict[str, Any] = json.loads(
        (filled.root / "outputs" / "quality_reports" / f"quality_report_{drop_id}.json").read_text()
    )
    assert report["drop_id"] == drop_id
    assert (report["feed"], report["name"], report["as_of"]) == (
        "account",
        "accounts_2025-11-30.csv",
        "2025-11-30T00:00:00Z",
    )
    assert (report["outcome"], report["error"]) == ("accepted", None)
    assert report["rows"] == {"rows_read": 4, "rows_accepted": 2, "rows_rejected": 1, "rows_duplicate": 1}
    assert report["rejects_by_rule"] == {"balance >= 0": 1}
    assert [(check["check"], check["severity"], check["failing_rows"]) for check in report["failed_checks"]] == [
        ("orphan_account", "warn", 1)
    ]
    assert report["row_counts"]["history"] == {"versions_opened": 2, "versions_closed": 1}
    assert report["row_counts"]["marts"] == {"account_summary": 1, "customer_profile": 1}
    assert report["environment"]["duckdb"] == duckdb.__version__

    kept = filled.rows("SELECT layer, severity, passed FROM check_result WHERE drop_id = ?", [drop_id])
    assert report["totals"] == {
        "checks": len(kept),
        "passed": sum(passed for *_, passed in kept),
        "failed": 0,
        "warned": 1,
    }
    assert {layer: totals["checks"] for layer, totals in report["by_layer"].items()} == {
        layer: sum(found == layer for found, *_ in kept) for layer in ("staging", "history", "marts")
    }


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


# Archive


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
