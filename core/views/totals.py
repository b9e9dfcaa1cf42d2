"""The totals of marts."""

from decimal import Decimal

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted


def mart_totals(session: Session, pipeline: Pipeline) -> dict[str, Decimal]:
    """For each mart that has a measure what that sums up to now."""
    measures = {mart.name: mart.file.measure for mart in pipeline.marts if mart.file.measure is not None}
    if not measures:
        return {}
    sums = ", ".join(
        f"(SELECT coalesce(sum({quoted(measure)}), 0) FROM {quoted(mart)}) AS {quoted(mart)}"
        for mart, measure in measures.items()
    )
    return session.query(f"SELECT {sums}")[0]
