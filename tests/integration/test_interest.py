"""Which accounts a drop has recomputed, and what they earn."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import permutations
from pathlib import Path

import pytest
from support.ledger import Ledger, with_unlimited_balances
from support.small_files import CARD, OCTOBER, accounts, customers, figures, rates, read_csv, timeline

from dropledger.core.ledger.ledger import Delivered

# What is recomputed


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
    sources = dict(ledger.rows("SELECT account_id, customer_drop_id FROM account_summary_origin"))
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
    assert set(ledger.rows("SELECT rate_drop_id FROM account_summary_origin")) == {(card.drop.drop_id,)}


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


# What it comes to


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
