"""The pipeline in a schema of Databricks, through the real connector, beside the same drops in DuckDB.

What stands in for the SQL warehouse runs each statement in real Spark on real Delta tables; see localstack/databricks.
"""

import gc
import json
import os
import random
import shutil
import subprocess
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.comparison import WITHOUT_URI, differences, files_of, land
from support.console import SCRIPT, Console, environment, until
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.databricks_server import Server
from support.ledger import Ledger, custom_pipeline
from support.sequences import Step, sequence
from support.served import serving

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import Busy, Conflict
from dropledger.core.operations.export import export
from dropledger.core.operations.plan import plan
from dropledger.core.operations.verify import verify
from dropledger.core.views.checks import check_matrix, check_timeline
from dropledger.core.views.feeds import show_feed
from dropledger.core.views.models import list_models, show_model
from dropledger.infra.databricks.connection import Access, Statements
from dropledger.infra.local.inbox import dropped_file

SEQUENCES = int(os.environ.get("DROPLEDGER_TEST_SEQUENCES", "1"))
KILLS = int(os.environ.get("DROPLEDGER_TEST_KILLS", "1"))
LENGTH = 4
STATEMENTS = 32  # of a drop, from the first to the last, in a process that was the last to write
STATEMENTS_OF_A_PROCESS = 57  # of one that takes a drop and ends
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"
PAGES = ("drop_ledger", "src_account", "stg_account", "history_rate", "int_rate_tier", "account_summary")
NOT_COMPARED = {"received_at", "committed_at", "published_at", "retracted_at", "measured_at", "uri", "claim_id"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("databricks")]


@pytest.fixture(scope="module")
def access(databricks: Server) -> Access:
    return access_to(databricks)


@dataclass
class Pair:
    """The same drops in DuckDB and in a schema of the stand-in."""

    local: Ledger
    remote: RemoteLedger
    schema: str
    access: Access

    def take(self, step: Step) -> None:
        assert step.take(self.remote) == step.take(self.local), step

    def drop(self, name: str, text: str) -> None:
        self.take(Step(((name, text),)))

    def assert_alike(self) -> None:
        found = differences(held(self.remote), held(self.local))
        assert {name: _apart(*both) for name, both in found.items()} == {}

    def command(self, *arguments: str) -> list[Any]:
        return [SCRIPT, *arguments, "--root", self.remote.root, "--quiet"]

    @property
    def variables(self) -> dict[str, str]:
        found = {
            "DATABRICKS_HOST": self.access.host,
            "DATABRICKS_HTTP_PATH": self.access.http_path,
            "DATABRICKS_TOKEN": self.access.token,
            "DATABRICKS_CATALOG": self.access.catalog,
            "DATABRICKS_SCHEMA": self.schema,
        }
        cache = self.remote.root.parent / "cache"
        return {**environment(warehouse="databricks", cache=cache), "PYTHONWARNINGS": "ignore", **found}


@pytest.fixture(scope="module")
def make_pair(access: Access, lending: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Pair]:
    def make() -> Pair:
        folder, schema = tmp_path_factory.mktemp("pair"), new_schema()
        remote = RemoteLedger(folder / "remote" / "root", lending, access, schema)
        local = Ledger(folder / "local", lending)
        local.clock.moment = remote.clock.moment = datetime.now(UTC)  # as processes of their own have it
        return Pair(local, remote, schema, access)

    return make


@pytest.fixture(scope="module")
def pair(make_pair: Callable[[], Pair]) -> Pair:
    """One for all tests that may follow one another; making a schema takes most of a minute."""
    return make_pair()


def held(ledger: Ledger) -> dict[str, Any]:
    """All tables and files of a ledger, without what tells where and when it ran."""
    with ledger.runtime.warehouse.session(read_only=True) as session:
        tables = {
            name: sorted(
                json.dumps({key: str(row[key]) for key in sorted(row) if key not in NOT_COMPARED})
                for row in session.query(f"SELECT * FROM {name}")
            )
            for name in WITHOUT_URI
        }
    files = files_of(ledger.root)
    return {
        **tables,
        **{name: _comparable(ledger.root / name, files[name]) for name in files if "warehouse/" not in name},
    }


