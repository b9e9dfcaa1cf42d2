"""Freshness and alerts in a schema of Databricks."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.console import ACCOUNTS, CUSTOMERS
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.databricks_server import Server
from support.ledger import without_marts

from dropledger.core.ledger.alerts import Found
from dropledger.core.operations.alerts import look
from dropledger.core.ports.notifier import AlertState, Target
from dropledger.core.views.freshness import read_freshness

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("standin")]
BAD = ACCOUNTS + "1003,2,-5,Savings\n"


def test_states_are_told_with_begin_and_end(databricks: Server, tmp_path: Path):
    pipeline = without_marts(tmp_path / "pipeline", {"customer.yaml": {"freshness": {"error_after": "26h"}}})
    ledger = RemoteLedger(tmp_path / "root", pipeline, access_to(databricks), new_schema())
    everything = frozenset(AlertState)
    target = Target("env:ALERT_URL", everything, frozenset(), 1, None, None)
    ledger.runtime = replace(ledger.runtime, targets=(target,))
    assert look(ledger.runtime).messages == ()
    seen = Found(AlertState.POSTPONED, "account", "a.csv", "a.csv could not be taken", "dropledger doctor")

    def told(*seen: Found) -> list[tuple[str, str, bool]]:
        messages = look(ledger.runtime, seen).messages
        ledger.clock.moment += timedelta(seconds=2)
        look(ledger.runtime, told=[message.notices for message in messages], claims=False)
        ledger.clock.moment += timedelta(seconds=2)
        return sorted((str(one.state), one.feed, bool(one.ended_at)) for sent in messages for one in sent.notices)

    ledger.drop("customers_2029-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2029-01-01.csv", BAD)
    assert told(seen) == [("postponed", "account", False), ("rejected", "account", False)]
    assert told(seen) == []
    ledger.drop("accounts_2029-01-02.csv", ACCOUNTS.replace("9999.99", "1.00"))
    ledger.clock.moment += timedelta(hours=27)
    assert told(replace(seen, over=True)) == [
        ("late", "customer", False),
        ("postponed", "account", True),
        ("rejected", "account", True),
    ]
    with ledger.runtime.reading() as session:
        found = read_freshness(session, pipeline, ledger.clock)["customer"]
    assert (found["state"], found["age_seconds"] // 3600) == ("late", 27)
    ledger.runtime.warehouse.remove()
