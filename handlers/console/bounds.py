"""How much of a text, and how many rows, a page has: any file may be large, and no page is."""

from collections.abc import Mapping
from typing import Any

LONGEST_TEXT = 2000
"""So many letters of a text are shown; commands show all."""

MOST_VERSIONS = 500
"""So many versions of a key are shown, the newest."""


def cut(text: str) -> str:
    """A text, or its beginning with a sign that there is more."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text):,} letters)"


def shortened(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose texts are cut."""
    return [{name: cut(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]


def shortened_changes(changes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A change file whose texts are cut."""
    return changes and {**changes, "rows": [[cut(value) for value in row] for row in changes["rows"]]}
