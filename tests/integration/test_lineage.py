"""The lineage of pipelines: what it says, that the engine agrees, and what the command shows of it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from support.in_process import run
from support.ledger import Ledger
from support.parcels import dropped_parcels, parcels_pipeline
from support.without_sqlglot import forget_sqlglot

from dropledger.core.contracts.pipeline_spec import BUILT_IN, Pipeline, load_pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.lineage import kept
from dropledger.core.lineage.kept import lineage_of
from dropledger.core.lineage.pipeline import Lineage, read_lineage
from dropledger.core.lineage.relations import models_sql, reads, relations
from dropledger.core.sql.text import full_refresh
from dropledger.core.views.lineage import Asked, downstream, find, graph, show_lineage, upstream


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test take what another has read."""
    monkeypatch.setattr(kept, "_in_process", {})


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return parcels_pipeline(tmp_path_factory.mktemp("parcels") / "pipeline")


def made_of(lineage: Lineage, name: str) -> list[str]:
    table, _, column = name.rpartition(".")
    return [".".join(ref) for ref in lineage[table].columns[column].direct]


def decided_by(lineage: Lineage, name: str) -> dict[str, tuple[str, ...]]:
    table, _, column = name.rpartition(".")
    return {f"{one.table}.{one.column}": one.by for one in lineage[table].columns[column].indirect}


@pytest.mark.parametrize("name", ["lending", "engagement"])
@pytest.mark.parametrize("dialect", ["duckdb", "databricks"])
def test_every_file_of_what_is_built_in_is_read_in_both_dialects(name: str, dialect: str):
    pipeline = load_pipeline(name)
    files = sorted(pipeline.folder.rglob("*.sql"))
    assert len(files) > 15
    for path in files:
        for text in (path.read_text("utf-8"), full_refresh(path.read_text("utf-8"))):
            assert [type(one).__name__ for one in sqlglot.parse(text, read=dialect)] in (["Select"], ["Union"]), path
    assert read_lineage(pipeline, dialect=dialect) == read_lineage(pipeline)


@pytest.mark.parametrize("pipeline", ["lending", "engagement"])
def test_nothing_of_what_is_built_in_is_unsure(pipeline: str):
    for name, table in read_lineage(load_pipeline(pipeline)).items():
        assert (name, table.unsure) == (name, ())
        assert {column: made.unsure for column, made in table.columns.items() if made.unsure} == {}, name


def test_figure_is_made_of_balance_and_rates_and_the_loan_decides(lending: Pipeline):
    lineage = read_lineage(lending)
    assert made_of(lineage, "account_summary.interest_rate") == ["int_rate_tier.rate", "int_rate_tier.rate_with_loan"]
    assert decided_by(lineage, "account_summary.interest_rate") == {
        "int_rate_tier.method": ("where",),
        "int_rate_tier.min_balance": ("join",),
        "int_rate_tier.next_min_balance": ("join",),
        "int_savings_account_only.balance": ("join",),
        "int_savings_account_only.has_loan": ("case",),
    }
    assert made_of(lineage, "int_rate_tier.next_min_balance") == ["history_rate.min_balance"]
    assert decided_by(lineage, "int_rate_tier.next_min_balance")["history_rate.min_balance"] == ("window",)
    assert made_of(lineage, "int_rate_tier.interest_below") == ["history_rate.min_balance", "history_rate.rate"]
    assert decided_by(lineage, "int_savings_account_only.balance") == {
        "int_account_with_customer.account_type": ("where",)
    }
    assert made_of(lineage, "customer_profile.total_annual_interest") == ["account_summary.annual_interest"]
    assert made_of(lineage, "customer_profile.savings_accounts") == []
    assert decided_by(lineage, "customer_profile.savings_accounts")["account_summary.customer_id"] == ("group", "join")
    copied = {name for name, made in lineage["account_summary"].columns.items() if made.copied}
    assert copied == {"customer_id", "account_id", "original_balance"}


