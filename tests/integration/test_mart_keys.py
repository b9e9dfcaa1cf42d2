"""Keys of marts: none is NULL, none stands twice, and a mart may look for the rows that it had."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.ledger import Ledger, micro_batches_from, without_marts, work_on_tables_as_a_whole_from

from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.errors import ContractError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.steps.marts import WHOLE_FROM

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,No\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"
HOW = pytest.mark.parametrize("whole_from", [0, WHOLE_FROM], ids=["tables as a whole", "rows touched"])


def with_mart(folder: Path, name: str, file: Mapping[str, Any], sql: str, touched: str) -> Ledger:
    """A root whose pipeline has the feeds of lending and one mart."""
    pipeline = folder / "lending"
    if not pipeline.exists():
        without_marts(pipeline)
    marts = pipeline / "marts"
    marts.mkdir(exist_ok=True)
    (marts / f"{name}.yaml").write_text(yaml.safe_dump({"mart": name, **file}), encoding="utf-8")
    (marts / f"{name}.sql").write_text(sql, encoding="utf-8")
    (marts / f"{name}.touched.sql").write_text(touched, encoding="utf-8")
    return Ledger(folder / "root", load_pipeline(str(pipeline)))


def by_name(folder: Path) -> Ledger:
    """Customers counted by a name that may be empty."""
    return with_mart(
        folder,
        "by_name",
        {"key": ["customer_name"], "columns": ["customer_name", "customers"], "artifacts": ["csv"]},
        """SELECT h.customer_name, count(*) AS customers
        FROM history_customer AS h
        WHERE h.is_current
            /* incremental */ AND EXISTS (
                SELECT 1 FROM touched_by_name AS t WHERE t.customer_name IS NOT DISTINCT FROM h.customer_name
            ) /* end */
        GROUP BY h.customer_name""",
        """SELECT h.customer_name
        FROM history_customer AS h
        INNER JOIN changed_customer AS c ON c.customer_id = h.customer_id""",
    )


@HOW
def test_row_without_a_key_stops_the_drop(tmp_path: Path, whole_from: int):
    ledger = by_name(tmp_path)
    with work_on_tables_as_a_whole_from(whole_from):
        ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
        outcome = ledger.drop("customers_2026-01-02.csv", "CustomerID,Name,HasLoan\n1,,No\n2,Bo,No\n")

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "check_failed")
    assert "by_name.key_not_null: rows have NULL in the mart's key (customer_name) (1)" in (outcome.error or "")
    assert ledger.table("by_name") == [("Ann", 1), ("Bo", 1)]
    assert ledger.table("history_customer", "customer_id, is_current") == [(1, True), (2, True)]


def test_row_whose_key_is_null_in_part_stops_the_drop(tmp_path: Path):
    ledger = with_mart(
        tmp_path,
        "by_id_and_name",
        {"key": ["customer_id", "customer_name"], "columns": ["customer_id", "customer_name"]},
        """SELECT h.customer_id, h.customer_name
        FROM history_customer AS h
        INNER JOIN touched_by_id_and_name AS t ON t.customer_id = h.customer_id
        WHERE h.is_current""",
        "SELECT customer_id, CAST('x' AS STRING) AS customer_name FROM changed_customer",
    )
    outcome = ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,,No\n2,Bo,No\n")

    assert "by_id_and_name.key_not_null" in (outcome.error or "")
    assert ledger.table("by_id_and_name") == []


@HOW
def test_key_that_stands_twice_stops_the_drop(tmp_path: Path, whole_from: int):
    ledger = with_mart(
        tmp_path,
        "owner",
        {"key": ["customer_id"], "columns": ["customer_id", "account_id"]},
        """SELECT h.customer_id, h.account_id
        FROM history_account AS h
        WHERE h.is_current
            /* incremental */ AND h.customer_id IN (SELECT customer_id FROM touched_owner) /* end */""",
        """SELECT DISTINCT h.customer_id
        FROM history_account AS h
        INNER JOIN changed_account AS c ON c.account_id = h.account_id""",
    )
    with work_on_tables_as_a_whole_from(whole_from):
        ledger.drop("accounts_2026-01-01.csv", f"{ACCOUNTS}11,1,1.00,Savings\n12,2,1.00,Savings\n")
        outcome = ledger.drop("accounts_2026-01-02.csv", f"{ACCOUNTS}13,1,1.00,Savings\n14,3,1.00,Savings\n")

    assert "owner.unique_key: keys of the mart (customer_id) stand in more than one row (1)" in (outcome.error or "")
    assert ledger.table("owner") == [(1, 11), (2, 12)]


def test_both_checks_are_in_the_ledger_for_every_mart(tmp_path: Path):
    ledger = by_name(tmp_path)
    outcome = ledger.drop("customers_2026-01-01.csv", CUSTOMERS)

    assert ledger.rows(
        "SELECT check_name, severity, passed, failing_rows FROM check_result WHERE model = 'by_name' AND drop_id = ?",
        [outcome.drop.drop_id],
    ) == [("key_not_null", "error", True, 0), ("unique_key", "error", True, 0)]


def test_mart_that_has_no_key_of_its_own_for_what_is_there_is_a_wrong_configuration(tmp_path: Path):
    without_marts(tmp_path / "lending")
    Ledger(tmp_path / "root", load_pipeline(str(tmp_path / "lending"))).drop(
        "customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,,No\n2,Bo,No\n"
    )
    ledger = by_name(tmp_path)
    fact = ledger.put("customers_2026-01-02.csv", CUSTOMERS)

    with pytest.raises(ContractError, match=r"by_name.sql:1: 1 rows have NULL in the mart's key") as raised:
        ledger.process(fact)
    assert raised.value.exit_code == 2


def by_type(folder: Path) -> Ledger:
    """Accounts under their type: what a type loses is known by the mart's own rows alone."""
    return with_mart(
        folder,
        "typed_account",
        {"key": ["account_type", "account_id"], "columns": ["account_type", "account_id", "balance"]},
        """SELECT t.account_type, t.account_id, h.balance
        FROM touched_typed_account AS t
        INNER JOIN history_account AS h ON h.account_id = t.account_id AND h.account_type = t.account_type
        WHERE h.is_current""",
        """SELECT h.account_type, h.account_id
        FROM history_account AS h
        INNER JOIN changed_account AS c ON c.account_id = h.account_id
        WHERE h.is_current
        UNION
        SELECT m.account_type, m.account_id
        FROM typed_account AS m
        INNER JOIN changed_account AS c ON c.account_id = m.account_id""",
    )


