"""What the pipeline runs on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError, Conflict, NoLedger, OutOfTime
from dropledger.core.ingest.prepare import is_up_to_date, migrate, needs_migration, other_pipeline, prepare
from dropledger.core.ports import Clock
from dropledger.core.ports.meter import Meter, Unmetered
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import DropStore, Store
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.core.retry import retry_while_busy
from dropledger.core.steps.archive import Archive
from dropledger.core.steps.marts import Touched
from dropledger.core.steps.publish import published_pipeline
from dropledger.core.steps.soundness import has_files, lost, refuse_foreign_warehouse, refuse_lost_warehouse

if TYPE_CHECKING:
    from dropledger.core.ports.notifier import Notifier, Target

T = TypeVar("T")


def never() -> bool:
    """Go on to the end."""
    return False


def nobody(target: "Target") -> "Notifier":
    """There is nobody to be told."""
    raise ConfigurationError(f"nothing sends messages to {target.to}", hint="set alerts in dropledger.toml")


@dataclass(frozen=True)
class AdmissionRuntime:
    """What drops are admitted on.

    `claimed` has the claimed files, by the SHA-256 of their bytes, that are not in the archive yet. `touched` has the
    keys of marts that the last transaction computed. `asks_together` is whether the checks of a drop are asked in one
    statement.
    """

    pipeline: Pipeline
    store: DropStore
    warehouse: Warehouse
    clock: Clock
    claimed: Mapping[str, Path] = field(default_factory=dict)
    touched: Touched = field(default_factory=Touched)
    asks_together: bool = True

    @property
    def archive(self) -> Archive:
        """Where the files of earlier drops are read again."""
        return Archive(self.store, self.pipeline, self.claimed)


@dataclass(frozen=True)
class Runtime(AdmissionRuntime):
    """What the pipeline runs on, with the root; put together by dropledger.handlers.wiring.

    `throttle` says when the marts' whole artifacts are written. `failed` has the claims that met an error in this
    process: they are tried again by the next one. `stop` is asked between two drops whether time has run out, so that
    no other is begun. `targets` are told of trouble, each by what `notifier_of` gives. `meter` learns how long the work
    took.
    """

    store: Store
    wait_seconds: float = 30.0
    throttle: PublishThrottle = field(default_factory=PublishThrottle)
    failed: set[str] = field(default_factory=set)
    stop: Callable[[], bool] = never
    targets: "tuple[Target, ...]" = ()
    notifier_of: "Callable[[Target], Notifier]" = nobody
    meter: Meter = field(default_factory=Unmetered)

    def alone(self, work: Callable[[], T]) -> T:
        """What `work` gives while nobody else holds the root; again from the start where another process was first.

        Raises:
            Busy: the root or the warehouse stayed in other hands for `wait_seconds`.
        """

        def attempt() -> T:
            with self.store.exclusive(self.wait_seconds):
                return work()

        return retry_while_busy(attempt, self.wait_seconds, while_raised=Conflict)

    def refuse_when_out_of_time(self) -> None:
        """Stop before another drop is begun.

        Raises:
            OutOfTime: there is no time left for it.
        """
        if self.stop():
            raise OutOfTime("there was no time left for all files", hint="the others are taken at the next try")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The warehouse, open for writing and in line with the pipeline's files.

        Raises:
            ConfigurationError: it is lost, or not that of this root; it, or what lies in `outputs/`, is of another
                pipeline.
        """
        self.refuse_lost()
        with self.warehouse.session() as session:
            sound = f"{self.pipeline.sha256} {self.store.root}"
            if not session.knows(sound):
                if not is_up_to_date(session, self.pipeline):
                    self._refuse_other_pipeline()
                    prepare(session, self.pipeline, self.clock())
                refuse_foreign_warehouse(self.store, self.warehouse, session)
                session.learn(sound)
            yield session

    def refuse_lost(self) -> None:
        """Stop before an empty warehouse is made for a root that has drops.

        Raises:
            ConfigurationError: the warehouse is lost, or what lies in `outputs/` is of another pipeline.
        """
        if not self.warehouse.exists():
            self._refuse_other_pipeline()
        refuse_lost_warehouse(self.store, self.warehouse)

    def _refuse_other_pipeline(self) -> None:
        # With a warehouse elsewhere, nothing in that tells of another pipeline whose artifacts are here.
        published = published_pipeline(self.store)
        if published not in {None, self.pipeline.name}:
            raise other_pipeline(str(published), self.pipeline)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """The warehouse, open for reading; the tables of an older ledger are brought to this version first.

        Raises:
            ConfigurationError: there is no ledger, or one of another pipeline, or of a newer dropledger.
        """
        with self.warehouse.session(read_only=True) as session:
            if not needs_migration(session, self.pipeline):
                yield session
                return
        self.migrate()
        with self.warehouse.session(read_only=True) as session:
            yield session

    @contextmanager
    def sound_reading(self) -> Iterator[Session]:
        """As `reading`, of a warehouse that is sure to be that of this root.

        Raises:
            ConfigurationError: it is lost, or not that of this root.
        """
        refuse_lost_warehouse(self.store, self.warehouse)
        try:
            with self.reading() as session:
                refuse_foreign_warehouse(self.store, self.warehouse, session)
                yield session
        except NoLedger as error:
            if has_files(self.store):
                raise lost(self.store, self.warehouse, "there is no ledger in it") from error
            raise

    def migrate(self) -> None:
        """Bring the tables of an older ledger to this version, whatever has become of the pipeline's files."""
        with self.warehouse.session() as session:
            if needs_migration(session, self.pipeline):
                with session.transaction():
                    migrate(session, self.pipeline)
