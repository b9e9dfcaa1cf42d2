"""A ledger whose tables are in a schema of the stand-in for Databricks."""

import os
from itertools import count
from pathlib import Path

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ingest.runtime import Runtime
from dropledger.infra.databricks.connection import Access
from dropledger.infra.databricks.warehouse import DatabricksWarehouse
from support.databricks_server import Server
from support.ledger import Ledger, Record

_numbers = count(1)


def access_to(server: Server) -> Access:
    return Access(f"http://127.0.0.1:{server.at['port']}", server.at["http_path"], "spark_catalog", server.at["token"])


def new_schema() -> str:
    """The name of a schema that no other test has."""
    return f"lending_{os.getpid()}_{next(_numbers)}"


class RemoteLedger(Ledger):
    """A ledger whose root is a folder, and whose warehouse is a schema of the stand-in."""

    def __init__(self, root: Path, pipeline: Pipeline, access: Access, schema: str) -> None:
        super().__init__(root, pipeline)
        warehouse = DatabricksWarehouse(access, schema, root.parent / "local", wait_seconds=5.0)
        self.runtime = Runtime(pipeline, self.runtime.store, warehouse, self.clock, wait_seconds=5.0)

    def tables(self, *names: str) -> dict[str, list[Record]]:
        with self.runtime.warehouse.session(read_only=True) as session:
            return {name: [tuple(row.values()) for row in session.query(f"SELECT * FROM {name}")] for name in names}
