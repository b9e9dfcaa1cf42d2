"""What people are to be told of, found in the ledger after drops were committed, and claimed to be sent.

A state is told once when it begins, and once when it is over. It is noted in the table `alert` in one transaction, and
claimed there before it is sent, so that of two processes one sends it; whoever sent it notes that. A message that was
begun by a process that died then, or that was not taken, is sent again by the next look after a while.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dropledger.core.contracts.freshness import FreshnessState
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import alerts
from dropledger.core.ledger.alerts import WATCHING, Found, Kept
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.verify import Verified
from dropledger.core.ports.notifier import AlertState, Message, Notice, Target
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import statement
from dropledger.core.views.freshness import newest_drops, standings

_MOST = 50
"""Notices of a message."""

_A_SECOND = timedelta(seconds=1)

_OF_LEDGER = frozenset({AlertState.QUARANTINED, AlertState.REJECTED, AlertState.LATE, AlertState.CHECK_FAILED})
"""What the ledger tells at any time; the others are seen when they happen, and then alone."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What is to be sent now, when to look again even if no drop comes (None for never), and whether the next
    drop has to be looked at whatever becomes of it: as it may end a state that lasts, or is the first.
    """

    messages: tuple[Message, ...]
    again_at: datetime | None
    lasting: bool


@dataclass(frozen=True, slots=True)
class _OfLedger:
    """What is the same for all targets: failed checks and late feeds, and when the next feed will be late."""

    found: tuple[Found, ...]
    late_at: datetime | None


def look(
    runtime: Runtime, seen: Sequence[Found] = (), told: Sequence[Sequence[Notice]] = (), *, claims: bool = True
) -> Looked:
    """Note what has begun and what is over, and that messages were `told`; where `claims`, claim what is to be sent.

    `seen` are states that the ledger does not tell. A root without a ledger has nothing to tell.

    Raises:
        Busy: the root or the warehouse stayed in other hands for `wait_seconds`.
    """

    def work() -> Looked:
        with runtime.session() as session, session.transaction():
            now = runtime.clock()
            for notices in told:
                alerts.mark_told(session, notices, now)
            of_ledger = _of_ledger(runtime, session, now)
            looked, again = [], [of_ledger.late_at + _A_SECOND] if of_ledger.late_at else []
            lasting = False
            for target in runtime.targets:
                kept = _noted(session, target, (*of_ledger.found, *seen), now)
                lasting = lasting or any(one.ended_at is None for one in kept)
                message, due = _claimed(runtime, session, target, kept, now) if claims else (None, None)
                looked += [message] if message else []
                again += [due] if due else []
            return Looked(tuple(looked), min(again, default=None), lasting)

    return runtime.alone(work) if runtime.warehouse.exists() else Looked((), None, lasting=True)


def _noted(session: Session, target: Target, common: Sequence[Found], now: datetime) -> list[Kept]:
    """Note what has begun and what is over for a target; the states that last, or that are to be told."""
    kept = alerts.kept_of(session, target)
    since = next((one.began_at for one in kept if one.state == WATCHING), None)
    if since is None:
        alerts.begin_watching(session, target, now)
    found = [*_of_drops(session, target, since or now), *common]
    wanted = [one for one in found if target.wants(one.state, one.feed)]
    lasting = {one.key: one for one in kept if one.ended_at is None and one.state != WATCHING}
    begun = [one for one in wanted if one.key not in lasting and not (one.over and one.state not in _OF_LEDGER)]
    ended = _ended(lasting.values(), found)
    if begun:
        alerts.begin(session, target, begun, now)
    alerts.end(session, ended, now)
    if begun or ended:
        kept = alerts.kept_of(session, target)
    return [one for one in kept if one.state != WATCHING]


def _ended(lasting: Iterable[Kept], found: Sequence[Found]) -> list[Kept]:
    """The states that are over: those that the ledger no longer tells, and those that were seen to be."""
    still = {one.key for one in found if not one.over}
    over = {one.key for one in found if one.over}
    return [one for one in lasting if (one.state in _OF_LEDGER and one.key not in still) or one.key in over]


def _claimed(
    runtime: Runtime, session: Session, target: Target, kept: Sequence[Kept], now: datetime
) -> tuple[Message | None, datetime | None]:
    """A message about what is to be told, if its time has come; and when to look again."""
    pending = [one for one in kept if one.is_pending(target)]
    if not pending:
        return None, None
    waits = [moment for one in pending if (moment := one.not_before)]
    if target.at_most_every and (last := alerts.last_told(session, target)):
        waits.append(last + timedelta(seconds=target.at_most_every))
    due = max(waits, default=now)
    if due > now:
        return None, due
    first = pending[:_MOST]
    alerts.claim(session, first, now)
    notices = tuple(one.notice for one in first)
    message = Message(target, runtime.store.root, runtime.pipeline.name, now, notices, more=len(pending) - len(first))
    # Should it not be taken, or this process die, it is tried again when that may be at the earliest.
    return message, now + timedelta(minutes=1)


def _of_drops(session: Session, target: Target, since: datetime) -> list[Found]:
    rows = session.query(
        statement("alerts_of_drops", {"superseded": statement("superseded")}), {"target": target.to, "since": since}
    )
    return [
        Found(
            AlertState(row["state"]),
            row["feed"],
            row["drop_id"],
            f"{row['name']} was refused and is in quarantine"
            if row["state"] == AlertState.QUARANTINED
            else f"{_rows(row['rows_rejected'])} of {row['name']} rejected",
            f"dropledger {'show' if row['state'] == AlertState.QUARANTINED else 'rejects'} {row['drop_id']}",
            over=row["over"],
        )
        for row in rows
    ]


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _of_ledger(runtime: Runtime, session: Session, now: datetime) -> _OfLedger:
    found = [
        Found(
            AlertState.CHECK_FAILED,
            row["feed"],
            f"{row['model']}.{row['check_name']}",
            f"the check {row['check_name']} of {row['model']} failed for {_rows(row['failing_rows'])}",
            f"dropledger show {row['drop_id']}",
        )
        for row in session.query(statement("alerts_of_checks"))
    ]
    stands = standings(runtime.pipeline, newest_drops(session), lambda: now) if _has_freshness(runtime) else {}
    for feed, standing in stands.items():
        if standing.state == FreshnessState.LATE:
            says = f"the feed {feed} is late"
            found.append(Found(AlertState.LATE, feed, feed, says, "dropledger freshness"))
    ahead = [one.late_at for one in stands.values() if one.late_at is not None and one.state != FreshnessState.LATE]
    return _OfLedger(tuple(found), min(ahead, default=None))


def _has_freshness(runtime: Runtime) -> bool:
    return any(contract.freshness is not None for contract in runtime.pipeline.contracts.values())


def of_outcomes(outcomes: Iterable[Outcome]) -> list[Found]:
    """Whether files were postponed, or had been: the ledger does not tell of a file that was not taken."""
    last = {(outcome.drop.feed, outcome.drop.name): outcome for outcome in outcomes}
    return [
        Found(
            AlertState.POSTPONED,
            outcome.drop.feed,
            outcome.drop.name,
            f"{outcome.drop.name} could not be taken ({outcome.delivered})",
            "dropledger doctor",
            over=outcome.taken,
        )
        for outcome in last.values()
    ]


def of_verified(verified: Verified) -> list[Found]:
    """Whether the tables, the archive and the artifacts agree."""
    tables, files = len({found.table for found in verified.differences}), len(verified.files)
    says = f"verify found differences in {tables} tables and {files} files"
    return [Found(AlertState.VERIFY_DIFFERENCE, "", "verify", says, "dropledger verify", over=verified.sound)]
