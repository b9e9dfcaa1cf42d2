"""The console as programs ask it: pages and their JSON, and what it says while the root is at work."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from support.console import ACCOUNTS, CUSTOMERS, LATER, Console, entries_of, root_held, warehouse_held
from support.ledger import custom_pipeline, without_marts
from support.parcels import FILES
from support.served import Served, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Console:
    console = Console(tmp_path_factory.mktemp("console"))
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    console.run("process", console.file("accounts_2025-10-31.csv", ACCOUNTS))
    console.run("process", console.file("accounts_2025-11-30.csv", LATER))
    return console


@pytest.fixture(scope="module")
def served(folder: Console) -> Iterator[Served]:
    with serving(folder) as served:
        yield served


def test_pages_have_what_commands_have(folder: Console, served: Served):
    drops = entries_of(folder, "drops")["drops"]
    assert served.get("/drops.json").json["drops"] == drops
    newest = drops[0]["drop_id"]
    shown = served.get(f"/drops/{newest}.json").json
    assert {**shown, **entries_of(folder, "show", newest)} == shown
    assert shown["rejects"] == entries_of(folder, "rejects", newest)["rejects"]
    of_key = without_last_seen(folder, "history", "account", "1001")
    assert served.get("/history/account/1001.json").json == {**of_key, "left_out": 0}
    assert served.get("/explain/account_summary/1001.json").json == without_last_seen(folder, "explain", "1001")
    at = "2025-10-31"
    asked = served.get(f"/explain/account_summary/1001.json?as_of={at}").json
    assert asked == without_last_seen(folder, "explain", "1001", "--as-of", at)
    of_column = entries_of(folder, "lineage", "account_summary.annual_interest")
    assert of_column.pop("pipeline") == "lending"
    assert served.get("/lineage/account_summary/annual_interest.json").json == of_column
    home, status = served.get("/index.json").json, entries_of(folder, "status")
    assert {**home, **status} == home


def without_last_seen(folder: Console, *command: str) -> dict[str, object]:
    """What a command says but for what it reads files for, as pages read none."""
    return {name: value for name, value in entries_of(folder, *command).items() if name != "last_seen"}


def test_every_page_is_html_and_json(served: Served):
    newest = served.get("/drops.json").json["drops"][0]["drop_id"]
    paths = (
        f"/drops /drops/{newest} /history/account/1001 /explain/account_summary/1001 /search /models "
        "/models/account_summary /models/history_account /models/drop_ledger /checks /checks/stg_account/volume "
        "/feeds/account /feeds/rate /plan /lineage /lineage/account_summary /lineage/account_summary/annual_interest "
        "/lineage/outputs%2Faccount_summary.csv /lineage/feed%3Aaccount"
    )
    for path in paths.split():
        page, document = served.get(path), served.get(f"{path}.json")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
        assert (document.status, document.headers["content-type"]) == (200, "application/json"), path
        assert served.get(path, Accept="application/json").json == document.json


def test_home_tells_what_waits_for_its_control_file(tmp_path: Path):
    wants = {"account.yaml": {"control_file": {"suffix": ".ctl", "rows": 1}}}
    pipeline = str(custom_pipeline(tmp_path / "lending", wants).folder)
    console = Console(tmp_path, {"DROPLEDGER_PIPELINE": pipeline})
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    (console.root / "inbox" / "accounts_2025-10-31.csv").write_text(ACCOUNTS)
    (console.root / "inbox" / "accounts_2025-11-30.csv.ctl").write_text("1")
    with serving(console) as served:
        text = served.get("/").text
    assert "accounts_2025-10-31.csv waits for its control file <code>accounts_2025-10-31.csv.ctl</code>" in text
    assert "The control file accounts_2025-11-30.csv.ctl waits for its data file" in text


def test_drop_shows_what_it_changed_and_refused(served: Served):
    newest = served.get("/drops.json").json["drops"][0]["drop_id"]
    changes = served.get(f"/drops/{newest}.json").json["changes"]
    row = dict(zip(changes["columns"], changes["rows"][0], strict=True))
    assert (row["account_id"], row["original_balance_before"], row["original_balance_after"]) == (
        "1001",
        "9999.99",
        "12500.00",
    )
    page = served.get(f"/drops/{newest}").text
    for text in ("12500.00", "must be at least 0", "1003,2,-5,Savings", "/explain/account_summary/1001"):
        assert text in page


def test_drops_are_filtered_and_paged(tmp_path: Path):
    console = Console(tmp_path)
    names = [f"customers_2025-10-{day:02}.csv" for day in range(1, 32)]
    for place, name in enumerate(names):
        console.file(name, f"{CUSTOMERS}{place + 10},Nobody {place},No\n")
    inbox = console.root / "inbox"
    inbox.mkdir(parents=True)
    for copy in range(4):
        for name in names:
            text = (console.folder / name).read_text()
            (inbox / name.replace(".csv", f"_{copy}.csv")).write_text(f"{text}{900 + copy},Copy,No\n")
    assert console.run("watch", "--once").code == 0
    with serving(console) as served:
        first = served.get("/drops.json").json
        second = served.get(f"/drops.json?before={first['before']}").json
        found = [drop["drop_id"] for page in (first, second) for drop in page["drops"]]
        assert (len(first["drops"]), len(second["drops"]), second["before"]) == (100, 24, None)
        assert len(set(found)) == 124
        assert "Older" in served.get("/drops").text
        named = served.get("/drops.json?name=10-07&feed=customer&status=published").json["drops"]
        assert len(named) == 4
        assert served.get("/drops.json?status=quarantined").json["drops"] == []
        day = named[0]["received_at"][:10]
        assert len(served.get(f"/drops.json?name=10-07&since={day}&until={day}").json["drops"]) == 4
        assert served.get("/drops.json?until=2001-01-01").json["drops"] == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/drops/ffff", "no drop"),
        ("/history/account/55", "the nearest"),
        ("/history/nothing/1", "no feed"),
        ("/explain/account_summary/55", "no account 55"),
        ("/explain/nothing/1", "no mart"),
        ("/models/account_sumary", "did you mean account_summary"),
        ("/checks/stg_account/nothing", "no drop ran"),
        ("/feeds/nothing", "no feed"),
        ("/lineage/account_sumary", "did you mean account_summary"),
        ("/lineage/account_summary/intrest", "no column"),
        ("/drops?since=yesterday", "not a valid date"),
        ("/drops?status=lost", "no outcome"),
        ("/drops?before=x", "not a number"),
        ("/nowhere", "no such page"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_try(served: Served, path: str, says: str):
    page = served.get(path)
    assert page.status == 404
    assert says in page.text
    path, _, query = path.partition("?")
    error = served.get(f"{path}.json?{query}").json["error"]
    assert says in error["what"] + error["try"] + error["why"]
    assert error["try"]


def test_search_finds_drops_keys_and_names(served: Served):
    newest = served.get("/drops.json").json["drops"][0]["drop_id"]
    assert [drop["drop_id"] for drop in served.get(f"/search.json?q={newest[:10].upper()}").json["drops"]] == [newest]
    assert len(served.get("/search.json?q=ACCOUNTS_2025").json["drops"]) == 2
    assert served.get("/search.json?q=1001").json["keys"] == [
        {"feed": "account", "key": "1001", "column": None, "text": None}
    ]
    [name] = served.get("/search.json?q=okafor").json["keys"]
    assert (name["feed"], name["key"], name["text"]) == ("customer", "1", "Amara Okafor")
    assert served.get("/search.json?q=savings").json["keys"] == []  # one of two words that all rows have
    assert served.get("/search.json?q=").json == {"q": "", "drops": [], "keys": [], "models": []}
    columns = served.get("/search.json?q=annual_interest").json["models"]
    assert {"name": "account_summary", "column": "annual_interest"} in columns


def test_openapi_describes_every_page(served: Served):
    document = served.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    newest = served.get("/drops.json").json["drops"][0]["drop_id"]
    values = {
        "drop_id": newest,
        "feed": "account",
        "key": "1001",
        "mart": "account_summary",
        "name": "account_summary",
        "model": "stg_account",
        "table": "account_summary",
        "column": "annual_interest",
    }
    for path, operations in document["paths"].items():
        for parameter in operations["get"]["parameters"]:
            assert (f"{{{parameter['name']}}}" in path) == (parameter["in"] == "path")
        address = path.format_map({**values, **({"name": "volume"} if "checks" in path else {})})
        assert served.get(address).status == 200, address


def test_totals_of_marts_are_those_of_their_rows(folder: Console, served: Served):
    exact = folder.run("sql", "SELECT sum(annual_interest) AS total FROM account_summary", "--json").json["rows"][0]
    home = served.get("/index.json").json
    assert home["totals"] == {"account_summary": exact["total"]}
    assert list(home["totals_over_time"]) == ["account_summary"]
    points = home["totals_over_time"]["account_summary"]
    assert points[-1]["total"] == exact["total"]
    assert sum(Decimal(point["change"]) for point in points) == Decimal(exact["total"])
    accepted = [drop["drop_id"] for drop in home["recent"] if drop["status"] == "published"]
    assert [point["drop_id"] for point in points] == accepted[::-1]


def test_overview_draws_the_totals_of_a_mart_that_has_rows(served: Served):
    home = served.get("/")
    points = served.get("/index.json").json["totals_over_time"]["account_summary"]
    with_rows = [point for point in points if point["row_count"]]
    [picture] = re.findall(r'<svg class="linechart".*?</svg>', home.text, re.DOTALL)
    assert picture.count("<title>") == len(with_rows) < len(points)
    assert f"{Decimal(with_rows[-1]['total']):,} (" in picture
    assert f'by drop <a class="id" href="/drops/{points[-1]["drop_id"]}">' in home.text


def test_metrics_tell_what_the_ledger_has(folder: Console, served: Served):
    from prometheus_client.parser import text_string_to_metric_families

    text = served.get("/metrics").text
    found = {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels, reverse=True))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    status = entries_of(folder, "status")
    assert found["dropledger_drops_total", "accepted", "account"] == status["feeds"]["account"]["drops"]
    assert found["dropledger_rows_total", "account", "rejected"] >= 1
    assert found["dropledger_versions_total", "customer", "opened"] == 2
    assert found["dropledger_history_versions", "account"] == status["feeds"]["account"]["versions"]
    assert found["dropledger_history_keys", "account"] == 2
    assert found["dropledger_files", "quarantine"] == 0
    assert found["dropledger_feed_as_of_timestamp_seconds", "customer"] == 1761868800
    assert found["dropledger_warehouse_bytes",] == (folder.root / "warehouse/ledger.duckdb").stat().st_size
    assert ".csv" not in text


def test_pages_and_metrics_tell_a_feed_that_is_late(tmp_path: Path):
    of_as_of = {"warn_after": "1h", "error_after": "1d", "of": "as_of", "calendar": "weekdays"}
    changes = {"account.yaml": {"freshness": of_as_of}, "customer.yaml": {"freshness": {"error_after": "26h"}}}
    without_marts(tmp_path / "pipeline", changes)
    console = Console(tmp_path, {"DROPLEDGER_PIPELINE": str(tmp_path / "pipeline")})
    (console.root / "inbox").mkdir(parents=True)
    with serving(console) as served:
        assert served.get("/feeds/account.json").json["freshness"]["state"] == "waiting"
        console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
        for day in ("2025-10-03", "2025-10-06", "2025-10-31"):
            console.run("process", console.file(f"accounts_{day}.csv", ACCOUNTS.replace("9999", day[-2:])))
        home, page, text = (served.get(path).text for path in ("/", "/feeds/account", "/metrics"))
    assert '<span class="state bad">late</span>' in home
    assert 'next expected by <span class="t">2025-10-31 01:00:00' in home
    assert 'late after <span class="t">2025-11-03' in home
    assert "how old the feed had become when each of 2 drops came" in page
    assert "late after 24h 00m (weekdays)" in page
    assert 'dropledger_feed_late{feed="account"} 1.0' in text
    assert 'dropledger_feed_late{feed="customer"} 0.0' in text
    assert 'feed_late{feed="rate"}' not in text


def test_root_without_a_drop_says_how_to_begin(tmp_path: Path):
    console = Console(tmp_path)
    (console.root / "inbox").mkdir(parents=True)
    with serving(console) as served:
        page = served.get("/")
        assert page.status == 200
        assert "dropledger process FILE" in page.text
        assert served.get("/models/account_summary").status == 200
        assert served.get("/feeds/account").status == 200
        assert served.get("/drops.json").json == {"drops": [], "before": None}
        assert [served.get(path).status for path in ("/checks", "/search?q=account", "/lineage")] == [200] * 3
        assert served.get("/history/account/1").status == 404
    assert not (console.root / "warehouse").exists()


def test_other_pipeline_with_compound_text_keys(tmp_path: Path):
    console = Console(tmp_path)
    for name, text in FILES.items():
        path = tmp_path / "parcels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings = {"pipeline": tmp_path / "parcels"}
    depots = console.file("depots_2025-10-31.csv", 'country,code,manager\nES,"A/1, east","Ann ""Lee"""\n')
    assert console.run("process", depots, **settings).code == 0
    with serving(console, **settings) as served:
        [found] = served.get("/search.json?q=east").json["keys"]
        assert found["key"] == 'ES,"A/1, east"'
        page = served.get("/search?q=east").text
        address = page.partition('href="/history/depot/')[2].partition('"')[0]
        history = served.get(f"/history/depot/{address}")
        assert history.status == 200
        assert "line 2 of" in history.text
        assert f'hx-get="/history/depot/{address}"' in history.text  # as it was asked for, or it would become another
        assert served.get(f"/history/depot/{address}.json").json["versions"][0]["code"] == "A/1, east"


