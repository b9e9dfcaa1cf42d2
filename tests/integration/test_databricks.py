"""The pipeline in a schema of Databricks, through the real connector, beside the same drops in DuckDB.

What stands in for the SQL warehouse runs each statement in real Spark on real Delta tables; see localstack/databricks.
"""

import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from comparison import WITHOUT_URI, differences, files_of
from databricks_server import Server
from ledger import Ledger
from sequences import sequence

from core.definition import Pipeline
from core.rebuild import verify
from core.runtime import Runtime
from infra.databricks_connection import Access
from infra.databricks_warehouse import DatabricksWarehouse

SEQUENCES = int(os.environ.get("DROPLEDGER_TEST_SEQUENCES", "1"))
LENGTH = 5
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n13,2,-1,Savings\n"
NOT_COMPARED = {"received_at", "committed_at", "published_at", "retracted_at", "uri", "claim_id"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("databricks")]

_schemas = count(1)


class RemoteLedger(Ledger):
    """A ledger whose warehouse is a schema of the stand-in."""

    def __init__(self, root: Path, pipeline: Pipeline, access: Access, schema: str) -> None:
        super().__init__(root, pipeline)
        warehouse = DatabricksWarehouse(access, schema, root.parent / "local", wait_seconds=5.0)
        self.runtime = Runtime(pipeline, self.runtime.store, warehouse, self.clock, wait_seconds=5.0)


@pytest.fixture
def access(databricks: Server) -> Access:
    return Access(
        f"http://127.0.0.1:{databricks.at['port']}", databricks.at["http_path"], "spark_catalog", databricks.at["token"]
    )


@pytest.fixture
def remote(access: Access, lending: Pipeline, tmp_path: Path) -> Callable[[], RemoteLedger]:
    def make() -> RemoteLedger:
        number = next(_schemas)
        return RemoteLedger(tmp_path / f"remote{number}" / "root", lending, access, f"lending_{os.getpid()}_{number}")

    return make


def held(ledger: Ledger) -> dict[str, Any]:
    """All tables and files of a ledger, without what tells where and when it ran."""
    with ledger.runtime.warehouse.session(read_only=True) as session:
        tables = {
            name: sorted(
                json.dumps({key: str(row[key]) for key in sorted(row) if key not in NOT_COMPARED})
                for row in session.query(f"SELECT * FROM {name}")
            )
            for name in WITHOUT_URI
        }
    files = files_of(ledger.root)
    return {
        **tables,
        **{name: _comparable(ledger.root / name, files[name]) for name in files if "warehouse/" not in name},
    }


def _comparable(path: Path, content: Any) -> Any:
    """What must be alike of a file: all of it, but for engines' names, and how Parquet is packed."""
    if path.suffix == ".parquet":
        found = duckdb.sql(f"FROM '{path}'")
        return [*zip(found.columns, map(str, found.types), strict=True), *found.fetchall()]
    if not isinstance(content, dict):
        return content
    for entry in content.get("artifacts", ()):
        if entry["name"].endswith(".parquet"):
            del entry["sha256"], entry["size_bytes"]
    return {key: value for key, value in content.items() if key != "environment"}


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_random_drops_give_the_same_tables_and_artifacts_in_both(
    ledger: Ledger, remote: Callable[[], RemoteLedger], seed: int
):
    other = remote()
    for step in sequence(seed, LENGTH):
        assert step.take(other) == step.take(ledger), step
        assert differences(held(other), held(ledger)) == {}, step
    assert verify(other.runtime, lambda *_: None).differences == ()
