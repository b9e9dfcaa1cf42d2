"""How the things that a SELECT reads are joined: by which equal columns one is reached from another."""

from collections.abc import Collection, Iterator, Sequence

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from dropledger.core.lineage.portable import Portable


class Joins:
    """The sources of a SELECT whose columns all bear the alias of theirs.

    `may_be_missing` are the sources in whose place an outer join may put NULLs.
    """

    def __init__(self, scope: Scope) -> None:
        select = scope.expression
        # Those on the right of a SEMI or ANTI join too, which sqlglot does not count as selected.
        self.sources = {alias: scope.sources[alias] for alias, _ in scope.references if alias in scope.sources}
        self.may_be_missing: set[str] = set()
        before = [select.args["from_"].this.alias_or_name] if select.args.get("from_") else []
        conditions = [select.args["where"].this] if select.args.get("where") else []
        self._where = [part for condition in conditions for part in conjuncts(condition)]
        for join in select.args.get("joins") or ():
            alias = join.this.alias_or_name
            if join.side in {"LEFT", "FULL"}:
                self.may_be_missing.add(alias)
            if join.side in {"RIGHT", "FULL"}:
                self.may_be_missing.update(before)
            before.append(alias)
            if join.args.get("on") is not None:
                conditions.append(join.args["on"])
        parts = [part for condition in conditions for part in conjuncts(condition)]
        self._equal = [part for part in parts if self._joins_columns(part)]

    def _joins_columns(self, part: exp.Expr) -> bool:
        sides = (part.this, part.expression) if isinstance(part, exp.EQ) else ()
        tables = {side.table for side in sides if isinstance(side, exp.Column)}
        return len(tables) == 2 and tables <= self.sources.keys()

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
            for equal in self._equal:
                for this, other in ((equal.this, equal.expression), (equal.expression, equal.this)):
                    if _name(this) == _name(one) and _alike(this, other) and _name(other) not in map(_name, found):
                        found.append(other)

    def path(self, alias: str, others: Collection[str]) -> list[tuple[str, Sequence[exp.Expr]]] | None:
        """The sources that lead from one to others, each with what it is joined by to those before; None for none."""
        found: dict[str, list[exp.Expr]] = {alias: []}
        came_from: dict[str, str] = {}
        for reached in (queue := [alias]):
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
        """The conditions on columns of one source alone that its rows meet in any result."""
        if alias in self.may_be_missing:
            return []
        return [
            part
            for part in self._where
            if {column.table for column in columns_of(part)} == {alias} and not part.find(exp.Query)
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
    """An expression as SQL that both engines take."""
    return expression.sql(dialect=Portable, comments=False)


def _name(column: exp.Column) -> tuple[str, str]:
    return column.table, column.name


def _alike(one: exp.Column, other: exp.Column) -> bool:
    return one.type is not None and not one.is_type(exp.DataType.Type.UNKNOWN) and one.type == other.type
