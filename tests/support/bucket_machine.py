"""Somewhere that works on a root in a bucket: a machine with a cache of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome
from dropledger.infra.aws.bucket import S3Bucket
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.object_store.store import ObjectStore
from dropledger.infra.object_store.warehouse_file import WarehouseObject
from support.buckets import BucketRoot
from support.ledger import SettableClock

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n13,2,-1,Savings\n"


class Machine:
    """Somewhere that works on a bucket's root, with a cache of its own; others can come in between its requests."""

    def __init__(self, root: BucketRoot, folder: Path, pipeline: Pipeline) -> None:
        bucket, clock = S3Bucket(root.uri), SettableClock()
        remote = WarehouseObject(bucket, "warehouse/ledger.duckdb", wait_seconds=5)
        path = folder / "warehouse" / "ledger.duckdb"
        warehouse = DuckDBWarehouse(
            path, pipeline.file.db_schema, wait_seconds=5, settings={"threads": "1"}, remote=remote
        )
        store = ObjectStore(bucket, folder, clock, remote.confirm)
        self.runtime = Runtime(pipeline, store, warehouse, clock, wait_seconds=20)
        self.requests: list[str] = []
        self.interruptions: dict[int, Callable[[], object]] = {}
        bucket._client.meta.events.register("before-call.s3", self._before)

    def _before(self, model: Any, params: dict[str, Any], **_: object) -> None:
        self.requests.append(f"{model.name} {params['url_path']}")
        self.interruptions.pop(len(self.requests), lambda: None)()

    def process(self, *dropped: FileDropped) -> list[Outcome]:
        return process(self.runtime, dropped, lambda _: None)

    def take_all(self) -> list[Outcome]:
        return self.process(*self.runtime.store.arrivals())
