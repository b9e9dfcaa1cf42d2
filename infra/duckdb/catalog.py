"""What the file of a warehouse has: the pipeline's schema, its tables and views, and what is said of them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb

from dropledger.core.errors import ConfigurationError, NoLedger
from dropledger.core.sql.text import literal, quoted
from dropledger.infra.duckdb.attach import ATTACHED_AS

Run = Callable[[str, Mapping[str, Any]], duckdb.DuckDBPyConnection]
"""Runs a statement of the engine's own dialect."""

_FUNCTIONS_OF_SPARK = (
    "regexp_like(text, pattern) AS regexp_matches(text, pattern)",
    "convert_timezone(from_zone, to_zone, moment) AS timezone(to_zone, timezone(from_zone, moment))",
)


def enter_schema(connection: duckdb.DuckDBPyConnection, run: Run, schema: str, *, create: bool) -> None:
    """Make a schema of the attached file the current one; with `create` it is made where it is not there.

    Raises:
        NoLedger: it is not there and not to be made.
        ConfigurationError: the file has the ledger of another pipeline.
    """
    qualified = f"{ATTACHED_AS}.{quoted(schema)}"
    try:
        connection.execute(f"USE {qualified}")
    except duckdb.CatalogException as error:
        _refuse_other_ledgers(run, schema)
        if not create:
            raise NoLedger(
                f"the warehouse has no schema {schema}", hint="drop a file first: dropledger process FILE"
            ) from error
        run(f"CREATE SCHEMA {qualified}", {})
        run(f"USE {qualified}", {})
        make_functions(run)


def make_functions(run: Run) -> None:
    """Make the functions of Spark that DuckDB has by other names, in the schema: views use them, so they must stay."""
    for function in _FUNCTIONS_OF_SPARK:
        run(f"CREATE MACRO IF NOT EXISTS {function}", {})


def _refuse_other_ledgers(run: Run, schema: str) -> None:
    other = run(
        f"""SELECT schema_name FROM duckdb_tables()
        WHERE database_name = {literal(ATTACHED_AS)} AND table_name = 'pipeline_state'""",
        {},
    ).fetchone()
    if other is not None:
        raise ConfigurationError(
            f"the warehouse is that of another pipeline, whose schema is {other[0]}",
            why=f"the pipeline that is set has its tables in the schema {schema}",
            hint="set DROPLEDGER_PIPELINE, or --pipeline, to the one that made it; or name another --root",
        )


def has_table(run: Run, schema: str, name: str) -> bool:
    """Whether a schema of the current database has a table or view of this name."""
    there = """SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()
        UNION ALL
        SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database()"""
    found = run(
        f"SELECT 1 FROM ({there}) AS there WHERE schema_name = $schema AND table_name = $name",
        {"schema": schema, "name": name},
    )
    return found.fetchone() is not None


def comments(run: Run, schema: str, said: Mapping[str, tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    """The statements that say what tables and views are, and what columns of them are."""
    found = run(
        "SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND schema_name = $schema",
        {"schema": schema},
    )
    views = {name for (name,) in found.fetchall()}
    for name, (text, columns) in said.items():
        yield f"COMMENT ON {'VIEW' if name in views else 'TABLE'} {quoted(name)} IS {literal(text)}"
        for column, of_column in columns.items():
            yield f"COMMENT ON COLUMN {quoted(name)}.{quoted(column)} IS {literal(of_column)}"
