"""For each mart without SQL of its own for it: how the keys that a change touches are found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Mart, Model, TouchedKeys
from dropledger.core.lineage.joins import Unsure
from dropledger.core.lineage.portable import Portable
from dropledger.core.lineage.relations import columns_of_feed, moving_word, tables_read
from dropledger.core.lineage.touched import Changing, Touched
from dropledger.core.lineage.touched_keys import any_keys
from dropledger.core.sql.text import full_refresh

Columns = Mapping[str, str]
"""The columns of a table, each with its type in SQL."""


@dataclass
class Sources:
    """What the SQL of marts may name: tables with their columns, views, and the tables that a drop may change."""

    tables: dict[str, Columns]
    views: Mapping[str, str]
    changing: dict[str, Changing] = field(default_factory=dict)

    @classmethod
    def of(cls, contracts: Mapping[str, Contract], intermediate: Iterable[Model]) -> "Sources":
        """Those of a pipeline without its marts."""
        sources = cls({"mart_moment": {"moment": "TIMESTAMP"}}, {model.name: model.sql for model in intermediate})
        for feed, contract in contracts.items():
            sources.tables |= columns_of_feed(contract)
            history = f"history_{feed}"
            sources.changing[history] = Changing(
                [*sources.tables[history]], contract.key, f"changed_{feed}", f"before_{feed}"
            )
        return sources

    def add(self, mart: Mart) -> TouchedKeys:
        """Let the SQL of later marts name this one; how the keys of it that a change touches are found."""
        known = {*self.tables}
        try:
            query = self._qualified(mart.sql)
            self.tables[mart.name] = {one.alias_or_name: _type_of(one) for one in query.selects}
            found = self._keys(mart, query)
        except Unsure as unsure:
            self.tables[mart.name] = dict.fromkeys(mart.file.columns, "UNKNOWN")
            found = any_keys(tables_read(mart.whole_sql, known, self.views), str(unsure))
        self.changing[mart.name] = Changing(
            [*self.tables[mart.name]], mart.file.key, f"touched_{mart.name}", f"before_{mart.name}"
        )
        return found

    def _keys(self, mart: Mart, query: exp.Query) -> TouchedKeys:
        selects: dict[str, str | None] = {}
        reasons: dict[str, str] = {}
        scope = build_scope(query)
        for table in sorted({table.name for table in query.find_all(exp.Table)}):
            if scope is None or table not in self.changing:
                selects[table], reasons[table] = None, f"{table} says something else with each drop"
                continue
            try:
                branches = Touched(table, self.changing).selects(scope, [key.casefold() for key in mart.file.key])
                selects[table] = "\nUNION ALL\n".join(dict.fromkeys(branches))
            except Unsure as unsure:
                selects[table], reasons[table] = None, str(unsure)
        return TouchedKeys(selects, reasons)

    def _qualified(self, sql: str) -> exp.Query:
        """An SQL text with views and common table expressions in place of their names, and its columns by source.

        Raises:
            Unsure: it cannot be read, or its rows go by something else than what it reads.
        """
        try:
            query = self._expanded(_parsed(full_refresh(sql)))
            for moves in query.find_all(exp.Pivot, exp.TableSample, exp.Placeholder, exp.Parameter):
                raise Unsure(f"{moves.sql(dialect=Portable, comments=False)} goes by more than the rows that are read")
            for part in query.find_all(exp.Subquery, exp.Table):
                if any(part.args.get(name) for name in ("joins", "limit", "offset", "order", "laterals", "sample")):
                    raise Unsure("joins or LIMIT in parentheses are not followed")
            qualified = qualify(
                query, dialect=Portable, schema={**self.tables}, quote_identifiers=False, identify=False
            )
            return annotate_types(qualified, schema={**self.tables}, dialect=Portable)
        except (SqlglotError, RecursionError) as error:
            told = getattr(error, "errors", None) or [{"description": str(error).splitlines()[0]}]
            raise Unsure(f"its SQL could not be read: {told[0]['description']}") from error

    def _expanded(self, query: exp.Query) -> exp.Query:
        """The query with what views and common table expressions are in place of their names."""
        views: dict[str, Any] = {name: partial(self._view, name) for name in self.views}
        return exp.expand(self._inlined(query), views, dialect=Portable)  # type: ignore[return-value]

    def _view(self, name: str) -> exp.Query:
        return self._inlined(_parsed(self.views[name]))

    def _inlined(self, query: exp.Query) -> exp.Query:
        """The query without common table expressions."""
        for clause in reversed(list(query.find_all(exp.With))):  # those within others first
            bodies: dict[str, Any] = {}
            for table in clause.expressions:
                if clause.recursive or table.args["alias"].columns or table.alias in {*self.tables, *self.views}:
                    raise Unsure(f"the common table expression {table.alias} is recursive, or named like a table")
                bodies[table.alias] = exp.expand(table.this, bodies, dialect=Portable)
            within = clause.parent or query
            clause.pop()
            exp.expand(within, bodies, dialect=Portable, copy=False)
        return query


def _parsed(sql: str) -> exp.Query:
    if word := moving_word(sql):
        raise Unsure(f"{word} gives something else each time")
    statements = [one for one in parse(sql, read=Portable) if one is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise Unsure("it is not one query")
    return statements[0]


def _type_of(column: exp.Expr) -> str:
    return column.type.sql(dialect=Portable) if column.type is not None else "UNKNOWN"
