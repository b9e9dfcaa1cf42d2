"""One day's files through dlt: histories by its merge strategy `scd2`, then the mart and its artifacts by SQL.

    python benchmarks/dlt/load.py FOLDER FILE...

FOLDER keeps the pipeline and its DuckDB file from load to load, and gets the artifacts.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# dlt reads these when it is imported. The second: what was loaded before is known from FOLDER, so don't ask for it.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RESTORE_FROM_DESTINATION"] = "false"

import dlt
import duckdb
from dlt.extract import DltResource

COLUMNS = {
    "customers": {"customer_id": "BIGINT", "name": "VARCHAR", "has_loan": "VARCHAR"},
    "accounts": {
        "account_id": "BIGINT",
        "customer_id": "BIGINT",
        "balance": "DECIMAL(18, 2)",
        "account_type": "VARCHAR",
    },
}

SUMMARY = """
WITH rated AS (
    SELECT a.customer_id, a.account_id, a.balance,
        CAST(CASE WHEN a.balance < 10000 THEN 0.01 WHEN a.balance < 20000 THEN 0.015 ELSE 0.02 END
            + CASE WHEN c.has_loan = 'Yes' THEN 0.005 ELSE 0 END AS DECIMAL(9, 6)) AS interest_rate
    FROM accounts AS a
    JOIN customers AS c USING (customer_id)
    WHERE a._dlt_valid_to IS NULL AND c._dlt_valid_to IS NULL AND a.account_type = 'Savings' {condition}
), earned AS (
    SELECT *, CAST(round(CAST(balance AS DECIMAL(28, 2)) * interest_rate, 2) AS DECIMAL(18, 2)) AS annual_interest
    FROM rated
)
SELECT customer_id, account_id, balance AS original_balance, interest_rate, annual_interest,
    CAST(balance + annual_interest AS DECIMAL(18, 2)) AS new_balance
FROM earned
"""

CHANGED = """
CREATE TEMP TABLE changed AS
SELECT a.account_id
FROM accounts AS a
JOIN customers AS c USING (customer_id)
WHERE a._dlt_valid_to IS NULL AND c._dlt_valid_to IS NULL
    AND (a._dlt_valid_from = '{day}' OR c._dlt_valid_from = '{day}')
"""


def resource(path: Path, day: str) -> DltResource:
    """The rows of a file, each with a hash of its values."""
    table = path.stem.partition("_")[0]
    columns = COLUMNS[table]

    @dlt.resource(
        name=table,
        merge_key=next(iter(columns)),  # keys that a file lacks stay as they are
        write_disposition={
            "disposition": "merge",
            "strategy": "scd2",
            "row_version_column_name": "row_hash",
            "boundary_timestamp": day,
        },
    )
    def rows() -> Iterator[Any]:
        yield duckdb.sql(
            f"""SELECT *, md5(concat_ws('|', {", ".join(columns)})) AS row_hash
            FROM read_csv('{path}', header = true, columns = {columns})"""
        ).to_arrow_table()

    return rows()


def build_mart(client: Any, day: str, *, first: bool) -> None:
    """Make `account_summary`, or make again what a change of that day touches."""
    if first:
        client.execute_sql(f"CREATE TABLE account_summary AS {SUMMARY.format(condition='')}")
        return
    which = "account_id IN (SELECT account_id FROM changed)"
    client.execute_sql(CHANGED.format(day=day))
    client.execute_sql(f"DELETE FROM account_summary WHERE {which}")
    client.execute_sql(f"INSERT INTO account_summary {SUMMARY.format(condition=f'AND a.{which}')}")


def main() -> None:
    folder, files = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    lake, day = folder / "lake.duckdb", files[0].stem.partition("_")[2]
    first = not lake.exists()
    pipeline = dlt.pipeline(
        "lending",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(lake)),
        dataset_name="lending",
    )
    pipeline.run([resource(path, day) for path in files], loader_file_format="parquet").raise_on_failed_jobs()
    ordered = "SELECT * FROM account_summary ORDER BY account_id"
    with pipeline.sql_client() as client:
        build_mart(client, day, first=first)
        client.execute_sql(f"COPY ({ordered}) TO '{folder}/account_summary.csv' (HEADER)")
        client.execute_sql(f"COPY ({ordered}) TO '{folder}/account_summary.parquet' (FORMAT parquet)")


if __name__ == "__main__":
    main()
