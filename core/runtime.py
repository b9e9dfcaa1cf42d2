"""What the pipeline runs on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.definition import Pipeline
from core.ports import Clock, Session, Store, Warehouse
from core.schema import prepare


@dataclass(frozen=True)
class Runtime:
    """What the pipeline runs on; put together by handlers.wiring.

    `waiting` has the claimed files, by drop_id, that are not in the archive yet.
    """

    pipeline: Pipeline
    store: Store
    warehouse: Warehouse
    clock: Clock
    wait_seconds: float = 30.0
    waiting: Mapping[str, Path] = field(default_factory=dict)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The warehouse, open for writing and in line with the pipeline's files."""
        with self.warehouse.session() as session:
            prepare(session, self.pipeline)
            yield session
