"""What a contract changes of another, whom each change breaks, and what it needs of a root that has the feed's history.

Who sends files has to follow where what was taken is refused, or read as something else. Who reads has to follow where
tables lose something, or may hold what they could not.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any

from dropledger.core.contracts.column_changes import Broken, Change, column_changes
from dropledger.core.contracts.contract import CheckDefinition, Column, Contract, Limits, Severity
from dropledger.core.contracts.rule_changes import is_looser, is_tighter, rule_changes

_READERS, _SENDERS, _NOBODY = (Broken.READERS,), (Broken.SENDERS,), ()
_BOTH = (*_READERS, *_SENDERS)
Breaks = Callable[[Any, Any], tuple[Broken, ...]]


def contract_changes(before: Contract, now: Contract) -> list[Change]:
    """The changes that files, tables or people see, those of columns first; none where both mean the same."""
    changes = column_changes(before, now)
    old = {column.name: column for column in before.columns}
    in_history = {column.name for column in (*now.key_columns, *now.values)}
    for column in now.columns:
        if column.name in old:
            changes += _of_column(old[column.name], column)
            if column.name not in in_history and old[column.name].type != column.type:
                changes.append(_change(f"{column.name} was {old[column.name].type} and is {column.type}", _BOTH))
    if now.header == "none" and [*old] != [column.name for column in now.columns]:
        changes.append(_change("files without a header have other columns, or in another order", _SENDERS))
    changes += _of_entries(before, now)
    changes += _of_checks(before.checks, now.checks)
    if _initial_rows_differ(before, now):
        changes.append(Change("its initial rows are others", in_place=False, breaks=_READERS))
    return changes


def _initial_rows_differ(before: Contract, now: Contract) -> bool:
    texts = before.initial_text, now.initial_text
    return before.initial != now.initial or (None not in texts and texts[0] != texts[1])


def feed_changes(before: Sequence[Contract], now: Sequence[Contract]) -> list[tuple[str, Change]]:
    """The changes of feeds, each with the name of its feed; feeds are the same that have the same name."""
    old, new = ({contract.feed: contract for contract in contracts} for contracts in (before, now))
    changes = []
    for feed in dict.fromkeys((*old, *new)):
        if feed not in new:
            what = "the feed is taken out (a root that has drops of it is neither verified nor replayed without it)"
            changes.append((feed, _change(what, _BOTH)))
        elif feed not in old:
            changes.append((feed, _change("the feed is added", _NOBODY)))
        else:
            changes += [(feed, change) for change in contract_changes(old[feed], new[feed])]
    return changes


def _change(what: str, breaks: Sequence[Broken]) -> Change:
    return Change(what, in_place=True, breaks=tuple(breaks))


def _either(*, looser: bool, tighter: bool) -> tuple[Broken, ...]:
    return (*(_READERS if looser else ()), *(_SENDERS if tighter else ()))


def _fewer(before: Collection[Any], now: Collection[Any]) -> tuple[Broken, ...]:
    """Senders are broken where something that was taken is not any more."""
    return _NOBODY if set(before) <= set(now) else _SENDERS


def _forms(before: Collection[str], now: Collection[str]) -> tuple[Broken, ...]:
    """The same for ways of writing, where none that is named means the usual one."""
    return _fewer(before, now) if before and now else _SENDERS


def _always(*breaks: Broken) -> Breaks:
    return lambda _, __: breaks


def _of_volume(before: Any, now: Any) -> tuple[Broken, ...]:
    least = Decimal(before.min_rows or 0), Decimal(now.min_rows or 0)
    limits = [(before.fewer, now.fewer), (before.more, now.more)]
    return _either(
        looser=least[1] < least[0] or any(is_looser(old.error, new.error) for old, new in limits),
        tighter=least[1] > least[0] or any(is_tighter(old.error, new.error) for old, new in limits),
    )


def _of_drift(before: Any, now: Any) -> tuple[Broken, ...]:
    old, new = (_drift_errors(drifts) for drifts in (before, now))
    pairs = [(old.get(guarded), new.get(guarded)) for guarded in {**old, **new}]
    return _either(
        looser=any(is_looser(was, is_) for was, is_ in pairs), tighter=any(is_tighter(was, is_) for was, is_ in pairs)
    )


def _drift_errors(drifts: Any) -> dict[tuple[str, str], Decimal | None]:
    """From what share on each total, and each share of empty cells, refuses a file."""
    return {
        (drift.column, what): getattr(drift, what)
        for drift in drifts
        if drift.severity == Severity.ERROR
        for what in ("sum", "nulls")
    }


_OF_CONTRACT: Mapping[str, Breaks] = {
    "description": _always(),
    "owner": _always(),
    "files": _fewer,
    "mode": _always(*_SENDERS),
    "missing_keys": _always(*_READERS),
    "max_rejected": lambda before, now: _either(looser=now > before, tighter=now < before),
    "as_of": _fewer,
    "as_of_in_name": _always(*_SENDERS),
    "future": lambda _, now: _either(looser=now == "allowed", tighter=now == "refused"),
    "effective_column": _always(*_BOTH),
    "operation": _always(*_BOTH),
    "format": _always(*_SENDERS),
    "delimiters": _fewer,
    "encoding": _always(*_SENDERS),
    "quote": _always(*_SENDERS),
    "escape": _always(*_SENDERS),
    "header": _always(*_SENDERS),
    "preamble": _always(*_SENDERS),
    "trailer": _always(*_SENDERS),
    "control_file": _always(*_SENDERS),
    "comment": _always(*_SENDERS),
    "ignore": _fewer,
    "volume": _of_volume,
    "drift": _of_drift,
    "freshness": _always(),
}
"""Whom a change of an entry breaks."""

_OF_COLUMN: Mapping[str, Breaks] = {
    "aliases": _fewer,
    "default": lambda before, now: _either(looser=True, tighter=now is None and before is not None),
    "optional": lambda _, now: _either(looser=now, tighter=not now),
    "joined": _always(*_SENDERS),
    "path": _always(*_SENDERS),
    "date_format": _forms,
    "timestamp_format": _forms,
    "timezone": _always(*_BOTH),
    "zones": _always(*_BOTH),
    "dst": _always(*_BOTH),
    "decimal_mark": _always(*_SENDERS),
    "group_mark": _always(*_SENDERS),
    "strip": _fewer,
    "negative": _forms,
    "description": _always(),
    "classification": _always(),
}


def _of_entries(before: Contract, now: Contract) -> Iterator[Change]:
    for entry, breaks in _OF_CONTRACT.items():
        old, new = getattr(before, entry), getattr(now, entry)
        told_already = entry == "mode" and before.brings_facts != now.brings_facts
        if old != new and not told_already:
            yield _change(f"{entry} {_was(old, new)}", breaks(old, new))


def _of_column(old: Column, new: Column) -> Iterator[Change]:
    for entry, breaks in _OF_COLUMN.items():
        was, is_ = getattr(old, entry), getattr(new, entry)
        if was != is_:
            yield _change(f"{new.name}: {entry} {_was(was, is_)}", breaks(was, is_))
    for what, looser, tighter in rule_changes(old.rules, new.rules):
        yield _change(f"{new.name}: {what}", _either(looser=looser, tighter=tighter))


def _of_checks(before: Sequence[CheckDefinition], now: Sequence[CheckDefinition]) -> Iterator[Change]:
    old, new = ({check.name: check for check in checks} for checks in (before, now))
    for name in dict.fromkeys((*old, *new)):
        was, is_ = (found[name].severity if name in found else None for found in (old, new))
        if was != is_:
            what = f"the check {name} {_was(was, is_)}"
            yield _change(what, _either(looser=was == Severity.ERROR, tighter=is_ == Severity.ERROR))
        elif old[name] != new[name]:
            yield _change(f"the check {name} has another message", _NOBODY)


def _was(before: object, now: object) -> str:
    return f"was {_shown(before)} and is {_shown(now)}"


def _shown(value: Any) -> str:
    """A value of an entry, in words."""
    if isinstance(value, Limits):
        return _entries(value, unit="%")
    if isinstance(value, Mapping):
        return _listed(f"{key}: {_shown(inner)}" for key, inner in value.items())
    if isinstance(value, tuple):
        return _listed(map(_shown, value))
    if hasattr(value, "__dataclass_fields__"):
        return _entries(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "not there"}[value]
    return str(value) or "empty"


def _entries(value: Any, unit: str = "") -> str:
    said = ((field.name, getattr(value, field.name)) for field in fields(value))
    return _listed(f"{name}: {_shown(inner)}{unit}" for name, inner in said if inner not in (None, ()))


def _listed(texts: Any) -> str:
    return ", ".join(texts) or "none"
