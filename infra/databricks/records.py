"""Records as a query: they go up as one JSON text, of which the warehouse makes rows."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dropledger.core.sql.text import literal, quoted
from dropledger.infra.databricks.dialect import read, ticked


def rows_of(records: Sequence[Mapping[str, Any]]) -> tuple[list[str], str, str]:
    """The columns of records that all name the same, a portable select that gives these, and the text that it binds as
    `:records`.

    A column that has no value in any row is left out: it is NULL then, and needs no type.
    """
    given = {name: [value for value in column if value is not None] for name, column in _by_column(records).items()}
    types = {name: _type_of(values) for name, values in given.items() if values}
    texts = ", ".join(f"{ticked(name)}: STRING" for name in types)
    cells = ", ".join(f"CAST(r.{quoted(name)} AS {kind})" for name, kind in types.items())
    select = f"SELECT {cells}\nFROM (SELECT inline(from_json(:records, {literal(f'ARRAY<STRUCT<{texts}>>')}))) AS r"
    rows = json.dumps([{name: _as_text(record[name]) for name in types} for record in records])
    return list(types), select, rows


def _by_column(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [record[name] for record in records] for name in records[0]}


def _type_of(values: Sequence[Any]) -> str:
    """The portable type of a column by its values."""
    match values[0]:
        case bool():
            return "BOOLEAN"
        case int():
            return "BIGINT"
        case Decimal():
            return f"DECIMAL(38, {max(-int(value.as_tuple().exponent) for value in values)})"
        case datetime():
            return "TIMESTAMP"
        case _:
            return "STRING"


def _as_text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case datetime():
            return str(read({"moment": value})["moment"].strftime("%Y-%m-%d %H:%M:%S.%f"))
        case _:
            return str(value)
