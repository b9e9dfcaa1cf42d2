"""What the pipeline runs on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from core.definition import Pipeline
from core.errors import Overtaken
from core.pace import Pace
from core.patience import patiently
from core.ports import Clock, Session, Store, Warehouse
from core.schema import prepare
from core.soundness import refuse_foreign_warehouse, refuse_lost_warehouse

T = TypeVar("T")


@dataclass(frozen=True)
class Runtime:
    """What the pipeline runs on; put together by handlers.wiring.

    `pace` says when the marts' whole artifacts are written. `waiting` has the claimed files, by drop_id, that are not
    in the archive yet. `failed` has the claims that met an error in this process: they are tried again by the next one.
    """

    pipeline: Pipeline
    store: Store
    warehouse: Warehouse
    clock: Clock
    wait_seconds: float = 30.0
    pace: Pace = field(default_factory=Pace)
    waiting: Mapping[str, Path] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def alone(self, work: Callable[[], T]) -> T:
        """What `work` gives while nobody else holds the root; again from the start where another process was first.

        Raises:
            Busy: the root or the warehouse stayed in other hands for `wait_seconds`.
        """

        def attempt() -> T:
            with self.store.exclusive(self.wait_seconds):
                return work()

        return patiently(attempt, self.wait_seconds, while_raised=Overtaken)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The warehouse, open for writing and in line with the pipeline's files.

        Raises:
            ConfigurationError: it is lost, or not that of this root.
        """
        refuse_lost_warehouse(self.store, self.warehouse)
        with self.warehouse.session() as session:
            prepare(session, self.pipeline)
            refuse_foreign_warehouse(self.store, self.warehouse, session)
            yield session
