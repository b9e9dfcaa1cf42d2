"""One day's files through SQLMesh: histories by its models of kind `SCD_TYPE_2_BY_COLUMN`, and the mart from them.

    python benchmarks/sqlmesh/load.py FOLDER FILE...

FOLDER keeps the state and the DuckDB file from load to load, and gets the artifacts.
"""

import os
import sys
from pathlib import Path

os.environ["SQLMESH__DISABLE_ANONYMIZED_ANALYTICS"] = "true"  # SQLMesh reads it when it is imported

import duckdb
from sqlmesh import Context
from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig
from sqlmesh.core.console import NoopConsole, set_console

PROJECT = Path(__file__).resolve().parent
RECEIVED = {
    "customers": """SELECT CustomerID AS customer_id, Name AS customer_name,
            CASE HasLoan WHEN 'Yes' THEN TRUE WHEN 'No' THEN FALSE WHEN 'None' THEN FALSE END AS has_loan
        FROM read_csv('{path}', header = true, columns = {{
            'CustomerID': 'BIGINT', 'Name': 'VARCHAR', 'HasLoan': 'VARCHAR'}})""",
    "accounts": """SELECT AccountID AS account_id, CustomerID AS customer_id, Balance AS balance,
            AccountType AS account_type
        FROM read_csv('{path}', header = true, columns = {{
            'AccountID': 'BIGINT', 'CustomerID': 'BIGINT', 'Balance': 'DECIMAL(18, 2)', 'AccountType': 'VARCHAR'}})""",
}


def receive(lake: Path, files: dict[str, Path]) -> None:
    """Put the rows of the files, and of no others, where the models read them."""
    with duckdb.connect(str(lake)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS received")
        for table, path in files.items():
            connection.execute(f"CREATE OR REPLACE TABLE received.{table} AS {RECEIVED[table].format(path=path)}")


def run(lake: Path, day: str, tables: list[str], *, first: bool) -> None:
    """Run the models of the tables that a file has come for, and the mart, as on that day."""
    gateway = GatewayConfig(connection=DuckDBConnectionConfig(database=str(lake)))
    defaults = ModelDefaultsConfig(dialect="duckdb")
    config = Config(gateways={"local": gateway}, model_defaults=defaults, cache_dir=str(lake.with_name("cache")))
    context = Context(paths=str(PROJECT), config=config)
    try:
        if first:
            context.plan(execution_time=day, auto_apply=True, no_prompts=True)
            return
        names = [f"lending.{table}" for table in (*tables, "account_summary")]
        status = context.run(execution_time=day, select_models=names, no_auto_upstream=True)
        if not status.is_success:
            sys.exit(f"SQLMesh run of {day}: {status}")
    finally:
        context.close()


def main() -> None:
    folder, files = Path(sys.argv[1]), {Path(name).stem.partition("_")[0]: Path(name) for name in sys.argv[2:]}
    lake, day = folder / "lake.duckdb", next(iter(files.values())).stem.partition("_")[2]
    first = not lake.exists()
    set_console(NoopConsole())
    receive(lake, files)
    run(lake, day, [*files], first=first)
    ordered = "SELECT * FROM lending.account_summary ORDER BY account_id"
    with duckdb.connect(str(lake), read_only=True) as connection:
        connection.execute(f"COPY ({ordered}) TO '{folder}/account_summary.csv' (HEADER)")
        connection.execute(f"COPY ({ordered}) TO '{folder}/account_summary.parquet' (FORMAT parquet)")


if __name__ == "__main__":
    main()
