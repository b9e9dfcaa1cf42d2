"""What lies in a schema of Databricks, and what goes with it."""

import re
from collections.abc import Sequence
from contextlib import suppress

from dropledger.core.errors import Busy, ConfigurationError, PipelineError, Unavailable
from dropledger.infra.databricks.connection import Statements
from dropledger.infra.databricks.dialect import literal, ticked

VOLUME = "dropledger"
"""The volume of a writer's own schema, for rows that go up."""


def has_table(statements: Statements, schema: str, name: str) -> bool:
    """Whether a schema has a table or view of this name."""
    found = statements.rows(f"SHOW TABLES IN {schema} LIKE '{name}'")
    return any(row["tableName"] == name and not row["isTemporary"] for row in found)


def versions_of(
    statements: Statements, schema: str, tables: Sequence[str], *, together: bool
) -> tuple[dict[str, int], bool]:
    """The newest version of each table, asked `together` if that was so before; and whether the platform takes that.

    Its SQL lets a history be read like a table, which its reference does not say.
    """
    if together and len(tables) > 1:
        selects = (
            f"SELECT {literal(table)} AS name, version FROM (DESCRIBE HISTORY {schema}.{ticked(table)} LIMIT 1)"
            for table in tables
        )
        with suppress(PipelineError):
            return {row["name"]: int(row["version"]) for row in statements.rows("\nUNION ALL\n".join(selects))}, True
        together = False
    return {table: _version_of(statements, f"{schema}.{ticked(table)}") for table in tables}, together


def _version_of(statements: Statements, table: str) -> int:
    return int(statements.rows(f"DESCRIBE HISTORY {table} LIMIT 1")[0]["version"])


def schemas_like(statements: Statements, catalog: str, beginning: str, rest: str) -> list[str]:
    """The schemas whose name is a beginning, and behind it what a pattern matches."""
    found = statements.rows(f"SHOW SCHEMAS IN {ticked(catalog)} LIKE '{beginning}*'")
    names = (str(next(iter(row.values()))) for row in found)
    return [name for name in names if re.fullmatch(rest, name.removeprefix(beginning)) and name.startswith(beginning)]


def drop_schema(statements: Statements, catalog: str, schema: str) -> None:
    """Drop a schema and all that is in it, if it is there."""
    statements.run(f"DROP SCHEMA IF EXISTS {ticked(catalog)}.{ticked(schema)} CASCADE")


def drop_work(statements: Statements, catalog: str, schema: str) -> None:
    """Drop a holder's own schema, and the files of rows in it first: a volume is kept for days after its end."""
    folder = f"/Volumes/{catalog}/{schema}/{VOLUME}"
    try:
        for file in statements.rows(f"LIST '{folder}'"):
            remove_file(statements, f"{folder}/{file['name']}")
    except Busy:
        raise
    except (ConfigurationError, Unavailable):
        pass  # it has no volume yet, or is gone, for which there are many words; what else it is, the next one meets
    drop_schema(statements, catalog, schema)


def remove_file(statements: Statements, path: str) -> None:
    """Remove a file from a volume."""
    statements.run(f"REMOVE '{path}'")


def tables_of(statements: Statements, schema: str) -> list[str]:
    """The tables of a schema, but for the one of who writes."""
    views = {row["viewName"] for row in statements.rows(f"SHOW VIEWS IN {schema}")}
    found = statements.rows(f"SHOW TABLES IN {schema}")
    return [row["tableName"] for row in found if not row["isTemporary"] and row["tableName"] not in {*views, "writer"}]
