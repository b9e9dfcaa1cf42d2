"""Metrics: of a real watch, scraped by plain HTTP and by Prometheus, and in the files of commands that end."""

import json
import re
import signal
import socket
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from support.console import ACCOUNTS, CUSTOMERS, LATER, Console, Watching, drop_ids, root_held, until
from support.engines import PROJECT
from support.ledger import custom_pipeline
from support.metrics import kinds, samples

pytestmark = pytest.mark.slow

DOCS = PROJECT / "docs" / "metrics"

NAMES = {
    "dropledger_drops": "counter",
    "dropledger_rows": "counter",
    "dropledger_versions": "counter",
    "dropledger_checks_failed": "counter",
    "dropledger_drop_seconds": "histogram",
    "dropledger_publish_seconds": "histogram",
    "dropledger_feed_as_of_timestamp_seconds": "gauge",
    "dropledger_feed_received_timestamp_seconds": "gauge",
    "dropledger_feed_late": "gauge",
    "dropledger_files": "gauge",
    "dropledger_history_versions": "gauge",
    "dropledger_history_keys": "gauge",
    "dropledger_warehouse_bytes": "gauge",
    "dropledger_busy_seconds": "counter",
    "dropledger_build_info": "gauge",
}


@pytest.fixture
def console(tmp_path: Path) -> Console:
    console = Console(tmp_path)
    (console.root / "inbox").mkdir(parents=True)
    return console


def url_of(watching: Watching) -> str:
    watching.logged("serving_metrics")
    return str(next(line["url"] for line in watching.lines if line["event"] == "serving_metrics"))


def scraped(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return str(answer.read().decode())


def land(console: Console, name: str, text: str) -> None:
    console.file(f"{name}.elsewhere", text).rename(console.root / "inbox" / name)


def test_watch_serves_what_it_took_and_how_long_that_was(console: Console):
    with console.watch("--metrics-port", "0") as watching:
        url = url_of(watching)
        assert url.startswith("http://127.0.0.1:")
        before = samples(scraped(url))
        assert before["dropledger_files", "inbox"] == 0
        assert before["dropledger_drops_total", "account", "quarantined"] == 0
        land(console, "customers_2025-10-31.csv", CUSTOMERS)
        watching.line("customers_2025-10-31.csv")
        land(console, "accounts_2025-10-31.csv", LATER)
        watching.line("accounts_2025-10-31.csv")
        text = scraped(url)
        after = samples(text)
        assert after["dropledger_drops_total", "account", "accepted"] == 1
        assert after["dropledger_rows_total", "account", "rejected"] == 1
        assert after["dropledger_drop_seconds_count", "account"] == 1
        assert 0 < after["dropledger_drop_seconds_sum", "account"] < 15
        assert after["dropledger_publish_seconds_count",] == 2
        assert after["dropledger_busy_seconds_total",] == 0
        assert kinds(text) == NAMES
        assert ".csv" not in text
        assert watching.stop(signal.SIGTERM) == 0
    assert not any(drop_id in text for drop_id in drop_ids(console).values())


def test_scrape_in_the_midst_of_what_others_hold_tells_of_the_last_look(console: Console):
    with console.watch("--metrics-port", "0", wait_seconds=1) as watching:
        url = url_of(watching)
        land(console, "customers_2025-10-31.csv", CUSTOMERS)
        watching.line("customers_2025-10-31.csv")
        assert samples(scraped(url))["dropledger_history_keys", "customer"] == 2
        with root_held(console):
            land(console, "customers_2025-11-30.csv", CUSTOMERS.replace("Jonas", "Joonas"))
            watching.logged("busy")
            held = samples(scraped(url))
            assert held["dropledger_history_keys", "customer"] == 2
        watching.line("customers_2025-11-30.csv", 40)
        assert samples(scraped(url))["dropledger_busy_seconds_total",] > 0.5
        assert watching.stop(signal.SIGTERM) == 0


def test_client_that_goes_away_keeps_nobody_and_leaves_the_log_as_it_is(console: Console):
    with console.watch("--metrics-port", "0") as watching:
        url = url_of(watching)
        host, _, port = url.split("/")[2].partition(":")
        silent = socket.create_connection((host, int(port)))
        for sent in (b"", b"GET /metrics HTTP/1.1\r\nHost", b"\0\xff" * 5000):
            with socket.create_connection((host, int(port))) as client:
                client.sendall(sent)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it resets at its end
        land(console, "customers_2025-10-31.csv", CUSTOMERS)
        watching.line("customers_2025-10-31.csv")
        assert samples(scraped(url))["dropledger_drops_total", "customer", "accepted"] == 1
        silent.close()
        assert watching.stop(signal.SIGTERM) == 0
        assert watching.lines[-1]["event"] == "stopped"


def test_counters_never_fall_when_what_was_refused_is_accepted(console: Console):
    """A counter that falls is taken for one that began anew, and all that it has is counted again."""
    target, file = console.folder / "drops.prom", console.file("accounts_2025-10-31.csv", LATER)
    strict, lenient = (
        str(custom_pipeline(console.folder / name / "lending", {"account.yaml": {"max_rejected": share}}).folder)
        for name, share in {"strict": 0, "lenient": 1}.items()
    )
    told = []
    for pipeline in (strict, lenient):
        assert console.run("process", file, "--metrics-file", target, pipeline=pipeline).code == 3
        told.append(samples(target.read_text()))
    refused, accepted = told
    assert refused["dropledger_rows_total", "account", "rejected"] == 3
    assert accepted["dropledger_rows_total", "account", "rejected"] == 4
    assert accepted["dropledger_rows_total", "account", "accepted"] == 2
    assert accepted["dropledger_drops_total", "account", "quarantined"] == 1


def test_file_of_metrics_is_whole_and_others_may_read_it_who_may_read_its_folder(console: Console):
    folder = console.folder / "collector"
    folder.mkdir()
    folder.chmod(0o755)
    target = folder / "dropledger.prom"
    target.write_text("of before")
    done = console.run(
        "process", console.file("customers_2025-10-31.csv", CUSTOMERS), "--metrics-file", target, "--json"
    )
    assert (done.code, done.err) == (0, "")
    assert samples(target.read_text())["dropledger_drops_total", "customer", "accepted"] == 1
    assert kinds(target.read_text()) == NAMES
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in folder.iterdir()] == [target.name]
    land(console, "accounts_2025-10-31.csv", ACCOUNTS)
    assert console.run("watch", "--once", "--metrics-file", target).code == 0
    assert samples(target.read_text())["dropledger_drops_total", "account", "accepted"] == 1


