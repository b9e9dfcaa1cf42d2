"""A plan: what a file would do, found by doing it to a copy."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from dropledger.core.contracts.pipeline_spec import Mart
from dropledger.core.drop import Claim, FileDropped
from dropledger.core.errors import DataRefused
from dropledger.core.ingest.admission import admit
from dropledger.core.ingest.claims import with_claimed
from dropledger.core.ingest.prepare import prepare
from dropledger.core.ingest.recompute import EachDrop
from dropledger.core.ingest.runtime import AdmissionRuntime, Runtime
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import ReadStore
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.sql.text import quoted
from dropledger.core.steps.intake import identify
from dropledger.core.steps.marts import changes_select
from dropledger.core.steps.soundness import refuse_foreign_warehouse, refuse_lost_warehouse
from dropledger.core.views.drops import Records, list_rejects


@dataclass(frozen=True, slots=True)
class Planned:
    """What the drop would do: its outcome, the refused rows, and the effect on each mart with a measure."""

    outcome: Outcome
    rejects: Records
    effects: Mapping[str, Mapping[str, Any]]


class _CopyStore:
    """The root's archive for reading, and a folder elsewhere for what a drop would stage."""

    def __init__(self, store: ReadStore, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def staged(self, claim_id: str, name: str) -> Path:
        del claim_id
        return self._folder / name

    def place(self, claim: Claim, name: str) -> None:
        """What is to be read in place is in the archive already."""

    def exists(self, name: str) -> bool:
        return self._store.exists(name)

    def open(self, name: str) -> BinaryIO:
        return self._store.open(name)

    def local_copy(self, name: str) -> Path:
        return self._store.local_copy(name)


def plan(runtime: Runtime, dropped: FileDropped, largest: int = 10) -> Planned:
    """Take the file through a copy of the warehouse; the root and its ledger stay as they are.

    `largest` is how many changes of each mart are shown.

    Raises:
        Busy: somebody else holds the root.
    """
    control = Path(dropped.control.uri) if dropped.control else None
    drop = identify(Claim("plan", Path(dropped.uri), dropped, control=control), runtime.pipeline)
    with runtime.store.exclusive(runtime.wait_seconds, looking=True):
        with copied(with_claimed(runtime)) as (beside, session):
            before = {mart.name: keep(session, mart) for mart in measured(runtime)}
            try:
                with session.transaction():
                    outcome = admit(beside, session, drop, EachDrop(beside))
            except DataRefused as refusal:
                with session.transaction():
                    outcome = admit(beside, session, drop, EachDrop(beside), refusal)
            accepted = outcome.delivered == Delivered.ACCEPTED
            return Planned(
                outcome,
                list_rejects(session, drop.drop_id, largest),
                {
                    mart.name: effect(session, mart, before[mart.name], largest)
                    for mart in measured(runtime)
                    if accepted
                },
            )


@contextmanager
def copied(runtime: Runtime) -> Iterator[tuple[AdmissionRuntime, Session]]:
    """The runtime on a copy of its warehouse, whose root is only read, and a session there; it goes with the block.

    Raises:
        ConfigurationError: the warehouse is lost, or not that of this root.
    """
    refuse_lost_warehouse(runtime.store, runtime.warehouse)
    with runtime.store.temporary() as folder:
        copy = runtime.warehouse.staging_copy("planning", copied=True)
        try:
            with copy.session() as session:
                prepare(session, runtime.pipeline, runtime.clock())
                refuse_foreign_warehouse(runtime.store, runtime.warehouse, session)
                yield runtime_on_copy(runtime, copy, folder), session
        finally:
            copy.remove()


def runtime_on_copy(runtime: Runtime, warehouse: Warehouse, folder: Path) -> AdmissionRuntime:
    """What drops are admitted on in another warehouse: the root is read, and `folder` gets what they would stage."""
    store = _CopyStore(runtime.store, folder)
    return AdmissionRuntime(runtime.pipeline, store, warehouse, runtime.clock, runtime.claimed)


def measured(runtime: Runtime) -> list[Mart]:
    """The marts whose totals a plan shows."""
    return [mart for mart in runtime.pipeline.marts if mart.file.measure is not None]


def keep(session: Session, mart: Mart) -> Decimal:
    """Keep all rows of a mart as they are, for `effect`; the total of its measure."""
    session.scratch(f"_dl_planned_{mart.name}", f"SELECT * FROM {quoted(mart.name)}")
    return _total(session, mart)


def _total(session: Session, mart: Mart) -> Decimal:
    """The total of a mart's measure."""
    found: Decimal = session.query(
        f"SELECT coalesce(sum({quoted(mart.file.measure or '')}), 0) AS total FROM {quoted(mart.name)}"
    )[0]["total"]
    return found


def effect(session: Session, mart: Mart, before: Decimal, largest: int) -> dict[str, Any]:
    """What has become of a mart that was just recomputed; `before` is what `keep` gave."""
    measure = mart.file.measure or ""
    # All rows against all: what was recomputed of the mart, and whether as a whole, makes no difference then.
    session.scratch(f"before_{mart.name}", f"SELECT * FROM {quoted(f'_dl_planned_{mart.name}')}")
    session.scratch("_dl_effect", changes_select(mart, all_rows=True))
    counts = session.query("SELECT change, count(*) AS row_count FROM _dl_effect GROUP BY change ORDER BY change")
    after, earlier = f"coalesce({quoted(measure + '_after')}, 0)", f"coalesce({quoted(measure + '_before')}, 0)"
    return {
        "measure": measure,
        "total_before": before,
        "total_after": _total(session, mart),
        "changes": {row["change"]: row["row_count"] for row in counts},
        "largest_changes": session.query(
            f"""SELECT *
            FROM _dl_effect
            ORDER BY abs({after} - {earlier}) DESC, {quoted(mart.file.key[0])}
            LIMIT {int(largest)}"""
        ),
    }
