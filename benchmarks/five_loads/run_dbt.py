"""One account through a dbt snapshot with strategy `timestamp`, on DuckDB.

The source table holds the rows of the newest load alone; `hard_deletes` keeps its default, `ignore`.
"""

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner
from loads import Load, ask, show

FILES = {
    "dbt_project.yml": """
name: five_loads
version: "1.0"
profile: five_loads
flags: {send_anonymous_usage_stats: false}
""",
    "profiles.yml": """
five_loads:
  target: local
  outputs:
    local: {type: duckdb, path: "DATABASE", threads: 1}
""",
    "models/sources.yml": """
sources:
  - name: received
    schema: received
    tables: [{name: account}]
""",
    "snapshots/account.yml": """
snapshots:
  - name: account
    relation: source('received', 'account')
    config:
      schema: five_loads
      unique_key: account_id
      strategy: timestamp
      updated_at: updated_at
""",
}


def receive(database: Path, load: Load) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS received")
        connection.execute(
            "CREATE OR REPLACE TABLE received.account (account_id bigint, value varchar, updated_at timestamp)"
        )
        for value, day in load:
            connection.execute("INSERT INTO received.account VALUES (1, ?, ?)", [value, f"2025-10-{day}"])


def run(project: Path) -> None:
    result = dbtRunner().invoke(["--quiet", "snapshot", "--project-dir", str(project), "--profiles-dir", str(project)])
    if not result.success:
        raise SystemExit(f"dbt snapshot failed: {result.exception or result.result}")


def history(database: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database)) as connection:
        return connection.execute("SELECT value, dbt_valid_from, dbt_valid_to FROM main_five_loads.account").fetchall()


def main() -> None:
    loads, _ = ask(__doc__)
    print(", ".join(f"{name} {version(name)}" for name in ("dbt-core", "dbt-duckdb", "duckdb")))
    with tempfile.TemporaryDirectory() as folder:
        project, database = Path(folder) / "project", Path(folder) / "lake.duckdb"
        for name, text in FILES.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("DATABASE", str(database)), encoding="utf-8")
        for load in loads:
            receive(database, load)
            run(project)
            show(load, history(database))


if __name__ == "__main__":
    main()
