"""Alerts from commands, a running `watch` and the function: who is told, and that no drop waits for them."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from support.console import ACCOUNTS, CUSTOMERS, Console, environment, until
from support.ledger import without_marts
from support.receivers import Receiver, receiving

pytestmark = pytest.mark.slow

ALERTS = '[{"to": "env:TEST_ALERT", "on": ["quarantined", "rejected", "late", "verify_difference", "recovered"]}]'
BAD = ACCOUNTS + "1003,2,-5,Savings\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def console(folder: Path, address: str, freshness: dict[str, str] | None = None) -> Console:
    without_marts(folder / "pipeline", {"customer.yaml": {"freshness": freshness}} if freshness else {})
    settings = {"DROPLEDGER_ALERTS": ALERTS, "DROPLEDGER_PIPELINE": str(folder / "pipeline")}
    made = Console(folder, {**settings, "TEST_ALERT": address, "TEST_ALERT_HIDDEN": "1"})
    (made.root / "inbox").mkdir(parents=True)
    return made


def test_commands_tell_of_what_they_did(tmp_path: Path, receiver: Receiver):
    folder = console(tmp_path, receiver.address, {"error_after": "1d", "of": "as_of"})
    assert folder.run("process", folder.file("accounts_2025-10-31.csv", BAD)).code == 3
    assert receiver.told == [("rejected", "account", False)]
    rejected = receiver.messages[0]["alerts"][0]
    assert folder.run(*rejected["try"].split()[1:]).code == 0
    done = folder.run("process", folder.file("customers_2025-10-31.csv", CUSTOMERS), "--json")
    assert done.json["outcomes"][0]["outcome"] == "accepted"
    assert receiver.told[1:] == [("late", "customer", False)]
    assert folder.run("freshness").code == 3
    drop_id = done.json["outcomes"][0]["drop_id"]
    assert folder.run("retract", rejected["try"].split()[-1], "--reason", "wrong").code == 0
    assert receiver.told[2:] == [("rejected", "account", True)]
    assert folder.run("show", drop_id).code == 0


def test_command_says_what_was_not_sent_and_goes_on(tmp_path: Path, receiver: Receiver):
    folder = console(tmp_path, receiver.address)
    receiver.status = 500
    done = folder.run("process", folder.file("accounts_2025-10-31.csv", BAD), "--json")
    assert (done.code, done.json["outcomes"][0]["outcome"]) == (3, "accepted")
    assert "Warning: an alert was not sent (env:TEST_ALERT): the web address did not take the message" in done.err
    assert "hidden" not in done.err + done.out
    assert folder.run("process", folder.file("accounts_2025-11-01.csv", BAD), "--quiet").err == ""


def test_alerts_that_are_set_wrong_are_told_before_any_drop_is_touched(tmp_path: Path):
    folder = console(tmp_path, "")
    wrong = Console(tmp_path, {**folder.variables, "DROPLEDGER_ALERTS": '[{"to": "https://hidden", "on": ["late"]}]'})
    done = wrong.run("process", wrong.file("accounts_2025-10-31.csv", BAD))
    assert done.code == 2
    assert "the setting alerts cannot be used" in done.err
    assert "hidden" not in done.err


def test_feed_that_there_is_not_is_told(tmp_path: Path):
    wrong = '[{"to": "env:TEST_ALERT", "on": ["late"], "feeds": ["acount"]}]'
    folder = Console(tmp_path, {"DROPLEDGER_ALERTS": wrong})
    done = folder.run("process", folder.file("accounts_2025-10-31.csv", BAD))
    assert done.code == 2
    assert "alerts to env:TEST_ALERT name the feed acount, which the pipeline has not" in done.err


def test_nothing_of_alerts_is_imported_unless_they_are_set(tmp_path: Path):
    path = Console(tmp_path).file("accounts_2025-10-31.csv", BAD)
    program = f"""if True:
        import sys
        sys.argv = ["dropledger", "process", {str(path)!r}, "--root", {str(tmp_path / "root")!r}, "--quiet"]
        from dropledger.handlers.cli.main import main
        try:
            main()
        except SystemExit as left:
            assert left.code == 3, left.code
        found = [name for name in sys.modules if "alert" in name or "notif" in name or "telling" in name]
        assert not [name for name in found if name.startswith("dropledger")], found
        """
    subprocess.run([sys.executable, "-c", program], check=True, env=environment(), cwd=tmp_path)


def seconds_until_taken(folder: Console, drops: int = 8) -> list[float]:
    """How long it takes from landing to the log line, of drops that each have something to tell, one after another."""
    seconds = []
    with folder.watch() as watching:
        for place in range(drops + 1):
            name = f"accounts_2025-10-{place + 1:02}.csv"
            path = folder.file("elsewhere", BAD.replace("9999.99", f"{place}.00"))
            began = time.monotonic()
            path.rename(watching.inbox / name)
            watching.line(name)
            seconds.append(time.monotonic() - began)
    return seconds[1:]


def test_no_drop_is_late_for_a_receiver_that_is_not_well(tmp_path: Path, receiver: Receiver):
    """In rounds, as long as other programs on this machine may be what is slow."""
    receiver.status = 500
    found: dict[str, list[float]] = {}
    with receiving(answers=False) as slow:
        addresses = {"off": "", "500": receiver.address, "down": "http://127.0.0.1:9/", "slow": slow.address}
        for round_ in range(5):
            for label, address in addresses.items():
                (tmp_path / f"{label}-{round_}").mkdir()
                folder = console(tmp_path / f"{label}-{round_}", address)
                if label == "off":
                    folder = replace(folder, variables={**folder.variables, "DROPLEDGER_ALERTS": ""})
                found.setdefault(label, []).extend(seconds_until_taken(folder))
            late = [label for label, seconds in found.items() if min(seconds) > min(found["off"]) + 0.05]
            if not late:
                break
    print({label: f"{min(seconds):.3f} {statistics.median(seconds):.3f}" for label, seconds in found.items()})
    assert not late


def test_running_watch_tells_of_trouble_and_its_end(tmp_path: Path, receiver: Receiver):
    folder = console(tmp_path, receiver.address)
    with folder.watch() as watching:
        folder.file("elsewhere", BAD).rename(watching.inbox / "accounts_2025-10-31.csv")
        until(lambda: receiver.told == [("rejected", "account", False)])
        folder.file("elsewhere", ACCOUNTS).rename(watching.inbox / "accounts_2025-11-01.csv")
        until(lambda: receiver.told[1:] == [("rejected", "account", True)])
        folder.file("elsewhere", "odd\n").rename(watching.inbox / "customers_2025-11-01.csv")
        until(lambda: receiver.told[2:] == [("quarantined", "customer", False)])
        assert watching.stop(signal.SIGTERM) == 0
    assert kept(folder) == [("quarantined", True, 0), ("rejected", True, 0)]


def kept(folder: Console) -> list[tuple[str, bool, int]]:
    """What the ledger keeps of alerts: state, whether it was told, and how often it was tried in vain."""
    with duckdb.connect(str(folder.root / "warehouse/ledger.duckdb"), read_only=True) as connection:
        found = connection.execute(
            """SELECT state, told_at IS NOT NULL, tries
            FROM ledger.lending.alert
            WHERE state <> 'watching'
            ORDER BY state"""
        )
        return found.fetchall()


def test_what_a_killed_watch_was_sending_is_not_sent_again_at_once(tmp_path: Path, receiver: Receiver):
    receiver.open_.clear()
    folder = console(tmp_path, receiver.address)
    with folder.watch() as watching:
        folder.file("elsewhere", BAD).rename(watching.inbox / "accounts_2025-10-31.csv")
        watching.line("accounts_2025-10-31.csv")
        until(lambda: receiver.asked)
        os.kill(watching.process.pid, signal.SIGKILL)
        watching.process.wait(15)
    receiver.open_.set()
    until(lambda: receiver.bodies)
    assert folder.run("process", folder.file("customers_2025-10-31.csv", CUSTOMERS)).code == 0
    assert receiver.told == [("rejected", "account", False)]
    assert kept(folder) == [("rejected", False, 1)]  # nobody knows that it was taken, so it is tried in a minute
