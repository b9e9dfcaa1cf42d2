"""What a contract changes of a feed's columns, and what that needs where there is history: nothing, or a replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dropledger.core.contracts.contract import Column, Contract


class Broken(StrEnum):
    """Who has to follow a change: those who read tables and marts, or those who send files."""

    READERS = "readers"
    SENDERS = "senders"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a contract, in words; `in_place` is whether history goes on with it."""

    what: str
    in_place: bool
    breaks: tuple[Broken, ...]


def column_changes(before: Contract, now: Contract) -> list[Change]:
    """The changes of key and values, in the order of the contract of now."""
    old, new = _kept(before), _kept(now)
    changes = []
    if before.key != now.key:
        changes.append(_not_in_place(f"the key was {', '.join(before.key)} and is {', '.join(now.key)}"))
    if before.brings_facts != now.brings_facts:
        changes.append(_not_in_place(f"the mode was {before.mode} and is {now.mode}"))
    gone = [name for name in old if name not in new]
    for name, column in new.items():
        if name not in old:
            renamed = next((other for other in gone if _is_renamed(old[other], column)), None)
            if renamed is not None:
                gone.remove(renamed)
            changes.append(_added(column) if renamed is None else _renamed(old[renamed], column))
        elif old[name].type != column.type:
            changes.append(_retyped(old[name], column))
    changes += [_not_in_place(f"{name} is taken out", Broken.READERS) for name in gone]
    if [name for name in old if name in new] != [name for name in new if name in old]:
        changes.append(Change("the columns stand in another order", in_place=True, breaks=()))
    return changes


def _not_in_place(what: str, *breaks: Broken) -> Change:
    return Change(what, in_place=False, breaks=breaks or (Broken.READERS, Broken.SENDERS))


def _kept(contract: Contract) -> dict[str, Column]:
    return {column.name: column for column in (*contract.key_columns, *contract.values)}


def _is_renamed(old: Column, new: Column) -> bool:
    return old.type == new.type and bool(old.headers & new.headers)


def _renamed(old: Column, new: Column) -> Change:
    what = f"{old.name} is called {new.name} now (to rename just its header, keep the name and add an alias)"
    lost = () if old.headers <= new.headers else (Broken.SENDERS,)
    return _not_in_place(what, Broken.READERS, *lost)


def _added(column: Column) -> Change:
    if column.optional:
        return Change(f"{column.name} is added, optional", in_place=True, breaks=())
    what = f"{column.name} is added (with optional: true, history would go on)"
    return Change(what, in_place=False, breaks=() if column.may_lack else (Broken.SENDERS,))


def _retyped(old: Column, new: Column) -> Change:
    what = f"{new.name} was {old.type} and is {new.type}"
    if old.decimal and new.decimal:
        more_behind = new.decimal[1] - old.decimal[1]
        more_before = new.decimal[0] - old.decimal[0] - more_behind
        if more_behind >= 0 and more_before >= 0:
            return Change(what, in_place=True, breaks=())
    return _not_in_place(what)


def told(changes: Sequence[Change]) -> str:
    """The changes that history does not go on with, in words."""
    return "; ".join(change.what for change in changes if not change.in_place)
