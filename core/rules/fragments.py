"""A contract's types and rules as SQL text: how a cell is typed, when a row breaks a rule, and why."""

from collections.abc import Iterator
from dataclasses import dataclass

from dropledger.core.contracts.contract import Column, Contract, Rule, Severity
from dropledger.core.rules.cell_text import because, text_of
from dropledger.core.rules.cells import cleaned, source_of, type_reason, typed_cell
from dropledger.core.rules.kinds import KINDS
from dropledger.core.rules.moments import read_as
from dropledger.core.rules.repeated_header import header_cases, unless_header
from dropledger.core.sql.text import listed, literal, quoted

_NOT_AHEAD = "(CAST(:latest AS TIMESTAMP) IS NULL OR _effective_at <= CAST(:latest AS TIMESTAMP))"

IN_FUTURE = "as_of_in_future"
"""The rule that rows break whose own time lies too far ahead."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A predicate over a typed row that is true where the row breaks a rule."""

    column: str
    rule: str
    severity: Severity
    predicate: str
    reason: str


def _refuses_other_values(column: Column) -> bool:
    rule = column.accepted_values
    return rule is not None and rule.severity == Severity.ERROR


def violations(contract: Contract) -> Iterator[Violation]:
    """What a row can break by itself, in the order in which reasons are given: column by column, type first."""
    operation = contract.operation
    if operation is not None:
        spellings = (*operation.upsert, *operation.delete)
        words = ", ".join(literal(word.upper()) for word in spellings)
        column = contract.column(operation.column)
        yield Violation(
            column.name,
            "operation",
            Severity.ERROR,
            f"{text_of(column)} IS NULL OR upper({text_of(column)}) NOT IN ({words})",
            because(column, f"is none of: {', '.join(spellings)}"),
        )
    for column in contract.columns:
        # A deletion names the key alone; what its other cells hold does not matter.
        unless_absent = "" if operation is None or column.name in contract.key else " AND NOT _absent"
        if column.name == contract.effective_column:
            unless_absent = ""
            yield Violation(
                column.name,
                "not_null",
                Severity.ERROR,
                f"{text_of(column)} IS NULL",
                literal(f"{column.name} is empty"),
            )
        if _may_be_ambiguous(column):
            yield Violation(
                column.name,
                "ambiguous_time",
                Severity.ERROR,
                f"({read_as(column)} IS NOT NULL AND {quoted(column.name)} IS NULL){unless_absent}",
                because(
                    column,
                    f"comes twice or never on the clocks of {column.timezone}, as summer time begins and ends; "
                    "say dst: earlier or later in the contract, or write times in UTC",
                ),
            )
        if not column.is_text and not _refuses_other_values(column):
            yield Violation(
                column.name,
                "type",
                Severity.ERROR,
                f"({text_of(column)} IS NOT NULL AND {quoted(column.name)} IS NULL){unless_absent}",
                type_reason(column),
            )
        if column.name == contract.effective_column:
            reason = because(column, "lies more than a day ahead of the file's arrival")
            yield Violation(column.name, IN_FUTURE, Severity.ERROR, f"NOT ({_NOT_AHEAD})", reason)
        for rule in column.rules:
            kind = KINDS[rule.rule]
            if not kind.OVER_ROWS:
                predicate = f"({kind.violated(rule, column)}){unless_absent}"
                yield Violation(column.name, rule.label, rule.severity, predicate, kind.reason(rule, column))


def _may_be_ambiguous(column: Column) -> bool:
    """Whether a local time may be refused since it means no moment, or two."""
    return column.timezone is not None and column.dst is None


