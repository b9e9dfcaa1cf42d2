"""The folder handler: a real `dropledger watch`, and files that land as programs and people let them land."""

import fcntl
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.console import ACCOUNTS, CUSTOMERS, Console, Watching, holds_for, until
from support.ledger import custom_pipeline

from dropledger.handlers.watch.loop import InboxListener
from dropledger.handlers.watch.stability import StabilityTracker
from dropledger.infra.local.folder_watcher import FolderWatcher
from dropledger.infra.local.inbox import dropped_file

pytestmark = pytest.mark.slow

LATER = CUSTOMERS.replace("Jonas", "Joonas")


@pytest.fixture
def console(tmp_path: Path) -> Console:
    console = Console(tmp_path)
    (console.root / "inbox").mkdir(parents=True)
    return console


def move_in(console: Console, name: str, text: str, folder: str = "inbox") -> Path:
    """A file that is written elsewhere and moved in whole."""
    return console.file(f"{name}.elsewhere", text).rename(console.root / folder / name)


def many_accounts(count: int) -> str:
    """A file that takes long enough to be interrupted."""
    return "AccountID,CustomerID,Balance,AccountType\n" + "".join(f"{key},1,{key}.00,Savings\n" for key in range(count))


def rows(console: Console, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(console.root / "warehouse/ledger.duckdb"), read_only=True) as connection:
        connection.execute("USE ledger.lending")
        return connection.execute(sql).fetchall()


# When a file is taken


def test_file_is_taken_when_it_is_closed(console: Console):
    with console.watch() as watching:
        (watching.inbox / "customers_2025-10-31.csv").write_text(CUSTOMERS)
        line = watching.line("customers_2025-10-31.csv")
    assert (line["event"], line["rows_read"]) == ("accepted", 2)
    assert rows(console, "SELECT count(*) FROM history_customer") == [(2,)]


@pytest.mark.parametrize("command", ["watch --once", "watch", "process"])
def test_file_whose_name_is_no_utf8_is_taken(console: Console, command: str):
    name = os.fsdecode(b"customers\xff_2025-10-31.csv")
    path = console.file(name, CUSTOMERS)
    if command == "process":
        assert console.run("process", path).code == 0
    elif command == "watch":
        with console.watch() as watching:
            path.rename(watching.inbox / name)
            watching.line("customers\\xff_2025-10-31.csv")
    else:
        path.rename(console.root / "inbox" / name)
        assert console.run("watch", "--once").code == 0
    assert rows(console, "SELECT name, status FROM drop_ledger") == [("customers\\xff_2025-10-31.csv", "published")]


def test_file_written_slowly_is_taken_whole_once_it_is_closed(console: Console):
    with console.watch() as watching:
        assert holds_for(0.7, lambda: True)  # so that the file was not there at the first look, which goes by stillness
        path = watching.inbox / "accounts_2025-10-31.csv"
        with path.open("w") as file:
            for part in ACCOUNTS.splitlines(keepends=True):
                file.write(part)
                file.flush()
                assert holds_for(0.8, path.exists)
        line = watching.line(path.name, 5)
    assert (line["event"], line["rows_read"], line["rows_rejected"]) == ("accepted", 2, 0)


def test_file_that_pauses_in_its_writing_is_not_taken_because_another_lands(console: Console):
    with console.watch() as watching:
        assert holds_for(0.7, lambda: True)  # as above
        path = watching.inbox / "accounts_2025-10-31.csv"
        header, first, second = ACCOUNTS.splitlines(keepends=True)
        with path.open("w") as file:
            file.write(header + first)
            file.flush()
            (watching.inbox / "customers_2025-10-31.csv").write_text(CUSTOMERS)
            watching.line("customers_2025-10-31.csv")
            still_there = holds_for(1.5, path.exists)
            file.write(second)
        line = watching.line(path.name)
    assert still_there
    assert line["rows_read"] == 2


def test_file_moved_in_is_taken_at_once(console: Console):
    with console.watch() as watching:
        move_in(console, "customers_2025-10-31.csv", CUSTOMERS)
        assert watching.line("customers_2025-10-31.csv", 3)["event"] == "accepted"


