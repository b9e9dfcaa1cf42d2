"""Portable statements with DuckDB's own markers, and values as it binds and gives them."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from dropledger.core.ports.session import Parameters

# What may hold a colon and is no marker (literals, quoted names, comments) is matched first, and left alone.
_MARKER = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|(?<![:\w]):([a-z_]\w*)""")
# A small drop takes some 42 statements, most of them the same text each time.
STATEMENTS_KEPT = 512


def marked(sql: str, parameters: Parameters | None) -> tuple[str, dict[str, Any]]:
    """A portable statement with the engine's own markers, and what it binds of all that is given."""
    text, names = _with_markers(sql)
    return text, {name: bound((parameters or {})[name]) for name in names}


@lru_cache(STATEMENTS_KEPT)
def _with_markers(sql: str) -> tuple[str, frozenset[str]]:
    names: set[str] = set()

    def marker(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        names.add(match[1])
        return f"${match[1]}"

    return _MARKER.sub(marker, sql), frozenset(names)


def bound(value: Any) -> Any:
    """A value as it is bound; times as UTC without a zone."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def read(value: Any) -> Any:
    """A value of a result; times are aware UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
