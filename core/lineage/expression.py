"""The value of an expression: which columns it is made of, and which decide about it."""

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp

from dropledger.core.lineage.made import NOTHING, Made, Rows, because, computed
from dropledger.core.lineage.scope import Scope


class Expressions:
    """Reads the expressions of a query; `rows` gives those of a query within one."""

    def __init__(self, scope: Scope, rows: Callable[[exp.Expr], Rows]) -> None:
        self._scope = scope
        self._rows = rows

    def made(self, node: exp.Expr, *, own_first: bool = False) -> Made:
        """What an expression comes from; `own_first` as in `Scope.column`."""
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            return self._scope.column([part.name.casefold() for part in node.parts], own_first=own_first)
        if isinstance(node, (exp.Alias, exp.Paren)):
            return self.made(node.this, own_first=own_first)
        for kinds, read in self._OWN_WAYS:
            if isinstance(node, kinds):
                return read(self, node)
        # Of a thousand conditions in a row each is an operand of the one before it, deeper than Python goes.
        parts = node.flatten() if isinstance(node, exp.Binary) else node.iter_expressions()
        return computed(self.made(part, own_first=own_first) for part in parts)

    def window(self, node: exp.Window) -> Made:
        """What decides about a window function beside its arguments."""
        parts = [*(node.args.get("partition_by") or ()), node.args.get("order"), node.args.get("spec")]
        decided = computed(self.made(part) for part in parts if part is not None).deciding("window")
        named = node.text("alias").casefold()
        if named:
            inner = self._scope.windows.get(named)
            decided |= inner() if inner else because(f"the window {named} is not known")
        return decided

    def _star(self, node: exp.Star | exp.Column) -> Made:
        """All columns of what is read, as an argument; to count rows looks at none."""
        if isinstance(node.parent, exp.Count):
            return NOTHING
        columns, hidden = self._scope.star(node.text("table").casefold() or None)
        return computed([*columns.values(), because(hidden) if hidden else NOTHING])

    def _columns(self, node: exp.Columns) -> Made:
        return because(f"{node.sql(comments=False)} stands for columns that just the engine knows")

    def _exists(self, node: exp.Exists) -> Made:
        return self._query(node.this).deciding("exists")

    def _over(self, node: exp.Window) -> Made:
        return computed([self.made(node.this), self.window(node)])

    def _filter(self, node: exp.Filter) -> Made:
        return computed([self.made(node.this), self.made(node.expression).deciding("where")])

    def _named_argument(self, node: exp.Expr) -> Made:
        return self.made(node.expression)

    def _query(self, node: exp.Expr) -> Made:
        """A query as a value: it is made of its columns."""
        rows = self._rows(node)
        return computed([rows.everything.decided_by(rows.decided)])

    def _case(self, node: exp.Case | exp.If) -> Made:
        """A choice: its results are what it is made of, its conditions decide."""
        if isinstance(node, exp.If):
            conditions, results = [node.this], [node.args.get("true"), node.args.get("false")]
        else:
            branches = node.args.get("ifs") or []
            conditions = [node.this, *(branch.this for branch in branches)]
            results = [*(branch.args.get("true") for branch in branches), node.args.get("default")]
        return computed(
            [
                *(self.made(result) for result in results if result is not None),
                *(self.made(condition).deciding("case") for condition in conditions if condition is not None),
            ]
        )

    def _ordered(self, node: exp.Order) -> Made:
        """An aggregate over rows in an order, or that order alone."""
        order = computed(self.made(part) for part in node.expressions)
        return order if node.this is None else computed([self.made(node.this), order.deciding("order")])

    def _within_group(self, node: exp.WithinGroup) -> Made:
        value, order = self.made(node.this), self.made(node.expression)
        return computed([value, order.deciding("order") if value.direct else order])  # percentile_cont(0.5) is of these

    _OWN_WAYS: ClassVar[tuple[tuple[Any, Callable[["Expressions", Any], Made]], ...]] = (
        ((exp.Star, exp.Column), _star),
        (exp.Columns, _columns),
        (exp.Exists, _exists),
        ((exp.Subquery, exp.Select, exp.SetOperation), _query),
        ((exp.Case, exp.If), _case),
        (exp.Window, _over),
        (exp.Filter, _filter),
        (exp.Order, _ordered),
        (exp.WithinGroup, _within_group),
        ((exp.Kwarg, exp.PropertyEQ), _named_argument),
    )
    """How to read expressions that are more than what their parts are together."""