# While the root is at work


def test_busy_page_is_the_one_of_before_and_says_so(folder: Console, served: Served):
    asked = "/drops?name=accounts"
    before = served.get("/drops.json?name=accounts")
    with warehouse_held(folder):
        duckdb.sql("SELECT 1")
        page = served.get(asked)
        document = served.get("/drops.json?name=accounts")
        other = served.get("/history/customer/2")
    assert (page.status, document.json) == (200, before.json)
    assert (other.status, other.headers["retry-after"]) == (503, "2")
    assert "Try again" in other.text


def test_pages_are_read_while_a_plan_waits_for_the_root(folder: Console, served: Served):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        with root_held(folder):
            token = {"form_token": served.form_token()}
            planned = thread.submit(served.upload, "/plan.json", "accounts_2026-01-31.csv", LATER.encode(), token)
            assert [served.get(path).status for path in ("/history/customer/1", "/feeds/customer")] == [200, 200]
            assert served.upload("/plan", "accounts_2026-01-31.csv", LATER.encode(), token).status == 503
            assert not planned.done()
        assert planned.result().json["outcome"]["outcome"] == "accepted"


def test_page_of_a_key_is_bounded(tmp_path: Path):
    console = Console(tmp_path)
    long = "x" * 3_000_000
    console.file("customers_2025-10-31.csv", CUSTOMERS + f"3,{long},Perhaps\n")
    assert console.run("process", "customers_2025-10-31.csv").code == 3
    with serving(console) as served:
        drop_id = served.get("/drops.json").json["drops"][0]["drop_id"]
        page = served.get(f"/drops/{drop_id}")
        assert len(page.text) < 30_000
        assert "3,000,0" in page.text


