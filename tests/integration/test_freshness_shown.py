"""What tells that a feed is late: the command, `status`, pages and metrics, with and without drops or a ledger."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.console import ACCOUNTS, CUSTOMERS
from support.in_process import run
from support.ledger import Ledger, without_marts

from dropledger.core.contracts.freshness import FreshnessState
from dropledger.core.operations.retract import retract
from dropledger.core.views.feeds import show_feed
from dropledger.core.views.freshness import read_freshness, worst
from dropledger.core.views.status import read_status

DAY = {"warn_after": "26h", "error_after": "50h"}
OF_AS_OF = {"error_after": "1d", "of": "as_of"}
LATER = ACCOUNTS.replace("9999.99", "9998.99")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    changes = {"account.yaml": {"freshness": DAY}, "customer.yaml": {"freshness": OF_AS_OF}}
    return Ledger(tmp_path / "root", without_marts(tmp_path / "pipeline", changes))


def states(ledger: Ledger, **later: float) -> dict[str, str]:
    with ledger.runtime.reading() as session:
        found = read_freshness(session, ledger.runtime.pipeline, lambda: ledger.clock() + timedelta(**later))
    return {feed: entry["state"] for feed, entry in found.items()}


def test_feed_is_told_by_its_drops_in_history_alone(ledger: Ledger):
    ledger.drop("customers_2030-01-01.csv", CUSTOMERS)
    first = ledger.drop("accounts_2030-01-01.csv", ACCOUNTS)
    assert states(ledger, hours=23) == {"customer": "fresh", "account": "fresh"}
    assert states(ledger, hours=27) == {"customer": "late", "account": "warn"}
    assert states(ledger, hours=51)["account"] == "late"
    ledger.clock.moment += timedelta(hours=40)
    ledger.drop("accounts_2030-01-02.csv", "nothing\nof use\n")  # refused: it makes no feed fresher
    assert states(ledger, hours=11)["account"] == "late"
    second = ledger.drop("accounts_2030-01-03.csv", LATER)
    assert states(ledger)["account"] == "fresh"
    retract(ledger.runtime, second.drop.drop_id, "wrong", "me")
    retract(ledger.runtime, first.drop.drop_id, "wrong", "me")
    with ledger.runtime.reading() as session:
        found = read_freshness(session, ledger.runtime.pipeline, ledger.clock)["account"]
    assert (found["state"], found["has_drops"], found["age_seconds"]) == ("warn", False, 40 * 3600)


def test_feed_without_a_drop_is_counted_from_the_first_one_of_the_root(ledger: Ledger):
    assert set(states(ledger, days=900).values()) == {"waiting"}
    ledger.drop("customers_2030-01-01.csv", CUSTOMERS)
    assert states(ledger, hours=49)["account"] == "warn"
    assert states(ledger, hours=51)["account"] == "late"


def test_what_is_true_from_tomorrow_on_is_fresh(ledger: Ledger):
    ledger.drop("customers_2030-01-01.csv", CUSTOMERS)
    ledger.drop("customers_2030-01-02.csv", CUSTOMERS.replace("Jonas", "Joonas"))
    assert states(ledger, hours=40)["customer"] == "fresh"


def test_page_of_a_feed_has_how_old_it_had_become_when_drops_came(ledger: Ledger):
    ledger.drop("accounts_2030-01-01.csv", ACCOUNTS)
    for hours, text in ((3, LATER), (30, ACCOUNTS), (1, "odd\n"), (60, LATER)):
        ledger.clock.moment += timedelta(hours=hours)
        ledger.drop("accounts_2030-01-01.csv", text, as_of=ledger.clock())
    with ledger.runtime.reading() as session:
        found = show_feed(session, ledger.runtime.pipeline, "account", ledger.clock)
        other = show_feed(session, ledger.runtime.pipeline, "rate", ledger.clock)
    assert [(age["age_seconds"] // 3600, age["state"]) for age in found["ages"]] == [
        (3, "fresh"),
        (30, "warn"),
        (61, "late"),
    ]
    assert found["freshness"]["state"] == "fresh"
    assert (other["freshness"], other["ages"]) == (None, [])


def test_status_has_freshness_of_feeds_that_have_it(ledger: Ledger):
    with ledger.runtime.reading() as session:
        feeds = read_status(session, ledger.runtime.pipeline, ledger.clock)["feeds"]
    assert feeds["account"]["freshness"]["error_after_seconds"] == 50 * 3600
    assert feeds["rate"]["freshness"] is None


def test_worst_feed_decides():
    def found(*states: str) -> dict[str, dict[str, Any]]:
        return {state: {"state": state} for state in states}

    assert worst({}) is None
    assert worst(found("fresh", "waiting", "warn", "late")) == FreshnessState.LATE
    assert worst(found("fresh", "warn")) == FreshnessState.WARN


# The command


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, Any]:
    changes = {"account.yaml": {"freshness": OF_AS_OF}, "customer.yaml": {"freshness": {"error_after": "26h"}}}
    without_marts(tmp_path / "pipeline", changes)
    (tmp_path / "customers_2025-10-31.csv").write_text(CUSTOMERS)
    (tmp_path / "accounts_2025-10-31.csv").write_text(ACCOUNTS)
    return {"root": str(tmp_path / "root"), "pipeline": str(tmp_path / "pipeline"), "cwd": tmp_path}


def test_command_exits_with_3_where_a_feed_is_late(folder: dict[str, Any]):
    assert run("freshness", **folder).code == 2  # there is no root
    Path(folder["root"], "inbox").mkdir(parents=True)
    left = run("freshness", "--json", **folder)
    assert (left.code, {feed["state"] for feed in left.json["feeds"].values()}) == (0, {"waiting"})
    assert run("process", "customers_2025-10-31.csv", **folder).code == 0
    left = run("freshness", **folder)
    assert (left.code, "no drop of it is in history" in left.out) == (0, True)
    assert run("process", "accounts_2025-10-31.csv", **folder).code == 0
    left = run("freshness", "--json", **folder)
    assert left.code == 3
    assert {name: feed["state"] for name, feed in left.json["feeds"].items()} == {
        "account": "late",
        "customer": "fresh",
    }
    assert left.json["feeds"]["account"]["late_at"] == "2025-11-01T00:00:00Z"
    text = run("freshness", **folder).out
    assert "2025-10-31" in text
    assert "late" in text
    status = run("status", **folder)
    assert "freshness" in status.out
    assert json.loads(run("status", "--json", **folder).out)["feeds"]["account"]["freshness"]["state"] == "late"


def test_command_says_where_no_contract_has_freshness(tmp_path: Path):
    (tmp_path / "root" / "inbox").mkdir(parents=True)
    left = run("freshness", root=str(tmp_path / "root"))
    assert left.code == 0
    assert "No contract has the entry freshness" in left.out
