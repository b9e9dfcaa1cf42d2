"""Files at any depth below the inbox, in a folder and a bucket: which are taken, whose they are, and what is left."""

import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.buckets import BucketRoot
from support.commands import Commands
from support.ledger import Ledger, without_marts

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.ledger import Delivered
from dropledger.handlers.aws_lambda import function
from dropledger.handlers.wiring import wire

pytestmark = pytest.mark.slow

ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n1001,1,{},Savings\n"
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n"
LANDED = {
    "account/2025/01/31/extract_2025-01-31.csv": "account",
    "account/dt=2025-02-28/extract_2025-02-28.csv": "account",
    "2025/03/31/accounts_2025-03-31.csv": "account",
    "2025-04-30/accounts_2025-04-30.csv": "account",
    "acme/outgoing/2025/accounts_2025-05-31.csv": "account",
    "customer/customer/customers_2025-01-31.csv": "customer",
}
NEVER = (".hidden/accounts_2025-06-30.csv", "2025/.tmp/accounts_2025-06-30.csv", "2025/x.part/accounts_2025-06-30.csv")


def content(name: str) -> str:
    return CUSTOMERS if "customer" in name else ACCOUNTS.format(len(name))


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return without_marts(tmp_path_factory.mktemp("pipeline") / "lending")


@pytest.fixture
def ledger(tmp_path: Path, feeds: Pipeline) -> Ledger:
    return Ledger(tmp_path / "root", feeds)


def land(root: Path, name: str, text: str | None = None) -> Path:
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content(name) if text is None else text, encoding="utf-8")
    return path


# In a folder


def test_files_in_folders_of_dates_are_taken(ledger: Ledger):
    for name in (*LANDED, *NEVER):
        land(ledger.root, name)
    assert ledger.runtime.store.backlog()["inbox"] == len(LANDED)

    outcomes = ledger.process(*ledger.runtime.store.arrivals())

    found = {outcome.drop.claim.dropped.uri: outcome for outcome in outcomes}
    assert {str(Path(uri).relative_to(ledger.root / "inbox")): found[uri].drop.feed for uri in found} == LANDED
    assert {str(outcome.delivered) for outcome in outcomes} == {"accepted"}
    left = {str(path.relative_to(ledger.root / "inbox")) for path in (ledger.root / "inbox").rglob("*.csv")}
    assert left == set(NEVER)


def test_file_right_in_the_folder_of_no_feed_is_refused_whatever_its_name(ledger: Ledger):
    land(ledger.root, "acount/accounts_2025-01-31.csv")
    (outcome,) = ledger.process(*ledger.runtime.store.arrivals())

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "unknown_feed")


def test_names_alike_in_different_folders_are_different_files(ledger: Ledger):
    for month in (1, 2):
        land(ledger.root, f"account/2025/{month:02}/accounts_2025-0{month}-01.csv", ACCOUNTS.format(month))
        land(ledger.root, f"account/2024/{month:02}/bad_2025-01-01.csv", "AccountID\n" * month)
    outcomes = ledger.process(*ledger.runtime.store.arrivals())

    assert sorted(str(outcome.delivered) for outcome in outcomes) == ["accepted"] * 2 + ["quarantined"] * 2
    assert len([path for path in (ledger.root / "quarantine").iterdir() if path.suffix == ".csv"]) == 2


def test_folders_whose_names_are_no_utf8_are_gone_into(ledger: Ledger):
    folder = ledger.root / "inbox/account" / os.fsdecode(b"caf\xe9")
    folder.mkdir(parents=True)
    (folder / os.fsdecode(b"x\xff_2025-01-31.csv")).write_text(ACCOUNTS.format(1))
    (outcome,) = ledger.process(*ledger.runtime.store.arrivals())

    assert (outcome.delivered, outcome.drop.feed) == ("accepted", "account")
    assert [*folder.iterdir()] == []


def test_link_to_a_folder_is_never_followed(ledger: Ledger, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "accounts_2025-01-31.csv").write_text(ACCOUNTS.format(1))
    land(ledger.root, "2025/01/accounts_2025-01-31.csv")
    (fact,) = ledger.runtime.store.arrivals()
    (ledger.root / "inbox/2025/01").rename(tmp_path / "moved")
    (ledger.root / "inbox/2025/01").symlink_to(elsewhere)
    os.utime(elsewhere / "accounts_2025-01-31.csv", (fact.modified_at.timestamp(),) * 2)

    assert ledger.runtime.store.arrivals() == []
    assert ledger.process(fact) == []  # although it was there when the inbox was listed
    assert (elsewhere / "accounts_2025-01-31.csv").exists()
    assert [problem for problem, _ in ledger.runtime.store.problems()] == [
        f"{ledger.root}/inbox/2025/01 is not a regular file and will never be loaded"
    ]


def test_folder_that_cannot_be_listed_is_told_of_and_keeps_no_other_file(ledger: Ledger):
    if os.geteuid() == 0:
        pytest.skip("root may list every folder")
    locked = land(ledger.root, "2025/01/accounts_2025-01-31.csv").parent
    land(ledger.root, "2025/02/accounts_2025-02-28.csv")
    locked.chmod(0)
    try:
        assert [fact.name for fact in ledger.runtime.store.arrivals()] == ["accounts_2025-02-28.csv"]
        assert [f"{locked} cannot be listed" in problem for problem, _ in ledger.runtime.store.problems()] == [True]
    finally:
        locked.chmod(0o700)


