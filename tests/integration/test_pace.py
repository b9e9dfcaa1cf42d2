"""How often the whole artifacts are written: always, at most every so many seconds, or on demand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.comparison import assert_manifest_true
from support.console import ACCOUNTS, CUSTOMERS, Console, until
from support.ledger import Ledger

from dropledger.core.operations.retract import retract
from dropledger.core.publish_throttle import PublishThrottle

pytestmark = pytest.mark.slow

RICHER = ACCOUNTS.replace("9999.99", "15000.00")
EVEN_RICHER = ACCOUNTS.replace("9999.99", "25000.00")


def paced(ledger: Ledger, seconds: float | None) -> Ledger:
    """The ledger as another process works on it."""
    ledger.runtime = replace(ledger.runtime, throttle=PublishThrottle(seconds))
    return ledger


def summary(root: Path) -> str:
    return (root / "outputs/account_summary.csv").read_text()


def listed(root: Path) -> dict[str, str]:
    """The manifest: by name, the drop that an artifact was written for."""
    manifest: dict[str, Any] = json.loads((root / "outputs/manifest.json").read_text())
    return {entry["name"]: entry["drop_id"] for entry in manifest["artifacts"]}


def test_artifacts_are_put_off_until_they_are_due(ledger: Ledger):
    paced(ledger, 3600).drop("customers_2025-10-31.csv", CUSTOMERS)
    before = ledger.drop("accounts_2025-10-31.csv", ACCOUNTS)
    assert "9999.99" not in summary(ledger.root)
    assert listed(ledger.root)["account_summary.csv"] != before.drop.drop_id
    assert ledger.runtime.throttle.seconds_left < 3600
    later = ledger.drop("accounts_2025-11-30.csv", RICHER)
    own = ledger.root / f"outputs/changes/{later.drop.drop_id}.csv"
    assert "1001,changed,1,1,9999.99,15000.00" in own.read_text()
    assert listed(ledger.root)[f"changes/{later.drop.drop_id}.csv"] == later.drop.drop_id
    assert_manifest_true(ledger.root)
    assert ledger.rows("SELECT DISTINCT status FROM drop_ledger") == [("published",)]

    paced(ledger, 3600).process()
    assert "15000.00" in summary(ledger.root)
    assert listed(ledger.root)["account_summary.csv"] == later.drop.drop_id
    assert_manifest_true(ledger.root)
    assert ledger.runtime.throttle.seconds_left == float("inf")


def test_artifacts_on_demand_are_left_to_export(tmp_path: Path):
    console = Console(tmp_path)
    files = [console.file("customers_2025-10-31.csv", CUSTOMERS), console.file("accounts_2025-10-31.csv", ACCOUNTS)]
    assert console.run("process", *files, outputs="on_demand").code == 0
    assert {path.name for path in (console.root / "outputs").iterdir()} == {
        "changes",
        "quality_reports",
        "manifest.json",
    }
    assert_manifest_true(console.root)
    assert console.run("export", "--to", "here", outputs="on_demand").code == 0
    assert "9999.99" in (tmp_path / "here/account_summary.csv").read_text()


def test_what_a_retracted_drop_left_goes_at_once(ledger: Ledger):
    paced(ledger, None).drop("customers_2025-10-31.csv", CUSTOMERS)
    wrong = ledger.drop("accounts_2025-10-31.csv", ACCOUNTS).drop.drop_id
    retract(ledger.runtime, wrong, "wrong", "somebody")
    assert not (ledger.root / f"outputs/changes/{wrong}.csv").exists()
    assert_manifest_true(ledger.root)


def test_artifacts_are_written_where_the_setting_is_taken_back(ledger: Ledger):
    paced(ledger, None).drop("customers_2025-10-31.csv", CUSTOMERS)
    ledger.drop("accounts_2025-10-31.csv", ACCOUNTS)
    paced(ledger, 0.0).process()
    assert "9999.99" in summary(ledger.root)


def test_watch_writes_what_it_put_off_when_it_is_due(tmp_path: Path):
    console = Console(tmp_path)
    (console.root / "inbox").mkdir(parents=True)
    with console.watch(outputs=2) as watching:
        for name, text in (("customers_2025-10-31.csv", CUSTOMERS), ("accounts_2025-10-31.csv", ACCOUNTS)):
            (watching.inbox / name).write_text(text)
            watching.line(name)
        assert "9999.99" not in summary(console.root)
        until(lambda: "9999.99" in summary(console.root), 10)
        assert watching.stop(15) == 0  # when the manifest, which is written last, is there too
    assert_manifest_true(console.root)


@pytest.mark.parametrize("stopped_by", [2, 15])
def test_watch_writes_what_it_put_off_before_it_stops(tmp_path: Path, stopped_by: int):
    console = Console(tmp_path)
    (console.root / "inbox").mkdir(parents=True)
    with console.watch(outputs=3600) as watching:
        for name, text in (
            ("customers_2025-10-31.csv", CUSTOMERS),
            ("accounts_2025-10-31.csv", ACCOUNTS),
            ("accounts_2025-11-30.csv", EVEN_RICHER),
        ):
            (watching.inbox / name).write_text(text)
            watching.line(name)
        assert "25000.00" not in summary(console.root)
        assert watching.stop(stopped_by) == 0
    assert "25000.00" in summary(console.root)
    assert_manifest_true(console.root)


@pytest.mark.parametrize("odd", ["never", "0", "-5"])
def test_other_values_of_the_setting_are_refused(tmp_path: Path, odd: str):
    done = Console(tmp_path).run("status", outputs=odd)
    assert done.code == 2
    assert "outputs" in done.err