def _apart(remote: Any, local: Any) -> Any:
    """Of two lists of rows, those that are in one alone."""
    if not isinstance(remote, list) or not isinstance(local, list):
        return remote, local
    return [row for row in remote if row not in local], [row for row in local if row not in remote]


def _comparable(path: Path, content: Any) -> Any:
    """What must be alike of a file: all of it, but for engines' names, and how Parquet is packed."""
    if path.suffix == ".parquet":
        found = duckdb.sql(f"FROM '{path}'")
        return [*zip(found.columns, map(str, found.types), strict=True), *found.fetchall()]
    if not isinstance(content, dict):
        return content
    for entry in content.get("artifacts", ()):
        if entry["name"].endswith(".parquet"):
            del entry["sha256"], entry["size_bytes"]
    return {key: value for key, value in content.items() if key != "environment"}


def test_drops_and_what_is_done_with_them_give_the_same(pair: Pair, tmp_path: Path):
    """All but a replay, which a migration and verify are on their way."""
    rates = "MinBalance,Rate,LoanBonus,Method\n"
    pair.take(
        Step(
            (
                ("customers_2025-12-01.csv", CUSTOMERS),
                ("accounts_2025-12-02.csv", f"{ACCOUNTS}11,1,100.00,Savings\n12,2,20000.00,Savings\n13,2,-1,Savings\n"),
                ("rates_2025-12-02.csv", f"{rates}5,0.01,0,whole_balance\n"),  # a check refuses it
                ("rates_2025-12-03.csv", f"{rates}0,0.01,0.005,marginal\n"),
            )
        )
    )
    pair.take(Step((("accounts-late-2025-12-01.csv", f"{ACCOUNTS}11,1,70.00,Savings\n12,1,x,Savings\n"),)))
    pair.take(Step(nth=1))
    pair.assert_alike()
    planned, exported = [], []
    for ledger in (pair.local, pair.remote):
        file = tmp_path / "accounts_2025-12-04.csv"
        file.write_text(f"{ACCOUNTS}11,1,300.00,Savings\n14,1,x,Savings\n15,1,5.00,Savings\n", encoding="utf-8")
        planned.append(plan(ledger.runtime, dropped_file(file)))
        folder = tmp_path / str(len(exported))
        folder.mkdir()
        then = export(ledger.runtime, folder, datetime(2025, 12, 1, 12, tzinfo=UTC))
        exported.append({name: _comparable(path, path.read_bytes()) for name, path in then.items()})
    pair.assert_alike()
    assert planned[0].effects == planned[1].effects
    assert exported[0] == exported[1]


def shown(ledger: Ledger) -> Any:
    """What pages show of tables, feeds and checks, but for what tells when and on which engine it ran."""
    pipeline = ledger.runtime.pipeline
    with ledger.runtime.reading() as session:
        document = {
            "models": list_models(session, pipeline),
            "each": [show_model(session, pipeline, name) for name in PAGES],
            "feeds": [show_feed(session, pipeline, feed, ledger.clock, 3) for feed in pipeline.feed_order],
            "matrix": check_matrix(session, pipeline, 4),
            "timeline": check_timeline(session, "stg_account", "balance >= 0", 9),
        }
    return json.loads(
        json.dumps(document, default=str),
        object_hook=lambda entries: {k: v for k, v in entries.items() if k not in {*NOT_COMPARED, "type"}},
    )


