"""What AWS sends when an object was created: EventBridge events and S3 notifications, bare or inside SQS or SNS."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from dropledger.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Queued:
    """A message of a queue: `queue` is its ARN, `receipt` the handle of this delivery, which is the `tries`-th."""

    message_id: str
    queue: str
    receipt: str
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Message:
    """What one message names: the addresses of objects, or that it is time to sweep the inbox.

    `queued` is there if it came from a queue. `error` says why it cannot be read.
    """

    queued: Queued | None
    uris: tuple[str, ...] = ()
    sweep: bool = False
    error: str | None = None


def messages(event: Mapping[str, Any]) -> list[Message]:
    """The messages of an event: those that the queue delivers together, or one that is the event itself."""
    records = event.get("Records")
    if isinstance(records, list) and records and all(_is_queued(record) for record in records):
        return [_message(_queued(record), record["body"]) for record in records]
    return [_message(None, event)]


def _queued(record: Mapping[str, Any]) -> Queued:
    tries = str((record.get("attributes") or {}).get("ApproximateReceiveCount", ""))
    return Queued(
        record["messageId"],
        record.get("eventSourceARN", ""),
        record.get("receiptHandle", ""),
        max(int(tries), 1) if tries.isdecimal() else 1,
    )


def _is_queued(record: object) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:sqs"


def _message(queued: Queued | None, content: str | Mapping[str, Any]) -> Message:
    try:
        event = json.loads(content) if isinstance(content, str) else content
        if _is_schedule(event):
            return Message(queued, sweep=True)
        return Message(queued, tuple(_created(event)))
    except (ValueError, ConfigurationError) as error:
        return Message(queued, error=f"{type(error).__name__}: {error}")


def _is_schedule(event: object) -> bool:
    return isinstance(event, dict) and event.get("detail-type") == "Scheduled Event"


def _created(event: object) -> Iterator[str]:
    """The addresses of the objects that an event says were created; none for events of other kinds.

    In a notification of S3 the key is encoded as in a form, in an event of EventBridge it stands as it is.
    """
    match event:
        case {"detail-type": "Object Created", "detail": {"bucket": {"name": bucket}, "object": {"key": key}}}:
            yield f"s3://{bucket}/{key}"
        case {
            "eventSource": "aws:s3",
            "eventName": str(name),
            "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
        }:
            if name.startswith("ObjectCreated:"):
                yield f"s3://{bucket}/{unquote_plus(key)}"
        case {"Type": "Notification", "Message": str(message)} | {"Sns": {"Message": str(message)}}:
            yield from _created(json.loads(message))
        case {"Records": [*records]}:
            for record in records:
                yield from _created(record)
        case {"source": "aws.s3"} | {"Event": "s3:TestEvent"}:
            return
        case _:
            raise ConfigurationError("the event is none of S3", hint="docs/aws.md lists the shapes that are read")