def _holds(contract: Contract) -> Iterator[str]:
    """What is true of a row that breaks no error rule: `violations` the other way round.

    Said of the typed values wherever that will do, since looking at the text again costs as much as typing it.
    """
    operation = contract.operation
    if operation is not None:
        words = ", ".join(literal(word.upper()) for word in (*operation.upsert, *operation.delete))
        yield f"coalesce(upper({text_of(contract.column(operation.column))}) IN ({words}), FALSE)"
    for column in contract.columns:
        name = quoted(column.name)
        errors = [rule for rule in column.rules if rule.severity == Severity.ERROR]
        effective = column.name == contract.effective_column
        terms = []
        if effective:
            terms.append(_NOT_AHEAD)
        if effective or any(rule.rule == "not_null" for rule in errors):
            terms.append(f"{name} IS NOT NULL")
        elif not column.is_text or any(rule.rule == "accepted_values" for rule in errors):
            terms.append(f"({name} IS NOT NULL OR {text_of(column)} IS NULL)")
        for rule in errors:
            kind = KINDS[rule.rule]
            if not (kind.OVER_ROWS or kind.BY_TYPING):
                terms.append(f"NOT coalesce({kind.violated(rule, column)}, FALSE)")
        if terms:
            holds = " AND ".join(terms)
            always = operation is None or effective or column.name in contract.key
            yield holds if always else f"(_absent OR ({holds}))"


def rules_over_rows(contract: Contract, kind: str, severity: Severity) -> Iterator[tuple[Column, Rule]]:
    """The `unique` or `relationship` rules of one severity."""
    for column in contract.columns:
        for rule in column.rules:
            if rule.rule == kind and rule.severity == severity:
                yield column, rule


def parse_fragments(contract: Contract, relation: str) -> dict[str, str]:
    """What the statements that type a drop's rows need, whose cells are in a relation as text."""
    operation = contract.operation
    deletions = ", ".join(literal(word.upper()) for word in operation.delete) if operation else ""
    refusals = [(predicate, "NULL", literal(rule), reason) for predicate, rule, reason in header_cases(contract)] + [
        (violation.predicate, literal(violation.column), literal(violation.rule), violation.reason)
        for violation in violations(contract)
        if violation.severity == Severity.ERROR
    ]
    return {
        "typed_columns": ",\n        ".join(
            f"{cleaned(column)} AS {text_of(column)},\n        {typed_cell(column)} AS {quoted(column.name)}"
            + (f",\n        s.{read_as(column)}" if _may_be_ambiguous(column) else "")
            for column in contract.columns
        ),
        "source": source_of(contract, relation),
        "file": "",
        # Every column is in `_dl_parsed`, the effective and operation ones too, so that checks can see them.
        "columns": listed(column.name for column in contract.columns),
        "text_columns": listed((column.name for column in contract.columns), "s"),
        "effective_at": _effective_at(contract),
        "absent": f"coalesce(upper({text_of(contract.column(operation.column))}) IN ({deletions}), FALSE)"
        if operation
        else "FALSE",
        "valid": " AND ".join([*_holds(contract), *unless_header(contract)]) or "TRUE",
        "refusal_cases": " ".join(f"WHEN {predicate} THEN {place}" for place, (predicate, *_) in enumerate(refusals)),
        "column_cases": " ".join(f"WHEN {place} THEN {column}" for place, (_, column, _, _) in enumerate(refusals)),
        "rule_cases": " ".join(f"WHEN {place} THEN {rule}" for place, (_, _, rule, _) in enumerate(refusals)),
        "reason_cases": " ".join(f"WHEN {place} THEN {reason}" for place, (*_, reason) in enumerate(refusals)),
    }


def _effective_at(contract: Contract) -> str:
    """From when a row is true."""
    if contract.effective_column is None:
        return "CAST(:as_of AS TIMESTAMP)"
    own = f"CAST({quoted(contract.effective_column)} AS TIMESTAMP)"
    return own if contract.brings_facts else f"coalesce(CAST(:given_as_of AS TIMESTAMP), {own})"


def staging_predicates(contract: Contract) -> list[tuple[Violation, str]]:
    """Each rule as a predicate over `observation`, whose cells are typed: what the checks of the staging layer count.

    They look at the values that go into history, not at the text that they came from, and so find a fault
    in the typing as well as a broken rule of severity warn.
    """
    found = []
    unless_absent = "NOT _absent AND "
    for column in contract.columns:
        guard = "" if column.name in contract.key else unless_absent
        for rule in column.rules:
            kind = KINDS[rule.rule]
            if kind.OVER_ROWS:
                continue
            predicate = kind.violated_value(rule, column)
            violation = Violation(column.name, rule.label, rule.severity, f"{guard}({predicate})", rule.message)
            found.append((violation, f"{rule.rule}_{column.name}" if not rule.name else rule.name))
    return found
