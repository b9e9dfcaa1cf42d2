"""What the ledger keeps of alerts: each state that a target is told of, with its begin and its end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from dropledger.core.ports.notifier import AlertState, Notice, Target
from dropledger.core.ports.session import Session

WATCHING = "watching"
"""In place of a state: since when a target is told."""

_RETRY_SECONDS, _RETRY_AT_MOST = 60, 3600


@dataclass(frozen=True, slots=True)
class Found:
    """A state that was found, of something that `subject` names; `over` is whether it is already."""

    state: AlertState
    feed: str
    subject: str
    says: str
    hint: str
    over: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What is one state as long as it lasts."""
        return self.state, self.feed, self.subject


@dataclass(frozen=True, slots=True)
class Kept:
    """A state as the ledger keeps it for one target."""

    alert_id: str
    state: str
    feed: str
    subject: str
    says: str
    hint: str
    began_at: datetime
    ended_at: datetime | None
    told_at: datetime | None
    end_told_at: datetime | None
    tried_at: datetime | None
    tries: int

    @property
    def key(self) -> tuple[str, str, str]:
        """As `Found.key`."""
        return self.state, self.feed, self.subject

    @property
    def notice(self) -> Notice:
        """What is told of it."""
        state = AlertState(self.state)
        return Notice(self.alert_id, state, self.feed, self.says, self.hint, self.began_at, self.ended_at)

    def is_pending(self, target: Target) -> bool:
        """Whether there is something to tell."""
        ends = AlertState.RECOVERED in target.on and self.ended_at is not None and self.end_told_at is None
        return self.told_at is None or ends

    @property
    def not_before(self) -> datetime | None:
        """When it may be tried again, if it was tried: later each time, so that a dead receiver costs little."""
        if not self.tries or self.tried_at is None:
            return None
        return self.tried_at + timedelta(seconds=min(_RETRY_SECONDS << min(self.tries - 1, 10), _RETRY_AT_MOST))


def kept_of(session: Session, target: Target) -> list[Kept]:
    """The states that last, or that are not told to the end, in order of their begin."""
    rows = session.query(
        """SELECT alert_id, state, feed, subject, says, hint, began_at, ended_at, told_at, end_told_at, tried_at, tries
        FROM alert
        WHERE target = :target
            AND (ended_at IS NULL OR told_at IS NULL OR (:tells_ends AND end_told_at IS NULL))
        ORDER BY began_at, alert_id""",
        {"target": target.to, "tells_ends": AlertState.RECOVERED in target.on},
    )
    return [Kept(**row) for row in rows]


def begin(session: Session, target: Target, found: Sequence[Found], at: datetime) -> None:
    """Keep states that begin now; those that are over end now too."""
    session.insert(
        "alert",
        [
            _row(target, one.state, one.feed, one.subject, one.says, one.hint, at, at if one.over else None)
            for one in found
        ],
    )


def begin_watching(session: Session, target: Target, at: datetime) -> None:
    """Keep since when a target is told."""
    session.insert("alert", [_row(target, WATCHING, "", "", "", "", at, None)])


def _row(
    target: Target, state: str, feed: str, subject: str, says: str, hint: str, at: datetime, ended_at: datetime | None
) -> dict[str, object]:
    identity = f"{target.to}\0{state}\0{feed}\0{subject}\0{at.isoformat()}"
    return {
        "alert_id": sha256(identity.encode()).hexdigest()[:16],
        "target": target.to,
        "state": str(state),
        "feed": feed,
        "subject": subject,
        "says": says,
        "hint": hint,
        "began_at": at,
        "ended_at": ended_at,
        "tries": 0,
    }


def end(session: Session, ended: Iterable[Kept], at: datetime) -> None:
    """Note that states are over."""
    _update(session, [one.alert_id for one in ended], {"ended_at": ":at"}, at, "ended_at IS NULL")


def claim(session: Session, claimed: Iterable[Kept], at: datetime) -> None:
    """Note that a message about states is about to be sent, so that nobody else sends one meanwhile."""
    _update(session, [one.alert_id for one in claimed], {"tried_at": ":at", "tries": "tries + 1"}, at)


def mark_told(session: Session, told: Sequence[Notice], at: datetime) -> None:
    """Note that a message was taken: the begins that it told, and the ends."""
    _update(session, [one.alert_id for one in told], {"told_at": ":at"}, at, "told_at IS NULL")
    ended = [one.alert_id for one in told if one.ended_at]
    _update(session, ended, {"end_told_at": ":at"}, at, "end_told_at IS NULL")
    _update(session, [one.alert_id for one in told], {"tries": "0"}, at)


def last_told(session: Session, target: Target) -> datetime | None:
    """When a message was last taken."""
    row = session.query(
        "SELECT max(told_at) AS told_at, max(end_told_at) AS end_told_at FROM alert WHERE target = :target",
        {"target": target.to},
    )[0]
    return max((moment for moment in row.values() if moment), default=None)


def _update(
    session: Session, alert_ids: Sequence[str], assignments: dict[str, str], at: datetime, only: str = "TRUE"
) -> None:
    if alert_ids:
        some = {f"alert_{place}": alert_id for place, alert_id in enumerate(alert_ids)}
        among = ", ".join(f":{name}" for name in some)
        bound = {**some, "at": at} if ":at" in assignments.values() else some
        session.update_where("alert", assignments, f"alert_id IN ({among}) AND {only}", bound)
