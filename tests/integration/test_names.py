"""What dropledger passes on between its statements has one reserved prefix; every other name is the pipeline's."""

from pathlib import Path

import pytest
from support.ledger import Ledger, without_marts

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.retract import retract
from dropledger.core.sql.text import SCRATCH_PREFIX
from dropledger.infra.duckdb.session import DuckDBSession

NAMES = [
    *("record_incoming", "selected_parsed", "malformed_incoming", "incoming_record", "keys_of_customer", "due_line"),
    *("change", "incoming", "left_out", "line", "micro_batch", "observed", "parsed", "raw_row", "woven", "held"),
]
CUSTOMERS = 'CustomerID,Name,HasLoan\n1,"Ann\nLee",No\n2,Bo,No\n3,Cy,perhaps\n'
"""Read record by record, with a row refused: so that as many relations as can be are made."""


def named(folder: Path, names: list[str]) -> Pipeline:
    """The feeds of lending, and a mart of each name."""
    without_marts(folder / "lending")
    for name in names:
        mart = folder / "lending" / "marts" / name
        mart.parent.mkdir(exist_ok=True)
        mart.with_suffix(".yaml").write_text(f"mart: {name}\nkey: [customer_id]\ncolumns: [customer_id]\n")
        mart.with_suffix(".touched.sql").write_text("SELECT customer_id FROM changed_customer")
        mart.with_suffix(".sql").write_text(
            f"""SELECT h.customer_id
            FROM history_customer AS h
            INNER JOIN touched_{name} AS t ON t.customer_id = h.customer_id
            WHERE h.is_current"""
        )
    return load_pipeline(str(folder / "lending"))


def test_marts_may_have_any_name_that_is_nothing_public(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", named(tmp_path, NAMES))
    outcomes = [
        ledger.drop("customers_2026-01-02.csv", CUSTOMERS),
        ledger.drop("customers_2026-01-01.csv", CUSTOMERS.replace("Bo", "Di")),
        *ledger.process(
            *(ledger.put(f"customers_2026-02-{day:02}.csv", CUSTOMERS.replace("Bo", f"B{day}")) for day in (1, 2, 3))
        ),
    ]

    assert {outcome.delivered for outcome in outcomes} == {Delivered.ACCEPTED}
    for name in NAMES:
        assert ledger.table(name) == [(1,), (2,)], name
    retract(ledger.runtime, outcomes[0].drop.drop_id, "wrong", "a test")
    for name in NAMES:
        assert ledger.table(name) == [(1,), (2,)], name


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The scratch relations that sessions have when they end."""
    found: set[str] = set()
    run = DuckDBSession._engine

    def watched(session: DuckDBSession, sql: str, parameters: object = None) -> object:
        result = run(session, sql, parameters)  # type: ignore[arg-type]
        if sql.lstrip().startswith(("CREATE OR REPLACE TEMP", "CREATE TEMP")):
            found.add(sql.split()[5].strip('"'))
        return result

    monkeypatch.setattr(DuckDBSession, "_engine", watched)
    return found


def test_each_scratch_relation_has_the_prefix_or_is_public(tmp_path: Path, made: set[str]):
    ledger = Ledger(tmp_path / "root", named(tmp_path, ["mine"]))
    late = ledger.drop("customers_2026-01-02.csv", CUSTOMERS)
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS.replace("Bo", "Di"))
    plain = "CustomerID,Name,HasLoan\n1,Ann,No\n"
    ledger.process(
        *(ledger.put(f"customers_2026-03-{day:02}.csv", plain.replace("Ann", f"A{day}")) for day in range(1, 8))
    )
    retract(ledger.runtime, late.drop.drop_id, "wrong", "a test")

    public = {"observation", "touched_mine", "before_mine"}
    public |= {f"changed_{feed}" for feed in ledger.runtime.pipeline.contracts}
    own = {name for name in made if name.startswith(SCRATCH_PREFIX)}
    assert made - own == public
    assert {"_dl_parsed", "_dl_incoming", "_dl_incoming_malformed", "_dl_line", "_dl_merged", "_dl_micro_batch"} <= own


@pytest.mark.parametrize("name", ["_dl_parsed", "_DL_mine", "Drop_Ledger", "changed_customer"])
def test_view_with_the_prefix_or_a_taken_name_is_refused(tmp_path: Path, name: str):
    without_marts(tmp_path / "lending")
    view = tmp_path / "lending" / "intermediate" / f"{name}.sql"
    view.parent.mkdir()
    view.write_text("SELECT 1 AS one")

    with pytest.raises(ConfigurationError, match=rf"{view.stem}.*(begins like|is the name of another)"):
        load_pipeline(str(tmp_path / "lending"))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("_dl_feed.yaml", "feed: _dl_feed\nfiles: [a]\nkey: [id]\ncolumns: [{name: id, rules: [not_null]}]\n"),
        ("feed.yaml", "feed: feed\nfiles: [a]\nkey: [_dl_id]\ncolumns: [{name: _dl_id, rules: [not_null]}]\n"),
        ("marts/_dl_mart.yaml", "mart: _dl_mart\nkey: [a]\ncolumns: [a]\n"),
    ],
)
def test_feed_column_or_mart_with_the_prefix_is_refused(tmp_path: Path, path: str, text: str):
    without_marts(tmp_path / "lending")
    (tmp_path / "lending" / path).parent.mkdir(exist_ok=True)
    (tmp_path / "lending" / path).write_text(text)

    with pytest.raises(ConfigurationError, match="pattern"):
        load_pipeline(str(tmp_path / "lending"))


def test_mart_that_is_defined_twice_is_refused(tmp_path: Path):
    named(tmp_path, ["mine"])
    mine = tmp_path / "lending" / "marts" / "mine.yaml"
    mine.with_stem("other").write_text(f"# again\n{mine.read_text()}")

    with pytest.raises(ConfigurationError, match=r"other\.yaml:2: the mart 'mine' is defined twice"):
        load_pipeline(str(tmp_path / "lending"))
