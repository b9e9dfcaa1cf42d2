"""The pages of lineage: a picture of all tables, in which one table or column has what it comes from and goes into."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from dropledger.core.lineage.kept import lineage_of
from dropledger.core.lineage.pipeline import Lineage
from dropledger.core.views.lineage import Asked, find, graph, show_lineage
from dropledger.handlers.console.graph import Graph, drawn
from dropledger.handlers.console.page import Answer
from dropledger.handlers.console.reader import Reader


def lineage(reader: Reader, request: Request) -> Answer:
    """How all tables are made of one another."""
    del request
    found = lineage_of(reader.runtime.pipeline, reader.cache)
    return Answer(graph(found), more={"picture": picture(found), "lit": {}})


def lineage_of_one(reader: Reader, request: Request) -> Answer:
    """One table or column, with what it comes from and goes into."""
    found = lineage_of(reader.runtime.pipeline, reader.cache)
    document = show_lineage(found, _asked(found, request.path_params["name"]))
    return Answer(document, more={"picture": picture(found), "lit": lit(document)})


def _asked(found: Lineage, name: str) -> Asked:
    """What an address means: a table, or a table and a column with a slash between; artifacts have slashes too."""
    table, _, column = name.rpartition("/")
    if table in found and column in found[table].columns:
        return Asked(table, column)
    return find(found, name if name in found or not table else f"{table}.{column}")


def picture(found: Lineage) -> Graph:
    """All feeds, tables, views and artifacts but the ledger's own."""
    shown = {name: table for name, table in found.items() if table.layer != "ledger"}
    return drawn(
        {name: table.layer for name, table in shown.items()}, {name: table.reads for name, table in shown.items()}
    )


def lit(document: Mapping[str, Any]) -> dict[str, str]:
    """How each table that has to do with the one that was asked for stands out: `of` is that itself, `on` what it comes
    from or goes into, `by` what has just columns that decide.
    """
    found = {document["table"]: "of"}
    for one in (*document["upstream"], *document["downstream"]):
        if one.get("kind") != "indirect":
            found.setdefault(one["table"], "on")
    for one in (*document["upstream"], *document["downstream"]):
        found.setdefault(one["table"], "by")
    return found
