"""What the ledger says when a drop comes, asked in one statement."""

from dataclasses import dataclass
from datetime import datetime

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.formats.extract import Drop
from dropledger.core.ledger.ledger import IN_HISTORY_SQL, Delivered, LedgerRow, Volume, behind, initial_times, row_of
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import statement


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says when a drop comes.

    `known` is the drop's own row, `delivered` what became of this very delivery, `next_sequence` the next place in the
    order of receipt. `moment` is that of the marts, `observed_until` the latest effective time of the feed by drops in
    history or its initial rows (both UTC), `before` the feed's drop before this one by as_of.
    """

    known: LedgerRow | None
    delivered: Delivered | None
    next_sequence: int
    moment: datetime | None
    observed_until: datetime | None
    before: Volume | None


def standing(session: Session, drop: Drop, pipeline: Pipeline) -> Standing:
    """What the ledger says of a drop that comes, by its drop_id, its claim and its feed."""
    [found] = session.query(
        statement("standing", {"in_history": IN_HISTORY_SQL}),
        {"drop_id": drop.drop_id, "claim_id": drop.claim.claim_id, "feed": drop.feed, "as_of": drop.as_of.moment},
    )
    known = row_of(found) if found["drop_id"] else None
    observed: datetime | None = found["observed_until"]
    return Standing(
        known,
        Delivered(found["delivered_as"]) if found["delivered_as"] else None,
        behind(found["newest_drop"], found["newest_delivery"]),
        found["moment"],
        max([*initial_times(pipeline, drop.feed), *([observed] if observed else [])], default=None),
        Volume(found["name_before"], int(found["rows_before"])) if found["name_before"] is not None else None,
    )
