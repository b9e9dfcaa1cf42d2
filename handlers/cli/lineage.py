"""The command that tells what tables and columns are made of; it needs neither a root nor a warehouse."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from dropledger.handlers.cli.command import command
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.lineage.pipeline import Lineage
    from dropledger.core.views.lineage import Asked


@command
@click.argument("name", required=False, metavar="[TABLE[.COLUMN]]")
def lineage(context: Context, name: str | None) -> int:
    """Show what a table or column is made of, and what is made of it.

    Without TABLE, all tables and views of the pipeline are listed. A column is made of others, and others decide about
    it, as in WHERE, JOIN or GROUP BY. Needs no root and no warehouse, and the extra dropledger[lineage].
    """
    from dropledger.core.lineage.kept import lineage_of
    from dropledger.core.views.lineage import find, graph, show_lineage

    pipeline, cache = context.pipeline_alone()
    found = lineage_of(pipeline, cache)
    if name is None:
        context.print_result({"pipeline": pipeline.name, **graph(found)}, lambda: _show_all(found))
        return 0
    asked = find(found, name)
    document = {"pipeline": pipeline.name, **show_lineage(found, asked)}
    context.print_result(document, lambda: _show_one(found, asked, document))
    return 0


def _show_all(found: "Lineage") -> None:
    from dropledger.handlers import render

    rows = [(name, table.layer, len(table.columns), ", ".join(table.reads)) for name, table in found.items()]
    render.table("", ("name", "layer", "columns", "made of"), rows)
    for name, table in found.items():
        _show_unsure(name, table.unsure)


def _show_one(found: "Lineage", asked: "Asked", document: dict[str, Any]) -> None:
    from dropledger.core.views.lineage import before, behind
    from dropledger.handlers import render

    turned = behind(found, of_columns=asked.column is not None)
    render.line(f"{_named(asked)} ({document['layer']})")
    _show_unsure(_named(asked), document["unsure"])
    _show_tree("made of", asked, lambda node: before(found, node))
    if asked.column is not None:
        _show_deciders(document["indirect"])
    _show_tree("goes into", asked, lambda node: turned.get(node, []))
    if asked.column is None:
        _show_columns(document)


def _show_columns(document: dict[str, Any]) -> None:
    """What each column is made of, and what decides about it alone; below that what decides about all."""
    from dropledger.handlers import render

    columns = document["columns"]
    ways = [{(one["table"], one["column"]): set(one["by"]) for one in column["indirect"]} for column in columns]
    shared = {ref: set.intersection(*(of_one.get(ref, set()) for of_one in ways)) for ref in ways[0]}
    render.line("columns")
    width = max(len(column["name"]) for column in columns)
    for column in columns:
        alone = [one for one in column["indirect"] if set(one["by"]) - shared.get((one["table"], one["column"]), set())]
        decided = f", decided by {_listed(alone)}" if alone else ""
        render.line(f"  {column['name']:<{width}}  {_listed(column['direct']) or 'none'}{decided}")
        _show_unsure(f"  {column['name']}", set(column["unsure"]) - set(document["unsure"]))
    _show_deciders(
        {"table": table, "column": name, "by": sorted(by)} for (table, name), by in sorted(shared.items()) if by
    )


def _show_deciders(deciders: Iterable[dict[str, Any]]) -> None:
    from dropledger.handlers import render

    for place, one in enumerate(deciders):
        if place == 0:
            render.line("decided by")
        render.line(f"  {one['table']}.{one['column']} ({', '.join(one['by'])})")


def _listed(refs: Iterable[dict[str, Any]]) -> str:
    """Columns with their tables: `t.a`, or `t.(a, b)` where there are several of one."""
    by_table: dict[str, list[str]] = {}
    for ref in refs:
        by_table.setdefault(ref["table"], []).append(ref["column"])
    return ", ".join(
        f"{table}.{names[0]}" if len(names) == 1 else f"{table}.({', '.join(names)})"
        for table, names in by_table.items()
    )


def _show_tree(title: str, asked: "Asked", following: Callable[["Asked"], Sequence["Asked"]]) -> None:
    """What following leads to, each below the one before it; what stood there already is not followed again."""
    from dropledger.handlers import render

    shown: set[Asked] = set()

    def show(node: "Asked", depth: int) -> None:
        again = node in shown and bool(following(node))
        render.line(f"{'  ' * depth}{_named(node)}{' (see above)' if again else ''}")
        if node not in shown:
            shown.add(node)
            for other in following(node):
                show(other, depth + 1)

    if following(asked):
        render.line(title)
        for node in following(asked):
            show(node, 1)


def _show_unsure(name: str, reasons: Iterable[str]) -> None:
    from dropledger.handlers import render

    for reason in sorted(reasons):
        render.line(f"{name}: not sure: {reason}")


def _named(node: "Asked") -> str:
    return node.table if node.column is None else f"{node.table}.{node.column}"