def test_layers_of_a_feed_lead_from_its_file_to_its_history(parcels: Pipeline):
    lineage = read_lineage(parcels)
    for name, of in (
        ("src_parcel.weight", "feed:parcel.weight"),
        ("stg_parcel.weight", "src_parcel.weight"),
        ("history_parcel.weight", "stg_parcel.weight"),
        ("history_parcel.drop_id", "stg_parcel._drop_id"),
        ("history_parcel.valid_from", "drop_ledger.as_of"),
    ):
        assert made_of(lineage, name) == [of]
    assert lineage["stg_parcel"].columns["number"].copied
    assert not lineage["stg_parcel"].columns["weight"].copied
    assert decided_by(lineage, "stg_parcel.number") == {"src_parcel._accepted": ("where",)}
    refusing = decided_by(lineage, "src_parcel._accepted")
    assert refusing == {f"feed:parcel.{name}": ("rule",) for name in ("country", "code", "number", "weight")}
    assert decided_by(lineage, "history_parcel.state") == {"stg_parcel.operation": ("version",)}
    of_current = {"stg_parcel.country", "stg_parcel.code", "stg_parcel.number", "drop_ledger.as_of"}
    of_current |= {"drop_ledger.sequence", "stg_parcel.operation"}
    assert decided_by(lineage, "history_parcel.is_current").keys() == of_current
    assert decided_by(lineage, "history_parcel.line").keys() == of_current | {"stg_parcel.state", "stg_parcel.weight"}
    assert made_of(lineage, "mart_moment.moment") == ["drop_ledger.last_effective"]


def test_rows_that_bring_their_own_time_decide_when_a_version_begins(tmp_path: Path):
    parcels_pipeline(tmp_path / "pipeline")
    contract = tmp_path / "pipeline/parcel.yaml"
    text = contract.read_text("utf-8").replace("mode: delta", "mode: delta\neffective_column: moved_on")
    contract.write_text(
        text.replace("  - {name: operation}\n", "  - {name: operation}\n  - {name: moved_on, type: date}\n")
    )
    lineage = read_lineage(load_pipeline(str(tmp_path / "pipeline")))
    assert made_of(lineage, "history_parcel.valid_from") == ["drop_ledger.as_of", "stg_parcel.moved_on"]
    assert "stg_parcel.moved_on" in decided_by(lineage, "history_parcel.is_current")
    assert "moved_on" not in lineage["history_parcel"].columns


def test_touched_keys_that_a_mart_cannot_do_without_are_followed(parcels: Pipeline):
    lineage = read_lineage(parcels)
    assert made_of(lineage, "parcel_state.number") == ["history_parcel.number"]
    assert made_of(lineage, "parcel_state.state") == ["history_parcel.state"]
    assert lineage["parcel_state"].unsure == ()
    assert made_of(lineage, "int_parcel_there.manager") == ["history_depot.manager"]
    assert list(lineage["int_parcel_there"].columns)[-2:] == ["line", "manager"]


def test_mart_that_names_itself_is_not_made_of_itself(tmp_path: Path):
    folder = tmp_path / "pipeline"
    parcels_pipeline(folder)
    (folder / "marts/parcel_state.touched.sql").write_text(
        """SELECT country, code, number FROM changed_parcel
        UNION
        SELECT m.country, m.code, m.number FROM parcel_state AS m INNER JOIN changed_parcel AS c ON c.code = m.code"""
    )
    lineage = read_lineage(load_pipeline(str(folder)))
    assert made_of(lineage, "parcel_state.number") == ["history_parcel.number"]
    assert not any(
        ref.table == "parcel_state" for made in lineage["parcel_state"].columns.values() for ref in made.direct
    )
    assert lineage["parcel_state"].reads == ("history_parcel",)


def test_sql_that_cannot_be_read_is_told_and_the_rest_is_known(tmp_path: Path):
    folder = tmp_path / "pipeline"
    parcels_pipeline(folder)
    (folder / "intermediate/int_parcel_there.sql").write_text("SELECT * FROM read_csv('other.csv')\n")
    lineage = read_lineage(load_pipeline(str(folder)))
    (reason,) = lineage["int_parcel_there"].unsure
    assert "read_csv" in reason.lower()
    assert reason in lineage["depot_load"].columns["weight"].unsure
    assert lineage["parcel_state"].unsure == ()


