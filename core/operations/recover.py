"""Recovery: a ledger made from the archive alone, where the warehouse is lost."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from dropledger.core.drop import DROP_ID_DIGITS, Claim, FileDropped
from dropledger.core.errors import ConfigurationError, DataRefused
from dropledger.core.formats.extract import Drop
from dropledger.core.ingest.claims import batches, ordered
from dropledger.core.ingest.prepare import prepare
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.files import control_name
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.backfill import admit_in_any_order
from dropledger.core.operations.plan import runtime_on_copy
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.steps.intake import identify


def recover(runtime: Runtime, rebuilt: Warehouse, progress: Callable[[int, int], None]) -> int:
    """Take all archived files into an empty warehouse, in order of as_of; how many there were.

    What the ledger alone had is lost: the order of receipt of files of one as_of, what was refused, and what was taken
    back, which is in again.

    Raises:
        ConfigurationError: of some files nothing tells any more what they were true from.
        DataRefused: a drop can no longer be read under its contract, or a check fails.
    """
    with runtime.store.temporary() as folder:
        beside = runtime_on_copy(runtime, rebuilt, folder)
        drops = _drops(runtime)
        done = 0
        progress(done, len(drops))
        with rebuilt.session() as session:
            prepare(session, runtime.pipeline, runtime.clock())
            for batch in batches(drops):
                with session.transaction():
                    for outcome in admit_in_any_order(beside, session, batch):
                        _refuse_refused(outcome)
                done += len(batch)
                progress(done, len(drops))
    return done


def _drops(runtime: Runtime) -> list[Drop]:
    found, unclear = [], []
    names = set(runtime.store.names("archive/"))
    controls = {name: control for name in names if (control := control_name(name)) in names}
    for name in sorted(names.difference(controls.values())):
        drop = _drop(runtime, name, controls.get(name))
        if drop is None:
            unclear.append(name)
        else:
            found.append(drop)
    if unclear:
        raise ConfigurationError(
            f"nothing tells from when the rows of {len(unclear)} archived files are true, such as {min(unclear)}",
            why="the ledger is lost, and neither name nor time of the file gives its drop_id",
            hint="restore the warehouse from a backup; or move them out of archive/, replay, and drop them again",
        )
    return ordered(found, runtime.pipeline)


def _drop(runtime: Runtime, name: str, control: str | None) -> Drop | None:
    """An archived file as the drop that it was, which its drop_id proves."""
    try:
        _, feed, *day, last = name.split("/")
    except ValueError:
        return None
    drop_id, original = last[:DROP_ID_DIGITS], last[DROP_ID_DIGITS + 1 :]
    path = runtime.store.local_copy(name)
    modified_at = _modified_at(path)
    beside = runtime.store.local_copy(control) if control else None
    for as_of in (None, _midnight(day)):
        dropped = FileDropped(f"{runtime.store.root}/{name}", original, modified_at, feed, as_of)
        claim = Claim(f"recovered-{drop_id}", path, dropped, control=beside)
        drop = identify(claim, runtime.pipeline, accepted_before=True)
        if drop.drop_id == drop_id:
            return drop
    return None


def _modified_at(path: Path) -> datetime:
    nanoseconds = path.stat().st_mtime_ns
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).replace(
        microsecond=nanoseconds // 1000 % 1_000_000
    )


def _midnight(day: list[str]) -> datetime | None:
    """The beginning of the day that the folders tell: what `--as-of` with a date meant."""
    try:
        year, month, of_month = map(int, day)
        return datetime(year, month, of_month, tzinfo=UTC)
    except ValueError:
        return None


def _refuse_refused(outcome: Outcome) -> None:
    if outcome.rule is not None:
        raise DataRefused(
            outcome.rule,
            f"{outcome.drop.archive_name} was accepted once, and is refused now: {outcome.error}",
            hint=f"has the contract changed? {outcome.hint}",
        )
