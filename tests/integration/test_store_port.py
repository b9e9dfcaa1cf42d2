"""What `dropledger.core.ports.store.Store` promises, held against the folder and the bucket alike."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.buckets import BucketRoot
from support.ledger import SettableClock

from dropledger.core.errors import Busy
from dropledger.core.ports.store import Store
from dropledger.infra.aws.bucket import S3Bucket
from dropledger.infra.local.store import LocalStore
from dropledger.infra.object_store.store import ObjectStore

pytestmark = pytest.mark.slow

TEXT = "CustomerID,Name,HasLoan\n1,Ann,Yes\n"
ODD = "café +1 %41 & =?#.csv"


@dataclass
class Place:
    """A root, and ways to it that are not the store's."""

    store: Store
    again: Callable[[], Store]
    """The store as the next process has it, on this machine or, for a bucket, on another."""
    land: Callable[[str, str], None]
    read: Callable[[str], bytes]
    names: Callable[[], list[str]]


def in_folder(root: Path) -> Place:
    def land(name: str, text: str) -> None:
        path = root / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def names() -> list[str]:
        return sorted(
            str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and path.name != ".lock"
        )

    def store() -> LocalStore:
        return LocalStore(root, SettableClock())

    return Place(store(), store, land, lambda name: (root / name).read_bytes(), names)


def in_bucket(folder: Path, *, keeps_versions: bool) -> Place:
    root = BucketRoot(keeps_versions=keeps_versions)
    machines = iter(range(100))

    def store() -> ObjectStore:
        return ObjectStore(S3Bucket(root.uri), folder / f"machine{next(machines)}", SettableClock(), lambda: None)

    return Place(store(), store, root.land, root.read, root.names)