def test_file_does_not_wait_for_where_another_was_moved_to(tmp_path: Path):
    inbox, tracker = tmp_path / "inbox", StabilityTracker()
    inbox.mkdir()

    def seconds(name: str) -> float:
        leaving, landing = inbox / f"leaving_{name}", inbox / name
        leaving.write_text(CUSTOMERS)
        until(lambda: tracker.complete([dropped_file(leaving)]))
        leaving.rename(tmp_path / name)
        landing.write_text(CUSTOMERS)
        landed = time.monotonic()
        until(lambda: tracker.complete([dropped_file(landing)]))
        return time.monotonic() - landed

    with FolderWatcher(tmp_path, InboxListener(tracker, threading.Event()), poll=False):
        tracker.patience = 60
        assert min(seconds(f"customers_{day}.csv") for day in ("2025-10-31", "2025-11-30", "2025-12-31")) < 0.25


def test_file_renamed_from_a_temporary_name_is_taken_at_once(console: Console):
    with console.watch() as watching:
        written = watching.inbox / "customers_2025-10-31.csv.part"
        written.write_text(CUSTOMERS)
        assert holds_for(0.5, written.exists)
        written.rename(watching.inbox / "customers_2025-10-31.csv")
        assert watching.line("customers_2025-10-31.csv", 5)["event"] == "accepted"


def test_temporary_names_are_left(console: Console):
    names = {
        ".customers_1.csv",
        "customers_2.csv.tmp",
        "customers_3.csv.part",
        "customers_4.csv~",
        "customers_5.CSV.PART",
    }
    for name in names:
        (console.root / "inbox" / name).write_text(CUSTOMERS)
    done = console.run("watch", "--once", "--json")
    assert (done.code, done.json["outcomes"]) == (0, [])
    assert {path.name for path in (console.root / "inbox").iterdir()} == names


def test_folder_in_the_inbox_forces_the_feed(console: Console):
    with console.watch() as watching:
        (watching.inbox / "account").mkdir()
        (watching.inbox / "account" / "balances_2025-10-31.csv").write_text(ACCOUNTS)
        line = watching.line("balances_2025-10-31.csv")
        (watching.inbox / "account" / "balances_2025-11-30.csv").write_text(ACCOUNTS)
        again = watching.line("balances_2025-11-30.csv")
    assert (line["event"], line["feed"]) == (again["event"], again["feed"]) == ("accepted", "account")


def test_files_in_new_folders_of_dates_are_followed(console: Console):
    (console.root / "inbox/account").mkdir()
    with console.watch() as watching:
        folder = watching.inbox / "account/2025/10/31"
        folder.mkdir(parents=True)
        (folder / "balances_2025-10-31.csv").write_text(ACCOUNTS)
        line = watching.line("balances_2025-10-31.csv")
        elsewhere = console.root.parent / "2025-11"
        elsewhere.mkdir()
        (elsewhere / "accounts_2025-11-30.csv").write_text(ACCOUNTS)
        elsewhere.rename(watching.inbox / "2025-11")
        again = watching.line("accounts_2025-11-30.csv")
    assert (line["event"], line["feed"]) == (again["event"], again["feed"]) == ("accepted", "account")


