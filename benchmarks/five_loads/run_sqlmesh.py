"""One account through a SQLMesh model of kind `SCD_TYPE_2_BY_TIME`, on DuckDB.

The source table holds the rows of the newest load alone. SQLMesh runs a daily model once for each day, so each load is
run on the day behind its newest row, or behind the run before it.
"""

import os
import tempfile
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["SQLMESH__DISABLE_ANONYMIZED_ANALYTICS"] = "true"  # SQLMesh reads it when it is imported

import duckdb
from loads import Load, ask, show
from sqlmesh import Context
from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig
from sqlmesh.core.console import NoopConsole, set_console

MODEL = """
MODEL (
    name five_loads.account,
    start '2025-10-01',
    kind SCD_TYPE_2_BY_TIME (
        unique_key account_id,
        updated_at_name updated_at,
        updated_at_as_valid_from true{batch_size}
    )
);

SELECT account_id, value, updated_at
FROM received.account{condition}
"""

EXTERNAL = """
- name: received.account
  columns:
    account_id: bigint
    value: varchar
    updated_at: timestamp
"""


def model(*, daily: bool) -> str:
    return MODEL.format(
        batch_size=",\n        batch_size 1" if daily else "",
        condition="\nWHERE updated_at BETWEEN @start_ts AND @end_ts" if daily else "",
    )


def receive(database: Path, load: Load) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS received")
        connection.execute(
            "CREATE OR REPLACE TABLE received.account (account_id bigint, value varchar, updated_at timestamp)"
        )
        for value, day in load:
            connection.execute("INSERT INTO received.account VALUES (1, ?, ?)", [value, f"2025-10-{day}"])


def run(project: Path, database: Path, moment: date, *, first: bool) -> None:
    gateway = GatewayConfig(connection=DuckDBConnectionConfig(database=str(database)))
    config = Config(gateways={"local": gateway}, model_defaults=ModelDefaultsConfig(dialect="duckdb"))
    context = Context(paths=str(project), config=config)
    try:
        if first:
            context.plan(execution_time=moment.isoformat(), auto_apply=True, no_prompts=True)
        elif not (status := context.run(execution_time=moment.isoformat())).is_success:
            raise SystemExit(f"SQLMesh run of {moment}: {status}")
    finally:
        context.close()


def history(database: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute("SELECT value, valid_from, valid_to FROM five_loads.account").fetchall()


def main() -> None:
    loads, chosen = ask(__doc__, daily="give the model the rows of one day at a time")
    print(", ".join(f"{name} {version(name)}" for name in ("sqlmesh", "duckdb")))
    set_console(NoopConsole())
    with tempfile.TemporaryDirectory() as folder:
        project, database = Path(folder) / "project", Path(folder) / "lake.duckdb"
        (project / "models").mkdir(parents=True)
        (project / "models" / "account.sql").write_text(model(daily=chosen.daily), encoding="utf-8")
        (project / "external_models.yaml").write_text(EXTERNAL, encoding="utf-8")
        ran = None
        for load in loads:
            receive(database, load)
            newest = date(2025, 10, max(day for _, day in load))
            moment = max(newest, ran or newest) + timedelta(days=1)
            run(project, database, moment, first=ran is None)
            ran = moment
            show(load, history(database))


if __name__ == "__main__":
    main()
