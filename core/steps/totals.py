"""The totals of marts over time: what the measure of each sums up to behind a change, kept with the ledger.

A change costs the rows that it touches, not those of the mart. It is added to the total that was kept last; a mart of
which none was kept had no rows then.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from dropledger.core.contracts.pipeline_spec import Mart, Pipeline
from dropledger.core.ledger.totals import Cause, decimals_of, totals_kept_last
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import full_refresh, listed, literal, quoted, statement
from dropledger.core.steps.marts import Refreshed, mart_fragments

_LIMIT = 10**16
"""From this value on a row is in no sum: 10 ** 10 of them would not fit. The total is NULL then."""

_COLUMNS = ("place", "drop_id", "cause", "mart", "measure", "row_count", "total", "moment", "measured_at")


def keep_totals(session: Session, refreshed: Iterable[Refreshed], cause: Cause, drop_id: str, now: datetime) -> None:
    """Keep what the marts that were just refreshed come to behind what has become of a drop; `now` is in UTC.

    Reads `touched_<mart>` and `before_<mart>`.
    """
    selects = [
        _total(found.mart, whole=found.whole) for found in refreshed if decimals_of(session, found.mart) is not None
    ]
    _insert(session, selects, "\nUNION ALL\n".join(selects), cause, drop_id, now)


def keep_rebuilt_totals(session: Session, pipeline: Pipeline, now: datetime | None) -> None:
    """Keep what each mart comes to by all its rows, where that is not what was kept last; `now` is in UTC."""
    selects = [_total(mart, whole=True) for mart in pipeline.marts if decimals_of(session, mart) is not None]
    fragments = {"totals": "\nUNION ALL\n".join(selects), "kept_last": totals_kept_last()}
    _insert(session, selects, statement("mart_totals_that_differ", fragments), Cause.REBUILT, None, now)


def _insert(
    session: Session, selects: Sequence[str], select: str, cause: Cause, drop_id: str | None, now: datetime | None
) -> None:
    if selects:
        bound = {"cause": cause.value, "drop_id": drop_id, "measured_at": now}
        session.insert_select("mart_total", _COLUMNS, select, bound)


def _total(mart: Mart, *, whole: bool) -> str:
    measure = mart.file.measure or ""
    summed = statement("mart_total_of_rows", {"measure": quoted(measure), "limit": str(_LIMIT)})
    fragments = mart_fragments(mart) | {
        "mart_name": literal(mart.name),
        "measure_name": literal(measure),
        "key_and_measure": listed(dict.fromkeys((*mart.file.key, measure))),
        "total": summed,
    }
    sql = statement("mart_total", fragments)
    return full_refresh(sql) if whole else sql
