"""What changes of a column's rules: which hold more, and which less."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from decimal import Decimal

from dropledger.core.contracts.contract import Rule, Severity

Told = tuple[str, bool, bool]
"""A change in words; whether values may be there that could not, and whether values are refused that were taken."""


def rule_changes(before: Sequence[Rule], now: Sequence[Rule]) -> Iterator[Told]:
    """The changes of rules that are not merely in another order."""
    left = list(before)
    pairs: list[tuple[Rule | None, Rule]] = []
    for alike in (_same, _same_label, _same_kind):
        for rule in now:
            if not any(rule is new for _, new in pairs):
                old = next((one for one in left if alike(one, rule)), None)
                if old is not None:
                    left.remove(old)
                    pairs.append((old, rule))
    for rule in now:
        old = next((was for was, new in pairs if new is rule), None)
        if old is None:
            yield f"the rule {_named(rule)} is added", False, rule.severity == Severity.ERROR
        elif old != rule:
            yield _changed(old, rule)
    for rule in left:
        yield f"the rule {_named(rule)} is taken out", rule.severity == Severity.ERROR, False


def _same(old: Rule, new: Rule) -> bool:
    return old == new


def _same_label(old: Rule, new: Rule) -> bool:
    return old.rule == new.rule and old.label == new.label


def _same_kind(old: Rule, new: Rule) -> bool:
    return old.rule == new.rule


def _changed(old: Rule, new: Rule) -> Told:
    was, is_ = old.severity == Severity.ERROR, new.severity == Severity.ERROR
    what = f"the rule {_named(old)} is {_named(new)} now"
    if not (was or is_):
        return what, False, False
    looser, tighter = _compared(old, new)
    return what, (was and not is_) or (was and looser), (is_ and not was) or (is_ and tighter)


def _compared(old: Rule, new: Rule) -> tuple[bool, bool]:
    """Whether a rule lets more through than the one before, and whether it lets less."""
    if replace(old, name=new.name, message=new.message, severity=new.severity) == new:
        return False, False
    if old.rule == "range":
        return (
            _above(old.min, new.min) or is_looser(old.max, new.max),
            _above(new.min, old.min) or is_tighter(old.max, new.max),
        )
    if old.rule == "accepted_values":
        kept = {word for word, value in old.accepted.items() if new.accepted.get(word) == value}
        stored = set(new.accepted.values()) <= set(old.accepted.values())
        return not stored or kept < old.accepted.keys() & new.accepted.keys(), kept != old.accepted.keys()
    return True, True


def _above(bound: Decimal | None, other: Decimal | None) -> bool:
    """Whether a lower bound keeps out more than another."""
    return bound is not None and (other is None or bound > other)


def is_looser(before: Decimal | None, now: Decimal | None) -> bool:
    """Whether an upper bound, None where there is none, leaves more than the one before."""
    return before is not None and (now is None or now > before)


def is_tighter(before: Decimal | None, now: Decimal | None) -> bool:
    """Whether an upper bound, None where there is none, leaves less than the one before."""
    return is_looser(now, before)


def _named(rule: Rule) -> str:
    """A rule with what it asks for, in a line."""
    said = {
        field.name: getattr(rule, field.name) for field in fields(rule) if field.name not in {"rule", "name", "message"}
    }
    told = [f"{name}: {_shown(value)}" for name, value in said.items() if value not in (None, Severity.ERROR)]
    label = f"{rule.rule} '{rule.name}'" if rule.name else rule.rule
    return f"{label} ({', '.join(told)})" if told else label


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    if isinstance(value, dict):
        return "/".join(f"{word}={stored}" for word, stored in value.items())
    return str(value)
