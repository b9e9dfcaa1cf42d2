"""The function that AWS Lambda calls, by `dropledger.handlers.aws_lambda.start`.

The files that the messages of an event name are folded together, in one round trip of the warehouse. A message goes
back to its queue if one of its files could not be taken now: a file whose data are refused is in quarantine, and its
message is done.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog

from dropledger.core.drop import FileDropped
from dropledger.core.errors import ConfigurationError, DropledgerError, OutOfTime, Postponed
from dropledger.core.ingest.claims import in_order
from dropledger.core.ingest.control_files import Paired, data_name, pair, suffixes
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome
from dropledger.handlers.aws_lambda.embedded_metrics import EmbeddedMetrics
from dropledger.handlers.aws_lambda.events import Message, messages
from dropledger.handlers.aws_lambda.message_visibility import seconds_until_visible, widest_error
from dropledger.handlers.excepthook import frames_of
from dropledger.handlers.logs import configure_logs, failure_entries, log_awaited, log_outcome
from dropledger.handlers.wiring import wire

if TYPE_CHECKING:
    from dropledger.handlers.telling import Telling

log = structlog.get_logger("dropledger.function")

_CHUNK = 400
_RESERVE_SECONDS = 20.0  # what a file, its commit and the end may take: nothing is begun when less is left
_RESERVE_SHARE = 1.5  # of what took longest so far, where that is more


@dataclass
class Handled:
    """What became of an event; `failed` are messages to be delivered again, each with its error."""

    outcomes: list[Outcome] = field(default_factory=list)
    failed: dict[Message, Exception] = field(default_factory=dict)


class Failed(Exception):
    """An event that did not come from a queue was not worked off; AWS sends it again."""


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Take the files that an event names.

    Raises:
        ConfigurationError: the settings cannot work, or the secret that they name cannot be read.
        Failed: some could not be taken, and there is no queue to which a part of the event could go back.
    """
    try:
        runtime = _runtime(_without_qualifier(context.invoked_function_arn))
    except DropledgerError as failure:  # the whole call fails, and an alarm goes off
        _log_unavailable(failure)
        _hand_back(dict.fromkeys(messages(event), failure))
        raise
    handled = handle(runtime, event, lambda: context.get_remaining_time_in_millis() / 1000)
    failed = handled.failed
    if runtime.targets and context.get_remaining_time_in_millis() / 1000 > _RESERVE_SECONDS:
        _tell(_without_qualifier(context.invoked_function_arn), handled, event)
    if any(isinstance(error, ConfigurationError) for error in failed.values()):
        _telling.cache_clear()
        _runtime.cache_clear()  # or a token that was replaced would fail until Lambda starts another machine
    if any(message.queued is None for message in failed):
        raise Failed("; ".join(str(error) for error in failed.values() if isinstance(error, DropledgerError)))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in _hand_back(failed)]}


def _hand_back(failed: Mapping[Message, Exception]) -> list[str]:
    """Set when the messages that came from a queue are visible there again; their ids."""
    seconds_until = {
        message.queued: seconds_until_visible(error, message.queued.tries)
        for message, error in failed.items()
        if message.queued
    }
    for message, seconds in seconds_until.items():
        log.info("handed_back", message_id=message.message_id, tries=message.tries, seconds=seconds)
    if seconds_until:
        from dropledger.infra.aws.sqs import hand_back

        hand_back([(message.queue, message.receipt, seconds) for message, seconds in seconds_until.items()])
    return [message.message_id for message in seconds_until]


@cache
def _runtime(function: str) -> Runtime:
    """Made once for each machine that Lambda starts for the function of this ARN, and used by all its calls."""
    stack = os.environ.get("METRICS_STACK")
    configure_logs("json", *([EmbeddedMetrics(stack)] if stack else []))
    return wire(function=function)


@cache
def _telling(function: str) -> "Telling":
    """Made once for each machine too."""
    from dropledger.handlers.telling import Telling, log_failure

    return Telling(_runtime(function), log_failure)


def _tell(function: str, handled: Handled, event: Mapping[str, Any]) -> None:
    """Tell the targets of alerts, with each sweep even if it was told before that there is nothing to tell."""
    telling = _telling(function)
    telling.note(handled.outcomes)
    if not telling.seconds_left or any(message.sweep for message in messages(event)):
        telling.look()
        telling.finish()


def _without_qualifier(arn: str) -> str:
    """The ARN of a function, whichever version or alias of it was called."""
    return ":".join(arn.split(":")[:7])


