"""Telling people of trouble after drops are done: looked for in the ledger, sent beside, noted when it was taken."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic

import structlog

from dropledger.core.errors import DropledgerError
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.alerts import Found
from dropledger.core.ledger.fault import as_refusal
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.alerts import look, of_outcomes
from dropledger.core.ports.notifier import Notice
from dropledger.infra.notify.beside import Beside

WAIT_SECONDS = 5.0
"""How long a command, or a call of the function, waits at its end for messages to be taken."""

_BUSY_SECONDS = 1.0  # to wait for others with what no drop depends on
_AGAIN_SECONDS = 10

log = structlog.get_logger("dropledger.alerts")

OnFailure = Callable[[str, DropledgerError], None]
"""Told what could not be sent or noted: the name of the target, or 'the ledger', and why."""


def log_failure(where: str, error: DropledgerError) -> None:
    """Log it; the words of notifiers have neither addresses nor secrets."""
    log.warning("alert_not_sent", target=where, what=error.what, why=error.why, hint=error.hint)


class Telling:
    """Tells the targets of a runtime, as long as a process lasts; what fails is told by `on_failure` and tried again.

    `on_sent` is called, by another thread, when it is worth looking again.
    """

    def __init__(self, runtime: Runtime, on_failure: OnFailure, on_sent: Callable[[], None] = lambda: None) -> None:
        self._runtime = replace(runtime, wait_seconds=min(runtime.wait_seconds, _BUSY_SECONDS))
        self._on_failure = on_failure
        self._on_sent = on_sent
        self._beside = Beside(runtime.notifier_of, self._sent)
        self._told: list[Sequence[Notice]] = []
        self._seen: dict[tuple[str, str, str], Found] = {}
        self._again_at: datetime | None = None
        self._looked = False
        self._lasting = True
        self._collectable = False

    def _sent(self) -> None:
        self._collectable = True
        self._on_sent()

    @property
    def seconds_left(self) -> float:
        """How long until it is time to look, even if no drop comes."""
        if not self._looked or self._collectable:
            return 0.0
        if self._again_at is None:
            return math.inf
        return max((self._again_at - self._runtime.clock()).total_seconds(), 0.0)

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Take notice of what became of drops; look where it may be something to tell, or the end of something."""
        outcomes = list(outcomes)
        for found in of_outcomes(outcomes):
            self._seen[found.key] = found
        if outcomes and (self._lasting or any(not one.taken or one.refused or one.warnings for one in outcomes)):
            self._looked = False

    def look(self, seen: Sequence[Found] = (), *, sends: bool = True) -> None:
        """Note in the ledger what has begun, is over, or was taken; where it `sends`, begin with what is to be told."""
        for found in seen:
            self._seen[found.key] = found
        self._collect()
        try:
            looked = look(self._runtime, [*self._seen.values()], self._told, claims=sends)
        except Exception as error:  # noqa: BLE001 - what tells of trouble makes none: drops go on
            failure = error if isinstance(error, DropledgerError) else as_refusal("alerts could not be noted", error)
            self._on_failure("the ledger", failure)
            self._looked, self._again_at = True, self._runtime.clock() + timedelta(seconds=_AGAIN_SECONDS)
            return
        self._told, self._seen = [], {}
        self._looked, self._again_at, self._lasting = True, looked.again_at, looked.lasting
        self._beside.send(looked.messages)

    def finish(self, seconds: float = WAIT_SECONDS) -> None:
        """Wait for what is being sent, for so long at most, and note what was taken."""
        until = monotonic() + seconds
        while self._beside.busy or self._collectable:
            self._beside.wait(max(until - monotonic(), 0.0))
            self._collect()
            in_time = monotonic() < until
            if self._told:
                self.look(sends=in_time)
            if not in_time:
                break

    def _collect(self) -> None:
        self._collectable = False
        for sent in self._beside.collect():
            if sent.error is None:
                self._told.append(sent.message.notices)
            else:
                self._on_failure(sent.message.target.to, sent.error)


def tell(runtime: Runtime, on_failure: OnFailure, outcomes: Iterable[Outcome] = (), seen: Sequence[Found] = ()) -> None:
    """Tell what a command has done or found, and wait for that a little."""
    telling = Telling(runtime, on_failure)
    telling.note(outcomes)
    telling.look(seen)
    telling.finish()
