"""Quality gates: a check of severity error rolls the drop back and sets it apart, one of severity warn tells.

What a check is to find is brought about by hand: tables changed between two drops, or a pipeline whose SQL is
wrong.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from support.ledger import Ledger, Record, fetch

from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline, load_pipeline
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Amara,No\n2,Jonas,Yes\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,1,200.00,Savings\n21,2,300.00,Savings\n"
ACCOUNT_11_CHANGED = ACCOUNTS.replace("100.00", "150.00")
ACCOUNT_21_CHANGED = ACCOUNTS.replace("300.00", "350.00")
DATA_TABLES = (
    "history_customer",
    "history_account",
    "history_rate",
    "account_summary",
    "customer_profile",
    "src_customer",
    "src_account",
)


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
    ledger.drop("accounts_2025-10-31.csv", ACCOUNTS)
    return ledger


def tamper(ledger: Ledger, *statements: str) -> None:
    """Change the tables behind the pipeline's back."""
    with duckdb.connect(str(ledger.database)) as connection:
        connection.execute("USE ledger.lending")
        for statement in statements:
            connection.execute(statement)


def data(ledger: Ledger) -> dict[str, list[Record]]:
    with ledger.connection() as connection:
        return {table: fetch(connection, f"SELECT * FROM {table} ORDER BY ALL") for table in DATA_TABLES}


def artifacts(ledger: Ledger) -> dict[str, tuple[bytes, int]]:
    """What is published, but for the quality reports, which refused drops have too."""
    outputs = ledger.root / "outputs"
    return {
        str(path.relative_to(outputs)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in outputs.rglob("*")
        if path.is_file() and path.parent.name != "quality_reports"
    }


def failed_checks(ledger: Ledger, outcome: Outcome) -> set[str]:
    found = ledger.rows(
        """SELECT model || '.' || check_name
        FROM check_result
        WHERE drop_id = ? AND sequence = ? AND NOT passed AND severity = 'error'""",
        [outcome.drop.drop_id, outcome.sequence],
    )
    return {name for (name,) in found}


def assert_refused(ledger: Ledger, outcome: Outcome, before: dict[str, Any], check: str) -> None:
    """The drop is in quarantine for this check, and has left nothing else behind."""
    drop_id = outcome.drop.drop_id
    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "check_failed")
    assert check in (outcome.error or "")
    assert outcome.hint
    assert data(ledger) == before["data"]
    assert artifacts(ledger) == before["artifacts"]
    assert check in failed_checks(ledger, outcome)

    (row,) = ledger.rows(
        "SELECT status, error, rows_accepted, versions_opened, versions_closed FROM drop_ledger WHERE drop_id = ?",
        [drop_id],
    )
    assert row[0] == "quarantined"
    assert row[1].startswith("check_failed: ")
    assert row[2:] == (0, 0, 0)
    assert ledger.rows("SELECT outcome FROM delivery WHERE drop_id = ?", [drop_id]) == [("quarantined",)]

    file = ledger.root / "quarantine" / outcome.drop.name
    assert outcome.file == f"quarantine/{outcome.drop.name}"
    assert file.exists()
    reason = json.loads(file.with_name(f"{file.name}.reason.json").read_text())
    assert (reason["drop_id"], reason["rule"]) == (drop_id, "check_failed")
    assert check in reason["error"]
    assert reason["fix"]
    report = json.loads((ledger.root / "outputs/quality_reports" / f"quality_report_{drop_id}.json").read_text())
    assert report["outcome"] == "quarantined"
    assert check in {f"{found['model']}.{found['check']}" for found in report["failed_checks"]}
    assert report["totals"]["failed"] == len(failed_checks(ledger, outcome))


def state(ledger: Ledger) -> dict[str, Any]:
    return {"data": data(ledger), "artifacts": artifacts(ledger)}


# History


def forged(valid_from: str, valid_to: str, is_current: str, balance: str = "50") -> str:
    """A version of account 11 that no drop brought."""
    columns = "account_id, customer_id, balance, account_type, valid_from, valid_to, is_current, drop_id, line"
    values = f"11, 1, {balance}, 'Savings', '{valid_from}', {valid_to}, {is_current}, 'forged', 1"
    return f"INSERT INTO history_account ({columns}) VALUES ({values})"


