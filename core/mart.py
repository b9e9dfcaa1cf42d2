"""Marts: only the rows that a change touches are recomputed."""

from datetime import datetime

from core.definition import Mart, Pipeline
from core.ports import Session
from core.sql import differs, listed, quoted, same, statement


def mart_fragments(mart: Mart) -> dict[str, str]:
    """What the statements about a mart use; the mart is aliased `m`, the touched keys `t`."""
    key = mart.file.key
    return {
        "mart": quoted(mart.name),
        "touched": quoted(f"touched_{mart.name}"),
        "before": quoted(f"before_{mart.name}"),
        "key": listed(key),
        "columns": listed(mart.file.columns),
        "same_key": same(key, "m", "t"),
    }


def moment(session: Session) -> datetime | None:
    """The mart's moment (UTC): the latest effective time observed in the feeds that move it."""
    found: datetime | None = session.query("SELECT moment FROM mart_moment")[0]["moment"]
    return found


def refresh(session: Session, pipeline: Pipeline, moment_before: datetime | None) -> dict[str, int]:
    """Recompute the rows that the `changed_<feed>` relations and the move of the moment touch.

    Leaves `touched_<mart>` (keys) and `before_<mart>` (rows as they were). Gives the rows computed, by mart.
    """
    recomputed = {}
    for mart in pipeline.marts:
        fragments = mart_fragments(mart)
        touched = session.scratch(
            f"touched_{mart.name}", mart.touched_sql, {"moment_before": moment_before or datetime.min}
        )
        before = session.scratch(f"before_{mart.name}", statement("mart_before", fragments))
        if before:
            session.execute(statement("mart_delete", fragments))
        recomputed[mart.name] = session.execute(f"INSERT INTO {fragments['mart']}\n{mart.sql}") if touched else 0
    return recomputed


def changes_select(mart: Mart) -> str:
    """The SELECT behind a change file: key, change, and each other column before and after."""
    key, others = mart.file.key, [name for name in mart.file.columns if name not in mart.file.key]
    fragments = mart_fragments(mart)
    fragments |= {
        "t_key": listed(key, "t"),
        "first_key": quoted(key[0]),
        "before_and_after": ",\n    ".join(
            f"b.{quoted(name)} AS {quoted(name + '_before')},\n    a.{quoted(name)} AS {quoted(name + '_after')}"
            for name in others
        ),
        "same_before": same(key, "t", "b"),
        "same_after": same(key, "t", "a"),
        "differs": differs(others, "a", "b"),
    }
    return statement("mart_changes", fragments)
