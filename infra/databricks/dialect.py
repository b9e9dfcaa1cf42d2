"""The portable statements in Databricks' dialect: how literals, names, types and a few statements are spelled there."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dropledger.core.ports.session import Parameters

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*")
    |/\*\ cluster\ by\ (?P<clustered>[^*]+)\ \*/
    |(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?<![:\w]):(?P<marker>[a-z_]\w*)
    |(?P<type>\bTIMESTAMP\b)""",
    re.VERBOSE | re.DOTALL,
)
NAME = r"(?:`(?:[^`]|``)*`|\w+)"
_DELETE_BY_KEY = re.compile(
    rf"""^\s*DELETE\ FROM\ (?P<table>{NAME})\s+
    (?:/\*\ incremental\ \*/\s+)?WHERE\ \((?P<key>[^()]+)\)\ IN\ \((?P<select>.*)\)(?:\s+/\*\ end\ \*/)?\s*$""",
    re.VERBOSE | re.DOTALL,
)
_WRITES = re.compile(
    r"^\s*(?:--[^\n]*\n\s*)*"
    r"(?:INSERT INTO|INSERT OVERWRITE|DELETE FROM|UPDATE|MERGE INTO|ALTER TABLE|CREATE OR REPLACE TABLE) "
    rf"(?P<table>{NAME})"
)

FROM_A_QUERY = re.compile(
    rf"""^\s*(?:--[^\n]*\n\s*)*(?:
    INSERT\ (?:INTO|OVERWRITE)\ {NAME}(?:\s+\([^()]*\))?
    |CREATE\ OR\ REPLACE\ TABLE\ {NAME}(?:\s+CLUSTER\ BY\ \([^()]*\))?\s+AS
    )\s(?P<query>.*)$""",
    re.VERBOSE | re.DOTALL,
)
_BY_VALUES = re.compile(
    rf"""^\s*(?:DELETE\ FROM\ (?P<emptied>{NAME})|UPDATE\ (?P<updated>{NAME})\s+SET\s(?P<values>.*?))
    (?:\s+WHERE\s(?P<condition>.*?))?\s*$""",
    re.VERBOSE | re.DOTALL,
)

_MADE = re.compile(rf"^\s*(?:CREATE OR REPLACE (?:TABLE|VIEW)|ALTER TABLE) (?P<name>{NAME})")
_OTHER_TABLES = re.compile(r"^\s*(?:CREATE|DROP) TABLE ")
_HOLDS_ITSELF = re.compile(r"^\s*(?:--[^\n]*\n\s*)*(?:MERGE INTO|ALTER TABLE) ")


def ticked(identifier: str) -> str:
    """An identifier as Databricks writes it, whatever characters it holds."""
    return "`" + identifier.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as a literal, in which a backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def dialect(sql: str) -> str:
    """A portable statement as Databricks reads it."""
    spelled = _TOKEN.sub(_spelled, sql)
    deletes = _DELETE_BY_KEY.match(spelled)
    return _merged(**deletes.groupdict()) if deletes else spelled


def _spelled(match: re.Match[str]) -> str:
    if match["text"]:
        return literal(match["text"][1:-1].replace("''", "'"))
    if match["name"]:
        return ticked(match["name"][1:-1].replace('""', '"'))
    if match["clustered"]:
        return f"CLUSTER BY ({_TOKEN.sub(_spelled, match['clustered'])})"
    return "TIMESTAMP_NTZ" if match["type"] else match[0]


def _merged(table: str, key: str, select: str) -> str:
    """A deletion by several columns of a select, which Databricks knows as a MERGE alone."""
    on = " AND ".join(f"_kept.{name.strip()} = _gone.{name.strip()}" for name in key.split(","))
    gone = f"SELECT DISTINCT * FROM ({select})"
    return f"MERGE INTO {table} AS _kept\nUSING ({gone}) AS _gone\nON {on}\nWHEN MATCHED THEN DELETE"


def written_table(statement: str) -> str | None:
    """The table that a statement in Databricks' dialect writes to; None for one that reads, or makes what is empty."""
    found = _WRITES.match(statement)
    return _bare(found["table"]) if found else None


def relation_made(statement: str) -> str | None:
    """The table or view that a statement in Databricks' dialect makes anew or gives other columns, if it does."""
    found = _MADE.match(statement)
    return _bare(found["name"]) if found else None


def makes_other_tables(statement: str) -> bool:
    """Whether a statement makes a table that may not have been there, or drops one."""
    return _OTHER_TABLES.match(statement) is not None


def _bare(name: str) -> str:
    return name.strip("`").replace("``", "`")


def with_target(statement: str, target: str) -> str:
    """The statement, writing to another table."""
    found = _WRITES.match(statement)
    return f"{statement[: found.start('table')]}{target}{statement[found.end('table') :]}" if found else statement


def while_held(statement: str, held: str) -> str:
    """A statement that writes to a table, so that it writes nothing once the view `held` is gone.

    That has one row, whose `_held` is true. Delta's UPDATE and DELETE know no subquery, so they become a MERGE.
    """
    if found := FROM_A_QUERY.match(statement):
        beginning = statement[: found.start("query")]
        return f"{beginning}SELECT * FROM (\n{found['query']}\n)\nWHERE (SELECT _held FROM {held})"
    if found := _BY_VALUES.match(statement):
        on = f"_held AND ({found['condition']})" if found["condition"] else "_held"
        then = "DELETE" if found["emptied"] else f"UPDATE SET {found['values']}"
        table = found["emptied"] or found["updated"]
        return f"MERGE INTO {table}\nUSING {held}\nON {on}\nWHEN MATCHED THEN {then}"
    # A MERGE reads from a scratch relation, which goes with the hold, or fills in what has no value, which a migration
    # has done before others write; a column that is added late is there already.
    if not _HOLDS_ITSELF.match(statement):
        raise ValueError(f"a statement that might write when the hold is over: {statement[:120]}")
    return statement


def used(sql: str, parameters: Parameters | None) -> dict[str, Any]:
    """What a portable statement binds, of all that is given; times as UTC without a zone."""
    names = {match["marker"] for match in _TOKEN.finditer(sql) if match["marker"]}
    return {name: _bound((parameters or {})[name]) for name in sorted(names)}


def _bound(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def read(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a result; times are aware UTC."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row.items()
    }