def test_folder_of_an_unknown_feed_sends_its_files_to_quarantine(console: Console):
    (console.root / "inbox" / "loan").mkdir()
    (console.root / "inbox" / "loan" / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    (outcome,) = console.run("watch", "--once", "--json").json["outcomes"]
    assert (outcome["outcome"], outcome["rule"]) == ("quarantined", "unknown_feed")


def test_watch_catches_up_on_what_lay_there_before(console: Console):
    (console.root / "inbox" / "accounts_2025-10-31.csv").write_text(ACCOUNTS)
    (console.root / "inbox" / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    with console.watch() as watching:
        watching.line("accounts_2025-10-31.csv")
        names = [line["name"] for line in watching.lines if line["event"] == "accepted"]
    assert names == ["customers_2025-10-31.csv", "accounts_2025-10-31.csv"]


def test_poll_takes_files_without_any_event(console: Console):
    (console.root / "inbox" / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    with console.watch("--poll") as watching:
        watching.line("customers_2025-10-31.csv")
        move_in(console, "accounts_2025-10-31.csv", ACCOUNTS)
        assert watching.line("accounts_2025-10-31.csv", 5)["event"] == "accepted"


# Once


def test_once_takes_all_and_stops(console: Console):
    move_in(console, "accounts_2025-10-31.csv", ACCOUNTS)
    move_in(console, "customers_2025-10-31.csv", CUSTOMERS)
    done = console.run("watch", "--once", "--json")
    assert done.code == 0
    assert done.json["command"] == "watch"
    assert [outcome["feed"] for outcome in done.json["outcomes"]] == ["customer", "account"]
    assert list((console.root / "inbox").iterdir()) == []
    assert list((console.root / "work").glob("*/")) == []


@pytest.mark.parametrize(
    ("name", "text"), [("stray.csv", "a\n1\n"), ("accounts_2025-10-31.csv", ACCOUNTS + "1003,1,-5.00,Savings\n")]
)
def test_once_exits_3_if_data_was_refused(console: Console, name: str, text: str):
    move_in(console, name, text)
    assert console.run("watch", "--once").code == 3


def test_once_says_what_was_refused(console: Console):
    move_in(console, "stray.csv", "a\n1\n")
    done = console.run("watch", "--once")
    assert "quarantine/stray.csv" in done.out
    assert "Try:" in done.out


def test_once_completes_what_a_killed_process_left_unfinished(console: Console):
    name = "accounts_2025-10-31.csv"
    (console.root / "inbox" / name).write_text(many_accounts(150_000))
    with console.watch() as watching:
        until(lambda: list((console.root / "work").glob("*/content")))
        watching.process.kill()
    assert list((console.root / "work").glob("*/content"))
    done = console.run("watch", "--once", "--json")
    assert [(outcome["name"], outcome["outcome"]) for outcome in done.json["outcomes"]] == [(name, "accepted")]
    assert rows(console, "SELECT status, rows_accepted FROM drop_ledger") == [("published", 150_000)]
    assert list((console.root / "work").glob("*/")) == []


def test_once_does_not_wait_for_ever_for_a_file_that_grows(console: Console):
    move_in(console, "customers_2025-10-31.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")
    growing = console.root / "inbox" / "accounts_2025-10-31.csv"
    ended = threading.Event()

    def grow() -> None:
        while not ended.wait(0.05):
            with growing.open("a") as file:
                file.write("AccountID,CustomerID,Balance,AccountType\n")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        done = console.run("watch", "--once", "--json", wait_seconds=1)
    finally:
        ended.set()
        writer.join()
    assert (done.code, [entry["name"] for entry in done.json["outcomes"]]) == (4, ["customers_2025-10-31.csv"])
    assert "still written to" in done.err


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_an_idle_watch_with_exit_code_0(console: Console, number: int):
    with console.watch() as watching:
        assert watching.stop(number) == 0
    assert watching.lines[-1]["event"] == "stopped"


def test_signal_lets_the_drop_at_hand_be_finished(console: Console):
    count = 150_000
    (console.root / "inbox" / "accounts_2025-10-31.csv").write_text(many_accounts(count))
    with console.watch() as watching:
        until(lambda: list((console.root / "work").glob("*/content")))
        assert watching.stop(signal.SIGTERM) == 0
    events = ["watching", "accepted", "warned", "stopped"]  # of accounts without a customer
    assert [line["event"] for line in watching.lines] == events
    assert rows(console, "SELECT status, rows_accepted FROM drop_ledger") == [("published", count)]
    assert len(list((console.root / "archive").rglob("*.csv"))) == 1
    assert list((console.root / "work").glob("*/")) == []


# Logs


def test_logs_are_json_lines_that_name_drop_and_feed(console: Console):
    with console.watch() as watching:
        (watching.inbox / "customers_2025-10-31.csv").write_text(CUSTOMERS)
        line = watching.line("customers_2025-10-31.csv")
    assert rows(console, "SELECT drop_id, feed FROM drop_ledger") == [(line["drop_id"], line["feed"])]
    assert line["feed"] == "customer"
    assert {"timestamp", "level", "event"} <= line.keys()
    assert line["timestamp"].endswith("Z")


def test_logs_hold_no_row_contents(console: Console):
    """Refused rows, files refused whole and failed checks included."""
    drops = {
        "customers_2025-10-31.csv": "CustomerID,Name,HasLoan\n1,Zaphod,Yes\n2,Zaphod,perhaps-424242\n3,Zaphod,No\n",
        "customers_2025-11-30.csv": 'CustomerID,Name,HasLoan\n1,"Zaphod 424242,Yes\n',
        "accounts_2025-10-31.csv": "AccountID,CustomerID,Balance,AccountType\n424242,1,9999999999999999.99,Savings\n",
        "accounts_2025-11-30.csv": "AccountID,CustomerID,Balance,AccountType\n424242,1,Zaphod,Savings\n",
        "rates_2025-10-31.csv": "MinBalance,Rate,LoanBonus,Method\n424242,0.01,0.005,whole_balance\n",
        "stray.csv": "Zaphod\n424242\n",
    }
    with console.watch() as watching:
        for name, text in drops.items():
            (watching.inbox / name).write_text(text)
        for name in drops:
            watching.line(name)
        assert watching.stop(signal.SIGTERM) == 0
    log = watching.log.read_text()
    assert "Zaphod" not in log
    assert "424242" not in log
    assert {line["name"]: line["rule"] for line in watching.lines if line.get("rule")} == {
        "customers_2025-11-30.csv": "unbalanced_quotes",
        "accounts_2025-10-31.csv": "too_many_rejected",
        "accounts_2025-11-30.csv": "too_many_rejected",
        "rates_2025-10-31.csv": "check_failed",
        "stray.csv": "unknown_feed",
    }


def test_taking_a_file_raises_no_warning_of_the_interpreter(console: Console):
    (console.root / "inbox" / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    errors = console.run_script("watch", "--once", "--quiet").err
    assert [json.loads(line)["event"] for line in errors.splitlines()] == ["accepted"]


def test_log_setting_makes_logs_readable(console: Console):
    (console.root / "inbox" / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    done = console.run("watch", "--once", "--quiet", log="console")
    assert (done.code, done.out) == (0, "")
    assert "accepted" in done.err
    assert '"event"' not in done.err


# In other hands


def test_file_dropped_while_the_root_is_held_is_taken_later(console: Console):
    with console.watch() as watching, (console.root / "work" / ".lock").open("a") as lock:
        until(lambda: try_lock(lock.fileno()))
        (watching.inbox / "customers_2025-10-31.csv").write_text(CUSTOMERS)
        watching.logged("busy")
        assert (watching.inbox / "customers_2025-10-31.csv").exists()
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert watching.line("customers_2025-10-31.csv", 5)["event"] == "accepted"


def test_file_dropped_while_the_warehouse_is_open_elsewhere_is_taken_later(console: Console):
    with console.watch() as watching:
        drop_while_warehouse_is_open(console, watching)
        assert watching.line("customers_2025-11-30.csv", 4)["event"] == "accepted"


def test_file_dropped_while_the_warehouse_is_open_elsewhere_is_taken_with_the_next(console: Console):
    with console.watch() as watching:
        drop_while_warehouse_is_open(console, watching)
        (watching.inbox / "accounts_2025-11-30.csv").write_text(ACCOUNTS)
        assert watching.line("customers_2025-11-30.csv")["event"] == "accepted"
        assert watching.line("accounts_2025-11-30.csv")["event"] == "accepted"


def test_watch_on_a_root_in_other_hands_exits_4(console: Console):
    (console.root / "work").mkdir()
    (console.root / "inbox" / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    with (console.root / "work" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = console.run("watch", "--once", wait_seconds=0.2)
    assert done.code == 4
    assert "Try:" in done.err
    assert (console.root / "inbox" / "customers_2025-10-31.csv").exists()


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def drop_while_warehouse_is_open(console: Console, watching: Watching) -> None:
    """Let a file land, and close the warehouse again when the watch has found it open."""
    (watching.inbox / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    watching.line("customers_2025-10-31.csv")
    with until(lambda: open_warehouse(console)):
        (watching.inbox / "customers_2025-11-30.csv").write_text(LATER)
        watching.logged("busy")


def open_warehouse(console: Console) -> duckdb.DuckDBPyConnection | None:
    try:
        return duckdb.connect(str(console.root / "warehouse/ledger.duckdb"))
    except duckdb.IOException:
        return None  # the watch is not done with it


def summary_written_for(root: Path) -> str:
    """The drop that the manifest names for the summary of accounts."""
    artifacts = json.loads((root / "outputs" / "manifest.json").read_text())["artifacts"]
    return next(artifact["drop_id"] for artifact in artifacts if artifact["name"] == "account_summary.csv")


def test_file_that_is_postponed_leaves_watch_at_rest_and_artifacts_written(console: Console):
    rows = "".join(f"{number},Name {number},No\n" for number in range(2_000_000))
    with console.watch(memory_limit="36MB", outputs="2") as watching:
        (watching.inbox / "customers_2025-10-31.csv").write_text(f"CustomerID,Name,HasLoan\n{rows}")
        assert watching.line("customers_2025-10-31.csv")["event"] == "postponed"
        for name in ("accounts_2025-10-31.csv", "accounts_2025-11-01.csv"):
            (watching.inbox / name).write_text(ACCOUNTS)
            assert watching.line(name)["event"] == "accepted"
        last = watching.line("accounts_2025-11-01.csv")["drop_id"]
        until(lambda: summary_written_for(console.root) == last, 30)
        attempts = sum(line["event"] == "postponed" for line in watching.lines)
        assert holds_for(3, lambda: sum(line["event"] == "postponed" for line in watching.lines) <= attempts + 1)
        assert watching.stop(signal.SIGTERM) == 0


def test_file_that_cannot_be_taken_leaves_watch_at_rest_and_the_others_their_turn(console: Console):
    """A file that never stops changing while it is copied, as its other name makes it be."""
    growing = console.folder / "growing.csv"
    growing.write_text(ACCOUNTS)
    ended = threading.Event()

    def grow() -> None:
        with growing.open("a") as file:
            while not ended.wait(0.001):
                file.write("1003,1,5.00,Savings\n")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with console.watch() as watching:
            os.link(growing, watching.inbox / "accounts_2025-10-31.csv")
            move_in(console, "accounts_2025-11-30.csv", ACCOUNTS)
            assert watching.line("accounts_2025-11-30.csv", 30)["event"] == "accepted"
            assert watching.stop(signal.SIGTERM) == 0
    finally:
        ended.set()
        writer.join()


# Control files


@pytest.fixture
def wants_control(tmp_path: Path) -> str:
    """The folder of a pipeline whose accounts come with control files."""
    wants = {"account.yaml": {"control_file": {"suffix": ".ctl", "rows": 1}}}
    return str(custom_pipeline(tmp_path / "lending", wants).folder)


@pytest.mark.parametrize("first", ["file", "control file"])
def test_file_is_taken_as_soon_as_it_and_its_control_file_are_closed(console: Console, wants_control: str, first: str):
    name = "accounts_2025-10-31.csv"
    texts = {name: ACCOUNTS, f"{name}.ctl": "2\n"}
    one, other = texts if first == "file" else reversed(texts)
    with console.watch(pipeline=wants_control) as watching:
        assert holds_for(0.7, lambda: True)  # so that neither was there at the first look, which goes by stillness
        (watching.inbox / one).write_text(texts[one])
        assert holds_for(1.0, (watching.inbox / one).exists)
        with (watching.inbox / other).open("w") as file:
            file.write(texts[other])
            file.flush()
            assert holds_for(1.0, (watching.inbox / one).exists)
        watching.logged("accepted", 5)
        assert [line["name"] for line in watching.lines if line["event"] == "awaited"] == [name] * (first == "file")
    assert list(watching.inbox.iterdir()) == []
    assert rows(console, "SELECT name, rows_read FROM drop_ledger") == [(name, 2)]
