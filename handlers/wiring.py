"""The one place where settings are read and adapters picked."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from dropledger.core.contracts.contract_check import refuse_bad_patterns
from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.errors import Busy, ConfigurationError
from dropledger.core.ingest.prepare import definition_sha256, prepare
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ports.meter import Meter
from dropledger.core.ports.store import Store
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.core.retry import OnWait, silently
from dropledger.handlers.settings import TOML, File, Settings, is_in_bucket, read_settings
from dropledger.infra.duckdb.engine import ENOUGH_MEBIBYTES, matches
from dropledger.infra.duckdb.prepared_file import PreparedFiles
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse, RemoteFile
from dropledger.infra.local.private_file import copied
from dropledger.infra.local.store import LocalStore

if TYPE_CHECKING:
    from dropledger.core.ports.notifier import Target
    from dropledger.infra.object_store.bucket import Bucket

WAREHOUSE = "warehouse/ledger.duckdb"
"""Where a root has its warehouse."""

_BESIDE_MEBIBYTES = 450  # of Python, its libraries, and what the engine keeps beside its limit
_LEAST_MEBIBYTES = 192  # with less the engine gives up on files that 512 MB suffice for


def earlier_warehouse(pipeline: Pipeline) -> str:
    """Where versions before this one had a root's warehouse."""
    return f"warehouse/{pipeline.name}.duckdb"


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def settings_in_force(
    *, root: str | None = None, warehouse: str | None = None, pipeline: str | None = None
) -> Settings:
    """What `wire` goes by; flags that were not given are None.

    Raises:
        ConfigurationError: a setting is unknown or out of range, or the file in a bucket cannot be read.
    """
    return read_settings(
        root=root, warehouse=warehouse, pipeline=pipeline, in_bucket=lambda uri: _settings_file(bucket_at(uri))
    )


def wire(
    *,
    root: str | None = None,
    warehouse: str | None = None,
    pipeline: str | None = None,
    settings: Settings | None = None,
    on_wait: OnWait = silently,
    function: str = "",
    meter: Meter | None = None,
) -> Runtime:
    """Everything the pipeline runs on, by the settings in force; flags that were not given are None.

    `settings` are those that `settings_in_force` gave for these flags, where it was asked already. `on_wait` is called
    when something that another process holds is waited for. `function` is the ARN of the function of AWS Lambda that
    this process serves, if it does. `meter` learns how long the work takes.

    Raises:
        ConfigurationError: the settings or the pipeline cannot work.
    """
    bucket_of = cache(bucket_at)  # whose client takes longer to make than a request
    if settings is None:
        settings = read_settings(
            root=root, warehouse=warehouse, pipeline=pipeline, in_bucket=lambda uri: _settings_file(bucket_of(uri))
        )
    if meter is None:
        return _wired(settings, bucket_of, on_wait, function)
    return replace(_wired(settings, bucket_of, _metered(on_wait, meter), function), meter=meter)


def _metered(on_wait: OnWait, meter: Meter) -> OnWait:
    def told(busy: Busy, seconds: float) -> None:
        on_wait(busy, seconds)
        if seconds:
            meter.waited(seconds)

    return told


def _wired(settings: Settings, bucket_of: Callable[[str], "Bucket"], on_wait: OnWait, function: str) -> Runtime:
    pipeline = load_pipeline(settings.pipeline, cache_folder(settings))
    for contract in pipeline.contracts.values():
        refuse_bad_patterns(contract, matches)
    earlier: Path | None = None
    folder: Path | None = None
    if is_in_bucket(settings.root):
        store, path, remote = _in_bucket(bucket_of(settings.root), settings, pipeline, on_wait)
    else:
        folder = Path(settings.root).resolve()
        store, path, remote = LocalStore(folder, now, on_wait, _copy_source), folder / WAREHOUSE, None
        earlier = folder / earlier_warehouse(pipeline)
    if settings.warehouse:
        path, remote, earlier = Path(settings.warehouse), None, None
    limit = settings.memory_limit or _limit_in_lambda()
    engine = {"memory_limit": limit} if limit else {}
    if settings.warehouse == "databricks":
        found: Warehouse = _in_databricks(settings, pipeline, engine, on_wait, function)
    else:
        found = DuckDBWarehouse(
            path.resolve(),
            pipeline.file.db_schema,
            wait_seconds=settings.wait_seconds,
            settings=engine,
            on_wait=on_wait,
            remote=remote,
            earlier=earlier,
            prepared=_prepared(settings, pipeline),
            root=folder,
        )
    runtime = Runtime(pipeline, store, found, now, wait_seconds=settings.wait_seconds, throttle=_throttle(settings))
    return _with_targets(runtime, settings.alerts) if settings.alerts else runtime


def _with_targets(runtime: Runtime, targets: "tuple[Target, ...]") -> Runtime:
    from dropledger.handlers.notifiers import notifier_of, refuse_unknown_feeds

    refuse_unknown_feeds(targets, runtime.pipeline.contracts)
    return replace(runtime, targets=targets, notifier_of=notifier_of)


def wire_existing(
    *,
    root: str | None = None,
    warehouse: str | None = None,
    pipeline: str | None = None,
    settings: Settings | None = None,
    on_wait: OnWait = silently,
) -> Runtime:
    """What `wire` gives, for a root that must be there; nothing is made.

    Raises:
        ConfigurationError: the settings or the pipeline cannot work, or there is no root.
    """
    runtime = wire(root=root, warehouse=warehouse, pipeline=pipeline, settings=settings, on_wait=on_wait)
    runtime.store.refuse_unless_there()
    return runtime


