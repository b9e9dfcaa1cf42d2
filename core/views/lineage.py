"""The lineage of tables and columns, as plain values for JSON and for drawing."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

from dropledger.core.errors import ConfigurationError
from dropledger.core.lineage.pipeline import ColumnLineage, Lineage
from dropledger.core.views.drops import Records

Kind = Literal["direct", "indirect"]


class Asked(NamedTuple):
    """A table, or a column of it where that is not None."""

    table: str
    column: str | None


class _Edge(NamedTuple):
    """A column that one comes from, or that comes of one."""

    node: Asked
    direct: bool


def graph(lineage: Lineage) -> dict[str, Any]:
    """All of it, to be drawn.

    Returns:
        `nodes`, each behind what it reads: `name`, `layer` (feed, ledger, source, staging, history, intermediate,
        marts, artifact), `columns` (names in order), `unsure` (reasons why there may be more). `edges` between tables:
        `from`, `to`. `column_edges`: `from` and `to`, each with `table` and `column`; `kind`, direct or indirect; `by`,
        how an indirect one decides; `copied`, whether the column is an unchanged copy.
    """
    return {
        "nodes": [
            {"name": name, "layer": table.layer, "columns": list(table.columns), "unsure": list(table.unsure)}
            for name, table in lineage.items()
        ],
        "edges": [{"from": read, "to": name} for name, table in lineage.items() for read in table.reads],
        "column_edges": [
            edge
            for name, table in lineage.items()
            for column, made in table.columns.items()
            for edge in _column_edges(name, column, made)
        ],
    }


def _column_edges(table: str, column: str, made: ColumnLineage) -> Iterable[dict[str, Any]]:
    to = {"table": table, "column": column}
    for ref in made.direct:
        yield {"from": ref._asdict(), "to": to, "kind": "direct", "by": [], "copied": made.copied}
    for one in made.indirect:
        source = {"table": one.table, "column": one.column}
        yield {"from": source, "to": to, "kind": "indirect", "by": list(one.by), "copied": False}


def find(lineage: Lineage, text: str) -> Asked:
    """The table or column that people mean by `TABLE` or `TABLE.COLUMN`, without regard to case.

    A feed and an artifact may go by their bare names where no table has them.

    Raises:
        ConfigurationError: there is none; the hint names the nearest.
    """
    whole = _table(lineage, text)
    if whole is not None:
        return Asked(whole, None)
    before, _, behind = text.rpartition(".")
    table = _table(lineage, before)
    if table is not None:
        columns = {column.casefold(): column for column in lineage[table].columns}
        if behind.casefold() in columns:
            return Asked(table, columns[behind.casefold()])
        raise ConfigurationError(
            f"{table} has no column '{behind}'", hint=_nearest(behind, columns.values(), "its columns are")
        )
    raise ConfigurationError(
        f"there is no table or view '{before or text}'", hint=_nearest(before or text, lineage, "there are")
    )


def _table(lineage: Lineage, text: str) -> str | None:
    names = {name.casefold(): name for name in lineage}
    spellings = (text, f"outputs/{text}", f"feed:{text}")
    return next((names[one.casefold()] for one in spellings if one.casefold() in names), None)


def _nearest(text: str, names: Iterable[str], otherwise: str) -> str:
    near = get_close_matches(text.casefold(), names, 3)
    return f"did you mean {' or '.join(near)}?" if near else f"{otherwise} {', '.join(names)}"


def show_lineage(lineage: Lineage, asked: Asked) -> dict[str, Any]:
    """One table or column, with all that it comes from and all that comes of it.

    Returns:
        `table`, `column` (None for a table), `layer`, `unsure`; `upstream` and `downstream`, see there. Of a table
        `columns`, each with `name`; of a column the same without its name: `direct`, a list of `table` and `column`;
        `indirect`, the same with `by`; `copied`; `unsure`.
    """
    table = lineage[asked.table]
    told: dict[str, Any] = {**asked._asdict(), "layer": table.layer, "unsure": list(table.unsure)}
    if asked.column is None:
        told["columns"] = [{"name": name, **_told(made)} for name, made in table.columns.items()]
    else:
        told |= _told(table.columns[asked.column])
    return {**told, "upstream": upstream(lineage, asked), "downstream": downstream(lineage, asked)}


def _told(made: ColumnLineage) -> dict[str, Any]:
    return {
        "direct": [ref._asdict() for ref in made.direct],
        "indirect": [{"table": one.table, "column": one.column, "by": list(one.by)} for one in made.indirect],
        "copied": made.copied,
        "unsure": list(made.unsure),
    }


def upstream(lineage: Lineage, asked: Asked) -> Records:
    """All that a table or column comes from, the nearest first.

    Returns:
        `table`, `column` (None for tables), `layer`, `steps` (1 for what it comes from by itself), and of columns
        `kind`: direct where it is made of it, indirect where that decides about it or about what it is made of.
    """
    return _all(lineage, asked, lambda node: _before(lineage, node))


def downstream(lineage: Lineage, asked: Asked) -> Records:
    """All that comes of a table or column, the nearest first, as in `upstream`."""
    turned = _turned(lineage, of_columns=asked.column is not None)
    return _all(lineage, asked, lambda node: turned.get(node, []))


def _before(lineage: Lineage, node: Asked) -> list[_Edge]:
    table = lineage[node.table]
    if node.column is None:
        return [_Edge(Asked(name, None), direct=True) for name in table.reads]
    made = table.columns[node.column]
    refs = [_Edge(Asked(ref.table, ref.column), direct=True) for ref in made.direct]
    refs += [_Edge(Asked(one.table, one.column), direct=False) for one in made.indirect]
    # A view's SQL may name a column that its file says nothing of.
    return [edge for edge in refs if edge.node.column in lineage[edge.node.table].columns]


def _turned(lineage: Lineage, *, of_columns: bool) -> Mapping[Asked, list[_Edge]]:
    """The same from what comes first."""
    found: dict[Asked, list[_Edge]] = {}
    for name, table in lineage.items():
        for column in table.columns if of_columns else (None,):
            for edge in _before(lineage, Asked(name, column)):
                found.setdefault(edge.node, []).append(_Edge(Asked(name, column), edge.direct))
    return found


def before(lineage: Lineage, node: Asked) -> list[Asked]:
    """What a table comes from, or what a column is made of, by itself."""
    return [edge.node for edge in _before(lineage, node) if edge.direct]


def behind(lineage: Lineage, *, of_columns: bool) -> Mapping[Asked, list[Asked]]:
    """What comes of each table, or is made of each column, by itself; there are none without."""
    turned = _turned(lineage, of_columns=of_columns)
    return {node: [edge.node for edge in edges if edge.direct] for node, edges in turned.items()}


def _all(lineage: Lineage, asked: Asked, following: Callable[[Asked], list[_Edge]]) -> Records:
    """All that following leads to: over direct edges alone where they lead there, else over any."""
    direct = _reached(asked, lambda node: [edge.node for edge in following(node) if edge.direct])
    either = _reached(asked, lambda node: [edge.node for edge in following(node)])
    kinds: dict[Asked, tuple[Kind, int]] = {
        node: ("direct", direct[node]) if node in direct else ("indirect", steps) for node, steps in either.items()
    }
    places = {name: place for place, name in enumerate(lineage)}
    in_order = sorted(kinds, key=lambda node: (kinds[node][1], places[node.table], node.column or ""))
    return [
        {
            **node._asdict(),
            "layer": lineage[node.table].layer,
            "steps": kinds[node][1],
            **({} if node.column is None else {"kind": kinds[node][0]}),
        }
        for node in in_order
    ]


def _reached(asked: Asked, following: Callable[[Asked], list[Asked]]) -> dict[Asked, int]:
    """The steps to each that is reached, without the one that was asked for."""
    steps = {asked: 0}
    front = [asked]
    while front:
        front = [
            node for node in dict.fromkeys(node for before in front for node in following(before)) if node not in steps
        ]
        steps |= dict.fromkeys(front, max(steps.values()) + 1)
    del steps[asked]
    return steps
