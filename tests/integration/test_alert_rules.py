"""The alert rules of docs/metrics/alerts.yaml, run by promtool: what each fires at, and what it lets pass."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.engines import PROJECT

pytestmark = pytest.mark.prometheus

RULES = PROJECT / "docs" / "metrics" / "alerts.yaml"
OURS = 'job="dropledger",instance="a"'
RECEIVED = f'dropledger_feed_received_timestamp_seconds{{{OURS},feed="rate"}}'
LATE = f'dropledger_feed_late{{{OURS},feed="rate"}}'
SLOW = f'dropledger_drop_seconds_bucket{{{OURS},feed="rate",le="%s"}}'
DAYS = 24 * 60


def drops(outcome: str) -> str:
    return f'dropledger_drops_total{{{OURS},feed="rate",outcome="{outcome}"}}'


def rows(fate: str) -> str:
    return f'dropledger_rows_total{{{OURS},feed="rate",fate="{fate}"}}'


FIRES: list[tuple[str, dict[str, str], int]] = [
    ("DropledgerDown", {f"up{{{OURS}}}": "1 0x20"}, 10),
    ("DropledgerFileRefused", {drops("quarantined"): "0x10 1x20"}, 20),
    ("DropledgerRowsRejected", {rows("rejected"): "0x10 2x20", rows("accepted"): "0x10 98x20"}, 20),
    ("DropledgerFeedLate", {LATE: "0x10 1x20"}, 12),
    ("DropledgerFeedSilent", {RECEIVED: f"0x{3 * DAYS}"}, 2 * DAYS + 1),
    ("DropledgerFilesWait", {f'dropledger_files{{{OURS},folder="inbox"}}': "1x40"}, 35),
    ("DropledgerSlow", {SLOW % "60": "0x60", SLOW % "120": "0+1x60", SLOW % "+Inf": "0+1x60"}, 40),
    ("DropledgerBusy", {f"dropledger_busy_seconds_total{{{OURS}}}": "0+12x60"}, 40),
]
PASSES: list[tuple[str, dict[str, str], int]] = [
    ("DropledgerDown", {f"up{{{OURS}}}": "1 0 0 1x20", 'up{job="other"}': "0x20"}, 10),
    ("DropledgerFileRefused", {drops("quarantined"): "3x200", drops("accepted"): "0+1x200"}, 120),
    ("DropledgerRowsRejected", {rows("rejected"): "0x10 1x20", rows("accepted"): "0x10 199x20"}, 20),
    ("DropledgerFeedLate", {LATE: "1x10 0x20"}, 12),
    ("DropledgerFeedSilent", {RECEIVED: f"0x{3 * DAYS}"}, 2 * DAYS - 1),
    ("DropledgerFeedSilent", {RECEIVED: f"0x{3 * DAYS}", LATE: f"0x{3 * DAYS}"}, 2 * DAYS + 1),
    ("DropledgerFilesWait", {f'dropledger_files{{{OURS},folder="quarantine"}}': "1x40"}, 35),
    ("DropledgerFilesWait", {f'dropledger_files{{{OURS},folder="inbox"}}': "1x20 0 1x20"}, 35),
    ("DropledgerSlow", {SLOW % "60": "0+1x60", SLOW % "120": "0+1x60", SLOW % "+Inf": "0+1x60"}, 40),
    ("DropledgerBusy", {f"dropledger_busy_seconds_total{{{OURS}}}": "0+3x60"}, 40),
]


def state(folder: Path, alert: str, series: dict[str, str], minute: int) -> str:
    """What promtool says of an alert at a minute, where none is expected."""
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"alertname": alert, "eval_time": f"{minute}m", "exp_alerts": []}],
    }
    cases = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    file = folder / "cases.yaml"
    file.write_text(yaml.safe_dump(cases))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}
    return done.stdout + done.stderr


def test_prometheus_takes_the_rules():
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(alerts())} rules found" in done.stdout


def alerts() -> list[str]:
    return [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def name_of(given: object) -> str:
    return given if isinstance(given, str) else ""


@pytest.mark.parametrize(("alert", "series", "minute"), FIRES, ids=name_of)
def test_alert_fires(tmp_path: Path, alert: str, series: dict[str, str], minute: int):
    said = state(tmp_path, alert, series, minute)
    assert f'alertname="{alert}"' in said
    assert "FAILED" in said


@pytest.mark.parametrize(("alert", "series", "minute"), PASSES, ids=name_of)
def test_alert_lets_pass(tmp_path: Path, alert: str, series: dict[str, str], minute: int):
    assert "SUCCESS" in state(tmp_path, alert, series, minute)


def test_every_alert_has_a_case_of_each_and_a_line_in_the_page():
    page = (PROJECT / "docs" / "metrics.md").read_text()
    for alert in alerts():
        assert f"| `{alert}` |" in page
    assert {alert for alert, *_ in FIRES} == {alert for alert, *_ in PASSES} == set(alerts())