OVERLAPPING = forged("2025-10-01", "'2025-11-15'", "FALSE")
REVERSED = forged("2025-10-20", "'2025-10-10'", "FALSE")
EMPTY = forged("2025-10-20", "'2025-10-20'", "FALSE")
OPEN_BUT_NOT_CURRENT = forged("2025-10-01", "NULL", "FALSE")
SECOND_CURRENT = forged("2025-11-01", "NULL", "TRUE")
SECOND_CURRENT_AS_THE_DROP_HAS_IT = forged("2025-11-01", "NULL", "TRUE", balance="150")


@pytest.mark.parametrize(
    ("forgery", "check"),
    [
        (OVERLAPPING, "history_account.no_overlap"),
        (REVERSED, "history_account.valid_from_before_valid_to"),
        (EMPTY, "history_account.valid_from_before_valid_to"),
        (OPEN_BUT_NOT_CURRENT, "history_account.current_is_open"),
        (SECOND_CURRENT_AS_THE_DROP_HAS_IT, "history_account.no_overlap"),
        (SECOND_CURRENT, "history_account.one_current_version"),
    ],
    ids=["overlapping", "reversed", "empty", "open-but-not-current", "second-current-alike", "second-current"],
)
def test_broken_timeline_refuses_the_next_drop_that_touches_it(filled: Ledger, forgery: str, check: str):
    tamper(filled, forgery)
    before = state(filled)
    assert_refused(filled, filled.drop("accounts_2025-11-30.csv", ACCOUNT_11_CHANGED), before, check)


def test_second_current_version_is_never_built_upon(filled: Ledger):
    tamper(filled, SECOND_CURRENT)
    before = state(filled)
    outcome = filled.drop("accounts_2025-11-30.csv", ACCOUNT_11_CHANGED)
    assert outcome.delivered == Delivered.QUARANTINED
    assert state(filled) == before


@pytest.mark.parametrize("forgery", [OVERLAPPING, OPEN_BUT_NOT_CURRENT, SECOND_CURRENT])
def test_late_drop_rebuilds_a_broken_timeline_from_what_was_observed(filled: Ledger, forgery: str):
    tamper(filled, forgery)
    assert filled.drop("accounts_2025-10-15.csv", ACCOUNT_11_CHANGED).delivered == Delivered.ACCEPTED
    found = filled.rows(
        """SELECT CAST(balance AS INTEGER), day(valid_from), day(valid_to), is_current
        FROM history_account
        WHERE account_id = 11 AND valid_from >= '2025-10-15'
        ORDER BY valid_from"""
    )
    assert found == [(150, 15, 31, False), (100, 31, None, True)]


def test_drop_that_does_not_touch_the_broken_timeline_goes_through(filled: Ledger):
    tamper(filled, OVERLAPPING)
    assert filled.drop("accounts_2025-11-30.csv", ACCOUNT_21_CHANGED).delivered == Delivered.ACCEPTED


def test_refused_drop_is_taken_anew_once_the_tables_are_mended(filled: Ledger):
    tamper(filled, OVERLAPPING)
    refused = filled.drop("accounts_2025-11-30.csv", ACCOUNT_11_CHANGED)
    assert failed_checks(filled, refused)

    tamper(filled, "DELETE FROM history_account WHERE drop_id = 'forged'")
    again = filled.drop("accounts_2025-11-30.csv", ACCOUNT_11_CHANGED)
    assert again.drop.drop_id == refused.drop.drop_id
    assert again.delivered == Delivered.ACCEPTED
    assert failed_checks(filled, again) == set()
    assert failed_checks(filled, refused) == {"history_account.no_overlap"}  # the ledger keeps what it has found
    assert filled.rows("SELECT status, error FROM drop_ledger WHERE drop_id = ?", [again.drop.drop_id]) == [
        ("published", None)
    ]
    deliveries = "SELECT outcome, sequence, error FROM delivery WHERE drop_id = ? ORDER BY sequence"
    assert filled.rows(deliveries, [again.drop.drop_id]) == [
        ("quarantined", refused.sequence, f"check_failed: {refused.error}"),
        ("accepted", again.sequence, None),
    ]


def test_refused_drop_does_not_take_others_of_its_batch_along(filled: Ledger):
    tamper(filled, OVERLAPPING)
    outcomes = filled.process(
        filled.put("customers_2025-11-30.csv", CUSTOMERS.replace("Jonas,Yes", "Jonas,No")),
        filled.put("accounts_2025-11-30.csv", ACCOUNT_11_CHANGED),
        filled.put("accounts_2025-12-31.csv", ACCOUNT_21_CHANGED),
    )
    assert {outcome.drop.name: outcome.delivered for outcome in outcomes} == {
        "customers_2025-11-30.csv": Delivered.ACCEPTED,
        "accounts_2025-11-30.csv": Delivered.QUARANTINED,
        "accounts_2025-12-31.csv": Delivered.ACCEPTED,
    }
    found = filled.rows("SELECT CAST(annual_interest AS VARCHAR) FROM account_summary ORDER BY account_id")
    assert found == [("1.00",), ("2.00",), ("3.50",)]


