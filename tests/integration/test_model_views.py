"""What pages about tables, feeds and checks show, of a ledger whose keys are several texts, and of none."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import process_time
from typing import Any, TypeVar

import pytest
from support.large_ledger import large_ledger
from support.ledger import Ledger, custom_pipeline
from support.one_feed import one_feed
from support.parcels import DEPOTS, PARCELS, dropped_parcels, parcels_pipeline
from support.without_sqlglot import forget_sqlglot

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.lineage import kept
from dropledger.core.lineage.relations import reads, relations, relations_read
from dropledger.core.ports.session import Session
from dropledger.core.views.checks import check_matrix, check_timeline
from dropledger.core.views.feeds import show_feed
from dropledger.core.views.models import list_models, show_model

T = TypeVar("T")


def now() -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ledger, list[str]]:
    """A ledger with a file of depots and three of parcels, and the drop_ids of these three."""
    folder = tmp_path_factory.mktemp("parcels")
    ledger = Ledger(folder / "root", parcels_pipeline(folder / "pipeline"), bare=True)
    return ledger, dropped_parcels(ledger)


@contextmanager
def looking(ledger: Ledger) -> Iterator[tuple[Session, Pipeline]]:
    with ledger.runtime.reading() as session:
        yield session, ledger.runtime.pipeline


def by_name(records: list[dict[str, Any]], entry: str = "name") -> dict[str, dict[str, Any]]:
    return {record[entry]: record for record in records}


def test_all_tables_and_views_are_listed_as_data_goes_through_them(parcels: tuple[Ledger, list[str]]):
    with looking(parcels[0]) as (session, pipeline):
        listed = list_models(session, pipeline)
        there = {row["name"] for row in session.query("SHOW TABLES")}
    assert {model["name"] for model in listed} == {name for name in there if not name.startswith("received_src_")}
    assert list(dict.fromkeys(model["layer"] for model in listed)) == [
        "ledger",
        "source",
        "staging",
        "history",
        "intermediate",
        "marts",
    ]
    models = by_name(listed)
    assert models["history_parcel"] | {"description": "", "checks": {}} == {
        "name": "history_parcel",
        "layer": "history",
        "feed": "parcel",
        "description": "",
        "reads": ["drop_ledger", "stg_parcel"],
        "read_by": ["int_parcel_there", "parcel_state"],
        "artifacts": [],
        "rows": 4,
        "checks": {},
        "state": "passed",
    }
    assert (models["depot_load"]["state"], models["depot_load"]["checks"]) == ("warn", {"passed": 3, "warn": 1})
    assert (models["depot_load"]["rows"], models["depot_load"]["artifacts"]) == (1, ["depot_load.csv"])
    assert (models["drop_ledger"]["rows"], models["mart_moment"]["reads"]) == (4, ["drop_ledger"])
    assert (models["int_parcel_there"]["rows"], models["int_parcel_there"]["state"]) == (None, "not run")


def test_without_a_ledger_the_same_is_listed_without_counts_and_results(parcels: tuple[Ledger, list[str]]):
    with looking(parcels[0]) as (session, pipeline):
        listed = list_models(session, pipeline)
    for with_session, without in zip(listed, list_models(None, pipeline), strict=True):
        assert without["rows"] is None
        assert without["state"] == "not run"
        assert without | {"rows": 0, "checks": 0, "state": 0} == with_session | {"rows": 0, "checks": 0, "state": 0}


def test_mart_shows_what_its_files_say_and_what_its_checks_found(parcels: tuple[Ledger, list[str]]):
    ledger, drop_ids = parcels
    with looking(ledger) as (session, pipeline):
        found = show_model(session, pipeline, "depot_load")
    assert found["description"] == "What lies in each depot."
    assert (found["key"], found["measure"], found["changes"]) == (["country", "code"], "weight", True)
    assert (found["file"], found["rows"], found["reads"]) == ("marts/depot_load.sql", 1, ["int_parcel_there"])
    assert found["sql"].startswith("SELECT\n    p.country,")
    assert "changed_depot" in found["touched_sql"]
    columns = by_name(found["columns"])
    assert list(columns) == ["country", "code", "parcels", "weight", "manager"]
    assert columns["weight"] == {
        "name": "weight",
        "type": "DECIMAL(38,3)",
        "description": "The sum of the weights.",
        "classification": None,
        "in_key": False,
    }
    assert [name for name in columns if columns[name]["in_key"]] == ["country", "code"]
    checks = by_name(found["checks"], "check_name")
    assert list(checks) == ["key_not_null", "no_empty_depot", "unique_key", "weight_is_carried"]
    warned = checks["weight_is_carried"]
    assert (warned["state"], warned["failing_rows"], warned["drop_id"]) == ("warn", 1, drop_ids[1])
    assert (warned["message"], warned["severity"]) == ("a depot carries more than a ton", "warn")
    received = ledger.rows("SELECT received_at FROM delivery WHERE drop_id = ?", [drop_ids[1]])
    assert [(warned["received_at"],)] == received


def test_layers_of_a_feed_show_its_contract(parcels: tuple[Ledger, list[str]]):
    with looking(parcels[0]) as (session, pipeline):
        source, staging, history = (
            show_model(session, pipeline, f"{layer}_depot") for layer in ("src", "stg", "history")
        )
        assert show_model(session, pipeline, "stg_parcel")["rows"] == session.count("stg_parcel") == 2
        assert show_model(session, pipeline, "src_parcel")["rows"] == session.count("src_parcel") == 2
    assert (history["owner"], history["key"], history["file"]) == ("logistics", ["country", "code"], "depot.yaml")
    assert (history["sql"], history["rows"]) == (None, 2)
    for shown in (source, staging, history):
        manager = by_name(shown["columns"])["manager"]
        assert (manager["classification"], manager["description"]) == ("restricted", "Who answers for it.")
    assert (source["rows"], staging["rows"]) == (2, 2)
    assert by_name(history["columns"])["valid_to"]["description"].startswith("The time until which")
    assert by_name(source["columns"])["_accepted"]["description"] == "Whether the row was accepted."


def classified(pipeline: Pipeline, name: str) -> dict[str, str]:
    columns = show_model(None, pipeline, name)["columns"]
    return {column["name"]: column["classification"] for column in columns if column["classification"]}


def test_what_is_made_of_a_restricted_column_is_restricted(tmp_path: Path):
    folder = tmp_path / "pipeline"
    parcels_pipeline(folder)
    mart, view = folder / "marts/depot_load.yaml", folder / "intermediate/int_parcel_there.yaml"
    mart.write_text(mart.read_text("utf-8").replace("parcels, weight]", "parcels, weight, manager]"))
    view.write_text("descriptions: {manager: Who answers for the depot., weight: In kilos.}\n")
    pipeline = load_pipeline(str(folder))
    for name in ("src_depot", "stg_depot", "history_depot", "int_parcel_there", "depot_load"):
        assert classified(pipeline, name) == {"manager": "restricted"}, name
    assert classified(pipeline, "parcel_state") == {}


def test_where_nobody_is_sure_all_that_may_be_restricted_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "pipeline"
    parcels_pipeline(folder)
    view = folder / "intermediate/int_parcel_there.sql"
    view.write_text(view.read_text("utf-8").replace("FROM history_parcel AS p", "FROM history_parcel AS p, nowhere"))
    unsure = ["country", "code", "weight", "manager"]  # of how many parcels there are it is sure that it is no column
    assert classified(load_pipeline(str(folder)), "depot_load") == dict.fromkeys(unsure, "restricted")
    shutil.rmtree(folder)
    pipeline = parcels_pipeline(folder)
    assert classified(pipeline, "depot_load") == {"manager": "restricted"}
    monkeypatch.setattr(kept, "_in_process", {})
    forget_sqlglot(monkeypatch)
    of_artifact = ["country", "code", "parcels", "weight"]
    assert classified(pipeline, "depot_load") == dict.fromkeys(of_artifact, "restricted")
    assert classified(pipeline, "history_depot") == {"manager": "restricted"}
    assert classified(pipeline, "parcel_state") == {}


def test_of_several_classifications_restricted_is_told_first(tmp_path: Path):
    folder = tmp_path / "pipeline"
    parcels_pipeline(folder)
    for before, now, told in (
        ("{name: state,", "{name: state, classification: internal,", "internal"),
        ("{name: number,", "{name: number, classification: personal,", "internal, personal"),
    ):
        contract = folder / "parcel.yaml"
        contract.write_text(contract.read_text("utf-8").replace(before, now))
        (folder / "marts/parcel_state.sql").write_text(
            """SELECT p.country, p.code, p.number, concat(p.state, p.number, d.code) AS state
            FROM history_parcel AS p
            CROSS JOIN history_depot AS d"""
        )
        assert classified(load_pipeline(str(folder)), "parcel_state")["state"] == told
    mart = folder / "marts/parcel_state.sql"
    mart.write_text(mart.read_text("utf-8").replace("d.code)", "d.manager)"))
    assert classified(load_pipeline(str(folder)), "parcel_state")["state"] == "restricted"


def test_view_shows_its_columns_and_rows(parcels: tuple[Ledger, list[str]]):
    with looking(parcels[0]) as (session, pipeline):
        found = show_model(session, pipeline, "INT_parcel_there")
    assert (found["name"], found["rows"], found["description"]) == (
        "int_parcel_there",
        2,
        "The parcels that lie in a depot.",
    )
    assert [column["name"] for column in found["columns"]][-2:] == ["line", "manager"]


def test_columns_of_views_and_marts_are_known_without_a_ledger(
    parcels: tuple[Ledger, list[str]], monkeypatch: pytest.MonkeyPatch
):
    pipeline = parcels[0].runtime.pipeline

    def columns(session: Session | None) -> list[list[str]]:
        shown = (show_model(session, pipeline, name) for name in ("int_parcel_there", "depot_load"))
        return [[column["name"] for column in one["columns"]] for one in shown]

    with looking(parcels[0]) as (session, _):
        assert columns(session) == columns(None)
    monkeypatch.setattr(kept, "_in_process", {})
    forget_sqlglot(monkeypatch)
    assert columns(None) == [[], ["country", "code", "parcels", "weight"]]


def test_tables_of_the_ledger_say_what_they_are(parcels: tuple[Ledger, list[str]]):
    with looking(parcels[0]) as (session, pipeline):
        for name in [name for name, one in relations(pipeline).items() if one.layer == "ledger"]:
            shown, unasked = show_model(session, pipeline, name), show_model(None, pipeline, name)
            assert shown["description"]
            assert all(column["description"] for column in shown["columns"])
            assert {column["name"] for column in shown["columns"]} == {column["name"] for column in unasked["columns"]}


def test_checks_of_a_feed_are_those_of_its_contract_and_of_its_files(parcels: tuple[Ledger, list[str]]):
    ledger, drop_ids = parcels
    with looking(ledger) as (session, pipeline):
        checks = by_name(show_model(session, pipeline, "stg_parcel")["checks"], "check_name")
        never = by_name(show_model(None, pipeline, "stg_parcel")["checks"], "check_name")
    assert {"some_weight", "begins_with_p", "accepted_values_state", "unique_key"} <= checks.keys()
    assert {check["drop_id"] for check in checks.values()} == {drop_ids[1]}
    assert {name: check["state"] for name, check in never.items()} == {"some_weight": "not run"}


def test_unknown_name_is_told_with_the_nearest(parcels: tuple[Ledger, list[str]]):
    with pytest.raises(ConfigurationError, match="no table or view 'depot_lode'") as told:
        show_model(None, parcels[0].runtime.pipeline, "depot_lode")
    assert "depot_load" in told.value.hint


def test_table_that_the_next_drop_makes_is_shown_as_its_files_say(tmp_path: Path):
    folder = tmp_path / "pipeline"
    ledger = Ledger(tmp_path / "root", parcels_pipeline(folder), bare=True)
    dropped_parcels(ledger)
    for name in ("depot_load.yaml", "depot_load.sql", "depot_load.touched.sql"):
        text = (folder / "marts" / name).read_text("utf-8").replace("depot_load", "new_load")
        (folder / "marts" / name.replace("depot_load", "new_load")).write_text(text.replace("changes: true", ""))
    shutil.copytree(folder / "checks/depot_load", folder / "checks/new_load")
    (folder / "gone.yaml").write_text((folder / "depot.yaml").read_text("utf-8").replace("depot", "gone"))
    ledger.runtime = replace(ledger.runtime, pipeline=load_pipeline(str(folder)))
    with looking(ledger) as (session, pipeline):
        listed = by_name(list_models(session, pipeline))
        assert (listed["new_load"]["rows"], listed["depot_load"]["rows"]) == (None, 1)
        for name in ("new_load", "history_gone", "stg_gone"):
            found = show_model(session, pipeline, name)
            assert found == show_model(None, pipeline, name)
        assert show_feed(session, pipeline, "gone", now)["drops"] == []


def test_lost_archive_leaves_a_page_without_types_of_the_engine(tmp_path: Path, lending: Pipeline):
    ledger = Ledger(tmp_path / "root", lending)
    ledger.drop("customers_2026-01-01.csv", "CustomerID,Name,HasLoan\n1,Ann,Yes\n")
    for path in (ledger.root / "archive").rglob("*.csv"):
        path.unlink()
    with looking(ledger) as (session, pipeline):
        found = show_model(session, pipeline, "src_customer")
    assert {column["name"]: column["type"] for column in found["columns"]}["customer_id"] == "STRING"
    assert found["rows"] == 1


def test_feed_shows_its_contract_as_values(parcels: tuple[Ledger, list[str]]):
    found = show_feed(None, parcels[0].runtime.pipeline, "parcel", now)
    assert (found["mode"], found["max_rejected"], found["key"]) == (
        "delta",
        Decimal("0.9"),
        ["country", "code", "number"],
    )
    assert found["operation"] == {"column": "operation", "upsert": ["I", "U"], "delete": ["D"]}
    columns = by_name(found["columns"])
    assert columns["weight"] == {
        "name": "weight",
        "aliases": ["Kilos"],
        "type": "decimal(9,3)",
        "default": "1.000",
        "description": "",
        "classification": None,
        "in_key": False,
        "rules": [{"rule": "range", "name": "range", "severity": "error", "message": "", "min": Decimal(0)}],
        "form": {},
    }
    assert columns["number"]["rules"][1] == {
        "rule": "pattern",
        "name": "begins_with_p",
        "severity": "error",
        "message": "",
        "pattern": "^P",
    }
    assert columns["state"]["rules"][0]["values"] == ["there", "gone"]
    assert found["checks"] == [{"name": "some_weight", "severity": "warn", "message": "all parcels weigh nothing"}]
    assert found["drops"] == []
    with pytest.raises(ConfigurationError, match="has no feed 'parcels'"):
        show_feed(None, parcels[0].runtime.pipeline, "parcels", now)


def test_feed_shows_how_cells_are_written(tmp_path: Path):
    text = """feed: booking
