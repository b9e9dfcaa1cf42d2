"""Headers that the contract does not know are named; where one may be a column with a default, the file is refused."""

import json

from support.ledger import Ledger

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.ledger import Delivered

CARD = "MinBalance,Rate,LoanBonus,Calc Method\n0,0.01,0,marginal\n10000,0.02,0,marginal\n"


def test_rate_card_whose_method_has_another_name_changes_no_interest(tmp_path, lending: Pipeline):
    ledger = Ledger(tmp_path / "root", lending)
    ledger.drop("customers_2025-01-01.csv", "CustomerID,Name,HasLoan\n1,Ada,No\n")
    ledger.drop("accounts_2025-01-31.csv", "AccountID,CustomerID,Balance,AccountType\n1,1,30000.00,Savings\n")

    outcome = ledger.drop("rates_2025-01-01.csv", CARD)

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "unknown_column")
    assert outcome.error == "Calc Method is not known, and Method is missing"
    assert ledger.rows("SELECT annual_interest::VARCHAR FROM account_summary") == [("600.00",)]

    ledger.drop("rates_2025-01-01.csv", CARD.replace("Calc Method", "Method"))
    assert ledger.rows("SELECT annual_interest::VARCHAR FROM account_summary") == [("500.00",)]


def test_warning_names_the_headers_that_are_not_known(tmp_path, lending: Pipeline):
    ledger = Ledger(tmp_path / "root", lending)
    wide = [f"Extra {number}" for number in range(135)]
    text = f"CustomerID,Name,HasLoan,{','.join(wide)}\n1,Ada,No,{',' * 134}\n"

    outcome = ledger.drop("customers_2025-01-01.csv", text)

    (warning,) = [found for found in outcome.warnings if found.startswith("expected_columns (135): ")]
    assert warning.endswith(f"they are ignored: {', '.join(wide)}")
    report = ledger.root / "outputs" / "quality_reports" / f"quality_report_{outcome.drop.drop_id}.json"
    assert "Extra 134" in json.dumps(json.loads(report.read_text(encoding="utf-8")))
