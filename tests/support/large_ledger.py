"""A ledger of many drops and many accounts, whose rows are put in by SQL: to drop so many files would take an hour."""

from pathlib import Path

import duckdb

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.lineage.relations import models_sql
from dropledger.core.sql.text import full_refresh
from support.ledger import Ledger

OTHERS = {  # columns of the rows of one drop, as the copy number `i` has them
    "drop_id": "printf('%016x', 1000 + i)",
    "sequence": "10 + i",
    "received_at": "received_at + to_minutes(i)",
    "feed": "CASE WHEN i % 3 = 0 THEN 'customer' ELSE 'account' END",
    "name": "concat('file', i, '.csv')",
    "claim_id": "concat('claim', i)",
    "passed": "i % 7 <> 0",
    "failing_rows": "CASE WHEN i % 7 = 0 THEN i ELSE 0 END",
}


def large_ledger(root: Path, lending: Pipeline, *, drops: int, accounts: int) -> Ledger:
    """So many copies of one drop and of its checks, and so many accounts of a tenth as many customers."""
    ledger = Ledger(root, lending)
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")
    drop_id = ledger.drop(
        "accounts_2026-01-02.csv", "AccountID,CustomerID,Balance,AccountType\n11,1,1.00,Savings\n"
    ).drop.drop_id
    with duckdb.connect(str(ledger.database)) as connection:
        connection.execute(f"USE ledger.{lending.file.db_schema}")
        for table in ("drop_ledger", "delivery", "check_result"):
            columns = [name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall()]
            copied = ", ".join(f"{OTHERS.get(name, name)} AS {name}" for name in columns)
            connection.execute(
                f"""INSERT INTO {table}
                SELECT {copied} FROM (SELECT * FROM {table} WHERE drop_id = ?), range({drops}) AS r(i) ORDER BY i""",
                [drop_id],
            )
        version = "TIMESTAMP '2025-01-01', NULL, TRUE, '00000000000003e8', i"
        connection.execute(
            f"""INSERT INTO history_customer
            SELECT 100 + i, concat('name', i), i % 2 = 0, {version} FROM range({accounts // 10}) AS r(i)"""
        )
        connection.execute(
            f"""INSERT INTO history_account
            SELECT 100 + i, 100 + i % {accounts // 10}, i % 30000, 'Savings', {version}
            FROM range({accounts}) AS r(i)"""
        )
        for mart in lending.marts:
            connection.execute(f"DELETE FROM {mart.name}")
            connection.execute(f"INSERT INTO {mart.name} {full_refresh(models_sql(lending)[mart.name])}")
    return ledger
