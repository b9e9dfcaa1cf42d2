"""Whole-file guards: is an extract about as large as the one before, and does it hold the keys that are known?

They warn, or refuse the file where the contract says so. A delta has as many rows as there are changes, so only
complete extracts are held against what came before.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from dropledger.core.contracts.contract import Contract, Drift, Limits, Severity
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.ledger.ledger import Volume
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.steps.checks import CheckQuestion, CheckResult
from dropledger.core.steps.questions import Counts, Question
from dropledger.core.steps.validate import Validated


def check_volume(contract: Contract, validated: Validated, before: Volume | None) -> list[CheckResult]:
    """Hold the rows of a complete extract against those of the drop before it by as_of; the first one passes.

    Rows alike to the letter count once. `failing_rows` is how many fewer or more there are. The smallest number of rows
    holds for any file.
    """
    rows = validated.rows_read - validated.rows_duplicate
    least = contract.volume.min_rows
    results = []
    if least is not None:
        lacking = max(0, least - rows)
        message = f"{_rows(rows)}, and the contract says min_rows: {least:,}"
        results.append(_result(contract, "min_rows", lacking, message, Severity.ERROR))
    if contract.mode == "full":
        results.append(_volume_beside(contract, rows, before))
    return results


def _volume_beside(contract: Contract, rows: int, before: Volume | None) -> CheckResult:
    message, difference, severity = "", 0, Severity.WARN
    if before is not None and before.rows:
        hundredfold, fewer = abs(rows - before.rows) * 100, rows < before.rows
        broken = _broken(contract.volume.fewer if fewer else contract.volume.more, Decimal(hundredfold), before.rows)
        if broken is not None and hundredfold:
            severity = broken
            difference = abs(rows - before.rows)
            message = (
                f"{_rows(rows)}, {hundredfold // before.rows} % "
                f"{'fewer' if fewer else 'more'} than the {before.rows:,} of {before.name}, the drop before it"
            )
    return _result(contract, "volume", difference, message, severity)


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _broken(limits: Limits, hundredfold: Decimal, of: int) -> Severity | None:
    """What a difference of so many hundredths means; None if nothing."""
    if limits.error is not None and hundredfold >= of * limits.error:
        return Severity.ERROR
    return Severity.WARN if limits.warn is not None and hundredfold >= of * limits.warn else None


def check_drift(session: Session, contract: Contract, as_of: datetime) -> list[CheckResult]:
    """Hold totals and shares of NULLs in `observation` against what history has at a moment (UTC); before the fold."""
    if not contract.drift:
        return []
    names = list(dict.fromkeys(drift.column for drift in contract.drift))
    sums = [name for name in names if contract.column(name).decimal or contract.column(name).type == "bigint"]
    counted = ", ".join(
        [
            "count(*) AS row_count",
            *(f"count({quoted(name)}) AS {quoted(f'filled_{name}')}" for name in names),
            *(f"sum({quoted(name)}) AS {quoted(f'sum_{name}')}" for name in sums),
        ]
    )
    before = session.query(f"SELECT {counted} FROM ({_known(contract, 'h.*')}) AS known", {"as_of": as_of})[0]
    now = session.query(f"SELECT {counted} FROM observation")[0]
    return [result for drift in contract.drift for result in _drifted(contract, drift, before, now)]


def _drifted(
    contract: Contract, drift: Drift, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[CheckResult]:
    rows = int(now["row_count"])
    comparable = rows and before["row_count"]
    if drift.sum is not None:
        was, found = (Decimal(counts[f"sum_{drift.column}"] or 0) for counts in (before, now))
        moved = comparable and abs(found - was) * 100 > abs(was) * drift.sum
        message = f"{drift.column} sums up to {found:,}, before to {was:,}: more than {_shown(drift.sum)} % apart"
        yield _result(contract, f"drift_sum_{drift.column}", rows if moved else 0, message, drift.severity)
    if drift.nulls is not None:
        shares = []
        for counts in (before, now):
            count = int(counts["row_count"])
            shares.append(Decimal(100 * (count - int(counts[f"filled_{drift.column}"]))) / (count or 1))
        was, found = shares
        moved = comparable and abs(found - was) > drift.nulls
        share = f"{found:.1f} % of {drift.column} are empty, before {was:.1f} %"
        message = f"{share}: more than {_shown(drift.nulls)} points apart"
        yield _result(contract, f"drift_nulls_{drift.column}", rows if moved else 0, message, drift.severity)


def _shown(percent: Decimal) -> str:
    return f"{percent.normalize():f}"


def missing_keys_checks(contract: Contract, validated: Validated, as_of: datetime) -> list[CheckQuestion]:
    """Count the known keys that a complete extract lacks where these are kept; after the fold.

    A refused row is no missing key: neither one whose key can be read, nor one whose key may be any.
    """
    if not keeps_missing(contract):
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
    message = "known keys that this complete extract lacks; they stay as they were"
    return _result(contract, "missing_keys", missing, message, Severity.WARN)


def known_keys(session: Session, contract: Contract, as_of: datetime) -> int:
    """How many keys are known at a moment (UTC)."""
    return int(session.query(_known_keys(contract), {"as_of": as_of})[0]["known"])


def _known_keys(contract: Contract, outside_of: str = "") -> str:
    """SQL for how many keys are known at a moment; with `outside_of` those that the rows of this relation lack."""
    fragments = feed_fragments(contract)
    outside = f"AND NOT EXISTS (SELECT 1 FROM {outside_of} AS o WHERE {fragments['same_key']})" if outside_of else ""
    return f"{_known(contract, 'count(*) AS known')} {outside}"


def _known(contract: Contract, what: str) -> str:
    """SQL for what is true at a moment."""
    return f"""SELECT {what}
        FROM {feed_fragments(contract)["history"]} AS h
        WHERE h.valid_from <= :as_of
            AND (h.valid_to IS NULL OR h.valid_to > :as_of)"""


def keeps_missing(contract: Contract) -> bool:
    """Whether its files are complete extracts, and the keys that one lacks stay as they were."""
    return contract.mode == "full" and contract.missing_keys == "keep"


def _result(contract: Contract, name: str, failing: int, message: str, severity: Severity) -> CheckResult:
    failed = failing > 0
    return CheckResult(
        "staging", f"stg_{contract.feed}", name, severity, not failed, failing, message if failed else ""
    )
