"""Events of AWS in all their wrappings, read for the objects that they tell of."""

import json
from pathlib import Path
from typing import Any

import pytest

from dropledger.handlers.aws_lambda.events import messages

EVENTS = Path(__file__).parents[2] / "samples" / "events"
CUSTOMERS = "s3://dropledger-root/inbox/customers_2025-10-31.csv"
ACCOUNTS = "s3://dropledger-root/inbox/accounts_2025-10-31.csv"


@pytest.mark.parametrize(
    ("name", "uris"),
    [
        ("eventbridge", [(CUSTOMERS,)]),
        ("s3_notification", [(ACCOUNTS,)]),
        ("sqs_eventbridge", [(CUSTOMERS,), (ACCOUNTS,)]),
        ("sqs_s3_notification", [(), (CUSTOMERS,), (ACCOUNTS,)]),
        ("sqs_sns_s3_notification", [(CUSTOMERS,), (ACCOUNTS,)]),
        ("s3_test_event", [()]),
        ("schedule", [()]),
    ],
)
def test_samples(name: str, uris: list[tuple[str, ...]]):
    read = messages(json.loads((EVENTS / f"{name}.json").read_bytes()))
    assert [message.uris for message in read] == uris
    assert [message.error for message in read] == [None] * len(uris)
    assert all((message.queued is not None) == name.startswith("sqs") for message in read)
    assert [message.sweep for message in read] == [name == "schedule"] * len(uris)


def test_every_sample_is_read():
    assert {path.stem for path in EVENTS.iterdir()} == {
        "eventbridge",
        "s3_notification",
        "sqs_eventbridge",
        "sqs_s3_notification",
        "sqs_sns_s3_notification",
        "s3_test_event",
        "schedule",
    }


@pytest.mark.parametrize(
    ("attributes", "tries"),
    [({"ApproximateReceiveCount": "4"}, 4), ({"ApproximateReceiveCount": "?"}, 1), ({}, 1), (None, 1)],
)
def test_queue_tells_how_often_a_message_was_tried(attributes: dict[str, str] | None, tries: int):
    record = {"messageId": "m", "eventSource": "aws:sqs", "attributes": attributes, "body": "{}"}
    [message] = messages({"Records": [record]})
    assert message.queued is not None
    assert message.queued.tries == tries


def of_bridge(key: str, kind: str = "Object Created") -> dict[str, Any]:
    return {"source": "aws.s3", "detail-type": kind, "detail": {"bucket": {"name": "b"}, "object": {"key": key}}}


def of_s3(key: str, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    record = {"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "b"}, "object": {"key": key}}}
    return {"Records": [record]}


def uris(event: dict[str, Any]) -> list[str]:
    [message] = messages(event)
    assert message.error is None
    return list(message.uris)


@pytest.mark.parametrize("key", ["inbox/a b.csv", "inbox/a+b.csv", "inbox/a%20b.csv", "inbox/ü&=?#.csv"])
def test_eventbridge_tells_keys_as_they_are(key: str):
    assert uris(of_bridge(key)) == [f"s3://b/{key}"]


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("inbox/a+b.csv", "inbox/a b.csv"),
        ("inbox/a%2Bb.csv", "inbox/a+b.csv"),
        ("inbox/a%2520b.csv", "inbox/a%20b.csv"),
        ("inbox/%C3%BC%26%3D%3F%23.csv", "inbox/ü&=?#.csv"),
    ],
)
def test_s3_encodes_keys(encoded: str, key: str):
    assert uris(of_s3(encoded)) == [f"s3://b/{key}"]


def test_kinds_of_events_that_create_nothing():
    assert uris(of_s3("x", "ObjectRemoved:Delete")) == []
    assert uris(of_bridge("x", "Object Deleted")) == []
    assert uris(of_s3("x", "ObjectCreated:CompleteMultipartUpload")) == ["s3://b/x"]


def test_sns_without_a_queue():
    assert uris({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(of_s3("x"))}}]}) == ["s3://b/x"]


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", '"x"', "null", '{"Records": [{}]}', '{"Message": 1}'])
def test_message_that_is_no_event_spoils_no_other(body: str):
    def queued(place: int, text: str) -> dict[str, str]:
        return {"messageId": str(place), "eventSource": "aws:sqs", "eventSourceARN": "q", "body": text}

    bad, good = messages({"Records": [queued(1, body), queued(2, json.dumps(of_s3("x")))]})
    assert bad.error is not None
    assert bad.queued is not None
    assert (good.error, good.uris) == (None, ("s3://b/x",))


@pytest.mark.parametrize("records", [[None], ["text"], [1, {"eventSource": "aws:sqs"}]])
def test_records_that_are_none_are_told(records: list[object]):
    (message,) = messages({"Records": records})
    assert message.error is not None
