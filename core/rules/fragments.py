"""A contract's types and rules as SQL text: how a cell is typed, when a row breaks a rule, and why."""

from collections.abc import Iterator
from dataclasses import dataclass

from dropledger.core.contracts.contract import Column, Contract, Rule, Severity
from dropledger.core.rules.repeated_header import header_cases, unless_header
from dropledger.core.sql.text import engine_type, listed, literal, quoted

_SHOWN = 60  # characters of a cell that a reason repeats
_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # from 0001 to 9999, as in Python
_DAY = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"
_TIME_OF_DAY = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?"  # no 24:00, which one engine reads
_NOT_AHEAD = "(CAST(:latest AS TIMESTAMP) IS NULL OR _effective_at <= CAST(:latest AS TIMESTAMP))"
_PLAIN_SCALE = 6  # up to which Spark writes each decimal without an exponent

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


def _text(column: Column) -> str:
    return quoted(f"_text_{column.name}")


def _cleaned(column: Column) -> str:
    """The cell as received, blanks around it removed; NULL (or the default) where nothing is left."""
    cleaned = f"nullif(trim(s.{quoted(column.name)}), '')"
    return f"coalesce({cleaned}, {literal(column.default)})" if column.default is not None else cleaned


def _accepted_case(column: Column, rule: Rule, text: str) -> str:
    stored = {
        spelling: str(value).upper() if isinstance(value, bool) else literal(value)
        for spelling, value in rule.accepted.items()
    }
    arms = " ".join(f"WHEN {literal(spelling)} THEN {value}" for spelling, value in stored.items())
    otherwise = f"ELSE {text} " if column.type == "text" and rule.severity == Severity.WARN else ""
    # Most cells are spelled as in the contract, or with a capital; they need no cleaning, which costs the most here.
    usual = " ".join(
        f"WHEN {literal(usual)} THEN {stored[spelling.lower()]}"
        for spelling in rule.values or ()
        for usual in dict.fromkeys((spelling, spelling.capitalize()))
    )
    return f"CASE s.{quoted(column.name)} {usual} ELSE CASE lower({text}) {arms} {otherwise}END END"


def cell_pattern(column: Column) -> str:
    """The regular expression, the same in all engines, of what may be a value of a column with a type but text."""
    if column.decimal is not None:
        precision, scale = column.decimal
        # Zeros behind the last place change nothing, nor does it matter on which side of the point no digit stands.
        whole, fraction = f"[0-9]{{1,{max(precision - scale, 1)}}}", f"[0-9]{{1,{scale}}}0*"
        return f"[+-]?({whole}([.]({fraction})?)?|[.]{fraction})" if scale else f"[+-]?{whole}"
    return {
        "bigint": "[+-]?[0-9]{1,19}",
        "date": _DAY,
        "timestamp": f"{_DAY}([T ]{_TIME_OF_DAY}Z?)?",
    }[column.type]


def typed_cell(column: Column) -> str:
    """SQL that types a cell; NULL where the text is no such value, however lenient the engine's own cast is."""
    text = _cleaned(column)
    if column.accepted_values is not None:
        return _accepted_case(column, column.accepted_values, text)
    if column.type == "text":
        return text
    if column.default is None:
        # Blanks around a number need not be cut off first: the pattern lets them pass, and so does the cast.
        text = f"s.{quoted(column.name)}"
    is_such = f"regexp_like({text}, {literal(f'^ *{cell_pattern(column)} *$')})"
    # The zone is always UTC here; a TIMESTAMP without zone is what both engines store.
    castable = f"replace(trim({text}), 'Z', '')" if column.type == "timestamp" else text
    if column.type == "bigint" or (column.decimal is not None and column.decimal[1] <= _PLAIN_SCALE):
        # What reads as the engine writes it is plain, and told so at less cost than by the pattern.
        value = f"try_cast({text} AS {engine_type(column.type)})"
        return f"CASE WHEN CAST({value} AS STRING) = {text} OR {is_such} THEN {value} END"
    return f"try_cast(CASE WHEN {is_such} THEN {castable} END AS {engine_type(column.type)})"


