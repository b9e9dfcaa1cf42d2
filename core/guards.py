"""Whole-file guards: is an extract about as large as the one before, and does it hold the keys that are known?

They warn; the file is taken. A delta has as many rows as there are changes, so only complete extracts are held against
anything.
"""

from dataclasses import dataclass
from datetime import datetime

from core.checks import CheckResult
from core.contract import Contract, Severity
from core.ledger import Volume
from core.ports import Session
from core.sql import feed_fragments
from core.validate import Validated


@dataclass(frozen=True, slots=True)
class VolumeLimits:
    """From how many percent fewer or more rows than before on an extract's volume is worth a warning."""

    fewer_percent: int = 50
    more_percent: int = 50


_DEFAULT_LIMITS = VolumeLimits()


def check_volume(
    contract: Contract, validated: Validated, before: Volume | None, limits: VolumeLimits = _DEFAULT_LIMITS
) -> list[CheckResult]:
    """Hold the rows of a complete extract against those of the drop before it by as_of; the first one passes.

    Rows alike to the letter count once. `failing_rows` is how many fewer or more there are.
    """
    if contract.mode != "full":
        return []
    rows = validated.rows_read - validated.rows_duplicate
    message, difference = "", 0
    if before is not None and before.rows:
        hundredfold, fewer = abs(rows - before.rows) * 100, rows < before.rows
        if hundredfold >= before.rows * (limits.fewer_percent if fewer else limits.more_percent):
            difference = abs(rows - before.rows)
            message = (
                f"{rows:,} row{'' if rows == 1 else 's'}, {hundredfold // before.rows} % "
                f"{'fewer' if fewer else 'more'} than the {before.rows:,} of {before.name}, the drop before it"
            )
    return [_warning(contract, "volume", difference, message)]


def check_missing_keys(
    session: Session, contract: Contract, validated: Validated, as_of: datetime
) -> list[CheckResult]:
    """Count the known keys that a complete extract lacks where these are kept; after the fold.

    A refused row is no missing key: neither one whose key can be read, nor one whose key may be any.
    """
    if not _keeps_missing(contract):
        return []
    if validated.rows_rejected:
        unread = known_keys(session, contract, as_of, outside_of="_dl_parsed")
        return [missing_keys_result(contract, max(0, unread - validated.unknown_keys))]
    return [missing_keys_result(contract, known_keys(session, contract, as_of) - validated.rows_accepted)]


def missing_keys_result(contract: Contract, missing: int) -> CheckResult:
    """What so many known keys that are not in it mean for a complete extract."""
    return _warning(
        contract, "missing_keys", missing, "known keys that this complete extract lacks; they stay as they were"
    )


def known_keys(session: Session, contract: Contract, as_of: datetime, *, outside_of: str = "") -> int:
    """How many keys are known at a moment (UTC); with `outside_of` those that the rows of this relation lack."""
    fragments = feed_fragments(contract)
    outside = f"AND NOT EXISTS (SELECT 1 FROM {outside_of} AS o WHERE {fragments['same_key']})" if outside_of else ""
    return int(
        session.query(
            f"""SELECT count(*) AS known
            FROM {fragments["history"]} AS h
            WHERE h.valid_from <= :as_of
                AND (h.valid_to IS NULL OR h.valid_to > :as_of)
                {outside}""",
            {"as_of": as_of},
        )[0]["known"]
    )


def _keeps_missing(contract: Contract) -> bool:
    return contract.mode == "full" and contract.missing_keys == "keep"


def _warning(contract: Contract, name: str, failing: int, message: str) -> CheckResult:
    failed = failing > 0
    return CheckResult(
        "staging", f"stg_{contract.feed}", name, Severity.WARN, not failed, failing, message if failed else ""
    )
