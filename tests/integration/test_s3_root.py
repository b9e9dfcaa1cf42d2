"""A root in a bucket: what a folder gives, and what several processes without a lock make of it."""

import gzip
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.bucket_machine import ACCOUNTS, CUSTOMERS, Machine
from support.buckets import BucketRoot
from support.comparison import WITHOUT_URI, differences, files_of, tables_of
from support.ledger import Ledger
from support.one_feed import one_feed, rows_of

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import verify
from dropledger.infra.local.inbox import dropped_file

pytestmark = pytest.mark.slow

PLACES = int(os.environ.get("DROPLEDGER_TEST_KILLS", "6"))
SAMPLES = Path(__file__).parents[2] / "samples" / "contracts"
RATES = "MinBalance,Rate,LoanBonus,Method\n0,0.02,0.01,marginal\n"
DROPS = {
    "customers_2026-01-01.csv": CUSTOMERS,
    "customers_2026-01-01 again.csv": CUSTOMERS,
    "accounts_2026-01-03.csv": ACCOUNTS,
    "rate/odd ü +%.2026-01-02.csv": RATES,
    "accounts_2026-01-04.csv": "AccountID\n1\n",
    "accounts_2026-01-02.csv": ACCOUNTS.replace("100.00", "150.00"),
}


@pytest.fixture
def root(s3: None) -> BucketRoot:
    return BucketRoot()


@pytest.fixture
def machine(root: BucketRoot, tmp_path: Path, lending: Pipeline) -> Callable[[], Machine]:
    folders = iter(range(10))
    return lambda: Machine(root, tmp_path / f"machine{next(folders)}", lending)


def in_folder(ledger: Ledger, *days: dict[str, str]) -> dict[str, Any]:
    for drops in days:
        for name, text in drops.items():
            feed, _, last = name.rpartition("/")
            ledger.put(last, text, feed=feed or None)
        ledger.process(*ledger.runtime.store.arrivals())
    return {**tables_of(ledger.root, WITHOUT_URI), **files_of(ledger.root)}


def in_bucket(root: BucketRoot, folder: Path) -> dict[str, Any]:
    local = root.download(folder)
    return {**tables_of(local, WITHOUT_URI), **files_of(local)}


def test_bucket_and_folder_hold_the_same(
    root: BucketRoot, machine: Callable[[], Machine], ledger: Ledger, tmp_path: Path
):
    halves = [dict(list(DROPS.items())[:3]), dict(list(DROPS.items())[3:])]
    for drops in halves:
        for name, text in drops.items():
            root.land(name, text)
        machine().take_all()
    assert differences(in_bucket(root, tmp_path / "download"), in_folder(ledger, *halves)) == {}


def test_retracting_replaying_and_verifying_as_in_a_folder(
    root: BucketRoot, machine: Callable[[], Machine], ledger: Ledger, tmp_path: Path
):
    for name, text in DROPS.items():
        root.land(name, text)
    one = machine()
    outcomes = one.take_all()
    in_folder(ledger, DROPS)
    [late] = [outcome.drop.drop_id for outcome in outcomes if outcome.drop.name == "accounts_2026-01-02.csv"]
    for runtime in (machine().runtime, ledger.runtime):
        retract(runtime, late, "sent by mistake", "somebody")
        assert replay(runtime, Selection(), None, lambda *_: None).in_place
        assert verify(runtime, lambda *_: None).differences == ()
    found = in_bucket(root, tmp_path / "download")
    expected = {**tables_of(ledger.root, WITHOUT_URI), **files_of(ledger.root)}
    assert set(differences(found, expected)) == {"retraction"} & set(differences(found, expected))


def test_old_extracts_are_backfilled(root: BucketRoot, machine: Callable[[], Machine], tmp_path: Path):
    facts = []
    for day in range(1, 6):
        path = tmp_path / f"customers_2025-01-0{day}.csv"
        path.write_text(CUSTOMERS.replace("Ann", f"Ann {day}"), encoding="utf-8")
        facts.append(dropped_file(path, keep_original=True))
    one = machine()
    assert len(backfill(one.runtime, facts, lambda _: None)) == 5
    assert verify(machine().runtime, lambda *_: None).drops == 5
    assert root.versions("inbox/") == root.versions("work/") == []