def _type_reason(column: Column) -> str:
    if column.decimal is not None:
        precision, scale = column.decimal
        return (
            f"is not a plain decimal number of at most {precision - scale} digits before and {scale} after the point; "
            "write it like 1234.50, without currency signs, thousands separators or exponents"
        )
    return {
        "bigint": "is not a whole number of 64 bits; write digits alone",
        "date": "is not a date; write it like 2025-10-31",
        "timestamp": "is not a timestamp in UTC; write it like 2025-10-31T10:30:00Z",
        "boolean": f"is none of: {', '.join((column.accepted_values and column.accepted_values.values) or ())}",
    }[column.type]


def _because(column: Column, words: str) -> str:
    """A reason that repeats the start of the offending cell."""
    start = f"substr(coalesce({_text(column)}, ''), 1, {_SHOWN})"
    return f"concat({literal(column.name + ' ')}, '''', {start}, {literal(chr(39) + ' ' + words)})"


def _rule_violation(column: Column, rule: Rule) -> tuple[str, str] | None:
    """Predicate and reason of a rule that a row breaks by itself; None for rules over several rows."""
    name = quoted(column.name)
    match rule.rule:
        case "not_null":
            return f"{_text(column)} IS NULL", literal(rule.message or f"{column.name} is empty")
        case "accepted_values":
            spellings = ", ".join(literal(spelling) for spelling in rule.accepted)
            return (
                f"{_text(column)} IS NOT NULL AND lower({_text(column)}) NOT IN ({spellings})",
                _because(column, rule.message or f"is none of: {', '.join(rule.values or ())}"),
            )
        case "range":
            low = f"{name} < {rule.min}" if rule.min is not None else ""
            high = f"{name} > {rule.max}" if rule.max is not None else ""
            bounds = " and ".join(
                f"{word} {bound}"
                for word, bound in (("at least", rule.min), ("at most", rule.max))
                if bound is not None
            )
            return (
                " OR ".join(part for part in (low, high) if part),
                _because(column, rule.message or f"must be {bounds}"),
            )
        case "pattern":
            return (
                f"{_text(column)} IS NOT NULL AND NOT regexp_like({_text(column)}, {literal(rule.pattern or '')})",
                _because(column, rule.message or f"does not match {rule.pattern}"),
            )
        case _:
            return None


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
            f"{_text(column)} IS NULL OR upper({_text(column)}) NOT IN ({words})",
            _because(column, f"is none of: {', '.join(spellings)}"),
        )
    for column in contract.columns:
        # A deletion names the key alone; what its other cells hold does not matter.
        unless_absent = "" if operation is None or column.name in contract.key else " AND NOT _absent"
        if column.name == contract.effective_column:
            unless_absent = ""
            yield Violation(
                column.name, "not_null", Severity.ERROR, f"{_text(column)} IS NULL", literal(f"{column.name} is empty")
            )
        if column.type != "text" and not _refuses_other_values(column):
            yield Violation(
                column.name,
                "type",
                Severity.ERROR,
                f"({_text(column)} IS NOT NULL AND {quoted(column.name)} IS NULL){unless_absent}",
                _because(column, _type_reason(column)),
            )
        if column.name == contract.effective_column:
            reason = _because(column, "lies more than a day ahead of the file's arrival")
            yield Violation(column.name, IN_FUTURE, Severity.ERROR, f"NOT ({_NOT_AHEAD})", reason)
        for rule in column.rules:
            found = _rule_violation(column, rule)
            if found is not None:
                predicate, reason = found
                yield Violation(column.name, rule.label, rule.severity, f"({predicate}){unless_absent}", reason)


