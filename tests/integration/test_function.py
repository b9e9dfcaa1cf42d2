"""The Lambda function on the samples' events and on bad days, against a bucket."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import boto3
import pytest
import structlog
from moto.server import ThreadedMotoServer
from moto.sqs.models import sqs_backends
from support.buckets import BucketRoot
from support.commands import Commands
from support.odd_check import with_odd_check
from support.receivers import receiving

from dropledger.core.errors import Busy, ConfigurationError, OutOfTime, Postponed, Unavailable
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.operations.verify import verify
from dropledger.handlers.aws_lambda import function
from dropledger.handlers.wiring import wire
from dropledger.infra.aws import bucket as s3_bucket

pytestmark = pytest.mark.slow

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:dropledger"
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n13,2,-1,Savings\n"


@pytest.fixture
def root(s3: None) -> BucketRoot:
    return BucketRoot()


@pytest.fixture
def runtime(root: BucketRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    monkeypatch.setenv("DROPLEDGER_CACHE", str(tmp_path / "machine"))
    monkeypatch.setenv("DROPLEDGER_WAIT_SECONDS", "2")
    monkeypatch.setenv("DROPLEDGER_ROOT", root.uri)
    return wire()


class Context:
    """What Lambda tells a function of its call."""

    invoked_function_arn = f"{FUNCTION}:live"

    def __init__(self, seconds: float = 300) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def queued(root: BucketRoot, *names: str) -> dict[str, Any]:
    def record(place: int, name: str) -> dict[str, Any]:
        object_key = {"key": f"some/root/{name}"}
        event = {"detail-type": "Object Created", "detail": {"bucket": {"name": root.bucket}, "object": object_key}}
        body = json.dumps(event) if name != "no event" else "no event"
        return {"messageId": f"m{place}", "eventSource": "aws:sqs", "eventSourceARN": "a:b:c:q", "body": body}

    return {"Records": [record(place, name) for place, name in enumerate(names)]}


def handle(runtime: Runtime, event: dict[str, Any], seconds: float = math.inf) -> function.Handled:
    return function.handle(runtime, event, lambda: seconds)


def failed(handled: function.Handled) -> list[str]:
    return [message.queued.message_id for message in handled.failed if message.queued]


def test_files_of_a_batch_are_folded_together(root: BucketRoot, runtime: Runtime):
    for name, text in {"accounts_2026-01-01.csv": ACCOUNTS, "customers_2026-01-01.csv": CUSTOMERS}.items():
        root.land(name, text)
    event = queued(root, "inbox/accounts_2026-01-01.csv", "inbox/customers_2026-01-01.csv", "outputs/x", "archive/y")
    handled = handle(runtime, event)
    assert [outcome.drop.feed for outcome in handled.outcomes] == ["customer", "account"]
    assert handled.failed == {}
    assert root.read("outputs/account_summary.csv").count(b"\n") == 3
    assert len(root.versions("warehouse/")) == 2  # the batch committed, the batch published
    again = handle(runtime, event)
    assert (again.outcomes, again.failed) == ([], {})
    assert len(root.versions("warehouse/")) == 2


def test_data_that_are_refused_are_no_failure(root: BucketRoot, runtime: Runtime):
    root.land("accounts_2026-01-01.csv", "AccountID\n1\n")
    handled = handle(runtime, queued(root, "inbox/accounts_2026-01-01.csv"))
    assert [outcome.rule for outcome in handled.outcomes] == ["missing_column"]
    assert handled.failed == {}
    assert "quarantine/accounts_2026-01-01.csv.reason.json" in root.names()


def test_message_that_cannot_be_read_is_handed_back_alone(root: BucketRoot, runtime: Runtime):
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    handled = handle(runtime, queued(root, "no event", "inbox/customers_2026-01-01.csv"))
    assert len(handled.outcomes) == 1
    assert failed(handled) == ["m0"]


def test_nothing_is_begun_when_time_runs_out(root: BucketRoot, runtime: Runtime):
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    event = queued(root, "inbox/customers_2026-01-01.csv", "outputs/x")
    handled = handle(runtime, event, seconds=5)
    assert (handled.outcomes, failed(handled)) == ([], ["m0"])
    assert root.versions("inbox/") == ["inbox/customers_2026-01-01.csv"]
    assert len(handle(runtime, event).outcomes) == 1


class Asked:
    """Time that is there for so often as it is asked for."""

    def __init__(self, times: int) -> None:
        self._times = times

    def __call__(self) -> float:
        self._times -= 1
        return 300 if self._times >= 0 else 5


@pytest.mark.parametrize(
    ("customers", "accounts"), [(1, 2), (5, 2)], ids=["drop by drop", "in micro-batches and drop by drop"]
)
def test_call_stops_between_two_files_when_time_runs_out(
    root: BucketRoot, runtime: Runtime, customers: int, accounts: int
):
    """However often time is asked for: each file is either taken with all that goes with it, or left as it was."""
    some, left = 0, set[str]()
    for times in range(1, 40):
        year = 1980 + times
        files = {f"customers_{year}-01-{n:02}.csv": CUSTOMERS.replace("Ann", f"A{n}") for n in range(1, customers + 1)}
        files |= {f"accounts_{year}-01-{n:02}.csv": ACCOUNTS.replace("100", f"{n}00") for n in range(1, accounts + 1)}
        files[f"accounts_{year}-02-01.csv"] = "AccountID\n1\n"
        for name, text in files.items():
            root.land(name, text)
        event = queued(root, *(f"inbox/{name}" for name in files))
        handled = function.handle(runtime, event, Asked(times))
        taken = {outcome.drop.name for outcome in handled.outcomes if outcome.taken}
        assert {type(error) for error in handled.failed.values()} <= {OutOfTime}
        assert {name.removeprefix("inbox/") for name in root.names("inbox/")} == left | (files.keys() - taken)
        assert len(handled.failed) == len(files.keys() - taken)
        left |= files.keys() - taken
        assert root.versions("work/") == []
        some += 0 < len(taken) < len(files)
        if taken == files.keys():
            break
    assert taken == files.keys()
    assert some > 2
    assert len(handle(runtime, {"detail-type": "Scheduled Event"}).outcomes) == len(left)
    assert verify(runtime, lambda *_: None).differences == ()


@pytest.mark.parametrize(("times", "done"), [(3, True), (1, False)], ids=["some are taken", "none is"])
def test_sweep_that_time_ran_out_for_is_done_where_it_took_some(
    root: BucketRoot, runtime: Runtime, times: int, done: bool
):
    """It would be a dead letter after a few tries, of which each took what it could."""
    for day in range(1, 4):
        root.land(f"accounts_2026-01-0{day}.csv", ACCOUNTS.replace("100", f"{day}00"))
    event = queued(root, "none")
    event["Records"][0]["body"] = json.dumps({"detail-type": "Scheduled Event"})
    handled = function.handle(runtime, event, Asked(times))
    assert len(root.names("inbox/")) > 0
    assert bool(handled.outcomes) == done
    assert failed(handled) == ([] if done else ["m0"])


def test_file_is_not_begun_that_may_take_as_long_as_the_one_before(root: BucketRoot, runtime: Runtime):
    for day in (1, 2):
        root.land(f"customers_2026-01-0{day}.csv", CUSTOMERS)
    clock = chain([300.0, 299.0], repeat(130.0))
    handled = function.handle(runtime, queued(root, *root.names("inbox/")), lambda: next(clock))
    assert len(handled.outcomes) == 1
    assert [type(error) for error in handled.failed.values()] == [OutOfTime]


def test_other_versions_of_the_name_are_taken_too(root: BucketRoot, runtime: Runtime):
    for name in ("Ann", "Anna"):
        root.land("customers_2026-01-01.csv", CUSTOMERS.replace("Ann", name))
    root.land("customers_2026-01-01.csv.csv", CUSTOMERS)
    handled = handle(runtime, queued(root, "inbox/customers_2026-01-01.csv"))
    assert [outcome.versions_opened for outcome in handled.outcomes] == [2, 1]
    assert root.versions("inbox/") == ["inbox/customers_2026-01-01.csv.csv"]
    with runtime.warehouse.session(read_only=True) as session:
        names = session.query("SELECT customer_name FROM history_customer WHERE customer_id = 1 AND is_current")
    assert names == [{"customer_name": "Anna"}]


def test_sweep_takes_what_no_event_told_of(root: BucketRoot, runtime: Runtime):
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    root.land("account/extract 2026-01-01.csv", ACCOUNTS)
    handled = handle(runtime, {"detail-type": "Scheduled Event"})
    assert [outcome.drop.feed for outcome in handled.outcomes] == ["customer", "account"]


def test_file_that_meets_a_bug_does_not_keep_the_others(
    root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    for day in (1, 2, 3):
        root.land(f"customers_2026-01-0{day}.csv", CUSTOMERS.replace("Ann", f"Ann {day}"))
    event = queued(root, *(f"inbox/customers_2026-01-0{day}.csv" for day in (1, 2, 3)))

    class TakesNoSecondOfJanuary(type(runtime.store)):  # type: ignore[misc]
        def _fetch(self, dropped: Any, content: Path) -> Any:
            if "01-02" in dropped.name:
                raise ZeroDivisionError
            return super()._fetch(dropped, content)

    monkeypatch.setattr(runtime.store, "__class__", TakesNoSecondOfJanuary)
    handled = handle(runtime, event)
    assert len(handled.outcomes) == 2
    assert failed(handled) == ["m1"]
    monkeypatch.undo()


def test_handle_prints_one_object_whatever_happens(
    root: BucketRoot,
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("DROPLEDGER_PIPELINE", str(with_odd_check(tmp_path / "pipeline").folder))
    for day, customer in ((1, "day"), (2, "timezone"), (3, "month")):
        root.land(f"customers_2026-01-0{day}.csv", f"CustomerID,Name,HasLoan\n{day},{customer},No\n")
    event = tmp_path / "event.json"
    event.write_text(json.dumps(queued(root, *(f"inbox/customers_2026-01-0{day}.csv" for day in (1, 2, 3)))))
    code = Commands(root.uri, capsys).code("handle", str(event), "--json")
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (code, document["command"], document["failed"]) == (1, "handle", ["m1"])
    assert [outcome["outcome"] for outcome in document["outcomes"]] == ["accepted", "failed", "accepted"]
    assert document["error"]["exit_code"] == 1
    assert "customers_2026-01-02.csv" in document["error"]["what"]
    assert "Traceback" in err
    assert "timezone" not in out + err
    assert root.names("inbox/") == ["inbox/customers_2026-01-02.csv"]
    [(problem, hint)] = runtime.store.stuck()
    assert (f"{root.uri}/inbox/customers_2026-01-02.csv" in problem, "move it out of inbox/" in hint) == (True, True)


def test_handler_tells_lambda(root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch):
    function._runtime.cache_clear()
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    event = queued(root, "inbox/customers_2026-01-01.csv", "no event")
    assert function.handler(event, Context()) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    bare = json.loads(event["Records"][0]["body"])
    assert function.handler(bare, Context()) == {"batchItemFailures": []}
    root.land("customers_2026-01-02.csv", CUSTOMERS)
    with pytest.raises(function.Failed, match="no time left"):
        function.handler({"detail-type": "Scheduled Event"}, Context(seconds=1))
    function._runtime.cache_clear()


def test_bucket_that_is_out_of_reach_fails_all(root: BucketRoot, runtime: Runtime):
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    event = queued(root, "inbox/customers_2026-01-01.csv", "inbox/customers_2026-01-01.csv")
    facts = runtime.store.arrivals()
    assert len(facts) == 1
    with runtime.store.exclusive(1):  # as another process on this machine would
        handled = handle(runtime, event)
    assert failed(handled) == ["m0", "m1"]
    assert all(isinstance(error, Unavailable) for error in handled.failed.values())


def test_bucket_that_does_not_answer_fails_all(root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)  # another door to the same buckets
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setattr(s3_bucket, "_ATTEMPTS", 1)
    there = wire()
    server.stop()
    handled = handle(there, queued(root, "inbox/customers_2026-01-01.csv", "no event", "inbox/other.csv"))
    assert sorted(failed(handled)) == ["m0", "m1", "m2"]
    assert {type(error) for error in handled.failed.values()} == {Unavailable, Postponed}


def handed_back(root: BucketRoot, runtime: Runtime, tries: int, *names: str) -> dict[str, float]:
    """Let the handler take messages of a real queue; how many seconds each is out of sight then, by its file."""
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName=root.bucket, Attributes={"VisibilityTimeout": "960"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    event = queued(root, *names)
    for record in event["Records"]:
        sqs.send_message(QueueUrl=queue, MessageBody=record["body"])
        [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
        given = {"ApproximateReceiveCount": str(tries)}
        record |= {"receiptHandle": message["ReceiptHandle"], "eventSourceARN": arn, "attributes": given}
    with suppress(ConfigurationError):
        answer = function.handler(event, Context())
        assert {item["itemIdentifier"] for item in answer["batchItemFailures"]} == {f"m{n}" for n in range(len(names))}
    messages = sqs_backends[arn.split(":")[4]][arn.split(":")[3]].get_queue(root.bucket)._messages
    return {names[place]: message.visible_at / 1000 - time.time() for place, message in enumerate(messages)}


def test_message_is_handed_back_for_the_longer_the_oftener_it_was_tried(
    root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DROPLEDGER_WAIT_SECONDS", "0")
    function._runtime.cache_clear()
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    with runtime.store.exclusive(1):  # as another process on this machine would
        seconds = handed_back(root, runtime, 4, "inbox/customers_2026-01-01.csv", "no event")
    assert seconds == pytest.approx({"inbox/customers_2026-01-01.csv": 300, "no event": 30}, abs=20)
    function._runtime.cache_clear()


def test_message_is_handed_back_until_the_hold_ends(
    root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DROPLEDGER_WAIT_SECONDS", "0")
    function._runtime.cache_clear()
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    store = function._runtime(FUNCTION).store

    class HeldForLong(type(store)):  # type: ignore[misc]
        @contextmanager
        def exclusive(self, wait_seconds: float, *, looking: bool = False) -> Iterator[None]:
            raise Busy("the warehouse is in use", seconds=777.5)
            yield

    monkeypatch.setattr(store, "__class__", HeldForLong)
    seconds = handed_back(root, runtime, 4, "inbox/customers_2026-01-01.csv")
    assert seconds == pytest.approx({"inbox/customers_2026-01-01.csv": 778}, abs=20)
    monkeypatch.undo()
    function._runtime.cache_clear()


def test_messages_are_handed_back_where_the_settings_cannot_work(
    root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    """As with a secret that the role may not read; the call fails besides, so that an alarm goes off."""
    monkeypatch.setenv("DROPLEDGER_PIPELINE", "none such")
    function._runtime.cache_clear()
    with pytest.raises(ConfigurationError):
        function.handler({"detail-type": "Scheduled Event"}, Context())
    assert handed_back(root, runtime, 2, "inbox/a.csv") == pytest.approx({"inbox/a.csv": 60}, abs=20)


def test_settings_are_read_anew_after_a_failure_that_they_may_have_caused(
    root: BucketRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DROPLEDGER_CACHE", str(tmp_path / "machine"))
    monkeypatch.setenv("DROPLEDGER_ROOT", root.uri)
    monkeypatch.setenv("DROPLEDGER_WAREHOUSE", str(tmp_path / "damaged"))
    (tmp_path / "damaged").write_bytes(b"no database" * 1000)
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    event = queued(root, "inbox/customers_2026-01-01.csv")
    function._runtime.cache_clear()
    assert len(function.handler(event, Context())["batchItemFailures"]) == 1
    monkeypatch.delenv("DROPLEDGER_WAREHOUSE")
    assert function.handler(event, Context()) == {"batchItemFailures": []}
    function._runtime.cache_clear()


def test_message_whose_file_memory_does_not_suffice_for_is_handed_back_alone(
    root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DROPLEDGER_MEMORY_LIMIT", "36MB")
    rows = "".join(f"{number},Name {number},No\n" for number in range(2_000_000))
    large, small = "inbox/customers_2026-01-01.csv", "inbox/accounts_2026-01-01.csv"
    root.put(large, f"CustomerID,Name,HasLoan\n{rows}")
    root.put(small, ACCOUNTS)
    handled = handle(wire(), queued(root, large, small))
    told = {outcome.drop.name: str(outcome.delivered) for outcome in handled.outcomes}
    assert told == {"customers_2026-01-01.csv": "postponed", "accounts_2026-01-01.csv": "accepted"}
    assert [(failed(handled), type(error)) for error in handled.failed.values()] == [(["m0"], Postponed)]


def test_message_whose_object_cannot_be_read_is_handed_back_alone(root: BucketRoot, runtime: Runtime):
    """As one in cold storage; the bucket says the same of one whose key this role may not use."""
    names = ["inbox/customers_2026-01-01.csv", "inbox/accounts_2026-01-01.csv"]
    root.client.put_object(
        Bucket=root.bucket, Key=f"some/root/{names[0]}", Body=CUSTOMERS.encode(), StorageClass="GLACIER"
    )
    root.put(names[1], ACCOUNTS)
    handled = handle(runtime, queued(root, *names))
    assert [outcome.drop.name for outcome in handled.outcomes] == ["accounts_2026-01-01.csv"]
    assert [(failed(handled), names[0] in str(error)) for error in handled.failed.values()] == [(["m0"], True)]


def test_function_tells_people_after_the_event_and_with_each_sweep(
    root: BucketRoot, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
):
    with receiving() as receiver:
        monkeypatch.setenv("DROPLEDGER_ALERTS", '[{"to": "env:ALERT_URL", "on": ["rejected", "quarantined"]}]')
        monkeypatch.setenv("ALERT_URL", receiver.address)
        for cached in (function._runtime, function._telling):
            cached.cache_clear()
        root.land("accounts_2026-01-01.csv", ACCOUNTS)
        function.handler(queued(root, "inbox/accounts_2026-01-01.csv"), Context())
        assert receiver.told == [("rejected", "account", False)]
        root.land("customers_2026-01-01.csv", "odd\n")
        handle(runtime, queued(root, "inbox/customers_2026-01-01.csv"))  # and the machine is gone before it tells
        function.handler({"source": "aws.events", "detail-type": "Scheduled Event"}, Context())
        assert receiver.told[1:] == [("quarantined", "customer", False)]
        root.land("customers_2026-01-02.csv", "odd\n")
        function.handler(queued(root, "inbox/customers_2026-01-02.csv"), Context(seconds=19))  # no time is left to tell
        assert len(receiver.told) == 2
    for cached in (function._runtime, function._telling):
        cached.cache_clear()


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the stack that the function is of, and logs as in Lambda."""
    function._runtime.cache_clear()
    monkeypatch.setenv("METRICS_STACK", "prod")
    yield "prod"
    function._runtime.cache_clear()
    structlog.reset_defaults()