# Marts


def test_forged_figure_refuses_the_next_drop_that_sums_it_up(filled: Ledger):
    tamper(filled, "UPDATE account_summary SET annual_interest = annual_interest + 1 WHERE account_id = 12")
    before = state(filled)
    outcome = filled.drop("accounts_2025-11-30.csv", ACCOUNT_11_CHANGED)
    assert_refused(filled, outcome, before, "customer_profile.totals_agree")


def wrong(folder: Path, mart: str, **expressions: str) -> Pipeline:
    """The lending pipeline with other expressions for some columns of a mart."""
    shutil.copytree(BUILT_IN / "lending", folder)
    path = folder / "marts" / f"{mart}.sql"
    replaced = ", ".join(f"{expression} AS {column}" for column, expression in expressions.items())
    path.write_text(
        f"SELECT * REPLACE ({replaced}) FROM (\n{path.read_text(encoding='utf-8')}\n) AS sound", encoding="utf-8"
    )
    return load_pipeline(str(folder))


TRUNCATED = "CAST(floor(original_balance * interest_rate * 100) * 0.01 AS DECIMAL(18, 2))"


@pytest.mark.parametrize(
    ("mart", "expressions", "check"),
    [
        (
            "account_summary",
            {"annual_interest": TRUNCATED, "new_balance": f"CAST(original_balance + {TRUNCATED} AS DECIMAL(18, 2))"},
            "account_summary.interest_recomputed",
        ),
        (
            "account_summary",
            {"annual_interest": "CAST(round_even(original_balance * interest_rate, 2) AS DECIMAL(18, 2))"},
            "account_summary.interest_recomputed",
        ),
        ("account_summary", {"new_balance": "original_balance"}, "account_summary.interest_recomputed"),
        (
            "account_summary",
            {"interest_rate": "CAST(interest_rate + 0.02 AS DECIMAL(9, 6))"},
            "account_summary.rate_within_card",
        ),
        (
            "account_summary",
            {"annual_interest": "CAST(-annual_interest AS DECIMAL(18, 2))"},
            "account_summary.positive_values",
        ),
        ("customer_profile", {"savings_accounts": "savings_accounts + 1"}, "customer_profile.totals_agree"),
        (
            "customer_profile",
            {"total_annual_interest": "CAST(total_annual_interest + 0.01 AS DECIMAL(28, 2))"},
            "customer_profile.totals_agree",
        ),
    ],
    ids=["truncated", "rounded-to-even", "interest-not-added", "rate-too-high", "negative", "miscounted", "missummed"],
)
def test_wrong_figure_is_found_and_refuses_the_drop(tmp_path: Path, mart: str, expressions: dict[str, str], check: str):
    ledger = Ledger(tmp_path / "root", wrong(tmp_path / "pipeline", mart, **expressions))
    # No customer yet: nothing to compute, so nothing is wrong.
    assert ledger.drop("accounts_2025-10-31.csv", ACCOUNTS + "31,1,0.50,Savings\n").delivered == Delivered.ACCEPTED
    before = state(ledger)
    assert_refused(ledger, ledger.drop("customers_2025-10-31.csv", CUSTOMERS), before, check)


def test_check_made_a_warning_reports_and_goes_on(tmp_path: Path):
    pipeline = wrong(tmp_path / "pipeline", "account_summary", interest_rate="CAST(interest_rate + 1 AS DECIMAL(9, 6))")
    path = pipeline.folder / "marts" / "account_summary.yaml"
    definition = yaml.safe_load(path.read_text(encoding="utf-8"))
    for check in definition["checks"]:
        check["severity"] = "warn"
    path.write_text(yaml.safe_dump(definition), encoding="utf-8")
    ledger = Ledger(tmp_path / "root", load_pipeline(str(pipeline.folder)))
    ledger.drop("customers_2025-10-31.csv", CUSTOMERS)
    outcome = ledger.drop("accounts_2025-10-31.csv", ACCOUNTS)
    assert outcome.delivered == Delivered.ACCEPTED
    assert [warning.split(" ")[0] for warning in outcome.warnings] == ["rate_within_card"]
    assert ledger.rows("SELECT check_name, severity, failing_rows FROM check_result WHERE NOT passed") == [
        ("rate_within_card", "warn", 3)
    ]
    assert len(ledger.table("account_summary")) == 3