def test_emptied_folders_of_dates_go_after_a_day(ledger: Ledger):
    for name in LANDED:
        land(ledger.root, name)
    fresh = ledger.root / "inbox/account/2025/02"
    fresh.mkdir()
    ledger.clock.moment = datetime.now(UTC) + timedelta(hours=1)
    ledger.process(*ledger.runtime.store.arrivals())
    assert fresh.is_dir()  # whoever made it may be about to fill it
    assert (ledger.root / "inbox/account/2025/01/31").is_dir()

    ledger.clock.moment += timedelta(days=2)
    land(ledger.root, "2025/03/31/accounts_2025-03-30.csv")
    waiting = land(ledger.root, "2025-04-30/waiting.csv")
    ledger.process(*ledger.runtime.store.arrivals("2025/03"))

    folders = {str(path.relative_to(ledger.root / "inbox")) for path in (ledger.root / "inbox").rglob("*")}
    assert {"account", "customer", "customer/customer", "acme/outgoing"} <= folders  # which are of no dates
    assert waiting.exists()
    assert not {"account/2025", "account/dt=2025-02-28", "acme/outgoing/2025"} & folders


def test_backfill_finds_the_feed_in_any_folder_above(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in (*LANDED, *NEVER):
        path = tmp_path / "old" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content(name), encoding="utf-8")
    outcomes = Commands(tmp_path / "root", capsys).json("backfill", str(tmp_path / "old"))["outcomes"]

    assert sorted(outcome["feed"] for outcome in outcomes) == sorted(LANDED.values())


# In a bucket


@pytest.fixture
def bucket(s3: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BucketRoot:
    bucket = BucketRoot()
    monkeypatch.setenv("DROPLEDGER_CACHE", str(tmp_path / "machine"))
    monkeypatch.setenv("DROPLEDGER_ROOT", bucket.uri)
    return bucket


def created(bucket: BucketRoot, name: str) -> dict[str, object]:
    return {
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket.bucket}, "object": {"key": f"some/root/inbox/{name}"}},
    }


def test_objects_at_any_depth_are_taken_on_their_events(bucket: BucketRoot):
    runtime = wire()
    found = {}
    for name in (*list(LANDED)[1:4], NEVER[0]):
        bucket.land(name, content(name))
        handled = function.handle(runtime, created(bucket, name), lambda: math.inf)
        assert handled.failed == {}
        found[name] = [outcome.drop.feed for outcome in handled.outcomes]

    assert found == {**{name: [LANDED[name]] for name in list(LANDED)[1:4]}, NEVER[0]: []}
    assert bucket.names("inbox/") == [f"inbox/{NEVER[0]}"]


def test_status_counts_and_a_sweep_takes_objects_at_any_depth(bucket: BucketRoot, capsys: pytest.CaptureFixture[str]):
    for name in list(LANDED)[:3]:
        bucket.land(name, content(name))
    commands = Commands(bucket.uri, capsys)

    assert commands.json("status")["waiting"]["inbox"] == 3
    function.handle(wire(), {"detail-type": "Scheduled Event"}, lambda: math.inf)
    document = commands.json("status")
    assert (document["waiting"]["inbox"], document["feeds"]["account"]["drops"]) == (0, 3)
    assert commands.code("doctor", "--json") == 0


def test_backfill_of_a_prefix_finds_the_feed_in_any_folder_above(
    bucket: BucketRoot, capsys: pytest.CaptureFixture[str]
):
    old = BucketRoot()
    for name in (*list(LANDED)[:3], NEVER[1]):
        old.put(f"old/{name}", content(name))
    outcomes = Commands(bucket.uri, capsys).json("backfill", f"{old.uri}/old")["outcomes"]

    assert [outcome["feed"] for outcome in outcomes] == ["account"] * 3


@pytest.mark.parametrize("text", ["31/12/2025", "2025-12-31T24:00:00Z", ""])
def test_object_whose_metadata_are_no_moment_is_refused(bucket: BucketRoot, text: str):
    bucket.land("accounts.csv", ACCOUNTS.format(1), as_of=text)
    (outcome,) = function.handle(wire(), created(bucket, "accounts.csv"), lambda: math.inf).outcomes

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "no_as_of")
    assert bucket.names("quarantine/") == ["quarantine/accounts.csv", "quarantine/accounts.csv.reason.json"]


def test_object_named_by_hand_keeps_metadata_that_are_no_moment(bucket: BucketRoot, capsys: pytest.CaptureFixture[str]):
    old = BucketRoot()
    old.put("old/accounts.csv", ACCOUNTS.format(1), as_of="31/12/2025")
    code = Commands(bucket.uri, capsys).code("backfill", f"{old.uri}/old", "--json")

    assert code == 3
    assert "quarantine/accounts.csv" in bucket.names("quarantine/")
