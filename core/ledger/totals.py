"""The totals of marts that the ledger keeps: of which marts, to how many decimals, and why one was measured."""

import re
from enum import StrEnum

from dropledger.core.contracts.pipeline_spec import Mart
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import statement

DECIMALS = 10
"""So many are kept; a measure whose type has more has no totals over time, as has one that is not exact."""

_EXACT = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|DECIMAL\(\d+, ?(?P<decimals>\d+)\)")
"""What engines call the types of numbers that are summed exactly."""


class Cause(StrEnum):
    """Why a total was measured: what has become of a drop, or that all marts were computed from nothing."""

    ACCEPTED = "accepted"
    RETRACTED = "retracted"
    RESTORED = "restored"
    REBUILT = "rebuilt"


def decimals_of(session: Session, mart: Mart) -> int | None:
    """How many decimals the totals of a mart have; None for one that has no totals over time."""
    exact = _EXACT.fullmatch(session.columns(mart.name).get(mart.file.measure or "", ""))
    decimals = int(exact["decimals"] or 0) if exact else DECIMALS + 1
    return decimals if decimals <= DECIMALS else None


def totals_kept_last(schema: str = "") -> str:
    """A select of the last total of each mart and measure that was kept; `schema` is a prefix of the table's name."""
    return statement("totals_kept_last", {"mart_total": f"{schema}mart_total"})
