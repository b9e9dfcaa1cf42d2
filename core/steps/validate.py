"""Validation: cells typed by the contract, rows that break a rule set apart with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dropledger.core.contracts.contract import Contract, Severity
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.drop import AsOfSource
from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import Extract
from dropledger.core.ports.session import Parameters, Session
from dropledger.core.rules.fragments import parse_fragments, rules_over_rows, staging_predicates
from dropledger.core.rules.repeated_header import OTHER, REPEATED, malformed_rule
from dropledger.core.sql.text import listed, literal, quoted, statement

CONFLICTING = "conflicting_key"
"""The rule that rows break which say different things of one key."""

LOOKED_AT_FROM = 10_000
"""From so many rows on it costs less to look whether their keys rise than to count them."""

_SPAN = "count(*) AS row_count, min(_effective_at) AS first_effective, max(_effective_at) AS last_effective"


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of rows that were not read, since the drop before has them in the same lines.

    `failing` is how many rows of that drop failed each check of the staging layer. `_dl_gone` has its rows that this
    drop has no more. `orphans_among_them` is whether some may lack a parent; each current key has a row in this drop
    then.
    """

    failing: Mapping[str, int]
    orphans_among_them: bool


@dataclass(frozen=True, slots=True)
class Validated:
    """The outcome of validation; the accepted rows are in the scratch relation `observation`.

    Where the file was `compared` with the one before, these are just the rows in which they differ.

    `unknown_keys` counts refused rows whose key could not be read: any known key may be theirs. The header once more
    is no such row. `rule_counts` is what `staging_counts` gives, and no key `repeated`, where that is known already.
    """

    rows_read: int
    rows_accepted: int
    rows_rejected: int
    rows_duplicate: int
    unknown_keys: int
    first_effective: datetime | None
    last_effective: datetime | None
    compared: Compared | None = None
    rule_counts: Mapping[str, int] | None = None

    @property
    def left_out(self) -> str | None:
        """The scratch relation with the rows that were set apart, if any were."""
        return "_dl_left_out" if self.rows_read > self.rows_accepted else None


def validate(session: Session, extract: Extract, source: str) -> Validated:
    """Type and check the rows of `source`, as loaded, and set apart those that cannot go in.

    Leaves the scratch relations `_dl_parsed` (every row whose shape is right), `observation`, and where any row is set
    apart `_dl_left_out` (`_line, _duplicate, column_name, rule, reason`).

    Raises:
        DataRefused: nothing can be read as rows, or rows stand behind the header of another table.
    """
    contract = extract.contract
    fragments = {**feed_fragments(contract), **parse_fragments(contract, quoted(source))}
    times = effective_times(extract)
    rows = session.select_rows(source, "_dl_parsed", statement("parse", fragments), times)
    once = rows >= LOOKED_AT_FROM and session.rises("_dl_parsed", observed_key(contract))
    found = overview(session, contract, source, once=once)
    if is_clean(contract, found):
        session.view("observation", "SELECT * FROM _dl_parsed")
        counts = {**found, "repeated": 0}
        return Validated(
            found["row_count"],
            found["row_count"],
            0,
            0,
            0,
            found["first_effective"],
            found["last_effective"],
            rule_counts=counts,
        )
    _set_apart(session, contract, fragments, times, source, found)
    left_out = session.query(
        """SELECT count(*) AS all_rows, coalesce(sum(CASE WHEN _duplicate THEN 1 ELSE 0 END), 0) AS duplicates
        FROM _dl_left_out"""
    )[0]
    session.view("observation", statement("observation"))
    accepted = session.query(f"SELECT {_SPAN} FROM observation")[0]
    rejected = int(left_out["all_rows"] - left_out["duplicates"])
    if rejected:
        _refuse_second_table(session)
    return Validated(
        rows_read=accepted["row_count"] + int(left_out["all_rows"]),
        rows_accepted=accepted["row_count"],
        rows_rejected=rejected,
        rows_duplicate=int(left_out["duplicates"]),
        unknown_keys=_unknown_keys(session, contract) if rejected else 0,
        first_effective=accepted["first_effective"],
        last_effective=accepted["last_effective"],
    )


