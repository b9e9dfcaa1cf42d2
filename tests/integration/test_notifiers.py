"""What each kind of address gets, by real servers on loopback; and what is refused of settings."""

import hashlib
import hmac
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any
from uuid import uuid4

import boto3
import pytest
from support.receivers import Receiver, receiving

from dropledger.core.errors import ConfigurationError, DropledgerError, Unavailable
from dropledger.core.ports.notifier import AlertState, Message, Notice
from dropledger.handlers.notifiers import notifier_of, targets_of

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
LATE = Notice("a" * 16, AlertState.LATE, "account", "the feed account is late", "dropledger freshness", NOW, None)
OVER = Notice("b" * 16, AlertState.REJECTED, "", 'é "odd\r\nBcc: x@y.z.csv', "dropledger rejects 1", NOW, NOW)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def send(monkeypatch: pytest.MonkeyPatch, address: str, *notices: Notice, **secrets: str) -> Message:
    """Send a message as the settings say, with these secrets in the environment."""
    entry: dict[str, Any] = {"to": "env:TEST_ALERT", "on": ["late"]}
    monkeypatch.setenv("TEST_ALERT", address)
    for name, value in secrets.items():
        monkeypatch.setenv(f"TEST_{name}", value)
        entry[name] = f"env:TEST_{name}"
    [target] = targets_of([entry])
    message = Message(target, "/srv/ledger", "lending", NOW, notices or (LATE,), more=0)
    notifier_of(target).send(message)
    return message


# Web addresses


def test_web_address_gets_json(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    send(monkeypatch, receiver.address, LATE, OVER)
    [document] = receiver.messages
    assert document == {
        "root": "/srv/ledger",
        "pipeline": "lending",
        "sent_at": "2026-11-28T10:00:00Z",
        "title": "dropledger lending: account late, 1 other",
        "alerts": [
            {
                "id": "a" * 16,
                "state": "late",
                "recovered": False,
                "feed": "account",
                "says": "the feed account is late",
                "try": "dropledger freshness",
                "began_at": "2026-11-28T10:00:00Z",
                "ended_at": None,
            },
            {
                "id": "b" * 16,
                "state": "rejected",
                "recovered": True,
                "feed": None,
                "says": OVER.says,
                "try": "dropledger rejects 1",
                "began_at": "2026-11-28T10:00:00Z",
                "ended_at": "2026-11-28T10:00:00Z",
            },
        ],
        "more": 0,
    }
    assert receiver.headers[0]["content-type"] == "application/json"
    assert "x-dropledger-signature" not in receiver.headers[0]


def test_signature_is_the_hmac_of_the_body(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    send(monkeypatch, receiver.address, signed_by="a secret")
    digest = hmac.new(b"a secret", receiver.bodies[0], hashlib.sha256).hexdigest()
    assert receiver.headers[0]["x-dropledger-signature"] == f"sha256={digest}"


def test_signature_whose_secret_is_gone_is_none(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigurationError, match="TEST_signed_by is not set"):
        send(monkeypatch, receiver.address, signed_by="")
    assert receiver.bodies == []


def test_message_is_not_sent_on_to_where_an_answer_leads(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    receiver.status = 307
    with pytest.raises(Unavailable, match="it answered 307"):
        send(monkeypatch, receiver.address)
    assert len(receiver.bodies) == 1


@contextmanager
def broken(answer: bytes) -> Iterator[int]:
    """A port that answers whatever is sent with some bytes, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("answer", [b"", b"nothing of HTTP\r\n\r\n", b"HTTP/1.1 999999 no\r\n\r\n"])
def test_what_answers_no_http_has_not_taken_it(answer: bytes, monkeypatch: pytest.MonkeyPatch):
    with broken(answer) as port, pytest.raises(Unavailable) as raised:
        send(monkeypatch, f"http://127.0.0.1:{port}/hidden")
    assert "hidden" not in f"{raised.value} {raised.value.hint}"


# Mail


class Kept:
    """What a mail server got; `refuses` are recipients that it does not take."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []
        self.refuses: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.refuses:
            return "550 not here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[Kept, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from aiosmtpd.controller import Controller

        kept = Kept()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        controller = Controller(kept, hostname="127.0.0.1", port=port)
        controller.start()
        yield kept, f"smtp://127.0.0.1:{port}?from=ledger@example.org"
        controller.stop()


def test_mail_goes_to_all_recipients(mail: tuple[Kept, str], monkeypatch: pytest.MonkeyPatch):
    kept, server = mail
    send(monkeypatch, "mailto:ops@example.org,on-call@example.org", LATE, OVER, smtp=server)
    [envelope] = kept.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == (
        "ledger@example.org",
        ["ops@example.org", "on-call@example.org"],
    )
    found = message_from_bytes(envelope.content, policy=default)
    assert found["Subject"] == "dropledger lending: account late, 1 other"
    assert "Bcc" not in found
    body = found.get_content()
    assert "the feed account is late (since 2026-11-28T10:00:00Z)" in body
    assert "  Try: dropledger freshness" in body
    assert "Recovered: é" in body


def test_mail_that_not_all_recipients_get_has_failed(mail: tuple[Kept, str], monkeypatch: pytest.MonkeyPatch):
    kept, server = mail
    kept.refuses = {"gone@example.org"}
    with pytest.raises(Unavailable, match="it refused 1 of 2 recipients"):
        send(monkeypatch, "mailto:ops@example.org,gone@example.org", smtp=server)
    with pytest.raises(Unavailable) as raised:
        send(monkeypatch, "mailto:gone@example.org", smtp=server)
    assert "gone@" not in str(raised.value)


def test_mail_waits_for_no_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dropledger.infra.notify.smtp.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unavailable, match="SMTPServerDisconnected"):
            send(monkeypatch, "mailto:ops@example.org", smtp=f"smtp://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("address", "server", "says"),
    [
        ("mailto:", "smtp://127.0.0.1", "names no recipient"),
        ("mailto:hidden@example.org", "127.0.0.1:25", "names no server"),
        ("mailto:hidden@example.org", "http://127.0.0.1", "names no server"),
        ("mailto:hidden@example.org", "smtp://127.0.0.1:hidden", "names no server"),
        ("mailto:hidden@example.org", "smtp://hidden:hidden@127.0.0.1:9", "ConnectionRefusedError"),
        ("mailto:hidden%0ABcc:x@example.org", "smtp://127.0.0.1:9", "did not take the message"),
    ],
)
def test_mail_that_cannot_be_sent_is_told_without_addresses(
    monkeypatch: pytest.MonkeyPatch, address: str, server: str, says: str
):
    with pytest.raises(DropledgerError, match=says) as raised:
        send(monkeypatch, address, smtp=server)
    assert "hidden" not in f"{raised.value} {raised.value.hint}"


# SNS


@pytest.mark.usefixtures("s3")
def test_topic_gets_subject_and_json(monkeypatch: pytest.MonkeyPatch):
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name=uuid4().hex)["TopicArn"]
    queue = sqs.create_queue(QueueName=uuid4().hex)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    message = send(monkeypatch, f"sns:{topic}", LATE, OVER)
    received = json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])
    assert received["Subject"] == "dropledger lending: account late, 1 other"
    assert received["Message"].encode() == message.document


