"""Rules of columns as quality rules of the standard."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from dropledger.core.contracts.contract import CheckDefinition, Column, Rule, Severity
from dropledger.core.contracts.odcs import OURS

_SAID_ELSEWHERE = frozenset({"name", "severity", "message"})


def quality_of(rule: Rule) -> dict[str, Any]:
    """The quality rule that a rule is: of the standard's library where that has it, else one of ours."""
    named = {"name": rule.name} if rule.name else {}
    told = {"description": rule.message} if rule.message else {}
    return {**named, **told, **_what(rule), "severity": rule.severity.value}


def _what(rule: Rule) -> dict[str, Any]:
    match rule.rule:
        case "not_null":
            return {"type": "library", "metric": "nullValues", "mustBe": 0}
        case "unique":
            return {"type": "library", "metric": "duplicateValues", "mustBe": 0}
        case "pattern":
            return _invalid_values({"pattern": rule.pattern})
        case "accepted_values":
            if isinstance(rule.values, Mapping):
                stored = [*dict.fromkeys(rule.values.values())]
                return {**_invalid_values({"validValues": stored}), **custom({"values": dict(rule.values)})}
            return _invalid_values({"validValues": [*(rule.values or ())]})
        case _:
            return {"type": "custom", "engine": OURS, "implementation": _entries(rule)}


def _invalid_values(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "library", "metric": "invalidValues", "arguments": arguments, "mustBe": 0}


def _entries(rule: Rule) -> dict[str, Any]:
    """A rule as a contract has it; bounds are text, as there they may be money."""
    said = ((field.name, getattr(rule, field.name)) for field in fields(rule) if field.name not in _SAID_ELSEWHERE)
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in said if value is not None}


def custom(value: Mapping[str, Any]) -> dict[str, Any]:
    """What an element says beside the standard; nothing where that is empty."""
    return {"customProperties": [{"property": OURS, "value": dict(value)}]} if value else {}


def quality_of_check(check: CheckDefinition, sql: str | None) -> dict[str, Any]:
    """The quality rule that a check of a feed is; its SQL, where it is known, selects what is wrong."""
    return {
        "name": check.name,
        "description": check.message,
        "type": "custom",
        "engine": OURS,
        "implementation": {"check": check.name, **({"sql": sql} if sql is not None else {})},
        "severity": check.severity.value,
    }


def row_count(least: int) -> dict[str, Any]:
    """The quality rule that a file has so many rows."""
    return {"type": "library", "metric": "rowCount", "mustBeGreaterOrEqualTo": least, "severity": "error"}


def bounds(rules: Iterable[Rule]) -> tuple[Decimal | None, Decimal | None]:
    """The least and the greatest value that rules of severity error leave."""
    ranges = [rule for rule in rules if rule.rule == "range" and rule.severity == Severity.ERROR]
    least = [rule.min for rule in ranges if rule.min is not None]
    most = [rule.max for rule in ranges if rule.max is not None]
    return max(least, default=None), min(most, default=None)


def refuses(column: Column, kind: str) -> bool:
    """Whether a rule of this kind refuses rows for the column."""
    return any(rule.rule == kind and rule.severity == Severity.ERROR for rule in column.rules)