def overview(session: Session, contract: Contract, source: str, *, once: bool = False) -> dict[str, Any]:
    """How many rows were read and what their times are, and how many of them cannot go in as they are.

    Nearly always all can, so that what the checks of the staging layer count is counted on the way. `once` is whether
    it is known that each row has a key of its own.
    """
    valid = "coalesce(sum(CASE WHEN _valid THEN 1 ELSE 0 END), 0)"
    repeated = "0" if once else f"{valid} - ({distinct_count(contract, '_dl_parsed')})"
    return session.query(
        f"""SELECT
            {_SPAN},
            {staging_counts(contract)}
            (SELECT count(*) FROM {quoted(f"{source}_malformed")}) AS malformed,
            count(*) - {valid} AS invalid,
            {repeated} AS repeated
        FROM _dl_parsed"""
    )[0]


def staging_counts(contract: Contract) -> str:
    """SQL for how many rows break each rule, every count followed by a comma."""
    return "".join(
        f"coalesce(sum(CASE WHEN {violation.predicate} THEN 1 ELSE 0 END), 0) AS rule_{place},\n    "
        for place, (violation, _) in enumerate(staging_predicates(contract))
    )


def is_clean(contract: Contract, found: Mapping[str, Any]) -> bool:
    """Whether all rows go in: none is odd by itself, and no rule would refuse one for what others hold."""
    over_rows = (
        rule for kind in ("unique", "relationship") for rule in rules_over_rows(contract, kind, Severity.ERROR)
    )
    return not (found["malformed"] or found["invalid"] or found["repeated"] or any(over_rows))


def _refuse_second_table(session: Session) -> None:
    found = session.query(
        f"""SELECT min(_line) AS line
        FROM _dl_left_out
        WHERE rule = {literal(OTHER)}
            AND _line < (SELECT max(_line) FROM observation)"""
    )[0]["line"]
    if found is not None:
        raise DataRefused(
            "second_table",
            f"line {found} looks like the header of another table, so the rows behind it may mean something else",
            hint="write the header in one line, and drop each table as a file of its own",
        )


def effective_times(extract: Extract) -> dict[str, datetime | None]:
    """What the statements that type rows bind: an --as-of goes before the row's own effective column."""
    as_of = extract.as_of
    given = as_of.moment if as_of.source == AsOfSource.OPTION else None
    return {"as_of": as_of.moment, "given_as_of": given, "latest": extract.latest}


def _set_apart(
    session: Session,
    contract: Contract,
    fragments: dict[str, str],
    times: dict[str, datetime | None],
    source: str,
    found: Mapping[str, Any],
) -> None:
    malformed_as, because = malformed_rule(contract)
    session.scratch(
        "_dl_left_out",
        f"""SELECT
            _line,
            row_number() OVER (PARTITION BY raw ORDER BY _line) > 1 AS _duplicate,
            CAST(NULL AS STRING) AS column_name,
            {malformed_as} AS rule,
            {because} AS reason
        FROM {quoted(f"{source}_malformed")}""",
    )
    if found["invalid"]:
        session.with_lines(source)
        leave_out(session, statement("refuse_invalid", fragments), times)
    if found["repeated"]:
        of_time = {"and_time": "", "same_time": "", "for_one_time": ""}
        if not contract.brings_facts:
            same_time = "AND h._effective_at = o._effective_at"
            of_time = {"and_time": ", _effective_at", "same_time": same_time, "for_one_time": " for one effective time"}
        told = {"first_key": literal(contract.key[0]), "rule": literal(CONFLICTING), **of_time}
        leave_out(session, statement("refuse_repeated", {**fragments, **told}))
    for column, rule in rules_over_rows(contract, "unique", Severity.ERROR):
        leave_out(
            session,
            statement(
                "refuse_not_unique",
                {
                    **fragments,
                    "column": quoted(column.name),
                    "column_name": literal(column.name),
                    "rule_name": literal(rule.label),
                    "reason": literal(rule.message or f"{column.name} stands in several rows and must be unique"),
                },
            ),
        )
    for column, rule in rules_over_rows(contract, "relationship", Severity.ERROR):
        leave_out(
            session,
            statement(
                "refuse_unrelated",
                {
                    **parent_fragments(column.name, rule.to or ""),
                    "rule_name": literal(rule.label),
                    "reason": literal(rule.message or f"{column.name} is not known in {rule.to}"),
                    "column_name": literal(column.name),
                },
            ),
        )


