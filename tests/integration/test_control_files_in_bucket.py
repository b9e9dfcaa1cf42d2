"""Control files in a bucket: events come in either order, contents have versions, and processes die."""

import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.bucket_machine import Machine
from support.buckets import BucketRoot
from support.one_feed import one_feed

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ingest.control_files import left_waiting, pair
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.verify import verify
from dropledger.handlers.aws_lambda.function import Handled, handle
from dropledger.handlers.originals import named_files

pytestmark = pytest.mark.slow

PLACES = int(os.environ.get("DROPLEDGER_TEST_KILLS", "3"))
CONTRACT = """
feed: entry
files: ["entries*"]
key: [id]
control_file: {suffix: .ctl, rows: 1}
columns:
  - {name: id, type: bigint, rules: [not_null]}
"""
NAME = "entries_2025-11-01.csv"
CONTROL = f"{NAME}.ctl"
ROWS = "id\n1\n2\n"


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return one_feed(tmp_path / "one", CONTRACT)


@pytest.fixture(params=[True, False], ids=["versions", "no versions"])
def root(request: pytest.FixtureRequest, s3: None) -> BucketRoot:
    return BucketRoot(keeps_versions=request.param)


@pytest.fixture
def machine(root: BucketRoot, tmp_path: Path, pipeline: Pipeline) -> Callable[[], Machine]:
    folders = iter(range(200))
    return lambda: Machine(root, tmp_path / f"machine{next(folders)}", pipeline)


def take(machine: Machine) -> list[Outcome]:
    return machine.process(*pair(machine.runtime.store.arrivals(), machine.runtime.pipeline).ready)


def told(machine: Machine, root: BucketRoot, *names: str) -> Handled:
    """The function, told that these objects were made in the inbox."""

    def body(name: str) -> str:
        of_object = {"bucket": {"name": root.bucket}, "object": {"key": f"some/root/inbox/{name}"}}
        return json.dumps({"detail-type": "Object Created", "detail": of_object})

    records = [
        {"eventSource": "aws:sqs", "messageId": f"m{place}", "body": body(name)} for place, name in enumerate(names)
    ]
    return handle(machine.runtime, {"Records": records}, lambda: math.inf)


def kept(root: BucketRoot) -> list[str]:
    return [name.rpartition("/")[2][17:] for name in root.names("archive/")]


@pytest.mark.parametrize("order", [(NAME, CONTROL), (CONTROL, NAME)], ids=["file first", "control file first"])
def test_the_event_of_whichever_comes_last_starts_the_drop(
    root: BucketRoot, machine: Callable[[], Machine], order: tuple[str, str]
):
    one, texts = machine(), {NAME: ROWS, CONTROL: "2\n"}
    root.land(order[0], texts[order[0]])
    handled = told(one, root, order[0])
    assert (handled.outcomes, handled.failed) == ([], {})
    root.land(order[1], texts[order[1]])
    handled = told(one, root, order[1], order[0])
    assert [(outcome.drop.name, outcome.delivered) for outcome in handled.outcomes] == [(NAME, "accepted")]
    assert handled.failed == {}
    assert root.versions("inbox/") == root.versions("work/") == []
    assert kept(root) == [NAME, f"{NAME}.control_file"]
    assert verify(machine().runtime, lambda *_: None).sound


def test_a_sweep_takes_what_is_complete_and_leaves_what_waits(root: BucketRoot, machine: Callable[[], Machine]):
    root.land(NAME, ROWS)
    root.land("entries_2025-11-02.csv", ROWS)
    root.land("entries_2025-11-02.csv.ctl", "2")
    one = machine()
    handled = handle(one.runtime, {"detail-type": "Scheduled Event"}, lambda: math.inf)
    assert [outcome.drop.name for outcome in handled.outcomes] == ["entries_2025-11-02.csv"]
    waits = left_waiting(one.runtime.store, one.runtime.pipeline)
    assert [(found.dropped.name, found.control_file) for found in waits.awaited] == [(NAME, CONTROL)]
    assert root.names("inbox/") == [f"inbox/{NAME}"]


def test_contents_of_one_name_get_the_control_files_of_their_turn(s3: None, tmp_path: Path, pipeline: Pipeline):
    root = BucketRoot()
    one = Machine(root, tmp_path / "machine", pipeline)
    for rows, control in (("id\n1\n", "1"), ("id\n1\n2\n3\n", "3")):
        root.land(NAME, rows)
        root.land(CONTROL, control)
    assert [(outcome.rows_read, outcome.rule) for outcome in take(one)] == [(1, None), (3, None)]
    root.land(NAME, "id\n1\n7\n")  # and once more, before the control file
    root.land(NAME, ROWS + "4\n")
    root.land(CONTROL, "3")
    assert [(outcome.rows_read, outcome.rule) for outcome in take(one)] == [(0, "control_total"), (3, None)]
    assert root.versions("inbox/") == []


def test_a_file_named_by_hand_takes_its_control_file_along(
    root: BucketRoot, machine: Callable[[], Machine], tmp_path: Path, pipeline: Pipeline
):
    (tmp_path / NAME).write_text(ROWS, encoding="utf-8")
    (tmp_path / CONTROL).write_text("2", encoding="utf-8")
    root.land(CONTROL, "1")  # as one that died has left it
    [outcome] = machine().process(*named_files([tmp_path / NAME], pipeline).ready)
    assert outcome.delivered == "accepted"
    assert root.versions("inbox/") == root.versions("work/") == []
    assert kept(root) == [NAME, f"{NAME}.control_file"]


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("control", ["2", "1"], ids=["accepted", "refused"])
def test_killed_before_any_request_and_started_again_on_another_machine(
    root: BucketRoot, machine: Callable[[], Machine], control: str
):
    def landed() -> None:
        root.land(NAME, ROWS)
        root.land(CONTROL, control)

    landed()
    undisturbed = machine()
    take(undisturbed)
    expected = state(root)
    wrong: dict[int, Any] = {}
    places = range(2, len(undisturbed.requests) + 1)
    for place in sorted(random.sample(places, min(PLACES, len(places)))):
        root.clear()
        landed()
        killed, another = machine(), machine()
        killed.interruptions[place] = die
        with pytest.raises(Killed):
            take(killed)
        take(another)
        if state(root) != expected:
            wrong[place] = (killed.requests[-1], state(root))
    assert wrong == {}


def die() -> None:
    raise Killed


def state(root: BucketRoot) -> tuple[object, ...]:
    folders = ("archive/", "quarantine/")
    return (
        {name: root.read(name) for folder in folders for name in root.names(folder) if "reason" not in name},
        root.versions("inbox/"),
        root.versions("work/"),
    )