def test_file_that_metrics_cannot_go_to_is_refused_before_anything_is_done(console: Console):
    file = console.file("customers_2025-10-31.csv", CUSTOMERS)
    for target in (console.folder / "nowhere" / "x.prom", console.root / "outputs" / "x.prom"):
        assert console.run("process", file, "--metrics-file", target).code == 2, target
    assert console.run("watch", "--metrics-file", "x.prom").code == 2
    assert console.run("watch", "--once", "--metrics-port", "0").code == 2
    assert not (console.root / "warehouse" / "ledger.duckdb").exists()


def test_drop_stands_where_its_metrics_cannot_be_written(console: Console):
    file, target = console.file("customers_2025-10-31.csv", CUSTOMERS), console.folder / ("x" * 300)
    done = console.run("process", file, "--metrics-file", target, "--json")
    assert (done.code, done.json["outcomes"][0]["outcome"]) == (0, "accepted")
    assert done.err == f"Warning: metrics were not written to {target}: File name too long\n"


def test_nothing_is_imported_unless_it_is_asked_for(console: Console):
    file = console.file("customers_2025-10-31.csv", CUSTOMERS)
    program = (
        "import sys; sys.argv = ['dropledger', 'process', sys.argv[1]]\n"
        "from dropledger.handlers.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code\n"
        "print([name for name in sys.modules if name.startswith(('prometheus_client', 'wsgiref', 'http.server'))])"
    )
    command = [sys.executable, "-c", program, str(file)]
    done = subprocess.run(command, cwd=console.folder, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Prometheus itself, which scrapes the target each second and has our rules; its address."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(DOCS / "alerts.yaml")],
        "scrape_configs": [{"job_name": "dropledger", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/tsdb"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def asked(address: str, expression: str) -> list[dict[str, Any]]:
    """What Prometheus answers to an expression, nothing while it does not answer."""
    try:
        with urllib.request.urlopen(f"{address}/api/v1/query?{urlencode({'query': expression})}", timeout=20) as answer:
            return list(json.load(answer)["data"]["result"])
    except OSError:
        return []


def expressions() -> list[str]:
    """Those of the dashboard, as Grafana asks for all feeds, over the seconds of a test."""
    board = json.loads((DOCS / "dashboard.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(found) > 10
    filled = (text.replace("$job", "dropledger").replace("$feed", ".*") for text in found)
    return [re.sub(r"\[\d+[mh]\]", "[1m]", text) for text in filled]


@pytest.mark.prometheus
def test_prometheus_scrapes_a_watch_and_the_dashboard_shows_it(console: Console):
    with console.watch("--metrics-port", "0") as watching:
        url = url_of(watching)
        with prometheus(console.folder, url.split("/")[2]) as address:
            until(lambda: asked(address, 'dropledger_drops_total{feed="account"} == 0'), 30)
            for name, text in {"customers_2025-10-31.csv": CUSTOMERS, "accounts_2025-10-31.csv": LATER}.items():
                land(console, name, text)
                watching.line(name)
            land(console, "accounts_2025-11-30.csv", "AccountID\n1\n")
            watching.line("accounts_2025-11-30.csv")
            firing = 'ALERTS{alertname="DropledgerFileRefused",alertstate="firing"}'
            [alert] = until(lambda: asked(address, firing), 30)
            assert alert["metric"]["feed"] == "account"
            for expression in expressions():
                assert until(lambda asking=expression: asked(address, asking), 20), expression
        assert watching.stop(signal.SIGTERM) == 0