def parent_fragments(column: str, to: str) -> dict[str, str]:
    feed, key = to.split(".")
    return {
        "observed": "observation",
        "column": quoted(column),
        "parent": quoted(f"history_{feed}"),
        "parent_key": quoted(key),
    }


def observed_key(contract: Contract) -> list[str]:
    """The columns of typed rows that no two of a drop may share: the key, and the time where a key may have several."""
    several = contract.effective_column is not None and not contract.brings_facts
    return [*contract.key, *(["_effective_at"] if several else [])]


def distinct_count(contract: Contract, relation: str) -> str:
    """SQL for the number of keys among the valid rows, each with its effective times."""
    # Where all rows share one effective time, the engine need not compare it.
    key = observed_key(contract)
    if len(key) == 1:  # what the engine counts fastest
        return f"SELECT count(DISTINCT {listed(key)}) FROM {relation} WHERE _valid"
    distinct = f"SELECT DISTINCT {listed(key)} FROM {relation} WHERE _valid"
    return f"SELECT count(*) FROM ({distinct}) AS d"


NOTHING_LEFT_OUT = """SELECT
    CAST(NULL AS BIGINT) AS _line,
    CAST(NULL AS BOOLEAN) AS _duplicate,
    CAST(NULL AS STRING) AS column_name,
    CAST(NULL AS STRING) AS rule,
    CAST(NULL AS STRING) AS reason
WHERE FALSE"""
"""`_dl_left_out` of a file in which no row is odd."""


def leave_out(session: Session, select: str, bound: Parameters | None = None) -> None:
    """Add to `_dl_left_out` what a select gives of lines that are not in it."""
    session.insert_select(
        "_dl_left_out",
        ("_line", "_duplicate", "column_name", "rule", "reason"),
        f"""SELECT _line, _duplicate, column_name, rule, reason
        FROM ({select}) AS found
        WHERE _line NOT IN (SELECT _line FROM _dl_left_out)""",
        bound,
    )


def _unknown_keys(session: Session, contract: Contract) -> int:
    key_known = " AND ".join(f"p.{quoted(name)} IS NOT NULL" for name in contract.key)
    return int(
        session.query(
            f"""SELECT count(*) AS unknown
            FROM _dl_left_out
            WHERE _line NOT IN (SELECT p._line FROM _dl_parsed AS p WHERE {key_known})
                AND rule <> {literal(REPEATED)}"""
        )[0]["unknown"]
    )


def refuse_beyond_limit(contract: Contract, validated: Validated) -> None:
    """Quarantine a file whose share of refused rows exceeds the contract's `max_rejected`, or that has no rows.

    Raises:
        DataRefused: it does.
    """
    if validated.rows_read == 0 and contract.mode == "full":
        raise DataRefused(
            "no_rows",
            "the file has a header and no rows, and a full extract without rows would mean that nothing exists",
            hint="export it again; if everything is really gone, retract the drops that brought it",
        )
    # Rows alike count once here too, or repeating a refused row would let the file pass.
    judged = validated.rows_read - validated.rows_duplicate
    if validated.rows_rejected > contract.max_rejected * judged:
        raise DataRefused(
            "too_many_rejected",
            f"{validated.rows_rejected} of {judged} rows break a rule, "
            f"more than the contract's max_rejected of {contract.max_rejected}",
            hint="read the reasons in the .rejects.csv beside the file, correct the extract and drop it again",
        )