@pytest.mark.parametrize("name", ["lending", "engagement", "parcels"])
def test_tables_of_columns_are_those_that_the_sql_reads(name: str, parcels: Pipeline):
    """Two ways to the same: sqlglot, and the words behind FROM and JOIN."""
    pipeline = parcels if name == "parcels" else load_pipeline(name)
    lineage, read = read_lineage(pipeline), reads(pipeline)
    for model in models_sql(pipeline):
        made = lineage[model].columns.values()
        found = {ref.table for one in made for ref in one.direct} | {by.table for one in made for by in one.indirect}
        assert found == set(read[model]), model


# What the engine says

ROWS = {
    "lending": {
        "customers_2026-01-01.csv": "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n3,Cy,No\n",
        "accounts_2026-01-02.csv": "AccountID,CustomerID,Balance,AccountType\n"
        "11,1,100.00,Savings\n12,2,20000.00,Savings\n13,2,5000.00,Checking\n14,3,12000.00,Savings\n",
    },
    "parcels": {},
}
OTHER = {
    "BOOLEAN": "NOT {0}",
    "VARCHAR": "CASE {0} WHEN 'Savings' THEN 'Checking' WHEN 'Checking' THEN 'Savings' WHEN 'there' THEN 'gone' "
    "WHEN 'gone' THEN 'there' WHEN 'whole_balance' THEN 'marginal' ELSE concat({0}, 'x') END",
    "TIMESTAMP": "coalesce({0}, TIMESTAMP '2026-01-01') + INTERVAL 400 DAY",
    "BIGINT": "{0} + 1",
    "DECIMAL": "{0} * 2",
}