@pytest.mark.usefixtures("s3")
def test_topic_that_is_not_there_is_told_without_its_name(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(Unavailable, match="NotFound") as raised:
        send(monkeypatch, "sns:arn:aws:sns:eu-west-1:123456789012:hidden")
    assert "hidden" not in str(raised.value)


@pytest.mark.usefixtures("s3")
def test_address_may_be_a_secret(receiver: Receiver):
    arn = boto3.client("secretsmanager").create_secret(Name=uuid4().hex, SecretString=f"{receiver.address}\n")["ARN"]
    [target] = targets_of([{"to": f"secret:{arn}", "on": ["late"]}])
    notifier_of(target).send(Message(target, "/srv/ledger", "lending", NOW, (LATE,), more=0))
    assert receiver.told == [("late", "account", False)]


# Apprise


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Apprise
def test_other_addresses_go_by_apprise(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    send(monkeypatch, f"json://127.0.0.1:{receiver.port}/hidden", LATE)
    [document] = receiver.messages
    assert document["title"] == "dropledger lending: account late"
    assert "the feed account is late" in document["message"]
    receiver.status = 500
    with pytest.raises(Unavailable, match="Apprise could not deliver the message"):
        send(monkeypatch, f"json://127.0.0.1:{receiver.port}/hidden", LATE)
    assert "hidden" not in "".join(capfd.readouterr())


# Settings


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no json", "it is no JSON"),
        ("{}", "it should be a list of tables"),
        ([1], "it should be a list of tables"),
        ([{"to": "https://hidden.example.org", "on": ["late"]}], "`to` should say where the address or secret is"),
        ([{"on": ["late"]}], "`to` should say where"),
        ([{"to": "env:A B", "on": ["late"]}], "`to` should say where"),
        ([{"to": "env:A"}], "`on` lists what to tell, of quarantined, rejected, late"),
        ([{"to": "env:A", "on": "late"}], "`on` should be a list of texts"),
        ([{"to": "env:A", "on": ["lat"]}], "`on` has 'lat', which is none of"),
        ([{"to": "env:A", "on": ["late"], "feed": ["a"]}], "there is no entry `feed`; did you mean `feeds`?"),
        ([{"to": "env:A", "on": ["late"], "at_most_every": 5}], "'5' is no length of time"),
        ([{"to": "env:A", "on": ["late"], "signed_by": "hidden"}], "`signed_by` should say where"),
        ([{"to": "env:A", "on": ["late"]}, {"to": "env:A", "on": ["rejected"]}], "two entries have the same `to`"),
    ],
)
def test_wrong_setting_is_refused_without_what_stands_in_it(value: Any, says: str):
    with pytest.raises(ValueError, match=says.replace("?", r"\?").replace("[", r"\[")) as raised:
        targets_of(value)
    assert "hidden" not in str(raised.value)


def test_setting_may_be_json():
    text = json.dumps([{"to": "env:A", "on": ["late"], "at_most_every": "1h"}])
    assert targets_of(text) == targets_of(json.loads(text))
    assert targets_of("") == targets_of([]) == ()
    assert targets_of(text)[0].at_most_every == 3600
