"""The rows of a query: what each of its columns is made of, by columns of the tables and views that it reads.

Needs sqlglot, so just what reads queries imports this.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from dropledger.core.lineage.expression import Expressions
from dropledger.core.lineage.made import NOTHING, Made, Rows, because, computed
from dropledger.core.lineage.results import decided_rows, order_keys, results
from dropledger.core.lineage.scope import Scope, add_column


def read_query(sql: str, known: Mapping[str, Rows], *, schema: str = "", dialect: str = "duckdb") -> Rows:
    """What the rows of an SQL text come from.

    Args:
        known: the tables and views that it may name, in lower case.
        schema: that these are in, which may stand before their names.
        dialect: that the text is written in, as sqlglot calls it.

    Returns:
        The rows; what could not be found out stands in `hidden`, or in `unsure` of a column, and is never guessed.
    """
    try:
        found = parse(sql, read=dialect)
        statements = [statement for statement in found if statement is not None]
        if len(statements) != 1:
            return Rows(hidden=f"the SQL has {len(statements)} statements")
        return _Queries(known, schema.casefold()).rows(statements[0], {}, None)
    except RecursionError:
        return Rows(hidden="the SQL could not be read: it is nested too deeply")
    except SqlglotError as error:
        told = getattr(error, "errors", None) or [{"description": type(error).__name__, "line": 1}]
        return Rows(hidden=f"the SQL could not be read: {told[0]['description']} (line {told[0]['line']})")


class _Queries:
    """Reads queries within queries, each with the common table expressions in force and the query around it."""

    def __init__(self, known: Mapping[str, Rows], schema: str) -> None:
        self._known = known
        self._schema = schema

    def rows(self, node: exp.Expr, named: Mapping[str, Rows], around: Scope | None) -> Rows:
        """The rows of anything that has some."""
        named = self._with_common_tables(node, named, around)
        match node:
            case exp.Subquery():
                return self._wrapped(node, named, around)
            case exp.Select():
                return self._select(node, named, around)
            case exp.SetOperation():
                return self._set(node, named, around)
            case exp.Values():
                return self._values(node, named, Scope(around))
            case exp.Table():
                scope = Scope(around)
                decided = self._read(node, named, scope)
                columns, hidden = scope.star()
                return Rows(columns, decided, hidden)
            case _:
                return Rows(hidden=f"{node.key.upper()} is no query")

    def _with_common_tables(
        self, node: exp.Expr, named: Mapping[str, Rows], around: Scope | None
    ) -> Mapping[str, Rows]:
        clause = node.args.get("with_")
        if clause is None:
            return named
        found = dict(named)
        for table in clause.expressions:
            name = table.alias.casefold()
            if clause.args.get("recursive") and isinstance(table.this, exp.SetOperation):
                found[name] = self._recursive(table, name, found, around)
            else:
                found[name] = _renamed(self.rows(table.this, found, around), table.args.get("alias"))
        return found

    def _recursive(self, table: exp.CTE, name: str, named: Mapping[str, Rows], around: Scope | None) -> Rows:
        """A common table expression that may name itself: read until reading it again adds nothing."""
        alias = table.args.get("alias")
        current = _renamed(self.rows(table.this.this, named, around), alias)
        while True:  # each round adds to what columns are made of, and there are just so many columns
            again = _renamed(self.rows(table.this, {**named, name: current}, around), alias)
            if again == current:
                return current
            current = again

    def _wrapped(self, node: exp.Subquery, named: Mapping[str, Rows], around: Scope | None) -> Rows:
        rows = _renamed(self.rows(node.this, named, around), node.args.get("alias"))
        return replace(rows, decided=rows.decided | self._limited(node, rows, Scope(around), named))

    def _limited(self, node: exp.Expr, rows: Rows, scope: Scope, named: Mapping[str, Rows]) -> Made:
        """What decides which rows are left by LIMIT."""
        if not any(node.args.get(name) for name in ("limit", "offset")) or node.args.get("order") is None:
            return NOTHING
        inside = Scope(scope.around, scope.sources, scope.unseen, scope.together, dict(rows.columns), scope.windows)
        expressions = self._expressions(inside, named)
        return computed(
            rows.columns[key] if isinstance(key, str) else expressions.made(key, own_first=True)
            for key in order_keys(node, list(rows.columns))
        ).deciding("order")

    def _expressions(self, scope: Scope, named: Mapping[str, Rows]) -> Expressions:
        return Expressions(scope, lambda node: self.rows(node, named, scope))

    # What is read

    def _read(self, node: exp.Expr, named: Mapping[str, Rows], scope: Scope) -> Made:
        """Take what stands behind FROM or JOIN into the scope; what decides about its rows."""
        inner = node.this
        if isinstance(node, exp.Subquery) and isinstance(inner, exp.Table) and not node.alias:
            return self._read(inner, named, scope)  # joins in parentheses
        rows = self._source(node, named, scope)
        name = node.alias_or_name.casefold() if isinstance(node, (exp.Table, exp.Subquery)) else node.alias.casefold()
        decided = rows.decided | scope.add(name, replace(rows, decided=NOTHING))
        for join in node.args.get("joins") or ():
            if isinstance(node, exp.Table):
                decided |= self._join(join, named, scope)
        return decided

    def _source(self, node: exp.Expr, named: Mapping[str, Rows], scope: Scope) -> Rows:
        alias = node.args.get("alias")
        if node.args.get("pivots"):
            return Rows(hidden="PIVOT makes columns of values")
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return _renamed(self._table(node, named), alias)
        if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            return _renamed(self.rows(node.this, named, scope), alias)
        if isinstance(node, (exp.Table, exp.Lateral, exp.Unnest)):
            return self._function(node if isinstance(node, exp.Unnest) else node.this, alias, named, scope)
        return _renamed(self.rows(node, named, scope), None if isinstance(node, exp.Subquery) else alias)

    def _table(self, node: exp.Table, named: Mapping[str, Rows]) -> Rows:
        name, schema = node.name.casefold(), node.text("db").casefold()
        if not schema and name in named:
            return named[name]
        if name in self._known and not node.text("catalog") and schema in {"", self._schema}:
            return self._known[name]
        unknown = f"the table {name} is not known"
        return Rows(decided=because(unknown), hidden=unknown)

    def _function(self, node: exp.Expr, alias: exp.Expr | None, named: Mapping[str, Rows], scope: Scope) -> Rows:
        """Rows that a function makes of its arguments."""
        made = self._expressions(scope, named).made(node)
        hidden = f"{node.sql(comments=False)} has columns without names"
        if not isinstance(node, (exp.Unnest, exp.Explode, exp.GenerateSeries)):
            hidden = f"what {node.sql(comments=False)} gives just the engine knows"
            made |= because(hidden)
        columns = [column.name.casefold() for column in alias.args.get("columns") or ()] if alias else []
        if columns:
            return Rows(dict.fromkeys(columns, made), made.deciding("join"))
        return Rows(decided=made.deciding("join"), hidden=hidden)

    def _values(self, node: exp.Values, named: Mapping[str, Rows], scope: Scope) -> Rows:
        expressions = self._expressions(scope, named)
        rows = [list(one.expressions) if isinstance(one, exp.Tuple) else [one] for one in node.expressions]
        return Rows(
            {
                f"col{place}": computed(map(expressions.made, cells))
                for place, cells in enumerate(zip(*rows, strict=False))
            }
        )

    def _join(self, join: exp.Join, named: Mapping[str, Rows], scope: Scope) -> Made:
        before = set(scope.sources)
        decided = self._read(join.this, named, scope)
        (right, *_) = [name for name in scope.sources if name not in before] or [""]
        if join.args.get("on") is not None:
            decided |= self._expressions(scope, named).made(join.args["on"]).deciding("join")
        using = [column.name.casefold() for column in join.args.get("using") or ()]
        if join.method == "NATURAL":
            left = {name for source in before for name in scope.sources[source].columns}
            using = [name for name in scope.sources[right].columns if name in left]
            if any(rows.hidden for rows in scope.sources.values()):
                decided |= because("NATURAL JOIN goes by columns that are not known")
        decided |= scope.merge(using, right)
        if join.kind in {"SEMI", "ANTI"}:
            scope.unseen.add(right)
        return decided

    # What is made of it

    def _select(self, node: exp.Select, named: Mapping[str, Rows], around: Scope | None) -> Rows:
        scope, decided = Scope(around), NOTHING
        source = node.args.get("from_")
        if source is not None:
            decided |= self._read(source.this, named, scope)
        for join in node.args.get("joins") or ():
            decided |= self._join(join, named, scope)
        for lateral in node.args.get("laterals") or ():
            decided |= self._read(lateral, named, scope)
        expressions = self._expressions(scope, named)
        for window in node.args.get("windows") or ():
            scope.windows[window.name.casefold()] = partial(expressions.window, window)
        columns, hidden = results(node, scope, expressions)
        decided |= decided_rows(node, expressions, columns)
        rows = Rows(columns, decided, hidden)
        return replace(rows, decided=decided | self._limited(node, rows, scope, named))

    def _set(self, node: exp.SetOperation, named: Mapping[str, Rows], around: Scope | None) -> Rows:
        left, right = self.rows(node.this, named, around), self.rows(node.expression, named, around)
        rows = _side_by_side(left, right, by_name=bool(node.args.get("by_name")))
        decided = left.decided | right.decided
        if not isinstance(node, exp.Union):  # what is right is taken away, or says what stays
            rows = replace(rows, columns=left.columns)
            decided |= (left.everything | right.everything).deciding("set")
        elif node.args.get("distinct"):
            decided |= rows.everything.deciding("set")
        rows = replace(rows, decided=decided)
        return replace(rows, decided=decided | self._limited(node, rows, Scope(around), named))


def _renamed(rows: Rows, alias: exp.Expr | None) -> Rows:
    """The rows under the names that an alias gives to columns, from the first on."""
    names = [column.name.casefold() for column in alias.args.get("columns") or ()] if alias is not None else []
    if not names:
        return rows
    if rows.hidden:
        return Rows({name: because(rows.hidden) for name in names}, rows.decided)
    columns: dict[str, Made] = {}
    for place, (name, made) in enumerate(rows.columns.items()):
        add_column(columns, names[place] if place < len(names) else name, made)
    return replace(rows, columns=columns)


def _side_by_side(left: Rows, right: Rows, *, by_name: bool) -> Rows:
    hidden = left.hidden or right.hidden
    if hidden:
        return Rows(hidden=hidden)
    if by_name:
        names = dict.fromkeys([*left.columns, *right.columns])
        sides = (left.columns, right.columns)
        return Rows({name: _either([side[name] for side in sides if name in side]) for name in names})
    if len(left.columns) != len(right.columns):
        return Rows(hidden=f"{len(left.columns)} columns are put beside {len(right.columns)}")
    pairs = zip(left.columns.items(), right.columns.values(), strict=True)
    return Rows({name: _either([made, other]) for (name, made), other in pairs})


def _either(alternatives: list[Made]) -> Made:
    first, *others = alternatives
    for other in others:
        first |= other
    return first