# Warnings


@pytest.mark.parametrize(
    ("name", "text", "check"),
    [
        ("customers_2025-11-30.csv", "CustomerID,Name,HasLoan\n1,,No\n2,Jonas,No\n", "not_null"),
        ("customers_2025-11-30.csv", "CustomerID,Name,HasLoan,Town\n1,Amara,No,Oslo\n2,J,No,\n", "expected_columns"),
        ("customers_2030-01-02.csv", "CustomerID,Name,HasLoan\n1,Amara,No\n2,J,No\n", "as_of_in_the_past"),
        ("accounts_2025-11-30.csv", ACCOUNTS + "91,9,1.00,Savings\n", "orphan_account"),
    ],
)
def test_warning_is_reported_and_stops_nothing(filled: Ledger, name: str, text: str, check: str):
    outcome = filled.drop(name, text)
    assert outcome.delivered == Delivered.ACCEPTED
    assert outcome.rows_rejected == 0
    assert len(outcome.warnings) == 1
    assert check in outcome.warnings[0]
    (row,) = filled.rows(
        "SELECT check_name, severity, failing_rows FROM check_result WHERE drop_id = ? AND NOT passed",
        [outcome.drop.drop_id],
    )
    assert check in row[0]
    assert row[1:] == ("warn", 1)
    report = json.loads(
        (filled.root / "outputs/quality_reports" / f"quality_report_{outcome.drop.drop_id}.json").read_text()
    )
    assert (report["totals"]["warned"], report["totals"]["failed"]) == (1, 0)
    assert outcome.versions_opened > 0


def test_every_check_of_a_sound_drop_is_kept_as_passed(filled: Ledger):
    found = filled.rows(
        """SELECT layer, model, check_name
        FROM check_result
        INNER JOIN drop_ledger USING (drop_id)
        WHERE feed = 'account' AND passed AND failing_rows = 0 AND message = ''"""
    )
    assert {
        ("staging", "stg_account", "unique_key"),
        ("staging", "stg_account", "orphan_account"),
        ("staging", "stg_account", "balance >= 0"),
        ("history", "history_account", "no_overlap"),
        ("history", "history_account", "valid_from_before_valid_to"),
        ("history", "history_account", "one_current_version"),
        ("history", "history_account", "current_is_open"),
        ("marts", "account_summary", "positive_values"),
        ("marts", "account_summary", "rate_within_card"),
        ("marts", "account_summary", "interest_recomputed"),
        ("marts", "customer_profile", "totals_agree"),
    } <= set(found)


# Rate cards


@pytest.mark.parametrize(
    ("rows", "check"),
    [
        (["10000,0.015,0.005,whole_balance", "20000,0.02,0.005,whole_balance"], "stg_rate.card_starts_at_zero"),
        (["0.01,0.01,0.005,whole_balance"], "stg_rate.card_starts_at_zero"),
        (["0,0.01,0.005,whole_balance", "10000,0.015,0.005,marginal"], "stg_rate.card_has_one_method"),
    ],
    ids=["no-tier-from-zero", "from-one-cent", "two-methods"],
)
def test_unsound_rate_card_is_refused_whole(filled: Ledger, rows: list[str], check: str):
    before = state(filled)
    outcome = filled.drop("rates_2025-10-31.csv", "\n".join(["MinBalance,Rate,LoanBonus,Method", *rows, ""]))
    model, _, name = check.partition(".")
    assert_refused(filled, outcome, before, f"{model.removeprefix('stg_')}.{name}")


def test_rate_card_with_one_refused_tier_is_refused_whole(filled: Ledger):
    before = state(filled)
    text = "MinBalance,Rate,LoanBonus,Method\n0,0.01,0.005,whole_balance\n10000,1.5,0.005,whole_balance\n"
    outcome = filled.drop("rates_2025-10-31.csv", text)
    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "too_many_rejected")
    assert state(filled) == before
    assert filled.rows("SELECT line, rule FROM rejected_row") == [(3, "rate_is_a_fraction")]
    assert filled.rows("SELECT max(valid_from) FROM history_rate") == [(datetime(1970, 1, 1, tzinfo=UTC),)]
