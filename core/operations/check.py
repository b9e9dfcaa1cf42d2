"""Check: a pipeline compiled against empty tables, and what it computes by keys held against computing all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dropledger.core.contracts.pipeline_spec import Mart, Pipeline
from dropledger.core.ingest.claims import with_claimed
from dropledger.core.ingest.prepare import is_up_to_date, prepare
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.ledger import LedgerRow
from dropledger.core.operations.compile_sql import compile_sql, float_columns
from dropledger.core.operations.difference import difference
from dropledger.core.operations.made_up import MadeUp, with_plain_files
from dropledger.core.operations.replay import DROPS, RECORDS, Progress, Selection, fold_again, selected
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed, quoted
from dropledger.core.steps import marts
from dropledger.core.steps.history import no_changes, show_before

MADE_UP = 30
"""So many times something made up happens to the pipeline."""

ARCHIVED = 100
"""So many drops of a root are taken once more, the earliest first."""

_ROWS = 5


@dataclass(frozen=True, slots=True)
class MartKeys:
    """How the touched keys of a mart are found.

    `whole` has the tables whose changes have all of the mart computed, each with why.
    """

    mart: str
    how: Literal["by hand", "by its SQL"]
    whole: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Unequal:
    """A mart that has other rows than computing it whole gives.

    `after` is what had happened then. `surplus` and `missing` are the first few rows of each kind, `count` how many
    there are of both.
    """

    mart: str
    after: str
    count: int
    surplus: Sequence[Mapping[str, Any]]
    missing: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a pipeline found.

    `statements` SQL texts compile. `floats` are columns of marts that are no exact numbers. `made_up` files were made
    up, of which `refused` were not accepted. `archived` drops of the root were taken once more, None without a root.
    `unequal` is empty where all marts are as they should be.
    """

    statements: int
    floats: tuple[str, ...]
    keys: tuple[MartKeys, ...]
    made_up: int
    refused: int
    archived: int | None
    unequal: tuple[Unequal, ...]


def keys_of(mart: Mart) -> MartKeys:
    """How the touched keys of a mart are found."""
    if mart.touched_keys is None:
        return MartKeys(mart.name, "by hand", {})
    return MartKeys(mart.name, "by its SQL", mart.touched_keys.reasons)


def unequal_marts(session: Session, pipeline: Pipeline, after: str) -> list[Unequal]:
    """The marts that have other rows than computing them whole gives. Rows without a key are left to the checks."""
    found = []
    for mart in pipeline.marts:
        names = listed(session.columns(mart.name))
        with_key = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in mart.file.key)
        there = f"SELECT {names} FROM {quoted(mart.name)} WHERE {with_key}"
        whole = f"SELECT {names} FROM (\n{mart.whole_sql}\n) AS whole WHERE {with_key}"
        surplus_count, surplus = difference(session, f"{there} EXCEPT ALL {whole}", _ROWS)
        missing_count, missing = difference(session, f"{whole} EXCEPT ALL {there}", _ROWS)
        if surplus_count or missing_count:
            found.append(Unequal(mart.name, after, surplus_count + missing_count, surplus, missing))
    return found


def check(beside: Runtime, folder: Path, runtime: Runtime | None, progress: Progress) -> Checked:
    """Compile a pipeline, and compute its marts drop by drop: for made-up drops, and for those of a root.

    Args:
        beside: the pipeline on an empty root of its own, which is filled.
        folder: where made-up files come to lie.
        runtime: the pipeline on a root with drops, which stays as it is; None without.
        progress: told what is done and what there is in all.

    Raises:
        ContractError: an SQL text does not work; with its file and line.
        Busy: somebody else holds the root.
    """
    pipeline = beside.pipeline
    with beside.session() as session:
        statements, floats = compile_sql(session, pipeline), float_columns(session, pipeline)
    made_up = MadeUp(replace(beside, pipeline=with_plain_files(pipeline)), folder)
    archived = None if runtime is None else 0
    unequal = [] if runtime is None else _unequal_now(runtime)
    unequal = unequal or _unequal_by_made_up(made_up, progress)
    if runtime is not None and not unequal:
        with runtime.store.exclusive(runtime.wait_seconds, looking=True):
            archived, unequal = _archived_drops(with_claimed(runtime), progress)
    keys = tuple(map(keys_of, pipeline.marts))
    return Checked(statements, tuple(floats), keys, made_up.files, made_up.refused, archived, tuple(unequal))


def _unequal_now(runtime: Runtime) -> list[Unequal]:
    with runtime.sound_reading() as session:
        if not is_up_to_date(session, runtime.pipeline):  # the marts are still those of earlier files
            return []
        return unequal_marts(session, runtime.pipeline, "all drops of the root")


def _unequal_by_made_up(made_up: MadeUp, progress: Progress) -> list[Unequal]:
    for day in range(MADE_UP):
        after = made_up.happen(day)
        with made_up.runtime.session() as session:
            unequal = unequal_marts(session, made_up.runtime.pipeline, after)
        if unequal:
            return unequal
        progress(day + 1, MADE_UP)
    return []


def _archived_drops(runtime: Runtime, progress: Progress) -> tuple[int, list[Unequal]]:
    """Take a root's drops once more, aside; how many were taken, and the marts that come out wrong."""
    aside = runtime.warehouse.staging_copy("checking")
    try:
        with aside.session() as session:
            prepare(session, runtime.pipeline, runtime.clock())
            with session.attached(runtime.warehouse, (*RECORDS, *DROPS)) as live:
                rows = selected(session, live, Selection())[:ARCHIVED]
                for place, row in enumerate(rows, 1):
                    unequal = _take_again(runtime, session, live, row)
                    if unequal:
                        return place, unequal
                    progress(place, len(rows))
        return len(rows), []
    finally:
        aside.remove()


def _take_again(runtime: Runtime, session: Session, live: str, row: LedgerRow) -> list[Unequal]:
    pipeline = runtime.pipeline
    with session.transaction():
        before = marts.moment(session)
        no_changes(session, pipeline, but=row.feed)
        folded = fold_again(runtime, session, live, row, None, is_newest=False)
        show_before(session, pipeline, pipeline.contract(row.feed), folded.replaced)
        marts.refresh(session, pipeline, before, feeds={row.feed}, opened=folded.versions_opened)
        return unequal_marts(session, pipeline, f"{row.name} ({row.drop_id})")
