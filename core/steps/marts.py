"""Marts: only the rows that a change touches are recomputed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dropledger.core.contracts.pipeline_spec import Mart, Pipeline
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import TEXT_TYPES, differs, escape_formula, full_refresh, listed, quoted, same, statement
from dropledger.core.steps.questions import Counts, Question

WHOLE_FROM = 10_000
"""From so many touched rows on it is asked whether working on all of a table costs less than looking for them."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A mart whose touched rows were computed anew, and whether those were all of them.

    `rows` is how many; None where `rows_computed` has to be asked, as the engine says just how many rows went and came:
    these are `exchanged`. `filled` is whether it had no rows before and has some now.
    """

    mart: Mart
    rows: int | None
    whole: bool
    exchanged: int = 0
    filled: bool = False


class Touched:
    """The keys that a transaction has computed, by mart, for who brings artifacts up to date by them."""

    def __init__(self) -> None:
        self._relations: dict[str, str | None] = {}
        self.filled: set[str] = set()
        """The marts all of whose rows were computed."""

    def clear(self) -> None:
        """Begin anew."""
        self._relations.clear()
        self.filled.clear()

    def note(self, session: Session, refreshed: Sequence[Refreshed], *, more_to_come: bool) -> None:
        """Remember the keys of `touched_<mart>`, which others will take the place of where there is `more_to_come`."""
        for found in refreshed:
            name = found.mart.name
            touched, kept = quoted(f"touched_{name}"), f"_dl_touched_{name}"
            keys = f"SELECT {listed(found.mart.file.key)} FROM {touched}"
            if found.whole:
                self.filled.add(name)
            if found.whole or not session.capabilities.reads_in_place:
                self._relations[name] = None
            elif name not in self._relations and not more_to_come:
                self._relations[name] = touched
            elif name not in self._relations:
                session.scratch(kept, keys)
                self._relations[name] = quoted(kept)
            elif self._relations[name] is not None:
                session.insert_select(kept, found.mart.file.key, keys)

    def of(self, mart: Mart) -> str | None:
        """The relation with the keys of a mart; None if these are all, or nobody knows."""
        return self._relations.get(mart.name)


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
        due, key = f"_dl_due_{mart.name}", mart.file.key
        if touched_sql is None:
            self._touched[mart.name] = None
        elif mart.name not in self._touched:
            session.scratch(due, touched_sql, bound)
            self._touched[mart.name] = f"SELECT DISTINCT * FROM {quoted(due)}"
        elif self._touched[mart.name] is not None:
            session.insert_select(due, key, f"SELECT {listed(key)} FROM (\n{touched_sql}\n) AS t", bound)

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
    session: Session,
    pipeline: Pipeline,
    moment_before: datetime | None,
    due: Due | None = None,
    *,
    feeds: Collection[str] | None = None,
    opened: int = 0,
    keys_repeat: bool = False,
) -> list[Refreshed]:
    """Recompute the rows that the `changed_<feed>` relations and the move of the moment touch.

    Leaves `touched_<mart>` (keys) and `before_<mart>` (rows as they were). With `due`, marts that may wait are
    left to its `refresh`. `feeds` are those that changed, None for all of them from nothing. `opened` is how many
    versions were just opened: where they are many, a mart that has no rows is computed whole at once. `keys_repeat` is
    whether a key may stand in `changed_<feed>` with several times.
    """
    bound = {"moment_before": moment_before or datetime.min}
    changed = _changed_tables(session, pipeline, moment_before, feeds)
    refreshed: list[Refreshed] = []
    for mart in pipeline.marts:
        touched_sql = _touched_sql(mart, changed, {found.mart.name for found in refreshed if found.whole})
        if changed is not None:
            changed.add(mart.name)
        if opened >= WHOLE_FROM and _can_be_whole(mart) and not session.count(mart.name):
            touched_sql = None
        if keys_repeat and touched_sql is not None:
            touched_sql = f"SELECT DISTINCT * FROM (\n{touched_sql}\n) AS t"
        if due is not None and mart.waits:
            due.add(session, mart, touched_sql, bound)
        else:
            refreshed.append(_refresh(session, mart, touched_sql, bound))
    return refreshed


def _changed_tables(
    session: Session, pipeline: Pipeline, moment_before: datetime | None, feeds: Collection[str] | None
) -> set[str] | None:
    """The tables whose changes marts may have to be asked for; None for all."""
    if feeds is None:
        return None
    changed = {f"history_{feed}" for feed in feeds}
    asked = any(mart.touched_keys and "mart_moment" in mart.touched_keys.selects for mart in pipeline.marts)
    return changed | {"mart_moment"} if asked and moment(session) != moment_before else changed


def _touched_sql(mart: Mart, changed: Collection[str] | None, whole: Collection[str]) -> str | None:
    """What selects the keys that a change of tables touches, None for all; `whole` are marts that were computed whole.

    Where a mart that this one may read was, its touched keys are not looked for in it.
    """
    if mart.touched_keys is None:
        return full_refresh(mart.touched_sql or "") if whole else mart.touched_sql
    if changed is None or any(name in mart.touched_keys.selects for name in whole):
        return None
    return mart.touched_by(changed)


def _can_be_whole(mart: Mart) -> bool:
    return mart.whole_sql != mart.touched_rows_sql


def _refresh(session: Session, mart: Mart, touched_sql: str | None, bound: Mapping[str, Any]) -> Refreshed:
    """Recompute the touched rows of a mart, all rows where `touched_sql` is None."""
    fragments = mart_fragments(mart)
    before = statement("mart_before", fragments)
    if touched_sql is None:
        had_rows = session.count(mart.name) > 0
        session.scratch(f"before_{mart.name}", full_refresh(before))
        if had_rows:
            session.delete_where(mart.name, "TRUE")
        rows = _fill(session, mart)
        session.scratch(f"touched_{mart.name}", f"SELECT {fragments['key']} FROM {fragments['mart']}")
        return Refreshed(mart, rows, whole=True, filled=rows > 0 and not had_rows)
    if not session.capabilities.cheap_statements:
        _put_touched_and_before(session, mart, touched_sql, bound)
        return Refreshed(mart, None, False, _exchange(session, mart))
    touched = session.scratch(f"touched_{mart.name}", touched_sql, bound)
    many = touched is not None and touched >= WHOLE_FROM and _can_be_whole(mart)
    if many and touched is not None and touched >= session.count(mart.name):
        session.scratch(f"before_{mart.name}", full_refresh(before))
        session.delete_where(mart.name, "TRUE")
        return Refreshed(mart, _fill(session, mart), True)
    there = session.scratch(f"before_{mart.name}", before)
    if touched == 0:
        return Refreshed(mart, 0, False)
    if not there:
        rows = session.insert_select(mart.name, list(session.columns(mart.name)), mart.touched_rows_sql)
        return Refreshed(mart, rows, whole=False, filled=0 < rows == session.count(mart.name))
    exchanged = _exchange(session, mart)
    return Refreshed(mart, exchanged - there, False, exchanged)


def _put_touched_and_before(session: Session, mart: Mart, touched_sql: str, bound: Mapping[str, Any]) -> None:
    """Leave `touched_<mart>` and `before_<mart>` by one statement, where a statement costs by itself."""
    key, kept = mart.file.key, f"_dl_touched_before_{mart.name}"
    names = [quoted(f"_dl_touched_{place}") for place in range(len(key))]
    fragments = mart_fragments(mart) | {
        "touched_keys": ", ".join(f"t.{quoted(name)} AS {other}" for name, other in zip(key, names, strict=True)),
        "touched_select": touched_sql,
    }
    session.scratch(kept, statement("mart_touched_before", fragments), bound)
    keys = ", ".join(f"{other} AS {quoted(name)}" for name, other in zip(key, names, strict=True))
    session.view(f"touched_{mart.name}", f"SELECT DISTINCT {keys} FROM {quoted(kept)}")
    there = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    columns = listed(session.columns(mart.name))
    session.view(f"before_{mart.name}", f"SELECT {columns} FROM {quoted(kept)} WHERE {there}")


def _fill(session: Session, mart: Mart) -> int:
    """Compute all rows of a mart that has none; how many.

    Where several artifacts are written of them, in the order of the key, an engine that keeps an order gets them in it:
    so they need not be put in order then, nor keys that rise be counted.
    """
    columns, select = list(session.columns(mart.name)), mart.whole_sql
    if not session.capabilities.keeps_order or len(mart.file.artifacts) < 2:
        return session.insert_select(mart.name, columns, select)
    in_order = f"SELECT *\nFROM (\n{select}\n) AS filled\nORDER BY {listed(mart.file.key)}"
    return session.insert_in_order(mart.name, columns, in_order)


def _exchange(session: Session, mart: Mart) -> int:
    """Let the rows that the mart's SQL gives now, for the touched keys, take the place of those before; how many went
    and came. One comes whatever its key, so that a key which is missing or comes twice is found by the checks.
    """
    columns = list(session.columns(mart.name))
    return session.replace_rows(mart.name, columns, mart.file.key, f"before_{mart.name}", mart.touched_rows_sql)


def rows_computed(refreshed: Sequence[Refreshed]) -> list[Question[Refreshed]]:
    """Asks how many rows were computed of the marts of which that is not known yet."""
    return [_rows_computed(found) for found in refreshed if found.rows is None]


def _rows_computed(found: Refreshed) -> Question[Refreshed]:
    def counted_rows(counts: Counts) -> Refreshed:
        rows = found.exchanged - counts["gone"]
        return replace(found, rows=rows, filled=0 < rows == counts["all_rows"] and not counts["gone"])

    return Question(
        f"the rows of {found.mart.name}",
        f"""SELECT
            (SELECT count(*) FROM {quoted(f"before_{found.mart.name}")}) AS gone,
            (SELECT count(*) FROM {quoted(found.mart.name)}) AS all_rows""",
        ("gone", "all_rows"),
        counted_rows,
    )


def counted(refreshed: Sequence[Refreshed], answered: Sequence[Refreshed]) -> list[Refreshed]:
    """The same with what `rows_computed` came to."""
    by_name = {found.mart.name: found for found in answered}
    return [by_name.get(found.mart.name, found) for found in refreshed]


def recomputed(refreshed: Sequence[Refreshed]) -> dict[str, int]:
    """The rows computed, by mart."""
    return {found.mart.name: found.rows or 0 for found in refreshed}


def texts_to_escape(session: Session, pipeline: Pipeline, mart: Mart) -> frozenset[str]:
    """The columns of a mart whose texts a spreadsheet program might run as formulas."""
    if not pipeline.file.makes_texts_harmless:
        return frozenset()
    return frozenset(name for name, kind in session.columns(mart.name).items() if kind in TEXT_TYPES)


def changes_select(mart: Mart, *, all_rows: bool, texts: Collection[str] = ()) -> str:
    """The SELECT behind a change file: key, change, and each other column before and after.

    With `all_rows` it is for a mart that was computed whole; the columns in `texts` are made harmless.
    """

    def shown(expression: str, name: str) -> str:
        return escape_formula(expression) if name in texts else expression

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
    return full_refresh(sql) if all_rows else sql
