"""When a key that newer extracts lack was last in one: by ledger and history, else by the archived files."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.commands import Commands
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.ledger import Ledger
from support.one_feed import one_feed

from dropledger.core.operations import last_seen
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.last_seen import find_last_seen
from dropledger.core.operations.retract import restore, retract
from dropledger.core.views.keys import read_key

CONTRACT = """
feed: entry
files: ["entries*"]
key: [id, part]
columns:
  - {name: id, type: bigint, rules: [not_null]}
  - {name: part, rules: [not_null]}
  - {name: text}
"""
NAME = "entries_2025-11-0{}.csv"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "root", one_feed(tmp_path / "one", CONTRACT))


def name(day: int) -> str:
    return f"entries_2025-11-{day:02}.csv"


def extract(*keys: int, text: str = "t") -> str:
    return "id,part,text\n" + "".join(f"{key},a,{text}\n" for key in keys)


def seen(ledger: Ledger, key: str, as_of: datetime | None = None) -> tuple[Any, ...] | None:
    """File, how many came since, and whether it may have been later."""
    with ledger.runtime.reading() as session:
        contract = ledger.runtime.pipeline.contract("entry")
        found = find_last_seen(session, ledger.runtime.archive, contract, read_key(key, contract), as_of)
    return found and (found["file"], found["files_since"], found["or_later"])


@contextmanager
def without_archive(ledger: Ledger) -> Iterator[None]:
    """The archive is out of the way: what is found then, is found without it."""
    away = ledger.root / "archive_elsewhere"
    (ledger.root / "archive").rename(away)
    yield
    away.rename(ledger.root / "archive")


def drop_all(ledger: Ledger, *days: str) -> None:
    for day, text in enumerate(days, 1):
        ledger.drop(name(day), text)


def test_key_that_the_newest_extract_has_is_not_missing(ledger: Ledger):
    drop_all(ledger, extract(1, 2), extract(1), extract(1, 2))
    with without_archive(ledger):  # it lacks none, so there is nothing to look through
        assert seen(ledger, "1,a") is None
        assert seen(ledger, "2,a") is None
    assert seen(ledger, "3,a") is None


def test_file_in_which_a_version_begins_or_that_lacked_no_key_tells_it(ledger: Ledger):
    drop_all(ledger, extract(1, 2), extract(1, 2), extract(1, text="u"))
    assert seen(ledger, "2,a") == (name(2), 1, False)
    assert seen(ledger, "1,a") is None
    with without_archive(ledger):
        assert seen(ledger, "2,a") == (name(2), 1, True)  # the newest may have it
        assert seen(ledger, "1,a") is None


def test_files_that_lacked_some_keys_are_looked_through(ledger: Ledger):
    drop_all(ledger, extract(1, 2, 3), extract(1, 2), extract(1), extract(1), extract(1))
    assert seen(ledger, "2,a") == (name(2), 3, False)
    assert seen(ledger, "3,a") == (name(1), 4, False)
    assert seen(ledger, "1,a") is None
    assert seen(ledger, "2,a", datetime(2025, 11, 3, tzinfo=UTC)) == (name(2), 1, False)
    assert seen(ledger, "2,a", datetime(2025, 11, 2, tzinfo=UTC)) is None


def test_no_more_files_are_looked_through_than_are_worth_it(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(last_seen, "MOST_READ", 2)
    drop_all(ledger, extract(1, 2), extract(1), extract(1), extract(1))
    assert seen(ledger, "2,a") == (name(1), 3, True)


def test_refused_row_is_no_missing_key(ledger: Ledger):
    drop_all(ledger, extract(1, 2), extract(1, 2), "id,part,text\n1,a,t\n2,a,t,t\n3,b,t\n", extract(1))
    assert seen(ledger, "2,a") == (name(2), 2, False)


@pytest.mark.parametrize("how", ["one by one", "backfill"])
def test_late_and_retracted_files_count_as_what_they_are(ledger: Ledger, how: str):
    ledger.drop(name(5), extract(1))
    late = [ledger.put(name(day), text) for day, text in ((4, extract(1)), (3, extract(1, 2)), (2, extract(2, 1)))]
    outcomes = (
        backfill(ledger.runtime, late, lambda _: None)
        if how == "backfill"
        else [ledger.process(fact)[0] for fact in late]
    )
    assert seen(ledger, "2,a") == (name(3), 2, False)  # the files of 4 and 5 lacked none when they were taken
    [third] = [outcome.drop.drop_id for outcome in outcomes if outcome.drop.name == name(3)]
    retract(ledger.runtime, third, "sent by mistake", "somebody")
    assert seen(ledger, "2,a") == (name(2), 2, False)
    restore(ledger.runtime, third, "it was right", "somebody")
    assert seen(ledger, "2,a") == (name(3), 2, False)


def test_feeds_that_close_missing_keys_say_nothing(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", f"{CONTRACT}missing_keys: close\n"))
    drop_all(ledger, extract(1, 2), extract(1))
    assert seen(ledger, "2,a") is None


def test_initial_rows_are_no_file(tmp_path: Path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "initial_2025-10-01.csv").write_text(extract(1, 2), encoding="utf-8")
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", f"{CONTRACT}initial: initial_2025-10-01.csv\n"))
    drop_all(ledger, extract(1), extract(1))
    assert seen(ledger, "2,a") == (None, 2, False)


def test_history_and_explain_show_it(lending: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    ledger = Ledger(tmp_path / "root", lending)
    head = "AccountID,CustomerID,Balance,AccountType\n"
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")
    ledger.drop("accounts_2026-01-01.csv", f"{head}11,1,100.00,Savings\n12,1,5.00,Savings\n")
    ledger.drop("accounts_2026-01-02.csv", f"{head}12,1,5.00,Savings\n")
    commands = Commands(ledger.root, capsys)
    expected = {
        "file": "accounts_2026-01-01.csv",
        "as_of": "2026-01-01T00:00:00Z",
        "files_since": 1,
        "or_later": False,
    }
    for command in (("history", "account", "11"), ("explain", "11")):
        told = commands.json(*command)["last_seen"]
        assert len(told.pop("drop_id")) == 16
        assert told == expected
        text = commands.text(*command)
        assert "Last seen in accounts_2026-01-01.csv on 2026-01-01; 1 newer file lacks it." in text
    for command in (("history", "account", "12"), ("explain", "12"), ("explain", "11", "--as-of", "2026-01-01")):
        assert commands.json(*command)["last_seen"] is None
        assert "Last seen" not in commands.text(*command)


@pytest.mark.slow
@pytest.mark.databricks
@pytest.mark.timeout(1800)
def test_on_databricks(tmp_path: Path, request: pytest.FixtureRequest):
    access = access_to(request.getfixturevalue("databricks"))
    ledger = RemoteLedger(tmp_path / "root", one_feed(tmp_path / "one", CONTRACT), access, new_schema())
    drop_all(ledger, extract(1, 2), extract(1, 2), extract(1))
    assert seen(ledger, "2,a") == (name(2), 1, False)
    assert seen(ledger, "1,a") is None
