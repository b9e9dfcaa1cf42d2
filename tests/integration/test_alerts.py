"""Alerts: each state is told once, and its end once, whatever becomes of receivers and processes."""

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from support.console import ACCOUNTS, CUSTOMERS
from support.ledger import Ledger, without_marts
from support.receivers import Receiver, receiving

from dropledger.core.errors import DropledgerError
from dropledger.core.ingest.run import process
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.alerts import look, of_outcomes
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import verify
from dropledger.core.ports.notifier import AlertState
from dropledger.handlers.notifiers import notifier_of, targets_of
from dropledger.handlers.telling import Telling, tell

BAD = ACCOUNTS + "1003,2,-5,Savings\n"
LATER = ACCOUNTS.replace("9999.99", "9998.99")
ALL = [str(state) for state in AlertState]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("ALERT_URL", receiver.address)
        yield receiver


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    changes = {"customer.yaml": {"freshness": {"error_after": "26h"}}}
    ledger = told_by(Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline", changes)))
    ledger.drop("customers_2028-12-31.csv", CUSTOMERS)
    return ledger


def told_by(ledger: Ledger, *entries: dict[str, Any]) -> Ledger:
    """The ledger with these targets; with one that wants all, if none is given."""
    targets = targets_of(list(entries) or [{"to": "env:ALERT_URL", "on": ALL}])
    ledger.runtime = replace(ledger.runtime, targets=targets, notifier_of=notifier_of)
    return ledger


class Failures:
    """What was told to people of messages that were not sent."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, where: str, error: DropledgerError) -> None:
        self.texts.append(f"{where}: {error}. {error.hint}")


def told(ledger: Ledger, outcomes: list[Outcome] | None = None, **seen: Any) -> list[str]:
    """Tell as a command does; what could not be told."""
    failures = Failures()
    tell(ledger.runtime, failures, outcomes or [], **seen)
    return failures.texts


def dropped(ledger: Ledger, name: str, text: str) -> Outcome:
    outcome = ledger.drop(name, text)
    told(ledger, [outcome])
    return outcome


def test_rejected_rows_are_told_once_and_their_end_once(ledger: Ledger, receiver: Receiver):
    outcome = dropped(ledger, "accounts_2029-01-01.csv", BAD)
    told(ledger)
    assert receiver.told == [("rejected", "account", False)]
    [message] = receiver.messages
    [alert] = message["alerts"]
    assert alert["says"] == "1 row of accounts_2029-01-01.csv rejected"
    assert alert["try"] == f"dropledger rejects {outcome.drop.drop_id}"
    assert (message["pipeline"], message["root"], message["more"]) == ("lending", str(ledger.root), 0)
    dropped(ledger, "accounts_2029-01-02.csv", LATER)
    told(ledger)
    assert receiver.told[1:] == [("rejected", "account", True)]
    assert receiver.messages[1]["alerts"][0]["id"] == alert["id"]


def test_each_drop_with_rejected_rows_is_told(ledger: Ledger, receiver: Receiver):
    told(ledger)
    outcomes = ledger.process(ledger.put("accounts_2029-01-01.csv", BAD), ledger.put("accounts_2029-01-02.csv", LATER))
    told(ledger, outcomes)  # over already, when it is looked at
    assert receiver.told == [("rejected", "account", True)]
    told(ledger)
    assert len(receiver.messages) == 1


def test_what_was_over_before_anybody_wanted_to_be_told_is_not_told(ledger: Ledger, receiver: Receiver):
    ledger.drop("accounts_2029-01-01.csv", BAD)
    ledger.drop("accounts_2029-01-02.csv", LATER)
    ledger.drop("customers_2029-01-01.csv", "odd\n")
    told(ledger)
    assert receiver.told == [("quarantined", "customer", False)]


def test_refused_file_is_told_until_its_correction_comes(ledger: Ledger, receiver: Receiver):
    refused = dropped(ledger, "accounts_2029-01-01.csv", "odd\n")
    assert receiver.told == [("quarantined", "account", False)]
    assert receiver.messages[0]["alerts"][0]["try"] == f"dropledger show {refused.drop.drop_id}"
    dropped(ledger, "accounts_2029-01-02.csv", LATER)
    assert len(receiver.told) == 1
    dropped(ledger, "accounts_2029-01-01.csv", ACCOUNTS)
    assert receiver.told[1:] == [("quarantined", "account", True)]


def test_file_of_no_feed_is_told(ledger: Ledger, receiver: Receiver):
    told_by(ledger, {"to": "env:ALERT_URL", "on": ["quarantined"], "feeds": ["account"]})
    dropped(ledger, "nobody's.csv", "a\n1\n")
    assert receiver.told == [("quarantined", None, False)]


def test_failed_check_is_told_until_a_drop_passes_it(ledger: Ledger, receiver: Receiver):
    many = ACCOUNTS + "".join(f"{key},1,5.00,Savings\n" for key in range(1003, 1010))
    dropped(ledger, "customers_2029-01-01.csv", CUSTOMERS)
    dropped(ledger, "accounts_2029-01-01.csv", ACCOUNTS)
    dropped(ledger, "accounts_2029-01-02.csv", many)
    assert receiver.told == [("check_failed", "account", False)]
    assert "the check volume of stg_account failed for 7 rows" in receiver.messages[0]["alerts"][0]["says"]
    dropped(ledger, "accounts_2029-01-03.csv", many.replace("9999.99", "1.00"))
    assert receiver.told[1:] == [("check_failed", "account", True)]


def test_late_feed_is_told_once_until_a_file_comes(ledger: Ledger, receiver: Receiver):
    dropped(ledger, "customers_2029-01-01.csv", CUSTOMERS)
    ledger.clock.moment += timedelta(hours=25)
    told(ledger)
    assert receiver.told == []
    ledger.clock.moment += timedelta(hours=2)
    told(ledger)
    told(ledger)
    assert receiver.told == [("late", "customer", False)]
    dropped(ledger, "customers_2029-01-02.csv", CUSTOMERS.replace("Jonas", "Joonas"))
    assert receiver.told[1:] == [("late", "customer", True)]
    ledger.clock.moment += timedelta(hours=27)
    told(ledger)
    assert receiver.told[2:] == [("late", "customer", False)]
    ids = [alert["id"] for message in receiver.messages for alert in message["alerts"]]
    assert len(set(ids)) == 2


def test_watch_is_woken_when_a_feed_gets_late(ledger: Ledger, receiver: Receiver):
    telling = Telling(ledger.runtime, Failures())
    telling.look()
    assert 26 * 3600 - 5 < telling.seconds_left <= 26 * 3600 + 5
    telling.note([ledger.drop("accounts_2029-01-01.csv", ACCOUNTS)])
    assert telling.seconds_left > 3600  # a drop that has nothing to tell costs nothing
    ledger.clock.moment += timedelta(hours=27)
    assert telling.seconds_left == 0
    telling.look()
    telling.finish()
    assert receiver.told == [("late", "customer", False)]


def test_first_drop_of_a_root_is_looked_at(tmp_path: Path, receiver: Receiver):
    changes = {"customer.yaml": {"freshness": {"error_after": "26h"}}}
    ledger = told_by(Ledger(tmp_path / "new", without_marts(tmp_path / "of_new", changes), bare=True))
    telling = Telling(ledger.runtime, failures := Failures())
    telling.look()
    assert (telling.seconds_left, failures.texts, ledger.database.exists()) == (math.inf, [], False)
    telling.note([ledger.drop("customers_2029-01-01.csv", CUSTOMERS)])
    assert telling.seconds_left == 0  # or nobody would know when it gets late
    telling.look()
    assert telling.seconds_left < 27 * 3600


def test_postponed_file_is_told_until_it_is_taken(ledger: Ledger, receiver: Receiver):
    outcome = ledger.drop("customers_2029-01-01.csv", CUSTOMERS)
    waiting = replace(outcome, delivered="postponed", error="no memory")
    told(ledger, [waiting, waiting])
    told(ledger, [waiting])
    told(ledger)
    assert receiver.told == [("postponed", "customer", False)]
    told(ledger, [outcome])
    assert receiver.told[1:] == [("postponed", "customer", True)]
    assert [found.over for found in of_outcomes([waiting, outcome])] == [True]


def test_difference_that_verify_finds_is_told_until_it_finds_none(ledger: Ledger, receiver: Receiver):
    from dropledger.core.operations.alerts import of_verified

    ledger.drop("customers_2029-01-01.csv", CUSTOMERS)
    told(ledger, seen=of_verified(verify(ledger.runtime, lambda *_: None)))
    assert receiver.told == []
    manifest = ledger.root / "outputs" / "manifest.json"
    before = manifest.read_bytes()
    manifest.write_bytes(before.replace(b"customers", b"customer_"))
    archived = next((ledger.root / "archive").rglob("*.csv"))
    kept = archived.read_bytes()
    archived.write_bytes(b"x")
    told(ledger, seen=of_verified(verify(ledger.runtime, lambda *_: None)))
    told(ledger)
    assert receiver.told == [("verify_difference", None, False)]
    archived.write_bytes(kept)
    manifest.write_bytes(before)
    told(ledger, seen=of_verified(verify(ledger.runtime, lambda *_: None)))
    assert receiver.told[1:] == [("verify_difference", None, True)]


def test_drop_that_is_taken_back_is_in_no_state(ledger: Ledger, receiver: Receiver):
    outcome = dropped(ledger, "accounts_2029-01-01.csv", BAD)
    retract(ledger.runtime, outcome.drop.drop_id, "wrong", "me")
    told(ledger)
    assert receiver.told == [("rejected", "account", False), ("rejected", "account", True)]


def test_replay_tells_nothing_anew(ledger: Ledger, receiver: Receiver):
    dropped(ledger, "accounts_2029-01-01.csv", BAD)
    before = ledger.table("alert")
    replay(ledger.runtime, Selection(), None, lambda *_: None)
    assert ledger.table("alert") == before
    told(ledger)
    assert len(receiver.messages) == 1


# Who wants to be told of what


def test_targets_are_told_what_they_want(ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    with receiving() as other:
        monkeypatch.setenv("OTHER_URL", other.address)
        told_by(
            ledger,
            {"to": "env:ALERT_URL", "on": ["rejected"], "feeds": ["account"]},
            {"to": "env:OTHER_URL", "on": ["quarantined", "recovered"]},
        )
        dropped(ledger, "accounts_2029-01-01.csv", BAD)
        dropped(ledger, "customers_2029-01-01.csv", "odd\n")
        dropped(ledger, "accounts_2029-01-02.csv", LATER)
        dropped(ledger, "customers_2029-01-01.csv", CUSTOMERS)
        assert other.told == [("quarantined", "customer", False), ("quarantined", "customer", True)]
    assert receiver.told == [("rejected", "account", False)]


def test_what_is_wanted_no_more_is_not_told_to_be_over(ledger: Ledger, receiver: Receiver):
    dropped(ledger, "accounts_2029-01-01.csv", BAD)
    told_by(ledger, {"to": "env:ALERT_URL", "on": ["late", "recovered"]})
    told(ledger)
    assert receiver.told == [("rejected", "account", False)]


def test_messages_to_a_target_are_gathered(ledger: Ledger, receiver: Receiver):
    told_by(ledger, {"to": "env:ALERT_URL", "on": ALL, "at_most_every": "1h"})
    dropped(ledger, "accounts_2029-01-01.csv", BAD)
    dropped(ledger, "accounts_2029-01-02.csv", BAD.replace("9999.99", "1.00"))
    dropped(ledger, "customers_2029-01-01.csv", "odd\n")
    assert len(receiver.messages) == 1
    looked = look(ledger.runtime)
    assert looked.again_at is not None
    assert timedelta(minutes=59) < looked.again_at - ledger.clock() <= timedelta(hours=1)
    ledger.clock.moment += timedelta(hours=1)
    told(ledger)
    assert [len(message["alerts"]) for message in receiver.messages] == [1, 2]
    assert receiver.messages[1]["title"] == "dropledger lending: account rejected, 1 other"


def test_many_states_come_in_several_messages(ledger: Ledger, receiver: Receiver):
    told(ledger)
    ledger.process(*[ledger.put(f"accounts_2029-01-01_{place}.csv", f"odd{place}\n") for place in range(120)])
    told(ledger)
    assert [(len(message["alerts"]), message["more"]) for message in receiver.messages] == [(50, 70), (50, 20), (20, 0)]
    assert len({alert["id"] for message in receiver.messages for alert in message["alerts"]}) == 120
    told(ledger)
    assert len(receiver.messages) == 3


# Receivers that are not well


@pytest.mark.parametrize("status", [302, 404, 500, 503])
def test_what_a_receiver_does_not_take_is_told_later(ledger: Ledger, receiver: Receiver, status: int):
    receiver.status = status
    outcome = ledger.drop("accounts_2029-01-01.csv", BAD)
    [failure] = told(ledger, [outcome])
    assert f"env:ALERT_URL: the web address did not take the message: it answered {status}" in failure
    assert "hidden" not in failure
    assert told(ledger) == []  # not at once again
    receiver.status = 200
    ledger.clock.moment += timedelta(seconds=61)
    assert told(ledger) == []
    told(ledger)
    assert len(receiver.messages) == 2
    assert receiver.messages[0]["alerts"] == receiver.messages[1]["alerts"]
    assert [row[0] for row in ledger.rows("SELECT tries FROM alert WHERE state = 'rejected'")] == [0]


def test_dead_receiver_is_tried_less_and_less(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALERT_URL", "http://127.0.0.1:9/hidden-path")
    outcome = ledger.drop("accounts_2029-01-01.csv", BAD)
    tries = []
    for minute in range(180):
        tries += [minute for _ in told(ledger, [outcome] if not minute else [])]
        ledger.clock.moment += timedelta(minutes=1)
    assert tries == [0, 1, 3, 7, 15, 31, 63, 123]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Apprise
@pytest.mark.parametrize(
    ("address", "says"),
    [
        (None, "the variable ALERT_URL is not set"),
        ("", "the variable ALERT_URL is not set"),
        ("http://example.org/hidden", "http, which anybody on the way can read"),
        ("https:///hidden", "the address names no machine"),
        ("https://127.0.0.1:1/hidden", "the web address did not take the message: ConnectionRefusedError"),
        ("https://127.0.0.1:hidden/", "the web address did not take the message"),
        ("https://hidden.invalid/", "the web address did not take the message: gaierror"),
        ("sns:hidden", "no ARN of a topic"),
        ("mailto:hidden@example.org", "there is no server for mail"),
        ("hidden", "Apprise does not know such an address"),
        ("hidden://hidden", "Apprise does not know such an address"),
    ],
)
def test_address_that_is_none_is_told_without_the_address(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], address: str | None, says: str
):
    if address is None:
        monkeypatch.delenv("ALERT_URL", raising=False)
    else:
        monkeypatch.setenv("ALERT_URL", address)
    outcome = ledger.drop("accounts_2029-01-01.csv", BAD)
    [failure] = told(ledger, [outcome])
    assert says in failure
    assert "hidden" not in failure + "".join(capfd.readouterr())
    assert "hidden" not in str(ledger.table("alert"))


def test_slow_receiver_keeps_no_drop_waiting(ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    receiver.open_.clear()
    telling = Telling(ledger.runtime, Failures())
    telling.look()
    telling.note([ledger.drop("accounts_2029-01-01.csv", BAD)])
    began = monotonic()
    telling.look()
    assert monotonic() - began < 1  # which is the ledger's time; the receiver has not answered
    assert telling.seconds_left > 1
    telling.note([ledger.drop("accounts_2029-01-02.csv", BAD.replace("9999", "9"))])
    telling.look()
    assert receiver.messages == []
    receiver.open_.set()
    telling.finish()
    ledger.clock.moment += timedelta(minutes=2)
    told(ledger)
    assert receiver.told == [("rejected", "account", False)] * 2
    assert len({alert["id"] for message in receiver.messages for alert in message["alerts"]}) == 2


def test_command_waits_for_a_slow_receiver_a_little(ledger: Ledger, receiver: Receiver):
    receiver.open_.clear()
    outcome = ledger.drop("accounts_2029-01-01.csv", BAD)
    began = monotonic()
    failures = told(ledger, [outcome])
    assert monotonic() - began < 7
    assert failures == [] or "TimeoutError" in failures[0]


def test_busy_ledger_is_noted_later(ledger: Ledger, receiver: Receiver):
    telling = Telling(ledger.runtime, failures := Failures())
    telling.note([ledger.drop("accounts_2029-01-01.csv", BAD)])
    with ledger.runtime.store.exclusive(5):
        telling.look()
    assert failures.texts
    assert 0 < telling.seconds_left <= 10
    ledger.clock.moment += timedelta(seconds=11)
    telling.look()
    telling.finish()
    assert receiver.told == [("rejected", "account", False)]


# Several processes, and dead ones


def test_two_processes_tell_once(ledger: Ledger, receiver: Receiver):
    outcome = ledger.drop("accounts_2029-01-01.csv", BAD)
    told(ledger)
    dropped(ledger, "accounts_2029-01-02.csv", LATER)
    ledger.drop("customers_2029-01-01.csv", "odd\n")
    receiver.bodies.clear()
    threads = [threading.Thread(target=told, args=(ledger, [outcome])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.clock.moment += timedelta(minutes=10)
    told(ledger)
    assert receiver.told == [("quarantined", "customer", False)]


def test_crash_before_the_look_loses_nothing(ledger: Ledger, receiver: Receiver):
    told(ledger)
    ledger.drop("accounts_2029-01-01.csv", BAD)  # and its process dies here
    told(ledger)
    assert receiver.told == [("rejected", "account", False)]


def test_crash_before_the_message_is_sent_sends_it_later(ledger: Ledger, receiver: Receiver):
    ledger.drop("accounts_2029-01-01.csv", BAD)
    [message] = look(ledger.runtime).messages  # claimed, and its process dies here
    assert told(ledger) == []
    assert receiver.messages == []
    ledger.clock.moment += timedelta(seconds=61)
    told(ledger)
    assert receiver.messages[0]["alerts"][0]["id"] == message.notices[0].alert_id


def test_look_that_is_killed_has_noted_nothing(ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    ledger.drop("accounts_2029-01-01.csv", BAD)
    for step in ("begin_watching", "begin", "claim"):
        with monkeypatch.context() as patch:

            def die(*_: object) -> None:
                raise KeyboardInterrupt

            patch.setattr(f"dropledger.core.ledger.alerts.{step}", die)
            with pytest.raises(KeyboardInterrupt):
                look(ledger.runtime)
        assert ledger.table("alert") == []
    told(ledger)
    assert receiver.told == [("rejected", "account", False)]


# What is in messages


def test_nothing_of_rows_or_addresses_is_in_messages_and_table(ledger: Ledger, receiver: Receiver):
    secret = "4711-secret"
    dropped(ledger, "accounts_2029-01-01.csv", ACCOUNTS + f"1003,2,{secret},Savings\n")
    dropped(ledger, "customers_2029-01-01.csv", f"{secret},b\n1,2\n")
    everything = str(receiver.messages) + str(ledger.table("alert"))
    assert len(receiver.told) == 2
    assert secret not in everything
    assert "hidden" not in everything


def test_nobody_to_be_told_costs_no_statement(ledger: Ledger, statements: list[str]):
    ledger.runtime = replace(ledger.runtime, targets=())
    process(ledger.runtime, [ledger.put("accounts_2029-01-01.csv", BAD)], lambda _: None)
    assert not [text for text in statements if " alert" in text]


def test_odd_names_are_told(ledger: Ledger, receiver: Receiver):
    odd = 'accounts_2029-01-01 "é\n\r<b>.csv'
    dropped(ledger, odd, "odd\n")
    [alert] = receiver.messages[0]["alerts"]
    assert "\u00e9" in alert["says"]
    assert "\n" not in receiver.messages[0]["title"]
