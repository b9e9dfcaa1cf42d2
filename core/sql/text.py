"""Portable SQL: statements in the .sql files beside this module, filled in with quoted identifiers.

`${name}` in a statement stands for SQL text made here (column lists, comparisons); values never come in
that way, they are bound as `:name`.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from string import Template

SCRATCH_PREFIX = "_dl_"
"""How each relation begins that statements pass on to one another, but for those that a pipeline's SQL may name
(`observation`, `changed_<feed>`, `touched_<mart>`, `before_<mart>`). No feed, view or mart may be called so."""

_INCREMENTAL = re.compile(r"/\* incremental \*/.*?/\* end \*/", re.DOTALL)

_ENGINE_TYPES = {
    "bigint": "BIGINT",
    "text": "STRING",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "json": "STRING",
}


def quoted(identifier: str) -> str:
    """An identifier as SQL text, whatever characters it holds."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text from a pipeline file as an SQL literal; values from data are bound, never written."""
    return "'" + text.replace("'", "''") + "'"


def listed(names: Iterable[str], alias: str = "") -> str:
    """`a."x", a."y"`."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + quoted(name) for name in names)


def same(names: Iterable[str], left: str, right: str) -> str:
    """The columns compared one by one, never joined into one string."""
    return " AND ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in names)


def differs(names: Iterable[str], left: str, right: str) -> str:
    """Whether any of the columns differs; NULL equals NULL. FALSE where there are no columns."""
    pairs = " OR ".join(f"{left}.{quoted(name)} IS DISTINCT FROM {right}.{quoted(name)}" for name in names)
    return f"({pairs})" if pairs else "FALSE"


def escape_formula(text: str) -> str:
    """A text that no spreadsheet program runs as a formula: behind an apostrophe where it begins like one."""
    begins_like_one = literal("^[-=+@\t\r]")
    return f"CASE WHEN regexp_like({text}, {begins_like_one}) THEN concat({literal(chr(39))}, {text}) ELSE {text} END"


TEXT_TYPES = frozenset({"VARCHAR", "STRING"})
"""What engines call the type of a text."""


def engine_type(contract_type: str) -> str:
    """A contract's type as both engines spell it."""
    return _ENGINE_TYPES.get(contract_type, contract_type.upper())


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")


def statement(name: str, fragments: Mapping[str, str] | None = None) -> str:
    """The statement in `<name>.sql` with its `${...}` filled in."""
    return Template(_text(name)).substitute(fragments or {})


def full_refresh(sql: str) -> str:
    """A statement without what keeps it to the rows touched: the text between `/* incremental */` and `/* end */`."""
    return _INCREMENTAL.sub("", sql)


def statements(text: str) -> list[str]:
    """The statements of a text that holds several, each ended by a semicolon at the end of a line."""
    return [part.strip() for part in text.split(";\n") if part.strip()]