def test_pages_of_tables_feeds_and_checks_show_the_same(pair: Pair):
    pair.drop("customers_2025-12-06.csv", CUSTOMERS)
    pair.drop("accounts_2025-12-06.csv", f"{ACCOUNTS}11,1,101.00,Savings\n12,2,-1,Savings\n")
    remote, local = shown(pair.remote), shown(pair.local)
    assert remote == local
    assert local["timeline"]
    assert [model["rows"] for model in local["each"]].count(None) == 0


def test_change_of_words_leaves_marts_as_they_are(make_pair: Callable[[], Pair], tmp_path: Path):
    ledger = make_pair().remote
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2026-01-02.csv", f"{ACCOUNTS}11,1,100.00,Savings\n")
    before = marts_of(ledger)
    edited = custom_pipeline(tmp_path / "edited", {"account.yaml": {"description": "Each account."}})
    ledger.runtime = replace(ledger.runtime, pipeline=edited)
    with ledger.runtime.session() as session:
        assert session.count("contract_text") == 4
    assert marts_of(ledger) == before


def marts_of(ledger: Ledger) -> Any:
    """The versions of the marts' tables, and whether artifacts stand for them."""
    with ledger.runtime.warehouse.session(read_only=True) as session:
        state = session.query("SELECT artifacts_current FROM pipeline_state")
        return state, [session.query(f"DESCRIBE HISTORY {name}") for name in ("account_summary", "customer_profile")]


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_random_drops_give_the_same_tables_and_artifacts(pair: Pair, make_pair: Callable[[], Pair], seed: int):
    both = make_pair() if seed else pair
    for step in sequence(seed, LENGTH if seed else 1):
        both.take(step)
        both.assert_alike()
    assert verify(both.remote.runtime, lambda *_: None).differences == ()


def test_ledger_of_duckdb_is_moved_and_goes_on(make_pair: Callable[[], Pair], databricks: Server):
    """Moving it is killed at first, while what was rebuilt is put in place."""
    pair = make_pair()
    accounts = f"{ACCOUNTS}11,1,100.00,Savings\n12,2,x,Savings\n13,1,=1,Savings\n14,2,3.00,Savings\n15,2,4.00,Savings\n"
    for name, text in (
        ("customers_2026-01-01.csv", CUSTOMERS),
        ("accounts_2026-01-02.csv", accounts),
        ("accounts_2026-01-02 again.csv", accounts),
        ("accounts_2026-01-03.csv", "Nothing\nof this\n"),
        ("accounts_2026-01-04.csv", f"{ACCOUNTS}11,1,8.00,Savings\n"),
    ):
        pair.local.drop(name, text)
    Step(nth=2).take(pair.local)
    shutil.copytree(pair.local.root, pair.remote.root, dirs_exist_ok=True)
    command = [SCRIPT, "migrate", "--to", "databricks", "--root", pair.remote.root, "--json"]
    variables = {**pair.variables, "DROPLEDGER_WAREHOUSE": str(pair.local.database)}
    databricks.fault("slow", match="^CREATE OR REPLACE TABLE .rejected_row. AS", seconds=3)
    killed = subprocess.Popen(command, env=variables)
    until(lambda: databricks.ask("GET", "/_faults") == {"waiting": 0} or killed.poll() is not None, 600)
    assert killed.poll() is None
    killed.kill()
    killed.wait()
    moved = subprocess.run(command, env=variables, check=False, stdout=subprocess.PIPE)
    assert (moved.returncode, json.loads(moved.stdout)["differences"]) == (0, [])
    pair.assert_alike()
    with pair.remote.runtime.warehouse.session(read_only=True) as session:
        kept = "SELECT drop_id, sequence, received_at FROM drop_ledger ORDER BY sequence"
        assert [tuple(row.values()) for row in session.query(kept)] == pair.local.rows(kept)
    pair.drop("accounts_2026-01-05.csv", f"{ACCOUNTS}11,1,9.00,Savings\n")
    pair.assert_alike()


