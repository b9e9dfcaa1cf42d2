"""The totals of marts over time, as they were when drops were published."""

import json
from decimal import Decimal
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.views.drops import Records


def mart_totals(session: Session, pipeline: Pipeline, limit: int) -> dict[str, Records]:
    """For each mart that has a measure its totals, the oldest first.

    Returns:
        By mart `drop_id`, `published_at` and `total` of the newest drops that have one, and at the end the total of
        now, where the first two are None.
    """
    measures = {mart.name: mart.file.measure for mart in pipeline.marts if mart.file.measure is not None}
    if not measures:
        return {}
    found = session.query(
        f"""SELECT drop_id, published_at, mart_totals
        FROM drop_ledger
        WHERE mart_totals IS NOT NULL
        ORDER BY sequence DESC
        LIMIT {int(limit)}"""
    )
    totals: dict[str, Records] = {mart: [] for mart in measures}
    for row in reversed(found):
        for mart, total in json.loads(row["mart_totals"]).items():
            if mart in totals and total is not None:
                totals[mart].append(_entry(row["drop_id"], row["published_at"], Decimal(total)))
    sums = ", ".join(
        f"(SELECT coalesce(sum({quoted(measure)}), 0) FROM {quoted(mart)}) AS {quoted(mart)}"
        for mart, measure in measures.items()
    )
    now = session.query(f"SELECT {sums}")[0]
    for mart, total in now.items():
        totals[mart].append(_entry(None, None, total))
    return totals


def _entry(drop_id: str | None, published_at: Any, total: Decimal) -> dict[str, Any]:
    return {"drop_id": drop_id, "published_at": published_at, "total": total}
