"""`dropledger sql`: a query that somebody wrote, and its rows."""

from collections.abc import Mapping
from typing import Any

from dropledger.core.views.ask import ask
from dropledger.handlers import render
from dropledger.handlers.wiring import wire_existing


def sql(*, query: str, limit: int, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Show the first rows of a query, or all of them where `limit` is 0."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    with runtime.reading() as session:
        answer = ask(session, query, limit)
    if json:
        rows = [{name: _exact(value) for name, value in row.items()} for row in answer.rows]
        render.as_json({"command": "sql", "columns": list(answer.columns), "rows": rows, "more": answer.more})
    elif not quiet:
        render.table("", answer.columns, [[row[name] for name in answer.columns] for row in answer.rows])
        if answer.more:
            render.line(f"These are the first {render.counted(limit, 'row')}, and there are more. Try: --limit 0")
    return 0


def _exact(value: Any) -> Any:
    """A value for JSON: a number that is no integer as text, at any depth, as none but integers stay what they are."""
    match value:
        case float():
            return str(value)
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): _exact(part) for name, part in value.items()}
        case list() | tuple():
            return [_exact(part) for part in value]
        case _:
            return value