def test_each_delivery_has_metrics_by_stack_and_feed(
    root: BucketRoot, runtime: Runtime, stack: str, capsys: pytest.CaptureFixture[str]
):
    files = {"accounts_2026-01-01.csv": ACCOUNTS, "customers_2026-01-01.csv": CUSTOMERS, "x.csv": "a\n1\n"}
    for name, text in files.items():
        root.land(name, text)
    before = time.time() * 1000
    function.handler(queued(root, *(f"inbox/{name}" for name in files), "outputs/x"), Context())
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = {}
    for line in lines:
        if "_aws" not in line:
            assert line["event"] not in {"accepted", "quarantined"}
            continue
        [directive] = line["_aws"]["CloudWatchMetrics"]
        assert before - 1 <= line["_aws"]["Timestamp"] <= time.time() * 1000
        assert (directive["Namespace"], directive["Dimensions"]) == ("dropledger", [["stack", "feed"]])
        assert {unit for metric in directive["Metrics"] for unit in [metric["Unit"]]} == {"Count"}
        dimensions = tuple(line[name] for name in directive["Dimensions"][0])
        told[dimensions] = {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
    assert told == {
        (stack, "customer"): {"accepted": 1, "rows_read": 2, "rows_rejected": 0},
        (stack, "account"): {"accepted": 1, "rows_read": 3, "rows_rejected": 1},
        (stack, "none"): {"quarantined": 1, "rows_read": 0, "rows_rejected": 0},
    }
