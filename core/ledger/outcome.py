"""What became of a delivery, as handlers report it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dropledger.core.drop import iso
from dropledger.core.errors import DropledgerError
from dropledger.core.formats.extract import Drop
from dropledger.core.ledger.ledger import Delivered


@dataclass(frozen=True, slots=True)
class Outcome:
    """One delivery's outcome.

    `late` is whether it observed anything before what its feed had observed; None where it was not accepted just now.
    `rule`, `error` and `hint` say why a file was not taken; `file` where it is now, if it was put away; `sequence` the
    place in the order of receipt of one that was examined. `failure` is there if it failed: its cause is the error that
    the file met.
    """

    drop: Drop
    delivered: Delivered
    file: str
    rows_read: int = 0
    rows_accepted: int = 0
    rows_rejected: int = 0
    rows_duplicate: int = 0
    versions_opened: int = 0
    versions_closed: int = 0
    late: bool | None = None
    recomputed: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    rule: str | None = None
    error: str | None = None
    hint: str | None = None
    sequence: int | None = None
    resumed: bool = False
    failure: DropledgerError | None = None

    def with_recomputed(self, recomputed: Mapping[str, int]) -> "Outcome":
        """The same outcome with the rows computed for a whole batch."""
        return replace(self, recomputed=recomputed)

    @property
    def refused(self) -> bool:
        """Whether any data was refused: the file, or rows of it."""
        return self.delivered in {Delivered.QUARANTINED, Delivered.RETRACTED} or self.rows_rejected > 0

    @property
    def in_history(self) -> bool:
        """Whether its rows went into history just now."""
        return self.delivered == Delivered.ACCEPTED and not self.resumed

    @property
    def postponed(self) -> bool:
        """Whether the file was not taken yet, and will be at another time."""
        return self.delivered == Delivered.POSTPONED

    @property
    def taken(self) -> bool:
        """Whether the file is done with, and in the ledger."""
        return self.delivered not in {Delivered.POSTPONED, Delivered.FAILED}

    def as_json(self) -> dict[str, Any]:
        """The entry for this delivery in `process --json`, see docs/json.md."""
        return {
            "name": self.drop.name,
            "drop_id": self.drop.drop_id or None,
            "feed": self.drop.feed or None,
            "as_of": iso(self.drop.as_of.moment),
            "as_of_source": str(self.drop.as_of.source),
            "late": self.late,
            "outcome": str(self.delivered),
            "resumed": self.resumed,
            "file": self.file,
            "rows_read": self.rows_read,
            "rows_accepted": self.rows_accepted,
            "rows_rejected": self.rows_rejected,
            "rows_duplicate": self.rows_duplicate,
            "versions_opened": self.versions_opened,
            "versions_closed": self.versions_closed,
            "recomputed": dict(self.recomputed),
            "warnings": list(self.warnings),
            "rule": self.rule,
            "error": self.error,
            "hint": self.hint,
        }


class PartialFailure(DropledgerError):
    """Files that could not be taken from where they lie; `outcomes` are those of the others.

    It leaves with the code of the error that kept the first of them, which is its cause.
    """

    def __init__(self, refused: DropledgerError, outcomes: Sequence[Outcome]) -> None:
        super().__init__(refused.what, why=refused.why, hint=refused.hint)
        self.exit_code = refused.exit_code
        self.outcomes = outcomes
        self.__cause__ = refused


def finding(check_name: str, failing_rows: int, message: str) -> str:
    """What a check that did not pass says: its name, how many rows, and what is with them."""
    return f"{check_name} ({failing_rows}): {message}"
