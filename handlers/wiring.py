"""The one place where settings are read and adapters picked."""

from datetime import UTC, datetime
from pathlib import Path

from core.definition import load_pipeline
from core.errors import ConfigurationError
from core.patience import Waiting, without_a_word
from core.ports import Warehouse
from core.runtime import Runtime
from handlers.settings import Settings, read_settings
from infra.duckdb_warehouse import DuckDBWarehouse
from infra.local_store import LocalStore


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


def wire(*, root: Path | None = None, warehouse: str | None = None, waiting: Waiting = without_a_word) -> Runtime:
    """Everything the pipeline runs on, by the settings in force; flags that were not given are None.

    `waiting` is told when something in other hands is waited for.

    Raises:
        ConfigurationError: the settings or the pipeline cannot work.
    """
    settings = read_settings(root=root, warehouse=warehouse)
    if str(settings.root).startswith("s3:"):
        raise ConfigurationError(
            f"the root {settings.root} is in S3", why="this version works on folders", hint="give a folder with --root"
        )
    pipeline = load_pipeline(settings.pipeline)
    store = LocalStore(settings.root, now, waiting)
    return Runtime(
        pipeline=pipeline,
        store=store,
        warehouse=_warehouse(settings, pipeline.name, pipeline.file.db_schema, waiting),
        clock=now,
        wait_seconds=settings.wait_seconds,
    )


def _warehouse(settings: Settings, name: str, schema: str, waiting: Waiting) -> Warehouse:
    if settings.warehouse == "databricks":
        raise ConfigurationError(
            "the warehouse databricks is not supported yet",
            hint="give the path of a DuckDB file with --warehouse, or none",
        )
    path = Path(settings.warehouse) if settings.warehouse else settings.root / "warehouse" / f"{name}.duckdb"
    engine = {"memory_limit": settings.memory_limit} if settings.memory_limit else {}
    return DuckDBWarehouse(path.resolve(), schema, wait_seconds=settings.wait_seconds, settings=engine, waiting=waiting)
