"""Rows that delete: of these only the key must be right, whatever the other cells hold."""

from pathlib import Path

import pytest
import yaml
from support.ledger import Ledger, custom_pipeline

from dropledger.core.contracts.pipeline_spec import BUILT_IN

HEADER = "AccountID,CustomerID,Balance,AccountType,Operation\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Accounts by deltas, whose customers must be there and whose balances are unique; customer 2 is gone by now."""
    columns = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))["columns"]
    for column in columns:
        column["rules"] = [{**rule, "severity": "error"} if "to" in rule else rule for rule in column["rules"]]
        column["rules"] += ["unique"] if column["name"] == "balance" else []
    changes = {
        "customer.yaml": {"missing_keys": "close"},
        "account.yaml": {
            "mode": "delta",
            "operation": {"column": "operation"},
            "columns": [*columns, {"name": "operation"}],
        },
    }
    ledger = Ledger(tmp_path / "root", custom_pipeline(tmp_path / "pipeline", changes))
    ledger.drop("customers_2025-10-01.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bob,No\n")
    ledger.drop("accounts_2025-10-02.csv", f"{HEADER}11,1,5,Savings,I\n12,2,6,Savings,I\n")
    ledger.drop("customers_2025-10-03.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")
    return ledger


@pytest.mark.parametrize(
    ("rows", "counts", "current"),
    [
        (["12,2,6,Savings,D"], (1, 0, 0), {11}),
        (["11,1,5,Savings,D", "13,1,5,Savings,I"], (2, 0, 0), {12, 13}),
        (["11,1,5,Savings,D", "13,1,5,Savings,I", "14,1,5,Savings,I", "15,1,9,Savings,I"], (2, 2, 0), {12, 15}),
        (["11,1,5,Savings,D", "11,7,,Giro,D", "12,,x,,d"], (2, 0, 1), set()),
        (["11,1,5,Savings,D", "11,1,5,Savings,U"], (0, 2, 0), {11, 12}),
    ],
    ids=[
        "of-a-customer-who-is-gone",
        "of-a-value-that-goes-on",
        "of-a-value-refused",
        "alike-but-for-other-cells",
        "and-not-deleted",
    ],
)
def test_deletion_is_taken_by_its_key(ledger: Ledger, rows: list[str], counts: tuple[int, int, int], current: set[int]):
    outcome = ledger.drop("accounts_2025-10-04.csv", HEADER + "\n".join(rows) + "\n")
    assert (outcome.rows_accepted, outcome.rows_rejected, outcome.rows_duplicate) == counts or outcome.error
    assert {key for (key,) in ledger.rows("SELECT account_id FROM history_account WHERE is_current")} == current
