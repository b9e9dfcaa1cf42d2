"""How the keys that a change touches are found of marts that have no SQL for it: by their own, where it can be read."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Mart, Model, TouchedKeys
from dropledger.core.lineage.relations import tables_read


def with_touched_keys(
    contracts: Mapping[str, Contract], intermediate: Iterable[Model], marts: Iterable[Mart]
) -> tuple[Mart, ...]:
    """Marts, each behind those that it reads, with `touched_keys` where they have no `touched_sql`.

    Where sqlglot is not installed these are any keys.
    """
    in_order = tuple(marts)
    if find_spec("sqlglot") is not None:
        from dropledger.core.lineage.mart_keys import Sources

        sources = Sources.of(contracts, intermediate)
        found = [sources.add(mart) for mart in in_order]
    else:
        tables = [*(f"history_{feed}" for feed in contracts), *(mart.name for mart in in_order), "mart_moment"]
        views = {model.name: model.sql for model in intermediate}
        why = "its SQL could not be read: sqlglot is not installed"
        found = [any_keys(tables_read(mart.whole_sql, tables, views), why) for mart in in_order]
    return tuple(
        mart if mart.touched_sql is not None else replace(mart, touched_keys=keys)
        for mart, keys in zip(in_order, found, strict=True)
    )


def any_keys(tables: Iterable[str], reason: str) -> TouchedKeys:
    """The keys of a mart that reads these tables, and that any change of them may touch all of."""
    read = list(tables)
    return TouchedKeys(dict.fromkeys(read), dict.fromkeys(read, reason))
