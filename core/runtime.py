"""What the pipeline runs on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.definition import Pipeline
from core.ports import Clock, Session, Store, Warehouse
from core.schema import prepare


@dataclass(frozen=True)
class Runtime:
    """What the pipeline runs on; put together by handlers.wiring."""

    pipeline: Pipeline
    store: Store
    warehouse: Warehouse
    clock: Clock
    wait_seconds: float = 30.0

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The warehouse, open for writing and in line with the pipeline's files."""
        with self.warehouse.session() as session:
            prepare(session, self.pipeline)
            yield session