def handle(runtime: Runtime, event: Mapping[str, Any], seconds_left: Callable[[], float]) -> Handled:
    """Take the files that an event names, as long as time is left."""
    batch = _Batch(runtime, seconds_left)
    readable = []
    for message in messages(event):
        if message.error is not None:
            log.error("unknown_event", message_id=message.queued and message.queued.message_id, why=message.error)
            batch.handled.failed[message] = Postponed(message.error)
        else:
            readable.append(message)
    try:
        backlog = {message: _files_of(runtime, message) for message in readable}
    except DropledgerError as failure:
        _log_unavailable(failure)
        batch.handled.failed.update(dict.fromkeys(readable, failure))
        return batch.handled
    facts = {fact: None for files in backlog.values() for fact in files}
    batch.take_all(in_order(list(facts), runtime.pipeline))
    for message, files in backlog.items():
        failures = [batch.failed[fact.content] for fact in files if fact.content in batch.failed]
        if message.sweep and batch.took_some():  # the next sweep goes on; this one would be a dead letter in the end
            failures = [failure for failure in failures if not isinstance(failure, OutOfTime)]
        if failures:
            batch.handled.failed[message] = widest_error(failures)
    return batch.handled


def _log_unavailable(failure: DropledgerError) -> None:
    log.error("unavailable", **failure_entries(failure))


def _files_of(runtime: Runtime, message: Message) -> list[FileDropped]:
    """The files that a message names and that are in the inbox: all contents of a name that are not taken yet."""
    if message.sweep:
        return _ready(pair(runtime.store.arrivals(), runtime.pipeline))
    found = []
    inbox = f"{runtime.store.root}/inbox/"
    for uri in message.uris:
        if uri.startswith(inbox):
            there = _named(runtime, inbox, uri)
            found += there
            if not there:  # taken already, as events may come twice; or of a temporary name, that is never taken
                log.info("nothing_there", uri=uri)
        else:
            log.info("ignored", uri=uri)
    return found


def _named(runtime: Runtime, inbox: str, uri: str) -> list[FileDropped]:
    """The files at an address; for that of a control file, the files that it belongs to.

    What waits for its control file is not among them: the event of that starts it.
    """
    controlled = (data_name(uri, suffix) for suffix in suffixes(runtime.pipeline))
    addresses = {uri, *(address for address in controlled if address is not None)}
    shortest = min(addresses, key=len)
    there = pair(runtime.store.arrivals(shortest.removeprefix(inbox)), runtime.pipeline)
    return [fact for fact in _ready(there) if fact.uri in addresses]


def _ready(there: Paired) -> list[FileDropped]:
    for one in there.awaited:
        log_awaited(one)
    return there.ready


class _Deadline:
    """Whether the call may end before another file is done, asked each time before one is begun."""

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        self._seconds_left = seconds_left
        self._left_at_last: float | None = None
        self._longest = 0.0

    def reached(self) -> bool:
        left = self._seconds_left()
        if self._left_at_last is not None:
            self._longest = max(self._longest, self._left_at_last - left)
        self._left_at_last = left if math.isfinite(left) else None  # a call by hand has no end
        return left < max(_RESERVE_SECONDS, _RESERVE_SHARE * self._longest)

    def forget_last(self) -> None:
        """Do not count what is done until the next question for a file: it opens the warehouse, for one."""
        self._left_at_last = None


class _Batch:
    """Takes files together, and collects the errors of those that could not be taken."""

    def __init__(self, runtime: Runtime, seconds_left: Callable[[], float]) -> None:
        self._deadline = _Deadline(seconds_left)
        self._runtime = replace(runtime, stop=self._deadline.reached)
        self.handled = Handled()
        self.failed: dict[tuple[str, str | None], Exception] = {}

    def took_some(self) -> bool:
        return any(outcome.taken for outcome in self.handled.outcomes)

    def take_all(self, facts: Sequence[FileDropped]) -> None:
        for start in range(0, len(facts), _CHUNK):
            self._take(facts[start : start + _CHUNK])

    def _take(self, facts: Sequence[FileDropped]) -> None:
        try:
            self._runtime.refuse_when_out_of_time()
            self._deadline.forget_last()
            process(self._runtime, facts, self._on_outcome)
        except OutOfTime as failure:
            not_taken = self._not_taken(facts)
            log.warning("out_of_time", files=len(not_taken))
            self._fail(not_taken, failure)
        except DropledgerError as failure:
            _log_unavailable(failure)
            self._fail(self._not_taken(facts), failure)
        except Exception as bug:  # noqa: BLE001 - not of one file: the messages of all go back to their queue
            log.error("bug", frames=frames_of(bug))  # noqa: TRY400 - its message may quote rows
            self._fail(self._not_taken(facts), bug)

    def _not_taken(self, facts: Sequence[FileDropped]) -> list[FileDropped]:
        taken = {outcome.drop.claim.dropped.content for outcome in self.handled.outcomes}
        return [fact for fact in facts if fact.content not in taken]

    def _on_outcome(self, outcome: Outcome) -> None:
        log_outcome(outcome)
        dropped = outcome.drop.claim.dropped
        self.handled.outcomes.append(outcome)
        self.failed.pop(dropped.content, None)  # where it was postponed in an attempt before
        if outcome.failure is not None:
            self._fail([dropped], outcome.failure)
        elif outcome.postponed:
            why, hint = outcome.error or "", outcome.hint or ""
            self._fail([dropped], Postponed(f"{outcome.drop.name} is postponed", why=why, hint=hint))

    def _fail(self, facts: Sequence[FileDropped], error: Exception) -> None:
        self.failed.update({fact.content: error for fact in facts})