@pytest.fixture(params=["folder", "bucket", "bucket without versions"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        place = in_folder(tmp_path / "root")
    else:
        request.getfixturevalue("s3")
        place = in_bucket(tmp_path, keeps_versions=request.param == "bucket")
    place.store.prepare()
    with place.store.exclusive(1):
        yield place


def some_file(folder: Path, text: str = "some text") -> Path:
    path = folder / "some file"
    path.write_text(text, encoding="utf-8")
    return path


def test_arrivals_are_told_with_feed_and_without_temporary_names(place: Place):
    for name in ("b.csv", "a.csv", "account/c.csv", ".hidden.csv", "d.csv.tmp", "~e.csv", "account/.f.csv", ODD):
        place.land(name, TEXT)
    arrivals = place.store.arrivals()
    assert [(fact.feed, fact.name) for fact in arrivals if fact.feed] == [("account", "c.csv")]
    assert sorted(fact.name for fact in arrivals if fact.feed is None) == sorted(["a.csv", "b.csv", ODD])
    assert all(fact.uri.endswith(fact.name) for fact in arrivals)
    assert [fact.name for fact in place.store.arrivals("account/")] == ["c.csv"]


def test_names_are_those_of_a_folder_and_below(place: Place):
    for name in ("a.csv", "account/c.csv"):
        place.land(name, TEXT)
    assert sorted(place.store.names("inbox/")) == ["inbox/a.csv", "inbox/account/c.csv"]
    assert list(place.store.names("archive/")) == []
    place.store.refuse_unless_there()


def test_claim_gives_the_bytes_and_ends_with_its_release(place: Place):
    place.land(ODD, TEXT)
    [claim] = place.store.claim(place.store.arrivals())
    assert claim.path.read_text(encoding="utf-8") == TEXT
    assert claim.dropped.name == ODD
    place.store.keep({f"archive/x/{ODD}": claim})
    place.store.keep({f"archive/x/{ODD}": claim})
    place.store.release([claim])
    assert place.names() == [f"archive/x/{ODD}"]
    assert place.read(f"archive/x/{ODD}").decode() == TEXT
    assert not place.store.staged(claim.claim_id, "x").parent.exists()
    assert place.store.arrivals() == place.store.unfinished() == []


def test_what_is_placed_can_be_kept_or_taken_back(place: Place):
    for name in ("a.csv", "b.csv"):
        place.land(name, TEXT)
    kept, refused = place.store.claim(place.store.arrivals())
    names = {claim.claim_id: f"archive/customer/2026/01/01/{claim.dropped.name}" for claim in (kept, refused)}
    for claim in (kept, refused):
        place.store.place(claim, names[claim.claim_id])
    assert list(place.store.names("archive/")) == []
    place.store.take_back([refused])
    place.store.keep({names[kept.claim_id]: kept, "quarantine/b.csv": refused})
    following = place.again()
    following.prepare()
    assert following.unfinished() == []
    place.store.release([kept, refused])
    assert place.names() == [names[kept.claim_id], "quarantine/b.csv"]
    assert list(place.store.names("archive/")) == [names[kept.claim_id]]


def test_what_bears_the_name_already_or_by_now_stays(place: Place, tmp_path: Path):
    place.land("a.csv", TEXT)
    [first] = place.store.claim(place.store.arrivals())
    name = "archive/customer/2026/01/01/a.csv"
    place.store.keep({name: first})
    place.store.release([first])
    place.land("a.csv", f"{TEXT}2,Bo,No\n")
    [second] = place.store.claim(place.store.arrivals())
    place.store.place(second, name)
    place.store.take_back([second])
    assert place.read(name).decode() == TEXT
    other = "archive/customer/2026/01/02/a.csv"
    place.store.place(second, other)
    place.store.put({other: some_file(tmp_path)})
    place.store.take_back([second])
    assert place.read(other).decode() == "some text"
    place.store.release([second])
    assert place.names() == [name, other]


def test_what_a_dead_process_placed_is_told_with_its_claim(place: Place):
    place.land("a.csv", TEXT)
    [claim] = place.store.claim(place.store.arrivals())
    place.store.place(claim, "archive/customer/2026/01/01/a.csv")
    place.store.secure([claim])
    following = place.again()
    following.prepare()
    [found] = following.unfinished()
    assert found.placed == ("archive/customer/2026/01/01/a.csv" in place.names())
    assert list(following.names("archive/")) == []
    following.take_back([found])
    assert not [name for name in place.names() if name.startswith("archive/")]
    assert found.path.read_text(encoding="utf-8") == TEXT


def test_many_are_claimed_each_by_a_name_of_its_own(place: Place):
    for number in range(40):
        place.land(f"{number:02}.csv", f"{TEXT}{number}")
    claims = place.store.claim(place.store.arrivals())
    assert len({claim.claim_id for claim in claims}) == 40
    assert [claim.path.read_text(encoding="utf-8")[-2:].strip() for claim in claims] == [str(n) for n in range(40)]
    place.store.secure(claims)
    place.store.release(claims)
    assert place.names() == []


def test_file_that_is_gone_is_left_out(place: Place):
    for name in ("a.csv", "b.csv"):
        place.land(name, TEXT)
    arrivals = place.store.arrivals()
    place.store.release(place.store.claim(arrivals[:1]))
    assert [claim.dropped.name for claim in place.store.claim(arrivals)] == ["b.csv"]


def test_what_was_secured_is_taken_up_by_the_next_process(place: Place):
    place.land("account/a.csv", TEXT)
    [claim] = place.store.claim(place.store.arrivals())
    place.store.staged(claim.claim_id, "report.json").write_text("{}", encoding="utf-8")
    place.store.secure([claim])
    following = place.again()
    following.prepare()
    [found] = following.unfinished()
    assert (found.claim_id, found.dropped) == (claim.claim_id, claim.dropped)
    assert found.path.read_text(encoding="utf-8") == TEXT
    assert following.staged(claim.claim_id, "report.json").read_text(encoding="utf-8") == "{}"
    assert following.claim(following.arrivals()) == []
    following.release([found])
    assert place.names() == []


def test_what_was_claimed_and_not_secured_is_found_again(place: Place):
    place.land("a.csv", TEXT)
    place.store.claim(place.store.arrivals())
    following = place.again()
    following.prepare()
    [claim] = [*following.unfinished(), *following.claim(following.arrivals())]
    assert claim.path.read_text(encoding="utf-8") == TEXT


def test_file_named_by_hand_stays_and_is_claimed_once(place: Place, tmp_path: Path):
    from dropledger.infra.local.inbox import dropped_file

    fact = dropped_file(some_file(tmp_path, TEXT), feed="customer", keep_original=True)
    [claim] = place.store.claim([fact])
    assert (tmp_path / "some file").read_text(encoding="utf-8") == TEXT
    assert claim.path.read_text(encoding="utf-8") == TEXT
    assert (claim.dropped.feed, claim.dropped.modified_at) == ("customer", fact.modified_at)
    place.store.release([claim])
    assert place.names() == []


def test_put_replaces_whole(place: Place, tmp_path: Path):
    for text in ("first", "second"):
        place.store.put({"outputs/changes/a b.csv": some_file(tmp_path, text)})
        assert place.read("outputs/changes/a b.csv").decode() == text
    assert place.names() == ["outputs/changes/a b.csv"]
    assert place.store.exists("outputs/changes/a b.csv")
    assert not place.store.exists("outputs/changes/a")
    with place.store.open("outputs/changes/a b.csv") as file:
        assert file.read() == b"second"
    assert place.store.local_copy("outputs/changes/a b.csv").read_bytes() == b"second"
    place.store.remove("outputs/changes/a b.csv")
    place.store.remove("outputs/changes/a b.csv")
    assert place.names() == []


def test_temporary_folder_goes(place: Place):
    with place.store.temporary() as folder:
        (folder / "x").write_bytes(b"x")
    assert not folder.exists()
    assert place.names() == []


def test_what_waits_is_counted(place: Place, tmp_path: Path):
    place.land("a.csv", TEXT)
    [claim] = place.store.claim(place.store.arrivals())
    place.store.secure([claim])
    place.land("b.csv", TEXT)
    for name in ("c.csv", "c.csv.reason.json", "d.csv.rejects.csv"):
        place.store.put({f"quarantine/{name}": some_file(tmp_path, json.dumps({}))})
    waiting = place.store.backlog()
    assert (waiting["work"], waiting["quarantine"]) == (1, 1)
    assert waiting["inbox"] in {1, 2}  # in a bucket the claimed one stays where it is


def test_held_by_one_alone(tmp_path: Path, s3: None):
    root = BucketRoot()
    for first, second in (
        [LocalStore(tmp_path / "root", SettableClock()) for _ in range(2)],
        [ObjectStore(S3Bucket(root.uri), tmp_path / "machine", SettableClock(), lambda: None) for _ in range(2)],
    ):
        with first.exclusive(0), pytest.raises(Busy, match="in use"), second.exclusive(0.1):
            pass
        with second.exclusive(0):
            pass
