"""What is found of a word: drops by id or file name, keys of every feed, and texts that stand in their current rows."""

from collections.abc import Callable, Collection
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.lineage.relations import relations
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed, quoted
from dropledger.core.views.drops import Records
from dropledger.core.views.keys import read_key, write_key

FOUND = 20
"""How many of each kind are given at most."""


def search(
    session: Session | None, pipeline: Pipeline, words: str, hidden: Callable[[str], Collection[str]] = lambda _: ()
) -> dict[str, Any]:
    """What is found, at most `FOUND` of each kind.

    Returns:
        `drops`; `keys`, each with `feed`, `key`, and the `column` and `text` that it was found by, if it was a text;
        `models`, each with `name` and, where that was found, `column`. Without a session just the last.

    Texts are those of columns that may hold any; case makes no difference. `hidden` gives the columns of a feed that
    are not looked at.
    """
    if not words:
        return {"drops": [], "keys": [], "models": []}
    models = _models(pipeline, words.casefold())
    if session is None:
        return {"drops": [], "keys": [], "models": models}
    keys = [*_keys(session, pipeline, words, hidden), *_texts(session, pipeline, words, hidden)]
    return {"drops": _drops(session, words), "keys": keys, "models": models}


def _models(pipeline: Pipeline, words: str) -> Records:
    """The tables and views, and columns of them, that are called so or have it in their name."""
    found: Records = []
    for relation in relations(pipeline).values():
        if words in relation.name:
            found.append({"name": relation.name, "column": None})
        if relation.layer != "ledger":
            found += [{"name": relation.name, "column": column} for column in relation.columns if words in column]
    return sorted(found, key=lambda one: words not in (one["name"], one["column"]))[:FOUND]


def _drops(session: Session, words: str) -> Records:
    return session.query(
        f"""SELECT drop_id, feed, name, as_of, received_at, status
        FROM drop_ledger
        WHERE substr(drop_id, 1, :length) = lower(:words)
            OR contains(lower(name), lower(:words))
        ORDER BY sequence DESC
        LIMIT {FOUND}""",
        {"words": words, "length": len(words)},
    )


def _keys(session: Session, pipeline: Pipeline, words: str, hidden: Callable[[str], Collection[str]]) -> Records:
    """The feeds that have a key which is written so."""
    found = []
    for feed in pipeline.feed_order:
        contract = pipeline.contract(feed)
        if {*hidden(feed)} & {*contract.key}:
            continue
        try:
            key = read_key(words, contract)
        except ConfigurationError:  # it has not as many parts
            continue
        there = session.query(
            f"SELECT {listed(contract.key, 'h')} FROM {feed_fragments(contract)['history']} AS h "
            f"WHERE {key.condition} LIMIT 1",
            key.bound,
        )
        found += [_found(contract, row) for row in there]
    return found


def _texts(session: Session, pipeline: Pipeline, words: str, hidden: Callable[[str], Collection[str]]) -> Records:
    """The keys whose current rows have the words in a text."""
    found: Records = []
    for feed in pipeline.feed_order:
        contract = pipeline.contract(feed)
        if {*hidden(feed)} & {*contract.key}:
            continue
        free = [column.name for column in contract.values if column.type == "text" and column.accepted_values is None]
        free += [name for name in contract.key if contract.column(name).type == "text"]
        for name in (name for name in free if name not in hidden(feed)):
            rows = session.query(
                f"""SELECT {listed(contract.key, "h")}, h.{quoted(name)} AS _text
                FROM {feed_fragments(contract)["history"]} AS h
                WHERE h.is_current AND contains(lower(h.{quoted(name)}), lower(:words))
                ORDER BY {listed(contract.key, "h")}
                LIMIT {FOUND}""",
                {"words": words},
            )
            found += [{**_found(contract, row), "column": name, "text": row["_text"]} for row in rows]
    return found[:FOUND]


def _found(contract: Contract, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "feed": contract.feed,
        "key": write_key([row[name] for name in contract.key]),
        "column": None,
        "text": None,
    }
