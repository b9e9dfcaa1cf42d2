"""When marts are computed: with each drop of a transaction, or once for all. A policy serves one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.formats.extract import Drop
from dropledger.core.ingest.runtime import AdmissionRuntime
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ledger.totals import Cause
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed, quoted
from dropledger.core.steps import checks, marts
from dropledger.core.steps.checks import CheckQuestion, CheckResult
from dropledger.core.steps.examine import Examined, examine
from dropledger.core.steps.history import Folded, changed, history_columns, no_changes, show_before
from dropledger.core.steps.marts import Due, Refreshed
from dropledger.core.steps.publish import CHANGES, INITIAL
from dropledger.core.steps.totals import keep_totals


@dataclass(frozen=True, slots=True)
class Computed:
    """What was computed for a drop, and what is to be asked of it beside the drop's own checks.

    `reported` is the pipeline whose models the drop's report counts, if it does.
    """

    refreshed: Sequence[Refreshed] = ()
    questions: Sequence[CheckQuestion] = ()
    reported: Pipeline | None = None


class Recompute(Protocol):
    """What admission asks of a policy, for each drop in this order; `finish` comes when all drops are admitted."""

    def begin(self) -> None:
        """Another drop is admitted, whatever becomes of it."""
        ...

    def is_ahead_of_ledger(self, feed: str) -> bool:
        """Whether a feed's history does not stand where the ledger says."""
        ...

    def before_fold(self, session: Session, feed: str, until: datetime | None) -> datetime | None:
        """Up to when a feed was observed, where the ledger says `until`."""
        ...

    def after_fold(
        self, session: Session, contract: Contract, folded: Folded, moment_before: datetime | None
    ) -> Computed:
        """Compute what has to be computed now; `moment_before` is the marts' moment before the drop."""
        ...

    def settle(
        self, session: Session, drop: Drop, results: Sequence[CheckResult], computed: Iterable[Refreshed]
    ) -> None:
        """Keep the totals of the marts and stage what changed, now that all was checked.

        Raises:
            CheckFailed: a check of severity error did not pass.
        """
        ...

    def finish(self, session: Session, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Compute and check what was put off; the outcomes, of which the last accepted one stands for all of it.

        Raises:
            CheckFailed: a check refused what the drops made together.
        """
        ...


class EachDrop:
    """Marts are computed with each drop, which so has its own change file and checks.

    Those that may wait (`Mart.waits`) are computed with the last of `drops`.
    """

    def __init__(self, runtime: AdmissionRuntime, drops: int = 1) -> None:
        self._runtime = runtime
        self._due = Due() if drops > 1 else None
        self._left = drops

    def begin(self) -> None:
        self._left -= 1

    def is_ahead_of_ledger(self, feed: str) -> bool:
        del feed
        return False

    def before_fold(self, session: Session, feed: str, until: datetime | None) -> datetime | None:
        no_changes(session, self._runtime.pipeline, but=feed)
        return until

    def after_fold(
        self, session: Session, contract: Contract, folded: Folded, moment_before: datetime | None
    ) -> Computed:
        opened, pipeline = folded.versions_opened, self._runtime.pipeline
        show_before(session, pipeline, contract, folded.replaced)
        refreshed = marts.refresh(session, pipeline, moment_before, self._due, feeds={contract.feed}, opened=opened)
        if self._due is not None and not self._left:
            refreshed += self._due.refresh(session, self._runtime.pipeline)
        self._runtime.touched.note(session, refreshed, more_to_come=self._left > 0)
        return Computed(refreshed, [checks.history_check(session, contract, opened)], self._runtime.pipeline)

    def settle(
        self, session: Session, drop: Drop, results: Sequence[CheckResult], computed: Iterable[Refreshed]
    ) -> None:
        checks.refuse_failed(results)
        refreshed = list(computed)
        keep_totals(session, refreshed, Cause.ACCEPTED, drop.drop_id, self._runtime.clock())
        _stage_changes(self._runtime, session, drop, refreshed)

    def finish(self, session: Session, outcomes: Sequence[Outcome]) -> list[Outcome]:
        if self._due is None or not self._due.pending:  # the last drop was accepted, and computed them
            return list(outcomes)
        refreshed = self._due.refresh(session, self._runtime.pipeline)
        self._runtime.touched.note(session, refreshed, more_to_come=False)
        found = examine(session, [], refreshed)
        checks.refuse_failed(found.results)
        return _attributed_to_last(self._runtime, session, outcomes, found)[0]


@dataclass
class OnceForAll:
    """All marts are computed when all drops are in history: micro-batches and backfills cost little for each drop.

    `observed_until` says how far each feed's history has been folded, where the ledger is ahead of it.
    """

    runtime: AdmissionRuntime
    moment_before: datetime | None
    observed_until: dict[str, datetime | None] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)
    _kept: set[str] = field(default_factory=set)

    @classmethod
    def begun(cls, runtime: AdmissionRuntime, session: Session) -> "OnceForAll":
        """A policy for a transaction in which nothing has changed yet."""
        no_changes(session, runtime.pipeline)
        return cls(runtime, marts.moment(session))

    def begin(self) -> None:
        """Each drop is like the others."""

    def is_ahead_of_ledger(self, feed: str) -> bool:
        return feed in self.observed_until

    def before_fold(self, session: Session, feed: str, until: datetime | None) -> datetime | None:
        del session
        return self.observed_until.get(feed, until)

    def after_fold(
        self, session: Session, contract: Contract, folded: Folded, moment_before: datetime | None
    ) -> Computed:
        del moment_before
        self.note(session, contract, folded)
        return Computed()

    def note(self, session: Session, contract: Contract, folded: Folded) -> None:
        """Remember what a fold changed."""
        if folded.last_effective is None:  # it observed nothing, and `changed_<feed>` is that of a fold before
            return
        feed = contract.feed
        times = [time for time in (self.observed_until.get(feed), folded.last_effective) if time is not None]
        if feed in self.observed_until:
            self.observed_until[feed] = max(times, default=None)
        key = feed_fragments(contract)["key"]
        self.add_changes(session, contract, f"SELECT {key}, changed_from FROM changed_{feed}", folded.replaced)

    def add_changes(self, session: Session, contract: Contract, changes: str, before: str) -> None:
        """Add what selects give: keys, each with the time from which it changed, and versions as they were before."""
        self._add(session, f"_dl_all_changed_{contract.feed}", [*contract.key, "changed_from"], changes)
        self._changed.add(contract.feed)
        if before and contract.feed in self.runtime.pipeline.shows_before:
            columns = [column.name for column in history_columns(contract)]
            self._add(session, f"_dl_all_before_{contract.feed}", columns, before)

    def _add(self, session: Session, name: str, columns: Sequence[str], select: str) -> None:
        if name in self._kept:
            session.insert_select(name, columns, f"SELECT {listed(columns)} FROM ({select}) AS added")
        else:
            session.scratch(name, select)
            self._kept.add(name)

    def settle(
        self, session: Session, drop: Drop, results: Sequence[CheckResult], computed: Iterable[Refreshed]
    ) -> None:
        """Nothing was computed yet."""

    def finish(self, session: Session, outcomes: Sequence[Outcome]) -> list[Outcome]:
        contracts = self.runtime.pipeline.contracts.values()
        for contract in contracts:
            self._restore_changes(session, contract)
        refreshed = marts.refresh(session, self.runtime.pipeline, self.moment_before, feeds=self._changed)
        self.runtime.touched.note(session, refreshed, more_to_come=False)
        found = examine(session, [checks.history_check(session, contract) for contract in contracts], refreshed)
        checks.refuse_failed(found.results)
        attributed, last = _attributed_to_last(self.runtime, session, outcomes, found)
        if last is not None:
            _stage_changes(self.runtime, session, last, found.refreshed)
        return attributed

    def _restore_changes(self, session: Session, contract: Contract) -> None:
        """Make `changed_<feed>` hold what all the folds changed, and `before_<feed>` what they replaced."""
        before = f"_dl_all_before_{contract.feed}"
        replaced = f"SELECT * FROM {quoted(before)}" if before in self._kept else ""
        show_before(session, self.runtime.pipeline, contract, replaced)
        if contract.feed in self._changed:
            key = feed_fragments(contract)["key"]
            changed(
                session,
                contract,
                f"SELECT {key}, min(changed_from) AS changed_from FROM _dl_all_changed_{contract.feed} GROUP BY {key}",
            )


def _attributed_to_last(
    runtime: AdmissionRuntime, session: Session, outcomes: Sequence[Outcome], found: Examined
) -> tuple[list[Outcome], Drop | None]:
    """Record what was computed and checked for several drops with the last accepted one, which is given too."""
    for place in reversed(range(len(outcomes))):
        outcome = outcomes[place]
        if outcome.in_history:
            checks.record(session, {(outcome.drop.drop_id, outcome.sequence or 0): found.results})
            keep_totals(session, found.refreshed, Cause.ACCEPTED, outcome.drop.drop_id, runtime.clock())
            attributed = outcome.with_recomputed({**outcome.recomputed, **marts.recomputed(found.refreshed)})
            return [*outcomes[:place], attributed, *outcomes[place + 1 :]], outcome.drop
    return list(outcomes), None


def _stage_changes(runtime: AdmissionRuntime, session: Session, drop: Drop, refreshed: Iterable[Refreshed]) -> None:
    """Stage what the refresh of the marts changed, to be published after the commit.

    Of a mart that was filled the artifact is the change.
    """
    for found in refreshed:
        if found.mart.file.changes and found.filled:
            runtime.store.staged(drop.claim.claim_id, INITIAL).touch()
        elif found.mart.file.changes:
            texts = marts.texts_to_escape(session, runtime.pipeline, found.mart)
            select = marts.changes_select(found.mart, all_rows=found.whole, texts=texts)
            session.export(select, runtime.store.staged(drop.claim.claim_id, CHANGES))
