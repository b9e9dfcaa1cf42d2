"""Which keys of a mart a change of what it reads touches, found in the mart's SQL.

A row of a mart is made of rows of what it reads. Where one of these goes, comes or changes, the keys of the mart's rows
that it had a part in are those that its columns give, by themselves or through joins on equal columns. They are asked
of the rows as they were and as they are, so that a row which moves from one group to another touches both. More keys
than needed may be found, never fewer: what is not sure is told, and the mart is then computed whole.

Needs sqlglot, so just what reads a pipeline's files imports this.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from sqlglot import exp, parse_one
from sqlglot.optimizer.scope import Scope

from dropledger.core.lineage.joins import Joins, Unsure, columns_of, text, what_is_not_plain
from dropledger.core.lineage.portable import Portable
from dropledger.core.sql.text import listed, quoted


@dataclass(frozen=True, slots=True)
class Changing:
    """A table whose rows come and go: its columns, and the relations with the keys that changed and the rows before."""

    columns: Sequence[str]
    key: Sequence[str]
    changed: str
    before: str

    def rows(self, table: str, columns: Sequence[str]) -> str:
        """Those of the changed keys, as they were and as they are."""
        names, key = _listed(columns), listed(self.key)
        return (
            f"SELECT {names} FROM {quoted(table)} WHERE ({key}) IN (SELECT {key} FROM {quoted(self.changed)})"
            f" UNION ALL SELECT {names} FROM {quoted(self.before)}"
        )

    def all_rows(self, table: str, columns: Sequence[str]) -> str:
        """All rows as they are, and those that changed as they were."""
        names = _listed(columns)
        return f"SELECT {names} FROM {quoted(table)} UNION ALL SELECT {names} FROM {quoted(self.before)}"


class Touched:
    """Finds the keys that a change of one table touches; `changing` are all tables that may change with it."""

    def __init__(self, changed: str, changing: Mapping[str, Changing]) -> None:
        self._changed = changed
        self._changing = changing

    def selects(self, scope: Scope, wanted: Sequence[str]) -> Iterator[str]:
        """Selects that together give the `wanted` columns of the rows of a query that the change touches.

        Raises:
            Unsure: these may be any rows.
        """
        query = scope.expression
        if isinstance(query, exp.SetOperation):
            _refuse_limit(query)
            if query.args.get("by_name"):
                raise Unsure("it puts columns side by side by their names")
            places = [_names(query).index(name) for name in wanted]
            _refuse_other_types(scope, places)
            for branch in scope.set_operation_scopes:
                names = _names(branch.expression)
                yield from self.selects(branch, [names[place] for place in places])
            return
        if not self._times_read(scope):
            return
        if not isinstance(query, exp.Select):
            raise Unsure(f"{query.key.upper()} is no SELECT")
        outputs = {one.alias_or_name: one.unalias() for one in query.expressions}
        exprs = [outputs[name] for name in wanted]
        _refuse_other_rows(query, exprs)
        joins = Joins(scope)
        if sum(map(self._times_read, joins.sources.values())) != self._times_read(scope):
            raise Unsure(f"it reads {self._changed} in a subquery of a condition or of a column")
        for alias, source in joins.sources.items():
            if self._times_read(source):
                yield from self._through(joins, alias, source, dict(zip(wanted, exprs, strict=True)))

    def _times_read(self, source: exp.Expr | Scope) -> int:
        """How often a table or query names the table that changed."""
        query = source.expression if isinstance(source, Scope) else source
        return sum(table.name == self._changed for table in query.find_all(exp.Table))

    def _through(
        self, joins: Joins, alias: str, source: exp.Expr | Scope, wanted: Mapping[str, exp.Expr]
    ) -> Iterator[str]:
        """Selects of the wanted expressions for the changed rows of one of the things that are joined."""
        for exprs in _with_nothing_joined(joins, list(wanted.values())):
            reached = [joins.as_columns_of(alias, one) for one in exprs]
            path = joins.path(alias, {column.table for one in reached for column in columns_of(one)} - {alias})
            if path is None:
                raise Unsure(f"what {self._changed} is joined to is not joined by equal columns")
            filters = joins.filters(alias) if isinstance(source, exp.Table) else []
            used = [*reached, *filters, *(part for _, on in path for part in on)]
            results = ", ".join(f"{text(one)} AS {quoted(name)}" for name, one in zip(wanted, reached, strict=True))
            results = results or "1"
            select = f"SELECT {results} FROM ({self._rows(source, _columns(alias, used))}) AS {quoted(alias)}"
            for other, on in path:
                rows = self._all_rows(joins.sources[other], _columns(other, used))
                select += f" INNER JOIN ({rows}) AS {quoted(other)} ON {' AND '.join(map(text, on))}"
            yield select + (f" WHERE {' AND '.join(map(text, filters))}" if filters else "")

    def _rows(self, source: exp.Expr | Scope, columns: Sequence[str]) -> str:
        """The changed rows of one source."""
        if isinstance(source, Scope):
            return " UNION ALL ".join(dict.fromkeys(self.selects(source, columns)))
        return self._changing[self._changed].rows(self._changed, columns)

    def _all_rows(self, source: exp.Expr | Scope, columns: Sequence[str]) -> str:
        """All rows of another source, those that changed at the same time as they were too.

        Raises:
            Unsure: the rows as they were cannot be put beside those of now.
        """
        if isinstance(source, exp.Table):
            return self._of_table(source.name, columns)
        if not isinstance(source, Scope):
            raise Unsure("it makes rows of a function")
        query = source.expression.copy()
        if any(table.name in self._changing for table in query.find_all(exp.Table)):
            _refuse_more_than_joins(query)
            for table in list(query.find_all(exp.Table)):
                if table.name in self._changing:
                    both = self._of_table(table.name, self._changing[table.name].columns)
                    table.replace(exp.Subquery(this=parse_one(both, read=Portable), alias=table.args.get("alias")))
        return f"SELECT {_listed(columns)} FROM ({text(query)}) AS q"

    def _of_table(self, name: str, columns: Sequence[str]) -> str:
        changing = self._changing.get(name)
        return (
            f"SELECT {_listed(columns)} FROM {quoted(name)}" if changing is None else changing.all_rows(name, columns)
        )


def _refuse_other_rows(query: exp.Select, wanted: Sequence[exp.Expr]) -> None:
    """See that rows of a SELECT depend on no rows but those that give the same `wanted` values.

    Raises:
        Unsure: they may.
    """
    _refuse_limit(query)
    group = query.args.get("group")
    if group is not None:
        if any(group.args.get(kind) for kind in ("cube", "rollup", "grouping_sets", "totals", "all")):
            raise Unsure("it groups in more than one way")
        _refuse_beside(wanted, group.expressions, "grouped by")
    elif any(one.find(exp.AggFunc) and not one.find(exp.Window) for one in query.expressions):
        raise Unsure("it makes one row of all")
    distinct = query.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        _refuse_beside(wanted, distinct.args["on"].expressions, "chosen by DISTINCT ON")
    for window in query.find_all(exp.Window):
        if window.find_ancestor(exp.Select) is query:
            _refuse_beside(wanted, window.args.get("partition_by") or [], "partitioned by in a window")
    for one in wanted:
        if odd := what_is_not_plain(one):
            raise Unsure(f"what {odd} is of other rows is not followed")


def _refuse_other_types(scope: Scope, places: Sequence[int]) -> None:
    """See that what is put side by side is of one type: the engine would make it one, and write it otherwise."""
    branches = [branch.expression for branch in scope.set_operation_scopes]
    for place in places:
        types = {str(query.selects[place].type) for query in branches if isinstance(query, exp.Query)}
        if len(types) > 1 or "UNKNOWN" in types:
            raise Unsure("it puts columns of several types side by side")


def _refuse_limit(query: exp.Expr) -> None:
    if any(query.args.get(name) for name in ("limit", "offset", "fetch", "sample")):
        raise Unsure("LIMIT leaves other rows where one changes")


def _refuse_beside(wanted: Sequence[exp.Expr], by: Sequence[exp.Expr], how: str) -> None:
    """See that the wanted expressions are made of others."""
    for one in wanted:
        rest = one.copy().transform(lambda node: exp.Placeholder() if node in by else node)
        if rest.find(exp.Column, exp.AggFunc, exp.Window):
            raise Unsure(f"{text(one)} is not what rows are {how}")


def _refuse_more_than_joins(query: exp.Expr) -> None:
    """See that more rows of what a query reads give more rows of it, and no others."""
    for select in query.find_all(exp.Query):
        outer = [join for join in select.args.get("joins") or () if join.side or join.kind in {"SEMI", "ANTI"}]
        others = [name for name in ("group", "having", "qualify", "limit", "offset", "sample") if select.args.get(name)]
        if outer or others or isinstance(select, (exp.Except, exp.Intersect)):
            raise Unsure("it joins what is grouped or joined in another way than by equal columns")
        if select.find(exp.AggFunc, exp.Window, exp.SubqueryPredicate) or any(
            one.args.get("query") for one in select.find_all(exp.In)
        ):
            raise Unsure("it joins what looks at several rows")


def _with_nothing_joined(joins: Joins, exprs: list[exp.Expr]) -> Iterator[list[exp.Expr]]:
    """The expressions as they are, and as they are where an outer join finds nothing; each once."""
    used = sorted({column.table for one in exprs for column in columns_of(one)} & joins.may_be_missing)
    if len(used) > 3:
        raise Unsure("its key is made of more than three outer joins")
    for missing in chain.from_iterable(combinations(used, size) for size in range(len(used) + 1)):
        yield [_without(one, missing) for one in exprs]


def _without(expression: exp.Expr, missing: Collection[str]) -> exp.Expr:
    """An expression where some sources have NULLs alone, each of its type."""

    def nothing(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column) or node.table not in missing:
            return node
        if node.type is None or node.is_type(exp.DataType.Type.UNKNOWN):
            raise Unsure(f"nobody knows the type of {text(node)}")
        return exp.Cast(this=exp.Null(), to=node.type.copy())

    return expression.copy().transform(nothing)


def _columns(alias: str, exprs: Sequence[exp.Expr]) -> list[str]:
    """The columns of one source that expressions use."""
    return list(dict.fromkeys(column.name for one in exprs for column in columns_of(one) if column.table == alias))


def _listed(columns: Sequence[str]) -> str:
    """The columns of a select; something, where none is asked for."""
    return listed(columns) or "1"


def _names(query: exp.Expr) -> list[str]:
    return list(query.named_selects) if isinstance(query, exp.Query) else []
