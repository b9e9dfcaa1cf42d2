"""Portable SQL in Databricks' dialect: how literals, names and types are spelled there, and what is bound."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dropledger.core.ports.session import Parameters

_TOKEN = re.compile(
    r"""(?P<text>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*")
    |(?P<comment>--[^\n]*|/\*.*?\*/)
    |(?<![:\w]):(?P<marker>[a-z_]\w*)
    |(?P<type>\bTIMESTAMP\b)""",
    re.VERBOSE | re.DOTALL,
)


def ticked(identifier: str) -> str:
    """An identifier as Databricks writes it, whatever characters it holds."""
    return "`" + identifier.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as a literal, in which a backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def dialect(sql: str) -> str:
    """Portable SQL, a statement or a part of one, as Databricks reads it."""
    return _TOKEN.sub(_spelled, sql)


def _spelled(match: re.Match[str]) -> str:
    if match["text"]:
        return literal(match["text"][1:-1].replace("''", "'"))
    if match["name"]:
        return ticked(match["name"][1:-1].replace('""', '"'))
    return "TIMESTAMP_NTZ" if match["type"] else match[0]


def used(parameters: Parameters | None, *parts: str) -> dict[str, Any]:
    """What parts of portable SQL bind, of all that is given; times as UTC without a zone."""
    names = {match["marker"] for part in parts for match in _TOKEN.finditer(part) if match["marker"]}
    return {name: _bound((parameters or {})[name]) for name in sorted(names)}


def _bound(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def read(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a result; times are aware UTC."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row.items()
    }