@pytest.fixture(scope="module", params=["lending", "parcels"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A pipeline, and a copy of its tables in memory, whose marts are views."""
    folder = tmp_path_factory.mktemp("filled")
    pipeline = load_pipeline("lending") if request.param == "lending" else parcels_pipeline(folder / "pipeline")
    ledger = Ledger(folder / "root", pipeline, bare=True)
    if request.param == "parcels":
        dropped_parcels(ledger)
    for name, text in ROWS[request.param].items():
        ledger.drop(name, text)
    with duckdb.connect(config={"threads": "1"}) as engine:
        engine.execute(f"ATTACH '{ledger.database}' AS other (READ_ONLY)")
        for name, one in relations(pipeline).items():
            if one.layer in {"history", "ledger"}:
                engine.execute(f"CREATE TABLE {name} AS SELECT * FROM other.{pipeline.file.db_schema}.{name}")
        for mart in pipeline.marts:
            engine.execute(f"CREATE VIEW touched_{mart.name} AS SELECT {', '.join(mart.file.key)} FROM ({_keys(mart)})")
        for name, sql in models_sql(pipeline).items():
            engine.execute(f"CREATE VIEW {name} AS {full_refresh(sql)}")
        yield pipeline, engine


def _keys(mart: Any) -> str:
    """All keys that there are, for marts that cannot do without; else none."""
    return (
        "SELECT * FROM history_parcel"
        if mart.name == "parcel_state"
        else f"SELECT {', '.join(f'1 AS {k}' for k in mart.file.key)}"
    )


def columns_of(engine: duckdb.DuckDBPyConnection, models: list[str]) -> dict[str, list[Any]]:
    """The values of each column of each model, and which row has which: as a list in the order of all others."""
    found = {}
    for model in models:
        names = [name for name, *_ in engine.execute(f"DESCRIBE {model}").fetchall()]
        for name in names:
            found[f"{model}.{name}"] = engine.execute(f"SELECT {name} FROM {model} ORDER BY 1 NULLS LAST").fetchall()
    return found


@pytest.mark.slow
def test_whatever_changes_a_column_is_among_what_it_comes_from(filled: tuple[Pipeline, duckdb.DuckDBPyConnection]):
    """Each column of each table is changed in the engine: what is another column then, must know of it."""
    pipeline, engine = filled
    lineage = read_lineage(pipeline)
    models = list(models_sql(pipeline))
    before = columns_of(engine, models)
    tables = [name for name, one in relations(pipeline).items() if one.layer == "history"] + ["mart_moment"]
    changed = 0
    for table in tables:
        for column, kind, *_ in engine.execute(f"DESCRIBE {table}").fetchall():
            engine.execute("BEGIN")
            other = OTHER[kind.split("(")[0]].format(f'"{column}"')
            engine.execute(f'UPDATE {table} SET "{column}" = {other}')
            after = columns_of(engine, models)
            engine.execute("ROLLBACK")
            for name in before:
                if before[name] != after[name]:
                    changed += 1
                    come_from = {(one["table"], one["column"]) for one in upstream(lineage, Asked(*name.split(".")))}
                    assert (table, column) in come_from, f"{table}.{column} changed {name}"
    assert changed > 20


def test_columns_are_those_that_the_engine_has(filled: tuple[Pipeline, duckdb.DuckDBPyConnection]):
    pipeline, engine = filled
    lineage = read_lineage(pipeline)
    for name in models_sql(pipeline):
        assert list(lineage[name].columns) == [one for one, *_ in engine.execute(f"DESCRIBE {name}").fetchall()]


# The graph


def test_graph_has_nodes_behind_what_they_read_and_edges_between_columns_that_are_there(lending: Pipeline):
    found = graph(read_lineage(lending))
    places = {node["name"]: place for place, node in enumerate(found["nodes"])}
    assert [node["layer"] for node in found["nodes"] if node["name"] == "outputs/account_summary.csv"] == ["artifact"]
    assert all(places[edge["from"]] < places[edge["to"]] for edge in found["edges"])
    columns = {(node["name"], column) for node in found["nodes"] for column in node["columns"]}
    for edge in found["column_edges"]:
        assert {(end["table"], end["column"]) for end in (edge["from"], edge["to"])} <= columns
        assert (edge["kind"] == "indirect") == bool(edge["by"])
    assert {
        "from": {"table": "int_savings_account_only", "column": "balance"},
        "to": {"table": "account_summary", "column": "original_balance"},
        "kind": "direct",
        "by": [],
        "copied": True,
    } in found["column_edges"]
    assert json.loads(json.dumps(found)) == found


def test_upstream_of_a_column_tells_what_it_is_made_of_from_what_decides(lending: Pipeline):
    found = upstream(read_lineage(lending), Asked("account_summary", "annual_interest"))
    told = {f"{one['table']}.{one['column']}": (one["kind"], one["steps"]) for one in found}
    assert told["int_savings_account_only.balance"] == ("direct", 1)
    assert told["feed:account.balance"] == ("direct", 6)
    assert told["history_rate.loan_bonus"] == ("direct", 2)
    assert told["int_savings_account_only.has_loan"] == ("indirect", 1)
    assert told["feed:customer.has_loan"][0] == "indirect"
    assert told["drop_ledger.last_effective"][0] == "indirect"
    assert "feed:customer.customer_name" not in told
    assert [one["steps"] for one in found] == sorted(one["steps"] for one in found)


def test_downstream_of_a_column_and_of_a_table(lending: Pipeline):
    lineage = read_lineage(lending)
    told = {
        f"{one['table']}.{one['column']}": one["kind"]
        for one in downstream(lineage, find(lineage, "history_customer.has_loan"))
    }
    assert told["account_summary.interest_rate"] == "indirect"
    assert told["customer_profile.has_loan"] == "direct"
    assert told["outputs/customer_profile.csv.has_loan"] == "direct"
    assert "account_summary.original_balance" not in told
    tables = [one["table"] for one in downstream(lineage, Asked("src_rate", None))]
    assert tables[:3] == ["stg_rate", "history_rate", "int_rate_tier"]
    assert {"account_summary", "customer_profile", "outputs/account_summary.parquet"} <= set(tables)
    assert [one["table"] for one in upstream(lineage, Asked("stg_rate", None))] == ["src_rate", "feed:rate"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("account_summary", ("account_summary", None)),
        ("Account_Summary.Account_ID", ("account_summary", "account_id")),
        ("account", ("feed:account", None)),
        ("feed:account.balance", ("feed:account", "balance")),
        ("account.balance", ("feed:account", "balance")),
        ("account_summary.csv", ("outputs/account_summary.csv", None)),
        ("outputs/account_summary.csv.account_id", ("outputs/account_summary.csv", "account_id")),
    ],
)
def test_table_or_column_is_found_as_people_write_it(lending: Pipeline, text: str, found: tuple[str, str | None]):
    assert find(read_lineage(lending), text) == found


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("acount_summary", "there is no table or view 'acount_summary'", "account_summary"),
        ("acount_summary.account_id", "there is no table or view 'acount_summary'", "account_summary"),
        ("account_summary.acount_id", "account_summary has no column 'acount_id'", "account_id"),
        ("account_summary.zzz", "account_summary has no column 'zzz'", "its columns are customer_id, account_id"),
        ("zzz", "there is no table or view 'zzz'", "there are feed:customer"),
    ],
)
def test_unknown_one_is_told_with_the_nearest(lending: Pipeline, text: str, what: str, hint: str):
    with pytest.raises(ConfigurationError, match=what) as told:
        find(read_lineage(lending), text)
    assert hint in told.value.hint


def test_column_is_shown_with_all_that_it_comes_from_and_that_comes_of_it(lending: Pipeline):
    lineage = read_lineage(lending)
    found = show_lineage(lineage, Asked("int_savings_account_only", "balance"))
    assert found["direct"] == [{"table": "int_account_with_customer", "column": "balance"}]
    assert found["indirect"] == [{"table": "int_account_with_customer", "column": "account_type", "by": ["where"]}]
    assert (found["layer"], found["copied"], found["unsure"]) == ("intermediate", True, [])
    assert found["upstream"] == upstream(lineage, Asked("int_savings_account_only", "balance"))
    assert found["downstream"] == downstream(lineage, Asked("int_savings_account_only", "balance"))


# What is kept


def test_lineage_is_read_once_for_the_same_files(tmp_path: Path, lending: Pipeline, monkeypatch: pytest.MonkeyPatch):
    first = lineage_of(lending, tmp_path)
    monkeypatch.setattr(kept, "read_lineage", lambda _: pytest.fail("it was read again"))
    assert lineage_of(lending) is first
    monkeypatch.setattr(kept, "_in_process", {})
    assert lineage_of(lending, tmp_path) == first
    assert lineage_of(replace(lending, folder=Path("elsewhere")), None) == first


def test_changed_file_is_read_anew(tmp_path: Path):
    shutil.copytree(BUILT_IN / "lending", tmp_path / "mine")
    cache = tmp_path / "cache"
    assert "total" not in lineage_of(load_pipeline(str(tmp_path / "mine")), cache)["int_savings_account_only"].columns
    view = tmp_path / "mine/intermediate/int_savings_account_only.sql"
    view.write_text(view.read_text("utf-8").replace("SELECT *", "SELECT *, balance AS total"))
    found = lineage_of(load_pipeline(str(tmp_path / "mine")), cache)
    assert made_of(found, "int_savings_account_only.total") == ["int_account_with_customer.balance"]
    assert len(list((cache / "lineage").iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}x", b'{"a": {"layer": "marts"}}', b'{"a": null}'])
def test_damaged_one_is_read_anew(tmp_path: Path, lending: Pipeline, monkeypatch: pytest.MonkeyPatch, damage: bytes):
    first = lineage_of(lending, tmp_path)
    (file,) = (tmp_path / "lineage").iterdir()
    file.write_bytes(damage)
    monkeypatch.setattr(kept, "_in_process", {})
    assert lineage_of(lending, tmp_path) == first


def test_one_that_others_could_have_written_is_not_taken(
    tmp_path: Path, lending: Pipeline, monkeypatch: pytest.MonkeyPatch
):
    first = lineage_of(lending, tmp_path)
    (file,) = (tmp_path / "lineage").iterdir()
    file.write_bytes(b"{}")
    file.chmod(0o620)
    monkeypatch.setattr(kept, "_in_process", {})
    assert lineage_of(lending, tmp_path) == first


# The command


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a root; afterwards there must be nothing in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_command_shows_a_tree_of_a_column(alone: Path):
    left = run("lineage", "customer_profile.has_loan", cwd=alone)
    assert (left.code, left.err) == (0, "")
    assert left.out.splitlines() == [
        "customer_profile.has_loan (marts)",
        "made of",
        "  history_customer.has_loan",
        "    stg_customer.has_loan",
        "      src_customer.has_loan",
        "        feed:customer.has_loan",
        "decided by",
        "  account_summary.customer_id (group, join)",
        "  history_customer.customer_id (join)",
        "  history_customer.is_current (where)",
        "goes into",
        "  outputs/customer_profile.csv.has_loan",
    ]
    assert list(alone.iterdir()) == []


def test_command_shows_what_a_table_is_made_of_once(alone: Path):
    lines = run("lineage", "account_summary", cwd=alone).out.splitlines()
    assert lines[:4] == ["account_summary (marts)", "made of", "  int_rate_tier", "    mart_moment"]
    assert lines.count("    int_account_with_customer") == 1
    goes = lines.index("goes into")
    assert lines[goes + 1 : goes + 3] == ["  customer_profile", "    outputs/customer_profile.csv"]
    columns = lines[lines.index("columns") + 1 :]
    assert columns[0] == "  customer_id       int_savings_account_only.customer_id"
    assert columns[3] == (
        "  interest_rate     int_rate_tier.(rate, rate_with_loan), decided by int_savings_account_only.has_loan"
    )
    assert columns[6:8] == ["decided by", "  int_rate_tier.method (where)"]
    assert "drop_ledger (see above)" not in "\n".join(lines)  # there is nothing below it to be seen


def test_command_lists_all_without_a_name(alone: Path):
    lines = run("lineage", cwd=alone).out.splitlines()
    assert lines[0].split() == ["name", "layer", "columns", "made", "of"]
    assert any(line.split()[:4] == ["account_summary", "marts", "6", "int_rate_tier,"] for line in lines)


def test_command_gives_programs_the_same(alone: Path, lending: Pipeline):
    lineage = read_lineage(lending)
    assert run("lineage", "--json", cwd=alone).json == {"command": "lineage", "pipeline": "lending", **graph(lineage)}
    left = run("lineage", "account_summary.new_balance", "--json", cwd=alone)
    asked = Asked("account_summary", "new_balance")
    assert left.json == {"command": "lineage", "pipeline": "lending", **show_lineage(lineage, asked)}
    refused = run("lineage", "account_summary.newbalance", "--json", cwd=alone)
    assert (refused.code, refused.json["error"]["try"]) == (2, "did you mean new_balance or original_balance?")


def test_command_takes_another_pipeline_and_says_what_it_is_not_sure_of(alone: Path, tmp_path: Path):
    parcels_pipeline(tmp_path / "pipeline")
    (tmp_path / "pipeline/intermediate/int_parcel_there.sql").write_text("SELECT * FROM nowhere\n")
    left = run("lineage", "depot_load.weight", "--pipeline", tmp_path / "pipeline", cwd=alone)
    assert "depot_load.weight: not sure: the table nowhere is not known" in left.out.splitlines()
    listed = run("lineage", "--pipeline", tmp_path / "pipeline", cwd=alone)
    assert "int_parcel_there: not sure: the table nowhere is not known" in listed.out.splitlines()


def test_command_says_what_to_install(alone: Path, monkeypatch: pytest.MonkeyPatch):
    forget_sqlglot(monkeypatch)
    left = run("lineage", "account_summary", cwd=alone)
    assert left.code == 2
    assert "Error: the lineage of columns needs sqlglot" in left.err
    assert "Try: install it: pip install 'dropledger[lineage]'" in left.err
