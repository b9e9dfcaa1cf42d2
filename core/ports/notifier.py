"""Who is told of trouble, what they are told, and what tells them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from dropledger.core.drop import iso


class AlertState(StrEnum):
    """What people can be told of; `RECOVERED` is that one of the others is over."""

    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    LATE = "late"
    CHECK_FAILED = "check_failed"
    POSTPONED = "postponed"
    VERIFY_DIFFERENCE = "verify_difference"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who wants to be told of some states: of all feeds where `feeds` is empty, and at most once in so many
    seconds.

    `to`, `signed_by` and `smtp` name where an address or a secret is, as `env:NAME`; they are no secrets themselves.
    """

    to: str
    on: frozenset[AlertState]
    feeds: frozenset[str]
    at_most_every: int
    signed_by: str | None
    smtp: str | None

    def wants(self, state: AlertState, feed: str) -> bool:
        """Whether they want to be told of this; what belongs to no feed is told whatever feeds they name."""
        return state in self.on and (not self.feeds or not feed or feed in self.feeds)


@dataclass(frozen=True, slots=True)
class Notice:
    """A state, which began and may have ended: in words without contents of rows, with the command that helps."""

    alert_id: str
    state: AlertState
    feed: str
    says: str
    hint: str
    began_at: datetime
    ended_at: datetime | None

    def as_json(self) -> Mapping[str, Any]:
        return {
            "id": self.alert_id,
            "state": str(self.state),
            "recovered": self.ended_at is not None,
            "feed": self.feed or None,
            "says": self.says,
            "try": self.hint,
            "began_at": iso(self.began_at),
            "ended_at": iso(self.ended_at) if self.ended_at else None,
        }


@dataclass(frozen=True, slots=True)
class Message:
    """Notices for one target, at least one; `more` is how many others wait for the next message."""

    target: Target
    root: str
    pipeline: str
    sent_at: datetime
    notices: tuple[Notice, ...]
    more: int

    @property
    def title(self) -> str:
        """One short line without names of files: `dropledger lending: account late, 2 others`."""
        first = self.notices[0]
        word = "recovered from " if first.ended_at else ""
        others = len(self.notices) - 1 + self.more
        rest = f", {others} other{'' if others == 1 else 's'}" if others else ""
        what = f"{word}{str(first.state).replace('_', ' ')}"
        return f"dropledger {self.pipeline}: {f'{first.feed} ' if first.feed else ''}{what}{rest}"

    @property
    def text(self) -> str:
        """The same for people, several lines."""
        lines = []
        for notice in self.notices:
            if notice.ended_at:
                lines.append(f"Recovered: {notice.says} (from {iso(notice.began_at)} to {iso(notice.ended_at)})")
            else:
                lines.append(f"{notice.says} (since {iso(notice.began_at)})\n  Try: {notice.hint}")
        if self.more:
            lines.append(f"{self.more} more wait for the next message.")
        return "\n".join([*lines, f"Root: {self.root}"])

    @property
    def document(self) -> bytes:
        """The same as JSON, see docs/json.md."""
        return json.dumps(
            {
                "root": self.root,
                "pipeline": self.pipeline,
                "sent_at": iso(self.sent_at),
                "title": self.title,
                "alerts": [notice.as_json() for notice in self.notices],
                "more": self.more,
            }
        ).encode()


class Notifier(Protocol):
    """Sends messages to one address."""

    def send(self, message: Message) -> None:
        """Hand a message over to whoever delivers it; when this returns, they have it. It may take seconds.

        Raises:
            Unavailable: it was not taken now; no address and no secret is in the words.
            ConfigurationError: it cannot be sent as things are set; likewise.
        """
        ...
