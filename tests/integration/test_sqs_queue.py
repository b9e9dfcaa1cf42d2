"""Messages that are handed back to their queue."""

from typing import Any
from uuid import uuid4

import boto3
import pytest

from dropledger.infra.aws.sqs import hand_back

pytestmark = pytest.mark.usefixtures("s3")


class Queue:
    """A queue whose messages stay out of sight for long once they were received."""

    def __init__(self, *messages: str) -> None:
        self._client = boto3.client("sqs")
        hidden = {"VisibilityTimeout": "1000"}
        self._url = self._client.create_queue(QueueName=uuid4().hex, Attributes=hidden)["QueueUrl"]
        found = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        self.arn = found["Attributes"]["QueueArn"]
        for message in messages:
            self._client.send_message(QueueUrl=self._url, MessageBody=message)

    def receive(self) -> dict[str, str]:
        """What is to be seen: the receipts by the texts."""
        found: list[Any] = []
        while there := self._client.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            found += there
        return {message["Body"]: message["ReceiptHandle"] for message in found}


def test_what_cannot_be_handed_back_keeps_no_other():
    queue, other = Queue("a", "b", "c"), Queue("d")
    receipts, of_other = queue.receive(), other.receive()
    account = queue.arn.rpartition(":")[0]
    hand_back(
        [
            ("no ARN", "a receipt", 0),
            (f"{account}:not-there", "a receipt", 0),
            (queue.arn, "no receipt", 0),
            (queue.arn, receipts["a"], 0),
            (queue.arn, receipts["b"], 100_000),
            (queue.arn, receipts["c"], 0),
            (other.arn, of_other["d"], 0),
        ]
    )
    assert sorted(queue.receive()) == ["a", "c"]
    assert sorted(other.receive()) == ["d"]


def test_more_than_a_request_takes():
    texts = [str(number) for number in range(23)]
    queue = Queue(*texts)
    hand_back([(queue.arn, receipt, 0) for receipt in queue.receive().values()])
    assert sorted(queue.receive()) == sorted(texts)


def test_queue_that_does_not_answer_ends_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    hand_back([("arn:aws:sqs:eu-west-1:123456789012:queue", "a receipt", 0)])
