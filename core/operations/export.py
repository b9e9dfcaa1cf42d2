"""Artifacts as of a moment: the marts computed from the versions that were true then."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dropledger.core.drop import iso
from dropledger.core.errors import ConfigurationError, DataRefused
from dropledger.core.ingest.completion import publish_committed
from dropledger.core.ingest.prepare import prepare
from dropledger.core.ingest.run import run_pending
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import ledger
from dropledger.core.operations.replay import refuse_unless_there
from dropledger.core.ports.session import Session
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.core.sql.text import literal
from dropledger.core.steps.history import OPEN, all_changed
from dropledger.core.steps.marts import refresh
from dropledger.core.steps.publish import artifact_names, export_marts
from dropledger.core.steps.soundness import archive_differences, in_work


def export(runtime: Runtime, folder: Path, as_of: datetime | None) -> dict[str, Path]:
    """Write the marts' artifacts into an existing `folder`; as of a moment (UTC), or as they are.

    The same SQL computes them: on a copy whose histories end at the moment.

    Raises:
        ConfigurationError: there is no warehouse yet.
        Busy: somebody else holds the root.
    """
    refuse_unless_there(runtime.warehouse)
    if as_of is None:
        with runtime.reading() as session:
            return export_marts(session, runtime.pipeline, folder)
    with runtime.reading():
        pass  # an older ledger, or one of another pipeline, is told before anything is copied
    with runtime.store.exclusive(runtime.wait_seconds, looking=True):
        copy = runtime.warehouse.staging_copy("exporting", copied=True)
        try:
            with copy.session() as session:
                prepare(session, runtime.pipeline, runtime.clock())
                with session.transaction():
                    _truncate_history(session, runtime, as_of)
                return export_marts(session, runtime.pipeline, folder)
        finally:
            copy.remove()


def export_again(runtime: Runtime) -> list[str]:
    """Write the artifacts below outputs/ again, with their manifest; their names under the root.

    Raises:
        ConfigurationError: there is no warehouse yet, or it has just a part of the archived drops.
        Busy: somebody else holds the root or the warehouse.
    """
    refuse_unless_there(runtime.warehouse)

    def work() -> None:
        run_pending(runtime)
        with runtime.session() as session:
            _refuse_part(runtime, session)
            ledger.mark_artifacts(session, current=False)
            publish_committed(replace(runtime, throttle=PublishThrottle()), session)

    runtime.alone(work)
    return sorted(f"outputs/{name}" for name in artifact_names(runtime.pipeline))


def _refuse_part(runtime: Runtime, session: Session) -> None:
    """Keep the figures of a warehouse such as `replay --into` makes from taking the place of the root's own."""
    found = archive_differences(runtime.store, session, in_work(runtime.store, session))
    unknown = [one.name for one in found if not one.missing]
    if unknown:
        raise ConfigurationError(
            f"{runtime.warehouse.location} does not speak for all of the root {runtime.store.root}",
            why=f"it does not know {len(unknown)} archived files, such as {unknown[0]}",
            hint="write its artifacts into another folder with --to; or see dropledger doctor",
        )


def refuse_before_first_drop(runtime: Runtime, as_of: datetime) -> None:
    """Stop where nothing that was dropped was true yet at the moment (UTC).

    Raises:
        DataRefused: there is nothing to export.
        ConfigurationError: there is no warehouse yet.
    """
    refuse_unless_there(runtime.warehouse)
    with runtime.warehouse.session(read_only=True) as session:
        first = ledger.first_observed(session, runtime.pipeline.file.moment)
    if first is None or as_of < first:
        raise DataRefused(
            "nothing_then",
            f"there is nothing to export as of {iso(as_of)}",
            hint=f"the first drop is of {iso(first)}; name that moment or a later one"
            if first
            else "drop a file first: dropledger process FILE",
        )


def _truncate_history(session: Session, runtime: Runtime, moment: datetime) -> None:
    pipeline = runtime.pipeline
    for feed in pipeline.contracts:
        history, bound = f"history_{feed}", {"moment": moment}
        session.delete_where(history, "valid_from > :moment", bound)
        session.update_where(history, OPEN, "valid_to > :moment", bound)
    stamp = literal(moment.strftime("%Y-%m-%d %H:%M:%S.%f"))
    session.create_view("mart_moment", f"SELECT CAST({stamp} AS TIMESTAMP) AS moment")
    for mart in pipeline.marts:
        session.delete_where(mart.name, "TRUE")
    all_changed(session, pipeline)
    refresh(session, pipeline, None)
