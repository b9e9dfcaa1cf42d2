"""What a drop publishes: the files of the marts, the manifest, the change file and the quality report."""

import csv
import hashlib
import io
import json
from typing import Any

import duckdb
import pytest
from support.ledger import Ledger
from support.small_files import accounts, customers, files, read_csv

from dropledger.core.contracts.pipeline_spec import Pipeline

SUMMARY = ["customer_id", "account_id", "original_balance", "interest_rate", "annual_interest", "new_balance"]
PROFILE = [
    "customer_id",
    "customer_name",
    "has_loan",
    "savings_accounts",
    "total_savings_balance",
    "total_annual_interest",
]


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


def test_drop_that_fills_an_empty_mart_has_no_change_file_and_the_manifest_says_so(ledger: Ledger):
    ledger.drop("customers_2025-10-31.csv", customers((1, "No")))
    said = []
    for day, balance in (("2025-11-01", "1.00"), ("2025-11-02", "2.00")):
        drop_id = ledger.drop(f"accounts_{day}.csv", accounts((11, 1, balance))).drop.drop_id
        manifest = json.loads((ledger.root / "outputs/manifest.json").read_text())
        named = {entry["name"] for entry in manifest["artifacts"]}
        there = (ledger.root / f"outputs/changes/{drop_id}.csv").exists()
        assert there == (f"changes/{drop_id}.csv" in named)
        said.append((manifest["initial"], there))
    assert said == [(True, False), (False, True)]


def test_outputs_hold_nothing_but_artifacts(published: Ledger):
    drop_ids = [drop_id for (drop_id,) in published.rows("SELECT drop_id FROM drop_ledger")]
    [initial] = published.rows("SELECT min(drop_id) FROM drop_ledger WHERE feed = 'account'")[0]
    assert set(files(published.root / "outputs")) == {
        "account_summary.csv",
        "account_summary.parquet",
        "customer_profile.csv",
        "manifest.json",
        *(f"changes/{drop_id}.csv" for drop_id in drop_ids if drop_id != initial),
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
        ("orphan_account", "warn", 1),
        ("missing_keys", "warn", 3),
    ]
    assert report["row_counts"] == {
        "source": {"src_account": 4},
        "staging": {"stg_account": 2},
        "history": {"versions_opened": 2, "versions_closed": 1},
        "intermediate": {"int_rate_tier": 3, "int_savings_account_only": 1},
        "marts": {"account_summary": 1, "customer_profile": 1},
    }
    assert report["environment"]["duckdb"] == duckdb.__version__

    kept = filled.rows("SELECT layer, severity, passed FROM check_result WHERE drop_id = ?", [drop_id])
    assert report["totals"] == {
        "checks": len(kept),
        "passed": sum(passed for *_, passed in kept),
        "failed": 0,
        "warned": 2,
    }
    assert {layer: totals["checks"] for layer, totals in report["by_layer"].items()} == {
        layer: sum(found == layer for found, *_ in kept) for layer in ("staging", "history", "marts")
    }
