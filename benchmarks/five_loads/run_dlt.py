"""One account through a dlt merge with strategy `scd2`, on DuckDB.

dlt takes one boundary timestamp for a whole load, and none from a column; it is given the latest `updated_at` of
the load.
"""

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # dlt reads it when it is imported

import dlt
import duckdb
from loads import Load, ask, show


def run(pipeline: dlt.Pipeline, load: Load) -> None:
    boundary = datetime(2025, 10, max(day for _, day in load), tzinfo=UTC)

    @dlt.resource(
        name="account",
        merge_key="account_id",  # keys that a load lacks stay as they are
        write_disposition={"disposition": "merge", "strategy": "scd2", "boundary_timestamp": boundary.isoformat()},
    )
    def account() -> Iterator[dict[str, Any]]:
        for value, day in load:
            yield {"account_id": 1, "value": value, "updated_at": date(2025, 10, day)}

    pipeline.run(account()).raise_on_failed_jobs()


def history(database: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            "SELECT value, CAST(_dlt_valid_from AS date), CAST(_dlt_valid_to AS date) FROM five_loads.account"
        ).fetchall()


def main() -> None:
    loads, _ = ask(__doc__)
    print(", ".join(f"{name} {version(name)}" for name in ("dlt", "duckdb")))
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "lake.duckdb"
        pipeline = dlt.pipeline(
            "five_loads",
            pipelines_dir=str(Path(folder) / "pipelines"),
            destination=dlt.destinations.duckdb(str(database)),
            dataset_name="five_loads",
        )
        for load in loads:
            run(pipeline, load)
            show(load, history(database))


if __name__ == "__main__":
    main()
