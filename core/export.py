"""Artifacts as of a moment: the marts computed from the versions that were true then."""

from datetime import datetime
from pathlib import Path

from core.errors import ConfigurationError
from core.history import all_changed
from core.mart import refresh
from core.ports import Session
from core.publish import export_marts
from core.runtime import Runtime
from core.sql import literal, quoted


def export(runtime: Runtime, folder: Path, as_of: datetime | None) -> dict[str, Path]:
    """Write the marts' artifacts into an existing `folder`; as of a moment (UTC), or as they are.

    The same SQL computes them: on a copy whose histories end at the moment.

    Raises:
        ConfigurationError: there is no warehouse yet.
        Busy: somebody else holds the root.
    """
    if not runtime.warehouse.exists():
        raise ConfigurationError(
            f"there is no warehouse at {runtime.warehouse.location}", hint="drop a file first: dropledger process FILE"
        )
    if as_of is None:
        with runtime.reading() as session:
            return export_marts(session, runtime.pipeline, folder)
    with runtime.reading():
        pass  # an older ledger, or one of another pipeline, is told before anything is copied
    with runtime.store.exclusive(runtime.wait_seconds):
        copy = runtime.warehouse.aside("exporting", copied=True)
        try:
            with copy.session() as session:
                with session.transaction():
                    _wind_back(session, runtime, as_of)
                return export_marts(session, runtime.pipeline, folder)
        finally:
            copy.remove()


def _wind_back(session: Session, runtime: Runtime, moment: datetime) -> None:
    pipeline = runtime.pipeline
    for feed in pipeline.contracts:
        history = quoted(f"history_{feed}")
        session.execute(f"DELETE FROM {history} WHERE valid_from > :moment", {"moment": moment})
        session.execute(
            f"UPDATE {history} SET valid_to = NULL, is_current = TRUE WHERE valid_to > :moment", {"moment": moment}
        )
    stamp = literal(moment.strftime("%Y-%m-%d %H:%M:%S.%f"))
    session.execute(f"CREATE OR REPLACE VIEW mart_moment AS SELECT CAST({stamp} AS TIMESTAMP) AS moment")
    for mart in pipeline.marts:
        session.execute(f"DELETE FROM {quoted(mart.name)}")
    all_changed(session, pipeline.contracts.values())
    refresh(session, pipeline, None)