def test_lost_warehouse_is_no_page_that_is_not_there(tmp_path: Path):
    console = Console(tmp_path)
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    with serving(console) as served:
        assert served.get("/").status == 200
        (console.root / "warehouse/ledger.duckdb").unlink()
        for path in ("/", "/drops", "/metrics"):
            assert served.get(path).status == 503, path
            assert "replay" in served.get(path).text


def test_open_page_gets_just_what_is_new(folder: Console, served: Served):
    page = served.get("/").text
    mark = json.loads(page.partition("hx-headers='")[2].partition("'")[0].replace("&#34;", '"'))["Console-Mark"]
    assert served.get("/", Console_Mark=mark).status == 204
    folder.run("process", folder.file("accounts_2025-12-31.csv", LATER.replace("12500", "12600")))
    again = served.get("/", Console_Mark=mark)
    assert again.status == 200
    assert "accounts_2025-12-31.csv" in again.text


def test_console_needs_a_root_and_a_free_port(tmp_path: Path, served: Served):
    console = Console(tmp_path)
    assert console.run("console", "--port", "0").code == 2
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    taken = console.run("console", "--port", str(served.port))
    assert taken.code == 2
    assert "choose another --port" in taken.err


def test_many_ask_at_once(served: Served):
    from concurrent.futures import ThreadPoolExecutor

    paths = ["/", "/drops", "/checks", "/models", "/history/account/1001", "/feeds/account"] * 5

    def ask(path: str) -> int:
        return served.get(path).status

    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(ask, paths)) == {200}