def pipeline_alone(*, root: str | None = None, pipeline: str | None = None) -> tuple[Pipeline, Path | None]:
    """The pipeline that is set, without the root that it works on, and the folder for what can be made anew.

    Raises:
        ConfigurationError: the settings or the pipeline cannot work.
    """
    settings = settings_in_force(root=root, pipeline=pipeline)
    cache = cache_folder(settings)
    return load_pipeline(settings.pipeline, cache), cache


def passing_warehouse(folder: Path) -> DuckDBWarehouse:
    """A warehouse for files that are just looked at, in a folder that goes with it."""
    return DuckDBWarehouse(folder / "passing.duckdb", "passing", private=True)


def _limit_in_lambda() -> str:
    """What DuckDB may keep in memory in a function of Lambda, which ends where all of it is taken; empty elsewhere."""
    has = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if not has.isdecimal():
        return ""
    return f"{min(max(int(has) - _BESIDE_MEBIBYTES, _LEAST_MEBIBYTES), ENOUGH_MEBIBYTES)}MiB"


def cache_folder(settings: Settings) -> Path | None:
    """Where what can be made anew may lie; nowhere for a user without a home."""
    try:
        return settings.cache.expanduser()
    except RuntimeError:
        return None


def _prepared(settings: Settings, pipeline: Pipeline) -> PreparedFiles | None:
    """What new warehouse files begin as."""
    cache = cache_folder(settings)
    if cache is None:
        return None
    definition = definition_sha256(pipeline)
    return PreparedFiles(cache / "warehouses", definition, lambda session: prepare(session, pipeline, None))


def _throttle(settings: Settings) -> PublishThrottle:
    match settings.outputs:
        case "always":
            return PublishThrottle(0.0)
        case "on_demand":
            return PublishThrottle(None)
        case seconds:
            return PublishThrottle(float(seconds))


def _in_databricks(
    settings: Settings, pipeline: Pipeline, engine: Mapping[str, str], on_wait: OnWait, function: str
) -> Warehouse:
    from dropledger.handlers.databricks_settings import read_databricks_settings
    from dropledger.infra.databricks.connection import Access
    from dropledger.infra.databricks.warehouse import DatabricksWarehouse

    found = read_databricks_settings(_text_of_secret)
    access = Access(
        found.host,
        found.http_path,
        found.catalog,
        found.credentials.token,
        found.credentials.client_id,
        found.credentials.client_secret,
        found.cloud_fetch,
    )
    return DatabricksWarehouse(
        access,
        found.schema or pipeline.file.db_schema,
        settings.cache.expanduser() / "databricks",
        wait_seconds=settings.wait_seconds,
        settings=engine,
        on_wait=on_wait,
        function=function,
    )


def _text_of_secret(arn: str) -> str:
    from dropledger.infra.aws.secrets import text_of_secret

    return text_of_secret(arn)


def _s3(uri: str) -> "Bucket":
    from dropledger.infra.aws.bucket import S3Bucket

    return S3Bucket(uri)


_BUCKETS: Mapping[str, Callable[[str], "Bucket"]] = MappingProxyType({"s3": _s3})
"""What makes a bucket, by the scheme of its address."""


def bucket_at(uri: str) -> "Bucket":
    """The bucket and prefix at an address such as `s3://bucket/prefix`; nothing is asked of it yet.

    Raises:
        ConfigurationError: there is no adapter for such buckets.
    """
    scheme = uri.partition("://")[0]
    if scheme not in _BUCKETS:
        known = ", ".join(f"{name}://" for name in _BUCKETS)
        raise ConfigurationError(f"there is no store for {uri}", hint=f"name a folder, or a bucket by {known}")
    return _BUCKETS[scheme](uri)


def _settings_file(bucket: "Bucket") -> File | None:
    from dropledger.infra.object_store.settings_file import settings_in

    content = settings_in(bucket, TOML)
    return None if content is None else File(bucket.uri_of(TOML), content)


def _in_bucket(
    bucket: "Bucket", settings: Settings, pipeline: Pipeline, on_wait: OnWait
) -> tuple[Store, Path, RemoteFile]:
    """A root in a bucket: what is at hand of it lies in a folder of its own below the cache."""
    from dropledger.infra.object_store.store import ObjectStore
    from dropledger.infra.object_store.warehouse_file import WarehouseObject

    local = settings.cache.expanduser() / sha256(bucket.uri.encode()).hexdigest()[:16]
    remote = WarehouseObject(
        bucket, WAREHOUSE, wait_seconds=settings.wait_seconds, on_wait=on_wait, earlier=earlier_warehouse(pipeline)
    )
    confirm = _nothing if settings.warehouse else remote.confirm
    return ObjectStore(bucket, local, now, confirm, on_wait, _copy_source), local / WAREHOUSE, remote


def _copy_source(dropped: FileDropped, target: Path) -> FileDropped:
    """Copy what was named by hand, from wherever it is."""
    if not is_in_bucket(dropped.uri):
        return copied(dropped, target)
    from dropledger.infra.object_store.originals import downloaded

    return downloaded(bucket_at, dropped, target)


def _nothing() -> None:
    """A warehouse that is not in the bucket has a lock of its own."""
