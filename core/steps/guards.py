"""Whole-file guards: is an extract about as large as the one before, and does it hold the keys that are known?

They warn; the file is taken. A delta has as many rows as there are changes, so only complete extracts are held against
anything.
"""

from dataclasses import dataclass
from datetime import datetime

from dropledger.core.contracts.contract import Contract, Severity
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.ledger.ledger import Volume
from dropledger.core.ports.session import Session
from dropledger.core.steps.checks import CheckQuestion, CheckResult
from dropledger.core.steps.questions import Counts, Question
from dropledger.core.steps.validate import Validated


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


def missing_keys_checks(contract: Contract, validated: Validated, as_of: datetime) -> list[CheckQuestion]:
    """Count the known keys that a complete extract lacks where these are kept; after the fold.

    A refused row is no missing key: neither one whose key can be read, nor one whose key may be any.
    """
    if not _keeps_missing(contract):
        return []
    refused = validated.rows_rejected > 0

    def results(counts: Counts) -> list[CheckResult]:
        if refused:
            return [missing_keys_result(contract, max(0, counts["known"] - validated.unknown_keys))]
        return [missing_keys_result(contract, counts["known"] - validated.rows_accepted)]

    select = _known_keys(contract, "_dl_parsed" if refused else "")
    return [Question(f"the keys that {contract.feed} lacks", select, ("known",), results, {"as_of": as_of})]


def missing_keys_result(contract: Contract, missing: int) -> CheckResult:
    """What so many known keys that are not in it mean for a complete extract."""
    return _warning(
        contract, "missing_keys", missing, "known keys that this complete extract lacks; they stay as they were"
    )


def known_keys(session: Session, contract: Contract, as_of: datetime) -> int:
    """How many keys are known at a moment (UTC)."""
    return int(session.query(_known_keys(contract), {"as_of": as_of})[0]["known"])


def _known_keys(contract: Contract, outside_of: str = "") -> str:
    """SQL for how many keys are known at a moment; with `outside_of` those that the rows of this relation lack."""
    fragments = feed_fragments(contract)
    outside = f"AND NOT EXISTS (SELECT 1 FROM {outside_of} AS o WHERE {fragments['same_key']})" if outside_of else ""
    return f"""SELECT count(*) AS known
        FROM {fragments["history"]} AS h
        WHERE h.valid_from <= :as_of
            AND (h.valid_to IS NULL OR h.valid_to > :as_of)
            {outside}"""


def _keeps_missing(contract: Contract) -> bool:
    return contract.mode == "full" and contract.missing_keys == "keep"


def _warning(contract: Contract, name: str, failing: int, message: str) -> CheckResult:
    failed = failing > 0
    return CheckResult(
        "staging", f"stg_{contract.feed}", name, Severity.WARN, not failed, failing, message if failed else ""
    )
