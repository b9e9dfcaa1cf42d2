"""The ledger's own tables: each version of them is a file of `core/sql/migrations`, and they are run in order.

A ledger says in `schema_version` which one it has. A change to its tables is a new file: what a released version has
made is never edited, since roots hold it.
"""

import re
from functools import cache
from importlib.resources import files

from core.errors import ConfigurationError
from core.ports import Session
from core.sql import statements

_CREATES = re.compile(r"^CREATE TABLE IF NOT EXISTS (\w+)")
_DEFINES = re.compile(r"^(CREATE|ALTER) TABLE ")
_ADDS_COLUMN = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN (\w+) ")


@cache
def _migrations() -> tuple[str, ...]:
    """The names of the files, in order; the first makes version 1."""
    names = [entry.name for entry in files("core").joinpath("sql", "migrations").iterdir()]
    return tuple(f"migrations/{name.removesuffix('.sql')}" for name in sorted(names) if name.endswith(".sql"))


@cache
def definition() -> str:
    """All that the ledger's tables are made by."""
    return "\0".join(statement for name in _migrations() for statement in statements(name))


@cache
def ledger_tables() -> frozenset[str]:
    """The names of the ledger's tables."""
    found = (_CREATES.match(statement) for name in _migrations() for statement in statements(name))
    return frozenset(match[1] for match in found if match)


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
    for statement in (statement for name in _migrations()[found:] for statement in statements(name)):
        # A new ledger has no rows to bring to another form, and none of the columns that are added.
        if (not _is_done(session, statement)) if found else _DEFINES.match(statement):
            session.execute(statement)
    if found < newest():
        session.execute("DELETE FROM schema_version")
        session.insert("schema_version", [{"version": newest()}])


def _is_done(session: Session, statement: str) -> bool:
    """Whether a column is there already, as an engine without transactions leaves it when a process dies."""
    adds = _ADDS_COLUMN.match(statement)
    return adds is not None and adds[2] in session.columns(adds[1])
