"""The tables and views that a pipeline has, by layer, and which of them each reads."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Mart, Model, Pipeline
from dropledger.core.ledger.descriptions import feed_words, ledger_words
from dropledger.core.ledger.migrations import table_columns
from dropledger.core.sql.text import engine_type, full_refresh

Layer = Literal["ledger", "source", "staging", "history", "intermediate", "marts"]

_OF_VERSIONS = {
    "valid_from": "TIMESTAMP",
    "valid_to": "TIMESTAMP",
    "is_current": "BOOLEAN",
    "drop_id": "STRING",
    "line": "BIGINT",
}
_OF_ROWS = {"_drop_id": "STRING", "_line": "BIGINT"}
_TOKENS = re.compile(r"""'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|"((?:[^"]|"")*)"|(\w+)|([(),.])""", re.DOTALL)
_ENDS_FROM = frozenset(
    {"WHERE", "GROUP", "HAVING", "QUALIFY", "WINDOW", "ORDER", "LIMIT", "SELECT", "UNION", "EXCEPT", "INTERSECT"}
)


_CLOCKS = {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}
_MOVING = {
    *("now", "today", "get_current_timestamp", "current_localtime", "current_localtimestamp", "current_timezone"),
    *("transaction_timestamp", "statement_timestamp", "txid_current", "random", "rand", "randn"),
    *("curdate", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"),
}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view: its columns in order, each with its type, and with what it is in words.

    A type is None where just the engine knows it. Of a view `columns` are those that its file describes, and of a mart
    those of its artifacts; the SQL of either may have more.
    """

    name: str
    layer: Layer
    feed: str | None
    words: str
    columns: Mapping[str, str | None]
    column_words: Mapping[str, str]


def relations(pipeline: Pipeline) -> dict[str, Relation]:
    """All of them by name, each behind those that it reads; the ledger's own come first."""
    found = [*_of_ledger()]
    of_feeds = [relation for feed in pipeline.feed_order for relation in _of_feed(pipeline.contracts[feed])]
    found += [
        relation for layer in ("source", "staging", "history") for relation in of_feeds if relation.layer == layer
    ]
    found += map(_of_view, pipeline.views_for_marts)
    found += [
        Relation(mart.name, "marts", None, mart.words, dict.fromkeys(mart.file.columns), dict(mart.file.descriptions))
        for mart in pipeline.marts
    ]
    found += map(_of_view, pipeline.views_of_marts)
    return {relation.name: relation for relation in found}


def _of_view(model: Model) -> Relation:
    words = dict(model.descriptions)
    return Relation(model.name, "intermediate", None, model.words, dict.fromkeys(words), words)


def _of_ledger() -> Iterable[Relation]:
    tables = {**table_columns(), "mart_moment": {"moment": "TIMESTAMP"}}
    for name, (words, column_words) in ledger_words().items():
        yield Relation(name, "ledger", None, words, {**tables[name]}, column_words)


def _of_feed(contract: Contract) -> Iterable[Relation]:
    said = feed_words(contract)
    layers: tuple[Layer, ...] = ("source", "staging", "history")
    for layer, (name, columns) in zip(layers, columns_of_feed(contract).items(), strict=True):
        words, column_words = said[name]
        yield Relation(name, layer, contract.feed, words, {**columns}, column_words)


def columns_of_feed(contract: Contract) -> dict[str, dict[str, str]]:
    """The columns of `src_<feed>`, `stg_<feed>` and `history_<feed>`, each with its type."""
    types = {column.name: engine_type(column.type) for column in contract.columns}
    stored = (*contract.key_columns, *contract.values)
    return {
        f"src_{contract.feed}": {**_OF_ROWS, **dict.fromkeys(types, "STRING"), "_accepted": "BOOLEAN"},
        f"stg_{contract.feed}": {**_OF_ROWS, **types},
        f"history_{contract.feed}": {**{column.name: types[column.name] for column in stored}, **_OF_VERSIONS},
    }


def reads(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """Which of the relations each one is made of, by name; a feed's are made of one another.

    What limits a mart to the touched rows counts for nothing, unless it cannot be left out.
    """
    names = list(relations(pipeline))
    made: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    made["mart_moment"] = ("drop_ledger",)
    for feed in pipeline.contracts:
        made[f"stg_{feed}"], made[f"history_{feed}"] = (f"src_{feed}",), ("drop_ledger", f"stg_{feed}")
    touched = {f"touched_{mart.name}": mart.touched_sql or mart.whole_sql for mart in pipeline.marts}
    passing = {
        **{f"{kind}_{feed}": f"history_{feed}" for feed in pipeline.contracts for kind in ("changed", "before")},
        **{f"before_{mart.name}": mart.name for mart in pipeline.marts},
    }

    def of(sql: str, seen: frozenset[str] = frozenset()) -> set[str]:
        found: set[str] = set()
        for name in relations_read(full_refresh(sql), {*names, *touched, *passing}):
            if name in touched:
                found |= of(touched[name], seen | {name}) if name not in seen else set()
            else:
                found.add(passing.get(name, name))
        return found

    for name, sql in models_sql(pipeline).items():
        made[name] = tuple(sorted(of(sql) - {name}, key=names.index))
    return made


def models_sql(pipeline: Pipeline) -> dict[str, str]:
    """The SQL of the views and marts of a pipeline, by name, each behind those that it reads."""
    in_order: tuple[Model | Mart, ...] = (*pipeline.views_for_marts, *pipeline.marts, *pipeline.views_of_marts)
    return {model.name: model.sql for model in in_order}


def moving_word(sql: str) -> str:
    """The first function in an SQL text that gives something else each time that it is asked; empty for none."""
    words = [word.casefold() for word in words_of(sql)]
    found = (word for word, after in pairwise([*words, ""]) if word in _CLOCKS or (word in _MOVING and after == "("))
    return next(found, "")


def words_of(sql: str) -> list[str]:
    """The names, keywords, parentheses, commas and points of an SQL text, without comments and texts."""
    return [part for found_as in _TOKENS.finditer(sql) if (part := found_as[1] or found_as[2] or found_as[3])]


def relations_read(sql: str, known: Collection[str]) -> set[str]:
    """Those of the `known` tables and views that stand behind a FROM or JOIN in an SQL text, whatever their case.

    Comments and texts are passed over. A common table expression that is called like one of them is taken for it.
    """
    by_name = {name.casefold(): name for name in known}
    words = words_of(sql)
    found: set[str] = set()
    in_from, awaited = [False], False  # by parenthesis, whether a comma leads to a relation; whether one comes next
    for place, word in enumerate(words):
        upper = word.upper()
        if word == "(":
            in_from.append(awaited)
        elif word == ")":
            in_from, awaited = in_from[:-1] or [False], False
        elif word == ",":
            awaited = in_from[-1]
        elif upper in {"FROM", "JOIN"}:
            if words[place - 1].upper() != "DISTINCT":  # that compares
                in_from[-1] = awaited = True
        elif upper in _ENDS_FROM:
            in_from[-1] = awaited = False
        elif awaited and word != "." and upper != "LATERAL":
            behind = words[place + 1 : place + 2]
            awaited = behind == ["."]  # then it is a schema
            if behind not in (["."], ["("]) and word.casefold() in by_name:  # nor is it a function
                found.add(by_name[word.casefold()])
    return found


def tables_read(sql: str, tables: Collection[str], views: Mapping[str, str]) -> list[str]:
    """Those of the `tables` that an SQL text reads, by itself or through `views` (their SQL by name); in order."""
    found: set[str] = set()
    for name in relations_read(sql, {*tables, *views}):
        found |= {*tables_read(views[name], tables, views)} if name in views else {name}
    return sorted(found)
