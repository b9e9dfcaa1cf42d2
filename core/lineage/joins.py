"""How the things that a SELECT reads are joined: by which equal columns one is reached from another."""

from collections.abc import Collection, Iterator, Sequence

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from dropledger.core.lineage.portable import Portable

_PLAIN = {
    *(exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Neg, exp.Add, exp.Sub),
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.Between, exp.In, exp.And, exp.Or, exp.Not),
    *(exp.Cast, exp.Coalesce, exp.Case, exp.If, exp.Lower, exp.Upper, exp.DataTypeParam, exp.Var, exp.TimestampTrunc),
}
_PLAIN_TYPES = {
    exp.DataType.Type.DATE,
    exp.DataType.Type.BIGINT,
    exp.DataType.Type.INT,
    exp.DataType.Type.TEXT,
    exp.DataType.Type.VARCHAR,
    exp.DataType.Type.DECIMAL,
    exp.DataType.Type.BOOLEAN,
}


class Unsure(Exception):
    """Why the keys that a change touches cannot be told."""


class Joins:
    """The sources of a SELECT whose columns all bear the alias of theirs.

    `may_be_missing` are the sources in whose place an outer join may put NULLs. What a condition of an outer join
    equates holds where it finds something, and nowhere else: so such a source leads to others, and others to it, but
    nothing leads through it.

    Raises:
        Unsure: they are joined in a way that is not followed.
    """

    def __init__(self, scope: Scope) -> None:
        select = scope.expression
        # Those on the right of a SEMI or ANTI join too, which sqlglot does not count as selected.
        self.sources = {alias: scope.sources[alias] for alias, _ in scope.references if alias in scope.sources}
        self.may_be_missing: set[str] = set()
        self._dead_ends: set[str] = set()
        self._where = list(conjuncts(select.args["where"].this)) if select.args.get("where") else []
        self._equal = [part for part in self._where if self._tables_of(part)]
        if select.args.get("laterals"):
            raise Unsure("LATERAL goes by each row")
        before = [select.args["from_"].this.alias_or_name] if select.args.get("from_") else []
        for join in select.args.get("joins") or ():
            self._add(join, before)
            before.append(join.this.alias_or_name)
        self._dead_ends |= self.may_be_missing

    def _add(self, join: exp.Join, before: Sequence[str]) -> None:
        alias, found_for_some = join.this.alias_or_name, bool(join.side) or join.kind in {"SEMI", "ANTI"}
        if join.method or join.kind not in {"", "INNER", "CROSS", "OUTER", "SEMI", "ANTI"}:
            raise Unsure(f"{join.method or join.kind} JOIN is not followed")
        if join.side in {"LEFT", "FULL"}:
            self.may_be_missing.add(alias)
        if join.side in {"RIGHT", "FULL"}:
            self.may_be_missing.update(before)
        if join.kind in {"SEMI", "ANTI"}:
            self._dead_ends.add(alias)
        for part in conjuncts(join.args["on"]) if join.args.get("on") else ():
            tables = self._tables_of(part)
            if tables and (alias in tables or not found_for_some):
                self._equal.append(part)

    def _tables_of(self, part: exp.Expr) -> set[str]:
        """The two sources whose columns a condition equates; none if it is another."""
        sides = (part.this, part.expression) if isinstance(part, exp.EQ) else ()
        tables = {side.table for side in sides if isinstance(side, exp.Column)}
        return tables if len(tables) == 2 and tables <= self.sources.keys() else set()

    def as_columns_of(self, alias: str, expression: exp.Expr) -> exp.Expr:
        """The same value by columns of one source, as far as columns are equal to these and of one type."""

        def of_alias(node: exp.Expr) -> exp.Expr:
            if isinstance(node, exp.Column) and node.table != alias:
                return next((same.copy() for same in self._same(node) if same.table == alias), node)
            return node

        return expression.copy().transform(of_alias)

    def _same(self, column: exp.Column) -> Iterator[exp.Column]:
        found = [column]
        for one in found:
            yield one
            if one is not column and one.table in self._dead_ends:
                continue
            for equal in self._equal:
                for this, other in ((equal.this, equal.expression), (equal.expression, equal.this)):
                    if _name(this) == _name(one) and _alike(this, other) and _name(other) not in map(_name, found):
                        found.append(other)

    def path(self, alias: str, others: Collection[str]) -> list[tuple[str, Sequence[exp.Expr]]] | None:
        """The sources that lead from one to others, each with what it is joined by to those before; None for none."""
        found: dict[str, list[exp.Expr]] = {alias: []}
        came_from: dict[str, str] = {}
        for reached in (queue := [alias]):
            if reached != alias and reached in self._dead_ends:
                continue
            for equal in self._equal:
                sides = {equal.this.table, equal.expression.table}
                for next_one in sides - {reached} if reached in sides else ():
                    if next_one not in came_from and next_one != alias:
                        came_from[next_one] = reached
                        queue.append(next_one)
        if not set(others) <= came_from.keys():
            return None
        needed = [*others]
        for one in needed:
            if came_from[one] not in {alias, *needed}:
                needed.append(came_from[one])
        for one in (one for one in queue if one in needed):
            found[one] = [
                equal
                for equal in self._equal
                if one in (sides := {equal.this.table, equal.expression.table}) and sides - {one} <= found.keys()
            ]
        del found[alias]
        return [*found.items()]

    def filters(self, alias: str) -> list[exp.Expr]:
        """The conditions on columns of one source alone that its rows meet in any result, as far as they are plain."""
        if alias in self.may_be_missing:
            return []
        return [
            part
            for part in self._where
            if {column.table for column in columns_of(part)} == {alias} and not what_is_not_plain(part)
        ]


def conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that hold where one holds."""
    for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
        inner = part.unnest()
        if isinstance(inner, exp.And):
            yield from conjuncts(inner)
        else:
            yield inner


def columns_of(expression: exp.Expr) -> list[exp.Column]:
    """The columns in an expression."""
    return list(expression.find_all(exp.Column))


def text(expression: exp.Expr) -> str:
    """A plain expression as SQL that both engines take.

    What cannot be cast is NULL: it may be of a row that the mart leaves out before it casts.
    """

    def attempted(node: exp.Expr) -> exp.Expr:
        if type(node) is exp.Cast and not isinstance(node.this, (exp.Literal, exp.Null)):
            return exp.TryCast(this=node.this, to=node.args["to"])
        return node

    return expression.copy().transform(attempted).sql(dialect=Portable, comments=False)


def what_is_not_plain(expression: exp.Expr) -> str:
    """The first part of an expression that is not sure to mean the same when it is written anew; empty for none.

    Dialects call functions by other names and order their arguments otherwise, so just few kinds are plain.
    """
    for node in expression.walk():
        if isinstance(node, exp.DataType):
            sized = node.expressions and node.this != exp.DataType.Type.DECIMAL
            plain = node.this in _PLAIN_TYPES and not sized
        else:
            plain = type(node) in _PLAIN
        if not plain:
            return node.sql(dialect=Portable, comments=False)
    return ""


def _name(column: exp.Column) -> tuple[str, str]:
    return column.table, column.name


def _alike(one: exp.Column, other: exp.Column) -> bool:
    return one.type is not None and not one.is_type(exp.DataType.Type.UNKNOWN) and one.type == other.type
