"""Verify: the archive folded again aside, and held against the live tables row by row; and every file accounted for."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dropledger.core.ingest.claims import with_claimed
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import ledger
from dropledger.core.ledger.totals import totals_kept_last
from dropledger.core.operations.difference import difference
from dropledger.core.operations.replay import Progress, Selection, rebuild
from dropledger.core.ports.session import Session
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.sql.text import listed, quoted
from dropledger.core.steps.soundness import (
    FileDifference,
    archive_differences,
    artifact_differences,
    changed_files,
    in_work,
    refuse_lost_warehouse,
)

_TOTALS = "mart_total"


@dataclass(frozen=True, slots=True)
class Difference:
    """Rows of one table that only the live warehouse or only the rebuilt one has; `rows` are the first few."""

    table: str
    only: str
    count: int
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a verification.

    `other_contract` are drops that went in under a contract since changed, `files` those in archive and outputs that
    are not as ledger and manifest say. No table was compared where an archived file is missing or damaged.
    """

    drops: int
    tables: tuple[str, ...]
    differences: tuple[Difference, ...]
    other_contract: tuple[str, ...]
    files: tuple[FileDifference, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether all is as it should be."""
        return not self.differences and not self.files


def verify(runtime: Runtime, progress: Progress, sample: int = 5) -> Verified:
    """Rebuild aside and compare every row of history, marts and refused rows, and the last total of each mart, with the
    live tables; then each file.

    Raises:
        ConfigurationError: the warehouse is lost, or not that of this root.
        DataRefused: a drop can no longer be read under its contract.
    """
    with runtime.store.exclusive(runtime.wait_seconds, looking=True):
        runtime = with_claimed(runtime)
        refuse_lost_warehouse(runtime.store, runtime.warehouse)
        if not runtime.warehouse.exists():
            return Verified(0, (), (), ())
        files, wanting = _files(runtime)  # which brings an older ledger to the form of what it is held against
        if wanting:
            return Verified(0, (), (), (), files)
        rebuilt = runtime.warehouse.staging_copy("verifying")
        try:
            drops = rebuild(runtime, rebuilt, Selection(), progress)
            return replace(compare(runtime, rebuilt, drops, sample), files=files)
        finally:
            rebuilt.remove()


def _files(runtime: Runtime) -> tuple[tuple[FileDifference, ...], bool]:
    """What is wrong with archive and outputs, and whether that keeps the archive from being folded again."""
    store = runtime.store
    with runtime.sound_reading() as session:
        unarchived = in_work(store, session)
        in_archive = archive_differences(store, session, unarchived)
        changed = changed_files(store, ledger.archived(session), unarchived)
        wanting = bool(changed) or any(found.missing for found in in_archive)
        return (*in_archive, *changed, *artifact_differences(store, session)), wanting


def compare(runtime: Runtime, rebuilt: Warehouse, drops: int, sample: int) -> Verified:
    """Hold every row of history, marts and refused rows, and the last totals, against those of the live warehouse."""
    tables = [
        *(f"history_{feed}" for feed in runtime.pipeline.feed_order),
        *(mart.name for mart in runtime.pipeline.marts),
        "rejected_row",
    ]
    attached = (*tables, _TOTALS, "drop_ledger", "pipeline_state")
    with rebuilt.session() as session, session.attached(runtime.warehouse, attached) as live:
        # Where the live marts are still to be made by the files of now, none of their totals is.
        if _made_alike(session, live):
            tables.append(_TOTALS)
        differences = [found for table in tables for found in _differences(session, live, table, sample)]
        changed = session.query(
            f"""SELECT l.drop_id
            FROM {live}drop_ledger AS l
            INNER JOIN drop_ledger AS r
                ON r.drop_id = l.drop_id
            WHERE r.contract_sha256 IS DISTINCT FROM l.contract_sha256
            ORDER BY l.sequence"""
        )
    return Verified(drops, tuple(tables), tuple(differences), tuple(row["drop_id"] for row in changed))


def _made_alike(session: Session, live: str) -> bool:
    made = "SELECT definition_sha256 FROM"
    return session.query(f"{made} pipeline_state") == session.query(f"{made} {live}pipeline_state")


def _differences(session: Session, live: str, table: str, sample: int) -> Iterator[Difference]:
    if table == _TOTALS:
        ours, theirs = totals_kept_last(), totals_kept_last(live)
    else:
        names = listed(session.columns(table))  # which a migration may have put in another order in one of them
        ours, theirs = f"SELECT {names} FROM {quoted(table)}", f"SELECT {names} FROM {live}{quoted(table)}"
    for only, select in (("live", f"{theirs} EXCEPT ALL {ours}"), ("rebuilt", f"{ours} EXCEPT ALL {theirs}")):
        count, rows = difference(session, select, sample)
        if count:
            yield Difference(table, only, count, tuple(rows))