def test_warm_machine_fetches_the_warehouse_only_when_another_wrote_it(
    root: BucketRoot, machine: Callable[[], Machine]
):
    one, two = machine(), machine()
    for day, found in ((1, one), (2, one), (3, two), (4, one)):
        root.land(f"customers_2026-01-0{day}.csv", CUSTOMERS.replace("Ann", f"Ann {day}"))
        found.take_all()
    requests = [*one.requests, *two.requests]
    assert len([request for request in requests if request.startswith("GetObject") and "duckdb" in request]) == 2


# Several at work


@pytest.mark.parametrize("same", [True, False], ids=["the same file", "another file"])
def test_who_comes_in_between_any_two_requests_loses_and_doubles_nothing(
    s3: None, lending: Pipeline, tmp_path: Path, *, same: bool
):
    """One takes a file, and between two of its requests another one takes that file, or another, from start to end."""
    accounts, rates = {"accounts_2026-01-02.csv": ACCOUNTS}, {"rates_2026-01-01.csv": RATES}
    first = {"customers_2026-01-01.csv": CUSTOMERS}
    orders = (
        [[first, accounts]] if same else [[first, accounts, rates], [first, rates, accounts], [first, accounts | rates]]
    )
    expected = [settled(in_folder(Ledger(tmp_path / f"order{n}", lending), *order)) for n, order in enumerate(orders)]

    def come_in_before(place: int | None) -> tuple[dict[str, Any], list[str]]:
        root, folder = BucketRoot(), tmp_path / f"before{place}"
        one, two = Machine(root, folder / "one", lending), Machine(root, folder / "two", lending)
        for name, text in first.items():
            root.land(name, text)
        one.take_all()
        for name, text in (accounts if same else accounts | rates).items():
            root.land(name, text)
        mine, *others = one.runtime.store.arrivals()
        one.requests.clear()
        if place is not None:
            one.interruptions[place] = partial(two.process, *(others or [mine]))
        one.process(mine)
        if place is None:
            two.process(*others)
        assert root.versions("inbox/") == root.versions("work/") == []
        return settled(in_bucket(root, folder / "download")), one.requests

    found, requests = come_in_before(None)
    assert found in expected
    wrong = {}
    for place in sorted(random.sample(range(1, len(requests) + 1), min(PLACES, len(requests)))):
        found, _ = come_in_before(place)
        if found not in expected:
            wrong[f"{place}, before {requests[place - 1]}"] = differences(found, expected[0])
    assert wrong == {}


def settled(found: dict[str, Any]) -> dict[str, Any]:
    """Without what tells which drops were taken and published together."""
    marts = [entry for entry in found["outputs/manifest.json"]["artifacts"] if "/" not in entry["name"]]
    reports = {name: None for name in found if name.startswith("outputs/quality_reports/")}
    return {**found, "outputs/manifest.json": marts, **reports}


@pytest.mark.parametrize("name", ["core_banking", "events", "parquet_of_pandas"])
def test_declared_formats_are_read_from_a_bucket_as_from_a_folder(root: BucketRoot, tmp_path: Path, name: str):
    [contract] = (SAMPLES / name).glob("*.yaml")
    [path] = (SAMPLES / name).glob("*_2025-10-31.*")
    pipeline = one_feed(tmp_path / "one", contract.read_text(encoding="utf-8"))
    content = path.read_bytes() if path.suffix == ".parquet" else gzip.compress(path.read_bytes())
    folder = Ledger(tmp_path / "folder", pipeline)
    folder.drop(path.name, content)

    root.land(path.name, content)
    Machine(root, tmp_path / "machine", pipeline).take_all()

    local = root.download(tmp_path / "download")
    history = f"SELECT * FROM history_{pipeline.feed_order[0]} ORDER BY line"
    assert rows_of(folder)
    assert Ledger(local, pipeline).rows(history) == folder.rows(history)
