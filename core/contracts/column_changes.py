"""What a contract changes of a feed's columns, and what that needs where there is history: nothing, or a replay."""

from collections.abc import Sequence
from dataclasses import dataclass

from dropledger.core.contracts.contract import Column, Contract


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A change of one column, in words; `in_place` is whether history goes on with it."""

    what: str
    in_place: bool


def column_changes(before: Contract, now: Contract) -> list[ColumnChange]:
    """The changes of key and values, in the order of the contract of now."""
    old, new = _kept(before), _kept(now)
    changes = []
    if before.key != now.key:
        changes.append(ColumnChange(f"the key was {', '.join(before.key)} and is {', '.join(now.key)}", in_place=False))
    if before.brings_facts != now.brings_facts:
        changes.append(ColumnChange(f"the mode was {before.mode} and is {now.mode}", in_place=False))
    gone = [name for name in old if name not in new]
    for name, column in new.items():
        if name not in old:
            renamed = next((other for other in gone if _is_renamed(old[other], column)), None)
            if renamed is not None:
                gone.remove(renamed)
            changes.append(_added(column, renamed))
        elif old[name].type != column.type:
            changes.append(_retyped(old[name], column))
    changes += [ColumnChange(f"{name} is taken out", in_place=False) for name in gone]
    return changes


def _kept(contract: Contract) -> dict[str, Column]:
    return {column.name: column for column in (*contract.key_columns, *contract.values)}


def _is_renamed(old: Column, new: Column) -> bool:
    return old.type == new.type and bool(old.headers & new.headers)


def _added(column: Column, renamed: str | None) -> ColumnChange:
    if renamed is not None:
        what = f"{renamed} is called {column.name} now (to rename just its header, keep the name and add an alias)"
        return ColumnChange(what, in_place=False)
    if column.optional:
        return ColumnChange(f"{column.name} is added, optional", in_place=True)
    return ColumnChange(f"{column.name} is added (with optional: true, history would go on)", in_place=False)


def _retyped(old: Column, new: Column) -> ColumnChange:
    what = f"{new.name} was {old.type} and is {new.type}"
    if old.decimal and new.decimal:
        more_behind = new.decimal[1] - old.decimal[1]
        more_before = new.decimal[0] - old.decimal[0] - more_behind
        return ColumnChange(what, in_place=more_behind >= 0 and more_before >= 0)
    return ColumnChange(what, in_place=False)


def told(changes: Sequence[ColumnChange]) -> str:
    """The changes that history does not go on with, in words."""
    return "; ".join(change.what for change in changes if not change.in_place)
