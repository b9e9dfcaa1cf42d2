"""The ledger's own tables: each version of them is a file of `core/ledger/migrations`, and they are run in order.

A ledger says in `schema_version` which one it has. A change to its tables is a new file: what a released version has
made is never edited, since roots hold it.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from operator import attrgetter

from dropledger.core.errors import ConfigurationError
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import statements

_CREATES = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)")
_CHANGES = re.compile(r"^(?:--[^\n]*\n)*(?:ALTER TABLE|MERGE INTO) (\w+)")
_ADDS_COLUMN = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+) (\w+)")
_COLUMN = re.compile(r"^    (\w+) (\w+)", re.MULTILINE)


@cache
def _migrations() -> tuple[tuple[str, ...], ...]:
    """The statements of each file, in order of the files; the first makes version 1."""
    found = [entry for entry in files(__package__).iterdir() if entry.name.endswith(".sql")]
    in_order = sorted(found, key=attrgetter("name"))
    return tuple(tuple(statements(entry.read_text(encoding="utf-8"))) for entry in in_order)


@cache
def definition() -> str:
    """All that the ledger's tables are made by."""
    return "\0".join(statement for migration in _migrations() for statement in migration)


@cache
def ledger_tables() -> frozenset[str]:
    """The names of the ledger's tables."""
    found = (_CREATES.match(statement) for migration in _migrations() for statement in migration)
    return frozenset(match[1] for match in found if match)


@cache
def table_columns() -> Mapping[str, Mapping[str, str]]:
    """The columns of each of the ledger's tables, with their types, in order."""
    found: dict[str, dict[str, str]] = {}
    for statement in (statement for migration in _migrations() for statement in migration):
        creates, adds = _CREATES.match(statement), _ADDS_COLUMN.match(statement)
        if creates:
            found[creates[1]] = dict(_COLUMN.findall(statement))
        elif adds:
            found[adds[1]][adds[2]] = adds[3]
    return found


def newest() -> int:
    """The version of the tables that this version of dropledger works on."""
    return len(_migrations())


def version(session: Session) -> int:
    """The version of the ledger's tables; 0 where there are none."""
    if session.has_table("schema_version"):
        found = session.query("SELECT max(version) AS version FROM schema_version")[0]["version"]
        if found is not None:
            return int(found)
    return 1 if session.has_table("pipeline_state") else 0


def refuse_newer(found: int) -> None:
    """Stop at tables that a later version of dropledger has made.

    Raises:
        ConfigurationError: it says so.
    """
    if found > newest():
        raise ConfigurationError(
            f"the ledger has version {found} of its tables, and this dropledger knows them up to {newest()}",
            why="a newer dropledger has worked on this root",
            hint="install that version, or a newer one",
        )


def run_migrations(session: Session) -> None:
    """Bring the ledger's tables to the newest version, in the transaction at hand.

    Raises:
        ConfigurationError: they have a newer one.
    """
    found = version(session)
    refuse_newer(found)
    for statement in (statement for migration in _migrations()[found:] for statement in migration):
        # A new ledger has no rows to bring to another form, and none of the columns that are added.
        if (not _is_done(session, statement)) if found else _defines(statement):
            changes = _CHANGES.match(statement)
            session.execute(statement, changes=changes[1] if changes else None)
    if found < newest():
        session.delete_where("schema_version", "TRUE")
        session.insert("schema_version", [{"version": newest()}])


def _defines(statement: str) -> bool:
    return statement.startswith(("CREATE TABLE ", "ALTER TABLE "))


def _is_done(session: Session, statement: str) -> bool:
    """Whether a column is there already, as an engine without transactions leaves it when a process dies."""
    adds = _ADDS_COLUMN.match(statement)
    return adds is not None and adds[2] in session.columns(adds[1])
