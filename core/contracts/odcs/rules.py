"""Quality rules of the standard as rules of columns, in the entries of a contract."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from dropledger.core.contracts.odcs import OURS
from dropledger.core.contracts.odcs.document import Property, Quality
from dropledger.core.contracts.odcs.notes import Notes

_WARN = frozenset({"warn", "warning", "info", "low", "minor", "notice"})
_RENAMED = {"nullCheck": "nullValues", "nullCount": "nullValues", "duplicateCount": "duplicateValues"}
IN_SQL = "write it as a check, in SQL that selects what is wrong"
"""What to do about a rule that there is none like."""
_MOST_REPEATS = 1000  # of RE2

Entries = dict[str, Any]


def severity(quality: Quality) -> str:
    return "warn" if quality.severity.strip().lower() in _WARN else "error"


def rule_of(quality: Quality, notes: Notes) -> Entries | None:
    """The rule that a quality rule of a property is; None, with a note, where there is none."""
    what = _what(quality, notes)
    if what is None:
        return None
    said = {"name": quality.name, "severity": severity(quality), "message": quality.description}
    return {**what, **{name: value for name, value in said.items() if value and value != "error"}}


def _what(quality: Quality, notes: Notes) -> Entries | None:
    """What the rule asks for, whatever its name and severity."""
    if quality.engine == OURS and isinstance(quality.implementation, dict):
        return dict(quality.implementation)
    metric = metric_of(quality)
    if not metric:
        why = "is no rule of the standard's library"
    elif not _is_none_at_all(quality):
        why = "lets some rows break it, or names no number"
    elif (found := _of_library(metric, quality, notes)) is not None:
        return found
    else:
        why = "has no rule that is like it"
    notes.add(f"{named(quality)} {why}", IN_SQL)
    return None


def _of_library(metric: str, quality: Quality, notes: Notes) -> Entries | None:
    """The rule that no row may break; None where there is none like it."""
    match metric:
        case "nullValues":
            return {"rule": "not_null"}
        case "duplicateValues" if not quality.arguments:
            return {"rule": "unique"}
        case "invalidValues" if quality.arguments.keys() == {"validValues"}:
            return _accepted_values(quality, notes)
        case "invalidValues" if quality.arguments.keys() == {"pattern"}:
            return {"rule": "pattern", "pattern": str(quality.arguments["pattern"])}
    return None


def metric_of(quality: Quality) -> str:
    """The metric of a rule of the library, by its name of now; empty where it is another kind of rule."""
    metric = quality.metric or quality.rule
    return _RENAMED.get(metric, metric) if quality.type == "library" else ""


def named(quality: Quality) -> str:
    """A quality rule as people find it in the document."""
    said = quality.name or quality.metric or quality.rule or quality.description or quality.query or quality.engine
    return f"the quality rule '{said}' ({quality.type})"


def _is_none_at_all(quality: Quality) -> bool:
    """Whether the operators leave nothing but that no row breaks the rule."""
    match dict(quality.operators):
        case {"mustBe": 0, **rest} | {"mustBeLessOrEqualTo": 0, **rest}:
            return not rest
        case {"mustBeLessThan": 1, **rest}:
            return not rest and not quality.of_percent
    return False


def _accepted_values(quality: Quality, notes: Notes) -> Entries:
    given = quality.arguments["validValues"]
    valid = [word_of(value) for value in given] if isinstance(given, list) else given
    words = quality.ours.get("values")
    if isinstance(words, Mapping) and isinstance(valid, list):
        stored = [*words.values()]
        if all(value in valid for value in stored) and all(value in stored for value in valid):
            return {"rule": "accepted_values", "values": dict(words)}
        notes.add("the words under customProperties stand for other values than validValues", "correct one of the two")
    if isinstance(valid, list) and valid and all(isinstance(value, bool) for value in valid):
        return {"rule": "accepted_values", "values": {str(value).lower(): value for value in valid}}
    return {"rule": "accepted_values", "values": valid}


def word_of(value: object) -> object:
    """A value that stands for itself, as the text that it is in files."""
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def rules_of_options(found: Property, scale: int | None, known: list[Entries], notes: Notes) -> Iterator[Entries]:
    """The rules that `logicalTypeOptions` asks for and that are not known from the quality rules.

    `scale` is how many digits behind the point a number has; None if the property is none.
    """
    options = dict(found.logical_type_options)
    if scale is not None:
        tighter = {}
        for name, bound in _bounds(options, scale, notes).items():
            kept = _kept(name, known)
            if kept is None or (bound > kept if name == "min" else bound < kept):
                tighter[name] = str(bound)
            elif bound != kept:
                what = f"{name}imum {bound} of logicalTypeOptions leaves more than a rule under quality, which holds"
                notes.add(what, "correct one of the two")
        if tighter:
            yield {"rule": "range", **tighter}
    pattern = options.pop("pattern", None)
    if pattern is not None and not any(rule.get("pattern") == pattern for rule in known):
        yield {"rule": "pattern", "pattern": str(pattern)}
    least, most = options.pop("minLength", None), options.pop("maxLength", None)
    if least or most is not None:
        if isinstance(least or 0, int) and isinstance(most or 0, int) and max(least or 0, most or 0) <= _MOST_REPEATS:
            yield {"rule": "pattern", "pattern": f"(?s)^.{{{least or 0},{'' if most is None else most}}}$"}
        else:
            notes.add(f"a length from {least or 0} to {most} is more than a pattern counts", IN_SQL)
    if options:
        notes.add(f"no rule says {', '.join(map(str, options))} of logicalTypeOptions", IN_SQL)


def _bounds(options: Entries, scale: int, notes: Notes) -> dict[str, Decimal]:
    """The bounds among the options, which are taken out; a bound that is exclusive is the next number within."""
    step = Decimal(1).scaleb(-scale)
    found: dict[str, list[Decimal]] = {"min": [], "max": []}
    for option, name, way in (("minimum", "min", 1), ("maximum", "max", -1)):
        for key, exclusive in ((option, False), (f"exclusive{option.capitalize()}", True)):
            if key not in options:
                continue
            given = options.pop(key)
            try:
                bound = Decimal(str(given))
                found[name].append(_next(bound, step, way) if exclusive else bound)
            except InvalidOperation:
                notes.add(f"{key} {given} is not a number", "correct it in the document")
    chosen = {"min": max(found["min"], default=None), "max": min(found["max"], default=None)}
    return {name: bound for name, bound in chosen.items() if bound is not None}


def _next(bound: Decimal, step: Decimal, way: int) -> Decimal:
    """The first multiple of a step beyond a bound."""
    within = bound.quantize(step, rounding="ROUND_FLOOR" if way > 0 else "ROUND_CEILING")
    return within + way * step


def _kept(name: str, known: list[Entries]) -> Decimal | None:
    """The bound that the known rules of severity error keep already; None if they keep none."""
    ranges = [rule for rule in known if rule["rule"] == "range" and "severity" not in rule]
    said = [Decimal(str(rule[name])) for rule in ranges if name in rule]
    return (max if name == "min" else min)(said, default=None)