files: ["bookings*"]
encoding: windows-1252
key: [id]
columns:
  - {name: id, type: bigint, rules: [not_null]}
  - {name: amount, type: "decimal(12,2)", decimal_mark: ",", strip: [EUR], optional: true}
"""
    found = show_feed(None, one_feed(tmp_path / "one", text), "booking", now)
    assert (found["format"], found["encoding"], found["yaml"]) == ("csv", "windows-1252", text)
    assert by_name(found["columns"])["amount"]["form"] == {"optional": True, "decimal_mark": ",", "strip": ["EUR"]}


def test_feed_shows_its_newest_drops_the_oldest_first(parcels: tuple[Ledger, list[str]]):
    ledger, drop_ids = parcels
    with looking(ledger) as (session, pipeline):
        drops = show_feed(session, pipeline, "parcel", now, 5)["drops"]
        newest = show_feed(session, pipeline, "parcel", now, 2)["drops"]
    assert [drop["drop_id"] for drop in drops] == drop_ids
    assert newest == drops[1:]
    assert [(drop["status"], drop["rows_read"], drop["rejected_share"]) for drop in drops] == [
        ("published", 3, Decimal("0.3333")),
        ("published", 2, Decimal("0.0000")),
        ("quarantined", 2, Decimal("1.0000")),
    ]
    assert [(drop["versions_opened"], drop["versions_closed"]) for drop in drops] == [(2, 0), (2, 1), (0, 0)]
    assert drops[0]["as_of"] == datetime(2026, 1, 2, tzinfo=UTC)


def test_share_of_an_empty_file_is_none(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", parcels_pipeline(tmp_path / "pipeline"), bare=True)
    ledger.drop("parcels_2026-01-02.csv", PARCELS)
    with looking(ledger) as (session, pipeline):
        (drop,) = show_feed(session, pipeline, "parcel", now, 5)["drops"]
    assert (drop["rows_read"], drop["rejected_share"]) == (0, None)


def test_matrix_shows_each_check_of_the_newest_drops(parcels: tuple[Ledger, list[str]]):
    ledger, drop_ids = parcels
    with looking(ledger) as (session, pipeline):
        found = check_matrix(session, pipeline, 4)
        newest = check_matrix(session, pipeline, 1)
    assert [drop["drop_id"] for drop in found["drops"]][:3] == drop_ids[::-1]
    checks = {(check["model"], check["check_name"]): check for check in found["checks"]}
    assert checks["stg_parcel", "accepted_values_state"] == {
        "layer": "staging",
        "model": "stg_parcel",
        "check_name": "accepted_values_state",
        "severity": "warn",
        "states": ["not run", "passed", "warn", "not run"],
        "failing_rows": [None, 0, 1, None],
    }
    assert checks["depot_load", "weight_is_carried"]["states"] == ["not run", "warn", "passed", "passed"]
    assert checks["history_depot", "no_overlap"]["states"] == ["not run", "not run", "not run", "passed"]
    assert list(dict.fromkeys(check["layer"] for check in found["checks"])) == ["staging", "history", "marts"]
    # What the files define is there, although the newest drop was refused before any check.
    assert {check["check_name"]: check["states"] for check in newest["checks"]} == {
        name: ["not run"] for name in ("some_weight", "no_empty_depot", "weight_is_carried")
    }


def test_failed_check_of_severity_error_is_one_and_the_drop_is_there(tmp_path: Path):
    pipeline = parcels_pipeline(tmp_path / "pipeline")
    ledger = Ledger(tmp_path / "root", pipeline, bare=True)
    (tmp_path / "pipeline/checks/depot_load/no_empty_depot.sql").write_text("SELECT country FROM depot_load\n")
    ledger.runtime = replace(ledger.runtime, pipeline=load_pipeline(str(tmp_path / "pipeline")))
    refused = ledger.drop("parcels_2026-01-02.csv", f"{PARCELS}ES,MAD,P1,1,there,I\n").drop.drop_id
    with looking(ledger) as (session, pipeline):
        found = check_matrix(session, pipeline)
        (timed,) = check_timeline(session, "depot_load", "no_empty_depot", 5)
    (check,) = (check for check in found["checks"] if check["check_name"] == "no_empty_depot")
    assert (check["states"], check["failing_rows"]) == (["error"], [1])
    assert (found["drops"][0]["drop_id"], found["drops"][0]["status"]) == (refused, "quarantined")
    assert (timed["drop_id"], timed["state"], timed["failing_rows"]) == (refused, "error", 1)


def test_matrix_of_an_empty_ledger_has_no_drops(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", parcels_pipeline(tmp_path / "pipeline"))
    with ledger.runtime.warehouse.session(read_only=True) as session:
        found = check_matrix(session, ledger.runtime.pipeline)
    assert found["drops"] == []
    assert {tuple(check["states"]) for check in found["checks"]} == {()}


def test_check_over_time_tells_of_the_newest_drops_the_oldest_first(parcels: tuple[Ledger, list[str]]):
    ledger, drop_ids = parcels
    with looking(ledger) as (session, _):
        found = check_timeline(session, "depot_load", "weight_is_carried", 2)
        assert check_timeline(session, "depot_load", "what is this", 2) == []
    assert [(row["drop_id"], row["file"], row["failing_rows"], row["state"]) for row in found] == [
        (drop_ids[0], "parcels_2026-01-02.csv", 0, "passed"),
        (drop_ids[1], "parcels_2026-01-03.csv", 1, "warn"),
    ]


def test_drop_that_was_examined_again_counts_twice_in_time_and_shows_its_last(tmp_path: Path):
    folder = tmp_path / "pipeline"
    right = parcels_pipeline(folder)
    (folder / "checks/depot_load/no_empty_depot.sql").write_text("SELECT country FROM depot_load\n")
    ledger = Ledger(tmp_path / "root", load_pipeline(str(folder)), bare=True)
    ledger.drop("depots_2026-01-01.csv", DEPOTS)
    text = f"{PARCELS}ES,MAD,P1,1,there,I\n"
    drop_id = ledger.drop("parcels_2026-01-02.csv", text).drop.drop_id
    ledger.runtime = replace(ledger.runtime, pipeline=right)
    assert ledger.drop("parcels_2026-01-02.csv", text).drop.drop_id == drop_id
    with looking(ledger) as (session, pipeline):
        timed = check_timeline(session, "depot_load", "no_empty_depot", 9)
        found = check_matrix(session, pipeline)
    (check,) = (check for check in found["checks"] if check["check_name"] == "no_empty_depot")
    assert (check["states"], check["failing_rows"]) == (["passed", "passed"], [0, 0])
    assert [(row["drop_id"], row["state"]) for row in timed[1:]] == [(drop_id, "error"), (drop_id, "passed")]
    received = ledger.rows("SELECT received_at FROM delivery ORDER BY sequence")
    assert [(row["received_at"],) for row in timed] == received


def test_two_checks_of_one_name_are_one_with_the_rows_of_both(tmp_path: Path):
    pipeline = custom_pipeline(
        tmp_path / "pipeline",
        {
            "customer.yaml": {
                "columns": [
                    {"name": "customer_id", "type": "bigint", "rules": ["not_null"]},
                    {"name": "customer_name", "rules": [{"rule": "not_null", "name": "there", "severity": "warn"}]},
                    {
                        "name": "has_loan",
                        "type": "boolean",
                        "rules": [
                            {"rule": "not_null", "name": "there", "severity": "warn"},
                            {"rule": "accepted_values", "values": {"yes": True, "no": False}},
                        ],
                    },
                ]
            }
        },
    )
    ledger = Ledger(tmp_path / "root", pipeline, bare=True)
    ledger.drop("customers_2026-01-01.csv", "CustomerID,CustomerName,HasLoan\n1,,\n2,Bo,\n")
    with looking(ledger) as (session, _):
        found = check_matrix(session, pipeline)
        shown = show_model(session, pipeline, "stg_customer")
    (check,) = (check for check in found["checks"] if check["check_name"] == "there")
    assert (check["states"], check["failing_rows"]) == (["warn"], [3])
    assert [check["state"] for check in shown["checks"] if check["check_name"] == "there"] == ["warn"]


@pytest.mark.slow
def test_pages_are_short_and_quick_on_a_large_ledger(tmp_path: Path, lending: Pipeline):
    """Each takes 2 to 20 ms of the processor; ten times as much is let pass."""
    ledger = large_ledger(tmp_path / "root", lending, drops=10_000, accounts=1_000_000)
    seconds: dict[str, float] = {}

    def timed(what: str, ask: Callable[[], T]) -> T:
        begin = process_time()  # as others may keep the machine busy
        found = ask()
        seconds[what] = process_time() - begin
        return found

    with ledger.runtime.warehouse.session(read_only=True) as session:
        rows = by_name(timed("all models", lambda: list_models(session, lending)))
        assert (rows["account_summary"]["rows"], rows["drop_ledger"]["rows"]) == (1_000_001, 10_002)
        assert rows["check_result"]["rows"] > 200_000
        for name in rows:
            timed(name, lambda name=name: show_model(session, lending, name))
        assert len(timed("feed", lambda: show_feed(session, lending, "account", now, 100))["drops"]) == 100
        matrix = timed("matrix", lambda: check_matrix(session, lending, 50))
        assert {len(check["states"]) for check in matrix["checks"]} == {len(matrix["drops"])} == {50}
        assert len(timed("one check", lambda: check_timeline(session, "account_summary", "unique_key", 100))) == 100
    assert {what: took for what, took in seconds.items() if took > 0.2} == {}


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("SELECT a FROM t -- FROM u\nWHERE b = 'FROM u' /* JOIN u */", {"t"}),
        ("SELECT a FROM schema.t AS u, v w WHERE EXISTS (SELECT 1 FROM x)", {"t", "v", "x"}),
        ('SELECT a FROM "T" JOIN (u CROSS JOIN v) USING (x, w)', {"t", "u", "v"}),
        ("SELECT a IS DISTINCT FROM u.b, v FROM t", {"t"}),
        ("WITH c AS (SELECT * FROM u) SELECT t FROM c, LATERAL (SELECT * FROM v)", {"u", "v"}),
        ("SELECT u FROM v(1) JOIN w ON w.u = t.x GROUP BY t, u UNION ALL SELECT 1, t FROM x", {"w", "x"}),
    ],
)
def test_relations_that_a_text_reads(sql: str, read: set[str]):
    assert relations_read(sql, ["t", "u", "v", "w", "x"]) == read


def test_mart_that_needs_its_touched_keys_reads_what_these_come_from(parcels: tuple[Ledger, list[str]]):
    made_of = reads(parcels[0].runtime.pipeline)
    assert made_of["parcel_state"] == ("history_parcel",)
    assert made_of["int_parcel_there"] == ("history_depot", "history_parcel")