def test_killed_between_statements_and_started_again(pair: Pair, databricks: Server):
    """The statement that the killed process has sent goes on as in a warehouse, or begins when all is done."""
    places = range(8, STATEMENTS_OF_A_PROCESS)
    for number, place in enumerate(sorted(random.sample(places, min(KILLS, len(places))))):
        name, text = (
            f"accounts_2026-03-{2 + number // 24:02}T{number % 24:02}0000Z.csv",
            f"{ACCOUNTS}11,1,{number}.50,Savings\n",
        )
        land(pair.remote.root, name, text)
        databricks.ask("DELETE", "/_statements")
        databricks.fault("slow", nth=place, seconds=600 if number % 2 else 3)
        process = subprocess.Popen(pair.command("watch", "--once"), env=pair.variables)
        until(lambda: databricks.ask("GET", "/_statements")["count"] >= place - 1 or process.poll() is not None, 300)  # noqa: B023
        time.sleep(0.3)
        process.kill()
        process.wait()
        begins_late = number % 2 and databricks.ask("GET", "/_faults") == {"waiting": 0}
        if not begins_late:
            databricks.ask("DELETE", "/_faults")
        assert subprocess.run(pair.command("watch", "--once"), env=pair.variables, check=False).returncode == 0
        if begins_late:
            ran = databricks.ask("GET", "/_statements")["count"]
            databricks.ask("DELETE", "/_faults")
            until(lambda: databricks.ask("GET", "/_statements")["count"] > ran, 60)  # noqa: B023
        pair.local.drop(name, text)
        print(f"killed at statement {place}, {'which began late' if begins_late else 'which went on'}")
        pair.assert_alike()


def test_commands_that_look_answer_the_same(pair: Pair):
    [[refused]] = pair.local.rows("SELECT min(drop_id) FROM rejected_row")
    for words, code in (
        ("status", 0),
        ("drops", 0),
        (f"rejects {refused}", 0),
        ("history account 11", 0),
        ("explain 11", 0),
        ("explain 11 --as-of 2025-12-02", 0),
        ("explain 9999", 2),
    ):
        answers = []
        for ledger, variables in ((pair.remote, pair.variables), (pair.local, environment())):
            command = [SCRIPT, *words.split(), "--root", ledger.root, "--json"]
            found = subprocess.run(command, env=variables, check=False, capture_output=True, text=True)
            answers.append((found.returncode, found.stderr, _alike(json.loads(found.stdout or "null"))))
        assert answers[0] == answers[1]
        assert answers[0][0] == code, words


def _alike(value: Any) -> Any:
    """An answer without what tells where and when it was given."""
    if isinstance(value, dict):
        return {key: _alike(value[key]) for key in value if key not in {*NOT_COMPARED, "root", "warehouse"}}
    return [_alike(each) for each in value] if isinstance(value, list) else value


def test_statements_of_a_drop_do_not_grow_with_its_rows(pair: Pair, databricks: Server):
    # After another process has written, what the first drop of each feed finds is looked at anew.
    pair.drop("customers_2026-03-18.csv", f"{CUSTOMERS}3,Cy,No\n")
    pair.drop("accounts_2026-03-19.csv", f"{ACCOUNTS}99,1,1.25,Savings\n")
    counts = []
    for name, text in (
        (
            "accounts_2026-03-20.csv",
            ACCOUNTS + "".join(f"{number},1,{number}.25,Savings\n" for number in range(100, 6000)),
        ),
        ("accounts_2026-03-21.csv", f"{ACCOUNTS}6000,1,5.00,Savings\n"),
        ("customers_2026-03-22.csv", f"{CUSTOMERS}3,Cy,Yes\n"),
    ):
        databricks.ask("DELETE", "/_statements")
        pair.drop(name, text)
        counts.append(databricks.ask("GET", "/_statements")["count"])
    pair.assert_alike()
    assert counts == [STATEMENTS] * 3