@HOW
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
def test_mart_finds_the_rows_that_it_had_by_naming_itself(tmp_path: Path, together: bool, whole_from: int):
    ledger = by_type(tmp_path)
    texts = [
        f"{ACCOUNTS}11,1,1.00,Savings\n12,2,2.00,Savings\n",
        f"{ACCOUNTS}11,1,1.00,Checking\n12,2,2.00,Savings\n",
        f"{ACCOUNTS}11,1,1.00,Savings\n12,2,2.00,Checking\n",
    ]
    facts = [ledger.put(f"accounts_2026-01-0{day}.csv", text) for day, text in enumerate(texts, 1)]
    with micro_batches_from(2), work_on_tables_as_a_whole_from(whole_from):
        outcomes = ledger.process(*facts) if together else [ledger.process(fact)[0] for fact in facts]

    assert [outcome.delivered for outcome in outcomes] == [Delivered.ACCEPTED] * 3
    assert ledger.table("typed_account", "account_type, account_id, balance::VARCHAR") == [
        ("Checking", 12, "2.00"),
        ("Savings", 11, "1.00"),
    ]
    assert ledger.rows("SELECT DISTINCT typeof(account_type), typeof(account_id) FROM typed_account") == [
        ("VARCHAR", "BIGINT")
    ]


@pytest.mark.parametrize("key", ["customer_id", "holder", "day"])
def test_mart_that_names_itself_may_name_its_key_as_it_likes(tmp_path: Path, key: str):
    value = "CAST(h.valid_from AS DATE)" if key == "day" else "h.customer_id"
    ledger = with_mart(
        tmp_path,
        "total",
        {"key": [key], "columns": [key, "total"]},
        f"""SELECT t.{key}, CAST(sum(h.balance) AS DECIMAL(18, 2)) AS total
        FROM touched_total AS t
        INNER JOIN history_account AS h ON {value} = t.{key}
        WHERE h.is_current
        GROUP BY t.{key}""",
        f"""SELECT {value} AS {key}
        FROM history_account AS h
        INNER JOIN changed_account AS c ON c.account_id = h.account_id
        UNION
        SELECT m.{key} FROM total AS m""",
    )
    ledger.drop("accounts_2026-01-01.csv", f"{ACCOUNTS}11,1,1.00,Savings\n12,1,2.00,Savings\n")

    kind = {"day": "DATE"}.get(key, "BIGINT")
    assert ledger.rows(f"SELECT typeof({key}), total::VARCHAR FROM total") == [(kind, "3.00")]
