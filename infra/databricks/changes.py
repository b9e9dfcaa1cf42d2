"""What a session changes, as statements of Databricks, each made of the parts that core gives.

`target` is a table as SQL names it, and a part is in Databricks' dialect. A `source` is a query whose rows are
written; `while_held` makes it one. Delta's UPDATE and DELETE know no subquery, so that what depends on a relation, or
on the hold, becomes a MERGE.
"""

from collections.abc import Mapping, Sequence

from dropledger.core.ports.session import TableColumn
from dropledger.core.sql.text import listed, quoted
from dropledger.infra.databricks.dialect import dialect, ticked

_MOST_CLUSTERED = 4
"""By so many columns Delta can keep the rows of a table together."""


def while_held(query: str, held: str | None) -> str:
    """A query that has no rows, and fails, once the view `held` is gone, whose one row has `_held`; nothing is added
    where that is None.
    """
    return f"SELECT * FROM (\n{query}\n)\nWHERE (SELECT _held FROM {held})" if held else query


def created(target: str, columns: Sequence[TableColumn], key: Sequence[str]) -> str:
    typed = ",\n    ".join(
        f"{ticked(column.name)} {dialect(column.type)}{' NOT NULL' if column.required else ''}" for column in columns
    )
    return f"CREATE TABLE IF NOT EXISTS {target} (\n    {typed}\n)\n{clustered(key)}"


def made_anew(target: str, key: Sequence[str], source: str) -> str:
    """A table with the columns and rows of a source, in place of what was there."""
    return f"CREATE OR REPLACE TABLE {target} {clustered(key)}AS\n{source}"


def clustered(key: Sequence[str]) -> str:
    return f"CLUSTER BY ({_listed(key[:_MOST_CLUSTERED])}) " if key else ""


def inserted(target: str, columns: Sequence[str], source: str) -> str:
    return f"INSERT INTO {target} ({_listed(columns)})\n{source}"


def overwritten(target: str, source: str) -> str:
    """A table with the rows of a source, which has its columns, in place of its own."""
    return f"INSERT OVERWRITE {target}\n{source}"


def deleted_where(target: str, condition: str, held: str | None) -> str:
    if held is None:
        return f"DELETE FROM {target}\nWHERE {condition}"
    return f"MERGE INTO {target}\nUSING {held}\nON _held AND ({condition})\nWHEN MATCHED THEN DELETE"


def updated_where(target: str, assignments: Mapping[str, str], condition: str, held: str | None) -> str:
    assigned = _assigned(assignments)
    if held is None:
        return f"UPDATE {target} SET {assigned}\nWHERE {condition}"
    return f"MERGE INTO {target}\nUSING {held}\nON _held AND ({condition})\nWHEN MATCHED THEN UPDATE SET {assigned}"


def deleted_keys(target: str, key: Sequence[str], source: str) -> str:
    """`source` has the key alone, and each once."""
    return f"MERGE INTO {target} AS t\nUSING (\n{source}\n) AS s\nON {_same(key)}\nWHEN MATCHED THEN DELETE"


def updated_matched(
    target: str, key: Sequence[str], assignments: Mapping[str, str], condition: str, source: str
) -> str:
    return (
        f"MERGE INTO {target} AS t\nUSING (\n{source}\n) AS s\nON {_same(key)}\n    AND ({condition})\n"
        f"WHEN MATCHED THEN UPDATE SET {_assigned(assignments)}"
    )


def rows_to_replace(columns: Sequence[str], key: Sequence[str], before: str, select: str) -> str:
    """The source of `replaced` in portable SQL: what goes, by its key, and what comes, by none."""
    keys = ", ".join(f"b.{quoted(name)} AS {_going(place)}" for place, name in enumerate(key))
    none = ", ".join(f"NULL AS {_going(place)}" for place, _ in enumerate(key))
    return (
        f"SELECT FALSE AS _comes, {keys}, {listed(columns, 'b')}\nFROM {quoted(before)} AS b\nUNION ALL\n"
        f"SELECT TRUE AS _comes, {none}, n.*\nFROM (\n{select}\n) AS n"
    )


def replaced(target: str, columns: Sequence[str], key: Sequence[str], source: str) -> str:
    on = " AND ".join(f"t.{ticked(name)} = s.{_going(place)}" for place, name in enumerate(key))
    return (
        f"MERGE INTO {target} AS t\nUSING (\n{source}\n) AS s\nON {on}\nWHEN MATCHED THEN DELETE\n"
        f"WHEN NOT MATCHED AND s._comes THEN INSERT ({_listed(columns)}) VALUES ({_listed(columns, 's')})"
    )


def _going(place: int) -> str:
    return f"_going_{place}"


def _listed(names: Sequence[str], alias: str = "") -> str:
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + ticked(name) for name in names)


def _same(key: Sequence[str]) -> str:
    return " AND ".join(f"t.{ticked(name)} = s.{ticked(name)}" for name in key)


def _assigned(assignments: Mapping[str, str]) -> str:
    return ",\n    ".join(f"{ticked(name)} = {value}" for name, value in assignments.items())
