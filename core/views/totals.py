"""The totals of marts: now, and behind each of the changes that led there."""

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from itertools import pairwise
from operator import itemgetter
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.totals import Cause, decimals_of
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import literal, quoted, statement

NEWEST = 50
"""How many totals of a mart are shown at most."""

Points = Mapping[str, Sequence[Mapping[str, Any]]]

_WIDE = Context(prec=76)
"""Computes with totals as they are; the usual one rounds to 28 digits."""


def totals_over_time(session: Session, pipeline: Pipeline) -> Points:
    """For each mart whose totals are kept the newest of these, the last one at the end.

    Each has `drop_id` and `cause`, `row_count`, `total`, `change` to the one before, `moment` and `measured_at`; a
    total that was too large to be kept is None, and a change from or to it.
    """
    kept = [(mart, places) for mart in pipeline.marts if (places := decimals_of(session, mart)) is not None]
    if not kept:
        return {}
    selects = [
        statement(
            "totals_over_time",
            {
                "mart_name": literal(mart.name),
                "measure_name": literal(mart.file.measure or ""),
                "most": str(NEWEST + 1),  # one more tells of the first what it changed
            },
        )
        for mart, _ in kept
    ]
    found = sorted(session.query("\nUNION ALL\n".join(selects)), key=itemgetter("place"))
    return {mart.name: _points([row for row in found if row["mart"] == mart.name], places) for mart, places in kept}


def mart_totals(session: Session, pipeline: Pipeline, points: Points) -> dict[str, Any]:
    """For each mart that has a measure what that sums up to now: the last of its `points`, or else of all its rows."""
    measures = {mart.name: mart.file.measure for mart in pipeline.marts if mart.file.measure is not None}
    kept = {mart: points[mart][-1]["total"] for mart in measures if points.get(mart)}
    totals = {mart: total for mart, total in kept.items() if total is not None}
    sums = ", ".join(
        f"(SELECT coalesce(sum({quoted(measure)}), 0) FROM {quoted(mart)}) AS {quoted(mart)}"
        for mart, measure in measures.items()
        if mart not in totals
    )
    return {**totals, **(session.query(f"SELECT {sums}")[0] if sums else {})}


def _points(rows: Sequence[Mapping[str, Any]], decimals: int) -> list[dict[str, Any]]:
    """Rows in order as points; the first is left out where it is more than are shown."""
    # Of a mart nothing was kept before it had a row, unless it was there before totals were kept at all.
    from_nothing = len(rows) <= NEWEST and rows and rows[0]["cause"] != Cause.REBUILT
    totals = [Decimal(0) if from_nothing else None, *(row["total"] for row in rows)]
    points = [
        {
            "drop_id": row["drop_id"],
            "cause": row["cause"],
            "row_count": row["row_count"],
            "total": _shown(total, decimals),
            "change": None if total is None or earlier is None else _shown(_WIDE.subtract(total, earlier), decimals),
            "moment": row["moment"],
            "measured_at": row["measured_at"],
        }
        for row, (earlier, total) in zip(rows, pairwise(totals), strict=True)
    ]
    return points[-NEWEST:]


def _shown(total: Decimal | None, decimals: int) -> Decimal | int | None:
    """A total with as many decimals as its measure has, or as it needs where that had more of them then."""
    if total is None:
        return None
    exponent = total.normalize(_WIDE).as_tuple().exponent
    needed = max(decimals, -exponent if isinstance(exponent, int) else 0)
    return total.quantize(Decimal(1).scaleb(-needed), context=_WIDE) if needed else int(total)