def test_faults_in_the_middle_are_survived(pair: Pair, databricks: Server):
    databricks.fault("conflict", match="INSERT INTO .history_account")
    databricks.fault("unavailable", match="INSERT INTO .drop_ledger")
    databricks.fault("lost_session", match="MERGE INTO .account_summary")
    pair.drop("accounts_2026-04-01.csv", f"{ACCOUNTS}11,1,41.25,Savings\n")
    assert databricks.ask("GET", "/_faults") == {"waiting": 0}
    pair.assert_alike()


def test_lost_session_leaves_no_connection_open(access: Access, databricks: Server, tmp_path: Path):
    statements = Statements(access, tmp_path)
    databricks.fault("lost_session", match="SELECT 'lost'")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(Conflict):
            statements.rows("SELECT 'lost'")
        gc.collect()
    assert [warning for warning in told if issubclass(warning.category, ResourceWarning)] == []
    assert statements.rows("SELECT 'again' AS word") == [{"word": "again"}]
    statements.close()


def test_a_word_is_said_once_of_statements_that_meet_others(access: Access, databricks: Server, tmp_path: Path):
    told: list[tuple[Busy, float]] = []
    statements = Statements(access, tmp_path, lambda *given: told.append(given))
    databricks.fault("conflict", match="SELECT 'met'", times=1)
    assert statements.rows("SELECT 'met' AS word") == [{"word": "met"}]
    assert told == []
    databricks.fault("conflict", match="SELECT 'met'", times=3)
    assert statements.rows("SELECT 'met' AS word") == [{"word": "met"}]
    assert [str(busy) for busy, _ in told] == ["other statements write to the same tables of the warehouse"]
    statements.close()


def test_two_writers_lose_nothing(pair: Pair):
    """A process on a copy of the root writes to the schema at the same time: another feed."""
    other = Path(shutil.copytree(pair.remote.root, pair.remote.root.parent / "other"))
    land(pair.remote.root, "accounts_2026-05-01.csv", f"{ACCOUNTS}21,22,5.00,Savings\n")
    land(other, "customers_2026-05-01.csv", "CustomerID,Name,HasLoan\n22,Eve,No\n")
    variables = {**pair.variables, "DROPLEDGER_WAIT_SECONDS": "600"}
    commands = [[SCRIPT, "watch", "--once", "--root", root, "--quiet"] for root in (pair.remote.root, other)]
    writers = [subprocess.Popen(command, env=variables) for command in commands]
    assert [writer.wait(900) for writer in writers] == [0, 0]
    with pair.remote.runtime.warehouse.session(read_only=True) as session:
        interest = session.query("SELECT account_id FROM account_summary WHERE customer_id = 22")
        complete = session.query("SELECT count(*) AS row_count FROM complete_drop WHERE name LIKE '%2026-05-01.csv'")
    assert [row["account_id"] for row in interest] == [21]
    assert complete[0]["row_count"] == 2


def test_console_shows_what_lies_in_the_schema(pair: Pair):
    # Later than all that other tests have dropped, whose archived files may be gone.
    pair.drop("customers_2026-11-20.csv", "CustomerID,Name,HasLoan\n71,Zoe Zeta,No\n")
    pair.drop("accounts_2026-11-20.csv", ACCOUNTS + "710,71,500.00,Savings\n711,71,-1.00,Savings\n")
    folder = pair.remote.root.parent
    console = Console(folder, {**pair.variables, "DROPLEDGER_ROOT": str(pair.remote.root)})
    with serving(console, wait_seconds=60) as served:
        drop_id = served.get("/index.json").json["recent"][0]["drop_id"]
        assert [row["raw"] for row in served.get(f"/drops/{drop_id}.json").json["rejects"]] == ["711,71,-1.00,Savings"]
        assert served.get("/explain/account_summary/710.json").json["agrees"] is True
        assert served.get("/search.json?q=zeta").json["keys"][0]["key"] == "71"
        for path in ("/checks", "/models/account_summary", "/metrics"):
            assert served.get(path).status == 200, path
