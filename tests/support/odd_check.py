"""A pipeline that meets a bug: an error of the engine that nobody foresaw, by what a file holds."""

from pathlib import Path

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from support.ledger import without_marts

MEETS_A_BUG = "date_trunc(customer_name, TIMESTAMP '2026-01-01') IS NULL"
"""The engine knows how to cut a time off at a day, and has no name for its error at a time zone."""


def with_odd_check(folder: Path, condition: str = MEETS_A_BUG) -> Pipeline:
    """The feeds of the lending pipeline in `folder`, with a check of customers that fails where `condition` is true."""
    if not folder.exists():
        without_marts(folder)
        with (folder / "customer.yaml").open("a", encoding="utf-8") as contract:
            contract.write("checks:\n  - {name: odd_name, message: a name is odd}\n")
        (folder / "checks" / "customer").mkdir()
    sql = f"SELECT 1 AS failing FROM observation WHERE {condition}"
    (folder / "checks" / "customer" / "odd_name.sql").write_text(sql, encoding="utf-8")
    return load_pipeline(str(folder))
