"""Marts: only the rows that a change touches are recomputed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.definition import Mart, Pipeline
from core.ports import Session
from core.sql import differs, harmless, listed, quoted, same, statement, whole

WHOLE_FROM = 10_000
"""From so many touched rows on it is asked whether working on all of a table costs less than looking for them."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How many rows of a mart were computed anew, and whether those were all of them."""

    mart: Mart
    rows: int
    whole: bool


class Due:
    """Marts that are computed once for all drops of a transaction: those that `Mart.waits` says may wait."""

    def __init__(self) -> None:
        self._touched: dict[str, str | None] = {}

    @property
    def pending(self) -> bool:
        """Whether anything is remembered."""
        return bool(self._touched)

    def add(self, session: Session, mart: Mart, touched_sql: str | None, bound: Mapping[str, Any]) -> None:
        """Remember the keys that a drop touches; all keys where it is None."""
        due = quoted(f"_dl_due_{mart.name}")
        if touched_sql is None:
            self._touched[mart.name] = None
        elif mart.name not in self._touched:
            session.scratch(f"_dl_due_{mart.name}", touched_sql, bound)
            self._touched[mart.name] = f"SELECT DISTINCT * FROM {due}"
        elif self._touched[mart.name] is not None:
            session.execute(f"INSERT INTO {due}\n{touched_sql}", bound)

    def refresh(self, session: Session, pipeline: Pipeline) -> list[Refreshed]:
        """Compute what was remembered."""
        touched, self._touched = self._touched, {}
        return [_refresh(session, mart, touched[mart.name], {}) for mart in pipeline.marts if mart.name in touched]


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
        "key_is_null": " OR ".join(f"m.{quoted(name)} IS NULL" for name in key),
    }


def moment(session: Session) -> datetime | None:
    """The mart's moment (UTC): the latest effective time observed in the feeds that move it."""
    found: datetime | None = session.query("SELECT moment FROM mart_moment")[0]["moment"]
    return found


def refresh(
    session: Session, pipeline: Pipeline, moment_before: datetime | None, due: Due | None = None, *, opened: int = 0
) -> list[Refreshed]:
    """Recompute the rows that the `changed_<feed>` relations and the move of the moment touch.

    Leaves `touched_<mart>` (keys) and `before_<mart>` (rows as they were). With `due`, marts that may wait are
    left to its `refresh`. `opened` is how many versions were just opened: where they are many, a mart that has no
    rows is computed whole at once.
    """
    bound = {"moment_before": moment_before or datetime.min}
    refreshed: list[Refreshed] = []
    for mart in pipeline.marts:
        # Where a mart that this one may read was computed whole, its touched keys are not looked for in it.
        reads_whole = any(found.whole for found in refreshed)
        touched_sql: str | None = whole(mart.touched_sql) if reads_whole else mart.touched_sql
        if opened >= WHOLE_FROM and _can_be_whole(mart) and not session.count(mart.name):
            touched_sql = None
        if due is not None and mart.waits:
            due.add(session, mart, touched_sql, bound)
        else:
            refreshed.append(_refresh(session, mart, touched_sql, bound))
    return refreshed


def _can_be_whole(mart: Mart) -> bool:
    return whole(mart.sql) != mart.sql


def _refresh(session: Session, mart: Mart, touched_sql: str | None, bound: Mapping[str, Any]) -> Refreshed:
    """Recompute the touched rows of a mart; all rows of one that has none where `touched_sql` is None."""
    fragments = mart_fragments(mart)
    insert = f"INSERT INTO {fragments['mart']}\n{mart.sql}"
    before, delete = (statement(name, fragments) for name in ("mart_before", "mart_delete"))
    if touched_sql is None:
        session.scratch(f"before_{mart.name}", whole(before))
        rows = session.execute(whole(insert))
        session.scratch(f"touched_{mart.name}", f"SELECT {fragments['key']} FROM {fragments['mart']}")
        return Refreshed(mart, rows, True)
    session.scratch(f"touched_{mart.name}", touched_sql, bound)
    touched = session.count(f"touched_{mart.name}")
    all_rows = touched >= WHOLE_FROM and _can_be_whole(mart) and touched >= session.count(mart.name)
    if all_rows:
        before, delete, insert = whole(before), whole(delete), whole(insert)
    session.scratch(f"before_{mart.name}", before)
    if session.count(f"before_{mart.name}"):
        session.execute(delete)
    return Refreshed(mart, session.execute(insert) if touched else 0, all_rows)


def recomputed(refreshed: Sequence[Refreshed]) -> dict[str, int]:
    """The rows computed, by mart."""
    return {found.mart.name: found.rows for found in refreshed}


def texts_to_make_harmless(session: Session, pipeline: Pipeline, mart: Mart) -> frozenset[str]:
    """The columns of a mart whose texts a spreadsheet program might run as formulas."""
    if not pipeline.file.makes_texts_harmless:
        return frozenset()
    return frozenset(name for name, kind in session.columns(mart.name).items() if kind in {"VARCHAR", "STRING"})


def changes_select(mart: Mart, *, all_rows: bool, texts: Collection[str] = ()) -> str:
    """The SELECT behind a change file: key, change, and each other column before and after.

    With `all_rows` it is for a mart that was computed whole; the columns in `texts` are made harmless.
    """

    def shown(expression: str, name: str) -> str:
        return harmless(expression) if name in texts else expression

    key, others = mart.file.key, [name for name in mart.file.columns if name not in mart.file.key]
    fragments = mart_fragments(mart)
    fragments |= {
        "either_key": ", ".join(
            f"{shown(f'coalesce(b.{quoted(name)}, a.{quoted(name)})', name)} AS {quoted(name)}" for name in key
        ),
        "first_key": quoted(key[0]),
        "before_and_after": ",\n    ".join(
            f"{shown(f'b.{quoted(name)}', name)} AS {quoted(name + '_before')},\n    "
            f"{shown(f'a.{quoted(name)}', name)} AS {quoted(name + '_after')}"
            for name in others
        ),
        "same_row": same(key, "a", "b"),
        "differs": differs(others, "a", "b"),
    }
    sql = statement("mart_changes", fragments)
    return whole(sql) if all_rows else sql