def _holds(contract: Contract) -> Iterator[str]:
    """What is true of a row that breaks no error rule: `violations` the other way round.

    Said of the typed values wherever that will do, since looking at the text again costs as much as typing it.
    """
    operation = contract.operation
    if operation is not None:
        words = ", ".join(literal(word.upper()) for word in (*operation.upsert, *operation.delete))
        yield f"coalesce(upper({_text(contract.column(operation.column))}) IN ({words}), FALSE)"
    for column in contract.columns:
        name = quoted(column.name)
        errors = [rule for rule in column.rules if rule.severity == Severity.ERROR]
        effective = column.name == contract.effective_column
        terms = []
        if effective:
            terms.append(_NOT_AHEAD)
        if effective or any(rule.rule == "not_null" for rule in errors):
            terms.append(f"{name} IS NOT NULL")
        elif column.type != "text" or any(rule.rule == "accepted_values" for rule in errors):
            terms.append(f"({name} IS NOT NULL OR {_text(column)} IS NULL)")
        for rule in errors:
            found = _rule_violation(column, rule) if rule.rule in {"range", "pattern"} else None
            if found is not None:
                terms.append(f"NOT coalesce({found[0]}, FALSE)")
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


def parse_fragments(contract: Contract) -> dict[str, str]:
    """What the statements that type a drop's rows need."""
    operation = contract.operation
    deletions = ", ".join(literal(word.upper()) for word in operation.delete) if operation else ""
    effective = contract.effective_column
    refusals = [(predicate, "NULL", literal(rule), reason) for predicate, rule, reason in header_cases(contract)] + [
        (violation.predicate, literal(violation.column), literal(violation.rule), violation.reason)
        for violation in violations(contract)
        if violation.severity == Severity.ERROR
    ]
    return {
        "typed_columns": ",\n        ".join(
            f"{_cleaned(column)} AS {_text(column)},\n        {typed_cell(column)} AS {quoted(column.name)}"
            for column in contract.columns
        ),
        "file": "",
        # Every column is in `_dl_parsed`, the effective and operation ones too, so that checks can see them.
        "columns": listed(column.name for column in contract.columns),
        "text_columns": listed((column.name for column in contract.columns), "s"),
        "effective_at": (
            f"coalesce(CAST(:given_as_of AS TIMESTAMP), CAST({quoted(effective)} AS TIMESTAMP))"
            if effective
            else "CAST(:as_of AS TIMESTAMP)"
        ),
        "absent": f"coalesce(upper({_text(contract.column(operation.column))}) IN ({deletions}), FALSE)"
        if operation
        else "FALSE",
        "valid": " AND ".join([*_holds(contract), *unless_header(contract)]) or "TRUE",
        "refusal_cases": " ".join(f"WHEN {predicate} THEN {place}" for place, (predicate, *_) in enumerate(refusals)),
        "column_cases": " ".join(f"WHEN {place} THEN {column}" for place, (_, column, _, _) in enumerate(refusals)),
        "rule_cases": " ".join(f"WHEN {place} THEN {rule}" for place, (_, _, rule, _) in enumerate(refusals)),
        "reason_cases": " ".join(f"WHEN {place} THEN {reason}" for place, (*_, reason) in enumerate(refusals)),
    }


def staging_predicates(contract: Contract) -> list[tuple[Violation, str]]:
    """Each rule as a predicate over `observation`, whose cells are typed: what the checks of the staging layer count.

    They look at the values that go into history, not at the text that they came from, and so find a fault
    in the typing as well as a broken rule of severity warn.
    """
    found = []
    unless_absent = "NOT _absent AND "
    for column in contract.columns:
        name = quoted(column.name)
        guard = "" if column.name in contract.key else unless_absent
        for rule in column.rules:
            match rule.rule:
                case "not_null":
                    predicate = f"{name} IS NULL"
                case "accepted_values":
                    stored = ", ".join(
                        str(value).upper() if isinstance(value, bool) else literal(value)
                        for value in dict.fromkeys(rule.accepted.values())
                    )
                    predicate = f"{name} NOT IN ({stored})"
                case "range":
                    parts = [f"{name} < {rule.min}"] * (rule.min is not None) + [f"{name} > {rule.max}"] * (
                        rule.max is not None
                    )
                    predicate = " OR ".join(parts)
                case "pattern":
                    predicate = f"NOT regexp_like({name}, {literal(rule.pattern or '')})"
                case _:
                    continue
            violation = Violation(column.name, rule.label, rule.severity, f"{guard}({predicate})", rule.message)
            found.append((violation, f"{rule.rule}_{column.name}" if not rule.name else rule.name))
    return found
