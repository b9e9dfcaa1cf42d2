"""What a SELECT makes of what it reads: its columns, and what decides about its rows beside its joins."""

from collections.abc import Iterator, Mapping

from sqlglot import exp

from dropledger.core.lineage.expression import Expressions
from dropledger.core.lineage.made import NOTHING, Made, computed
from dropledger.core.lineage.scope import Scope, add_column


def results(node: exp.Select, scope: Scope, expressions: Expressions) -> tuple[dict[str, Made], str]:
    """The columns of a SELECT in order, and why there may be more; each may name those before it."""
    columns: dict[str, Made] = {}
    hidden = ""
    for one in node.expressions:
        star = one if isinstance(one, exp.Star) else one.this if isinstance(one, exp.Column) else None
        if isinstance(star, exp.Star):
            of = one.text("table").casefold() or None if isinstance(one, exp.Column) else None
            found, more = scope.star(of)
            hidden = hidden or more
            for name, made in _adapted(found, star, expressions):
                add_column(columns, name, made)
        elif one.find(exp.Columns) is not None:
            hidden = hidden or f"{one.sql(comments=False)} stands for columns that just the engine knows"
        else:
            name = _name_of(one)
            made = expressions.made(one)
            add_column(columns, name, made)
            scope.own.setdefault(name, made)
    return columns, hidden


def _name_of(result: exp.Expr) -> str:
    named = isinstance(result, (exp.Alias, exp.Column))
    return (result.alias_or_name if named else result.sql(comments=False)).casefold()


def _adapted(columns: Mapping[str, Made], star: exp.Star, expressions: Expressions) -> Iterator[tuple[str, Made]]:
    """The columns of a `*` with what it leaves out, replaces and renames."""
    left_out = {column.name.casefold() for column in star.args.get("except_") or ()}
    replaced = {alias.alias.casefold(): alias.this for alias in star.args.get("replace") or ()}
    renamed = {alias.this.name.casefold(): alias.alias.casefold() for alias in star.args.get("rename") or ()}
    for name, made in columns.items():
        if name in replaced:
            yield name, expressions.made(replaced[name])
        elif name not in left_out:
            yield renamed.get(name, name), made


def decided_rows(node: exp.Select, expressions: Expressions, columns: Mapping[str, Made]) -> Made:
    """What decides about the rows of a SELECT, beside its joins."""
    decided = NOTHING
    for clause in ("where", "having", "qualify"):
        if node.args.get(clause) is not None:
            decided |= expressions.made(node.args[clause].this).deciding(clause)
    if node.args.get("group") is not None:
        for key in _group_keys(node, list(columns)):
            made = columns[key] if isinstance(key, str) else expressions.made(key)
            decided |= made.deciding("group")
    distinct = node.args.get("distinct")
    if distinct is not None:
        on = distinct.args.get("on")
        decided |= (expressions.made(on) if on is not None else computed(columns.values())).deciding("distinct")
        if on is not None and node.args.get("order") is not None:
            decided |= expressions.made(node.args["order"], own_first=True).deciding("order")
    return decided


def order_keys(node: exp.Expr, columns: list[str]) -> Iterator[exp.Expr | str]:
    """What a query is ordered by: expressions, or the names of its results."""
    for key in node.args["order"].expressions:
        if key.this.sql().casefold() == "all":
            yield from columns
        else:
            yield _by_place(key.this, columns)


def _group_keys(node: exp.Select, columns: list[str]) -> Iterator[exp.Expr | str]:
    """What a SELECT groups by, likewise."""
    group = node.args["group"]
    if group.args.get("all"):
        for one in node.expressions:
            if one.find(exp.AggFunc) is None and _name_of(one) in columns:
                yield _name_of(one)
    for key in (
        *group.expressions,
        *(one for name in ("cube", "rollup", "grouping_sets") for one in group.args.get(name) or ()),
    ):
        yield _by_place(key, columns)


def _by_place(key: exp.Expr, columns: list[str]) -> exp.Expr | str:
    """A key, or the result that it means where it is a number."""
    is_place = isinstance(key, exp.Literal) and key.is_int
    return columns[int(key.name) - 1] if is_place and 0 < int(key.name) <= len(columns) else key
