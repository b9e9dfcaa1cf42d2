"""A pipeline grows by files alone: a feed in YAML, a mart in YAML and SQL, checks in SQL, and no Python."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest
from support.ledger import Ledger

from dropledger.core.contracts.pipeline_spec import BUILT_IN, load_pipeline
from dropledger.core.errors import ConfigurationError, ContractError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.lineage.pipeline import read_lineage
from dropledger.core.lineage.relations import reads, relations
from dropledger.core.operations.verify import verify

pytestmark = pytest.mark.slow

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Amara,No\n2,Jonas,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,1,200.00,Savings\n21,2,300.00,Savings\n"
FEES = "Account ID,Annual Fee\n11,0.25\n21,1.50\n"

ADDED = {
    "fee.yaml": """
        feed: fee
        description: What each account pays a year; an account that the file lacks pays nothing.
        files: ["fees*.csv"]
        mode: full
        missing_keys: close
        key: [account_id]
        columns:
          - name: account_id
            type: bigint
            rules:
              - not_null
              - {rule: relationship, name: fee_without_account, to: account.account_id, severity: warn}
          - name: annual_fee
            type: decimal(12,2)
            rules:
              - not_null
              - {rule: range, name: fee_in_bounds, min: 0, max: 100}
        checks:
          - name: some_fee_is_paid
            message: all fees are zero
        """,
    "checks/fee/some_fee_is_paid.sql": "SELECT 1 AS failing FROM observation HAVING max(annual_fee) = 0",
    "marts/net_interest.yaml": """
        mart: net_interest
        key: [account_id]
        columns: [account_id, net_interest, annual_fee, customer_id]
        artifacts: [csv]
        checks:
          - name: fee_is_affordable
            message: a fee eats more than the interest
        """,
    "marts/net_interest.touched.sql": """
        SELECT account_id
        FROM changed_fee
        UNION
        SELECT account_id
        FROM touched_account_summary
        """,
    "marts/net_interest.sql": """
        SELECT
            s.account_id,
            s.customer_id,
            CAST(coalesce(f.annual_fee, 0) AS DECIMAL(12, 2)) AS annual_fee,
            CAST(s.annual_interest - coalesce(f.annual_fee, 0) AS DECIMAL(18, 2)) AS net_interest
        FROM account_summary AS s
        LEFT JOIN history_fee AS f
            ON f.account_id = s.account_id
            AND f.is_current
        WHERE EXISTS (
            SELECT 1
            FROM touched_net_interest AS t
            WHERE t.account_id = s.account_id
        )
        """,
    "checks/net_interest/fee_is_affordable.sql": """
        SELECT m.account_id
        FROM net_interest AS m
        INNER JOIN touched_net_interest AS t
            ON t.account_id = m.account_id
        WHERE m.net_interest < 0
        """,
}


def add(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip(), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The lending pipeline in a folder of its own, as it comes."""
    return Path(shutil.copytree(BUILT_IN / "lending", tmp_path / "pipeline"))


@pytest.fixture
def extended(folder: Path) -> Path:
    """The same with the feed `fee` and the mart `net_interest`."""
    add(folder, ADDED)
    return folder


def start(folder: Path) -> Ledger:
    """The root beside the folder, with the pipeline as its files now are."""
    return Ledger(folder.parent / "root", load_pipeline(str(folder)), bare=True)


def filled(folder: Path) -> Ledger:
    ledger = start(folder)
    ledger.process(ledger.put("customers_2025-10-31.csv", CUSTOMERS), ledger.put("accounts_2025-10-31.csv", ACCOUNTS))
    return ledger


def artifact(ledger: Ledger) -> list[str]:
    return (ledger.root / "outputs/net_interest.csv").read_text().splitlines()


HEADER = "account_id,net_interest,annual_fee,customer_id"


def test_added_feed_and_mart_work_like_those_that_were_there(extended: Path):
    ledger = filled(extended)
    assert artifact(ledger) == [HEADER, "11,1.00,0.00,1", "12,2.00,0.00,1", "21,3.00,0.00,2"]

    outcome = ledger.drop("fees_2025-10-31.csv", FEES)

    assert outcome.delivered == Delivered.ACCEPTED
    assert (outcome.drop.feed, outcome.versions_opened, outcome.warnings) == ("fee", 2, ())
    assert outcome.recomputed == {"account_summary": 0, "customer_profile": 0, "net_interest": 2}
    assert artifact(ledger) == [HEADER, "11,0.75,0.25,1", "12,2.00,0.00,1", "21,1.50,1.50,2"]
    assert outcome.file == f"archive/fee/2025/10/31/{outcome.drop.drop_id}-fees_2025-10-31.csv"
    assert ledger.table("src_fee", "_line, account_id, annual_fee") == [(2, "11", "0.25"), (3, "21", "1.50")]
    assert [tuple(map(str, row)) for row in ledger.table("stg_fee", "account_id, annual_fee")] == [
        ("11", "0.25"),
        ("21", "1.50"),
    ]
    october = datetime(2025, 10, 31, tzinfo=UTC)
    columns = "account_id, CAST(annual_fee AS VARCHAR), valid_from, valid_to, is_current, drop_id, line"
    assert ledger.table("history_fee", columns) == [
        (11, "0.25", october, None, True, outcome.drop.drop_id, 2),
        (21, "1.50", october, None, True, outcome.drop.drop_id, 3),
    ]
    checks = ledger.rows("SELECT model, check_name FROM check_result WHERE drop_id = ?", [outcome.drop.drop_id])
    assert {
        ("stg_fee", "fee_without_account"),
        ("history_fee", "no_overlap"),
        ("fee", "some_fee_is_paid"),
        ("net_interest", "fee_is_affordable"),
    } <= set(checks)


def test_added_artifact_is_in_the_manifest(extended: Path):
    ledger = filled(extended)
    manifest = json.loads((ledger.root / "outputs/manifest.json").read_text())
    assert "net_interest.csv" in {entry["name"] for entry in manifest["artifacts"]}


def test_added_mart_follows_what_the_mart_below_it_recomputes(extended: Path):
    ledger = filled(extended)
    ledger.drop("fees_2025-10-31.csv", FEES)
    outcome = ledger.drop("customers_2025-11-30.csv", CUSTOMERS.replace("Jonas,No", "Jonas,Yes"))
    assert outcome.recomputed == {"account_summary": 1, "customer_profile": 1, "net_interest": 1}
    assert artifact(ledger) == [HEADER, "11,0.75,0.25,1", "12,2.00,0.00,1", "21,3.00,1.50,2"]


def test_key_that_a_complete_extract_of_the_added_feed_lacks_is_closed(extended: Path):
    ledger = filled(extended)
    ledger.drop("fees_2025-10-31.csv", FEES)
    outcome = ledger.drop("fees_2025-11-30.csv", "AccountID,AnnualFee\n11,0.25\n")
    assert (outcome.versions_opened, outcome.versions_closed) == (0, 1)
    assert outcome.recomputed["net_interest"] == 1
    assert artifact(ledger)[-1] == "21,3.00,0.00,2"


def test_rules_of_the_added_feed_refuse_rows_and_report(extended: Path):
    ledger = filled(extended)
    outcome = ledger.drop("fees_2025-10-31.csv", FEES + "12,100.01\n77,1.00\n")
    assert (outcome.delivered, outcome.rows_accepted, outcome.rows_rejected) == (Delivered.ACCEPTED, 3, 1)
    assert ledger.table("rejected_row", "line, column_name, rule, raw") == [
        (4, "annual_fee", "fee_in_bounds", "12,100.01")
    ]
    assert [warning.split(" ")[0] for warning in outcome.warnings] == ["fee_without_account"]


@pytest.mark.parametrize(
    ("fees", "check"),
    [("11,0.00\n12,0.00\n", "fee.some_fee_is_paid"), ("11,0.25\n12,2.01\n", "net_interest.fee_is_affordable")],
)
def test_checks_of_added_feed_and_mart_refuse_the_drop(extended: Path, fees: str, check: str):
    ledger = filled(extended)
    before = artifact(ledger)
    outcome = ledger.drop("fees_2025-10-31.csv", f"AccountID,AnnualFee\n{fees}")
    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "check_failed")
    assert check in (outcome.error or "")
    assert ledger.table("history_fee") == []
    assert artifact(ledger) == before


def test_files_added_to_a_root_in_use_take_effect_at_the_next_start(folder: Path):
    filled(folder)
    add(folder, ADDED)
    ledger = start(folder)
    outcome = ledger.drop("fees_2025-10-31.csv", FEES)
    assert outcome.delivered == Delivered.ACCEPTED
    assert artifact(ledger) == [HEADER, "11,0.75,0.25,1", "12,2.00,0.00,1", "21,1.50,1.50,2"]


def double_the_interest(folder: Path) -> None:
    path = folder / "marts" / "net_interest.sql"
    path.write_text(path.read_text().replace("s.annual_interest -", "s.annual_interest * 2 -"))


def test_changed_sql_rebuilds_the_whole_mart_at_the_next_start(extended: Path):
    filled(extended).drop("fees_2025-10-31.csv", FEES)
    double_the_interest(extended)
    ledger = start(extended)
    outcome = ledger.drop("fees_2025-11-30.csv", FEES.replace("0.25", "0.50"))
    assert outcome.recomputed["net_interest"] == 1
    assert artifact(ledger) == [HEADER, "11,1.50,0.50,1", "12,4.00,0.00,1", "21,4.50,1.50,2"]


def test_changed_sql_leaves_history_and_ledger_alone(extended: Path):
    ledger = filled(extended)
    ledger.drop("fees_2025-10-31.csv", FEES)
    tables = {
        table: ledger.table(table) for table in ("history_fee", "history_account", "drop_ledger", "account_summary")
    }
    double_the_interest(extended)
    again = start(extended)
    assert again.drop("fees_2025-10-31.csv", FEES).delivered == Delivered.DUPLICATE
    assert {table: again.table(table) for table in tables} == tables
    assert again.rows("SELECT CAST(net_interest AS VARCHAR) FROM net_interest ORDER BY account_id") == [
        ("1.75",),
        ("4.00",),
        ("4.50",),
    ]


def test_artifact_agrees_with_the_rebuilt_mart(extended: Path):
    filled(extended).drop("fees_2025-10-31.csv", FEES)
    double_the_interest(extended)
    ledger = start(extended)
    ledger.drop("fees_2025-10-31.csv", FEES)
    table = [",".join(map(str, row)) for row in ledger.table("net_interest", HEADER)]
    assert artifact(ledger) == [HEADER, *table]


def test_change_file_is_that_of_one_mart(extended: Path):
    path = extended / "marts" / "net_interest.yaml"
    path.write_text(path.read_text() + "changes: true\n")
    with pytest.raises(ConfigurationError, match="account_summary and net_interest"):
        load_pipeline(str(extended))


# Files that are wrong


def test_column_that_is_added_to_a_feed_with_history_is_refused_with_the_way_out(extended: Path):
    filled(extended).drop("fees_2025-09-30.csv", FEES)
    path = extended / "fee.yaml"
    path.write_text(path.read_text().replace("checks:\n", "  - {name: currency, type: text}\nchecks:\n"))
    ledger = start(extended)
    fact = ledger.put("fees_2025-10-31.csv", FEES)
    with pytest.raises(ConfigurationError, match="no longer fits the table history_fee") as raised:
        ledger.process(fact)
    assert "replay" in raised.value.hint


@pytest.mark.parametrize("name", ["marts/net_interest.sql", "checks/fee/some_fee_is_paid.sql"])
def test_missing_sql_is_named(extended: Path, name: str):
    (extended / name).unlink()
    with pytest.raises(ConfigurationError, match=f"{Path(name).name}.*is missing"):
        load_pipeline(str(extended))


def refuse_mart(folder: Path, name: str) -> None:
    """See that no mart may have this name."""
    mart = {".yaml": f"{{mart: {name}, key: [one], columns: [one]}}", ".sql": "SELECT 1 AS one"}
    added = {f"marts/{name}{end}": text for end, text in {**mart, ".touched.sql": "SELECT 1 AS one"}.items()}
    add(folder, added)
    with pytest.raises(ConfigurationError, match=f"'{name}' is the name of another"):
        load_pipeline(str(folder))
    for path in added:
        (folder / path).unlink()


def test_mart_is_not_named_like_a_table_that_is_there(extended: Path):
    """Making such a mart would replace the ledger, or a history."""
    own = {"account_summary", "customer_profile", "net_interest"}
    views = {path.stem for path in (extended / "intermediate").iterdir()}
    there = {name for (name,) in filled(extended).rows("SELECT table_name FROM information_schema.tables")} - own
    assert {"drop_ledger", "delivery", "history_account", "src_fee", "stg_rate", *views} <= there
    for name in there:
        refuse_mart(extended, name)


def test_mart_is_not_named_like_what_its_sql_may_name(extended: Path):
    for name in ("observation", "changed_fee", "touched_account_summary", "before_net_interest"):
        refuse_mart(extended, name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("marts/net_interest.sql", "SELECT no_such_column FROM account_summary"),
        ("marts/net_interest.sql", "SELEKT 1"),
        ("intermediate/int_fee.sql", "SELECT * FROM no_such_table"),
    ],
    ids=["unknown-column", "no-sql", "view-on-nothing"],
)
def test_wrong_sql_is_a_wrong_configuration(extended: Path, name: str, text: str):
    add(extended, {name: text})
    ledger = start(extended)
    fact = ledger.put("customers_2025-10-31.csv", CUSTOMERS)
    with pytest.raises(ConfigurationError, match=r"no_such|syntax error") as raised:
        ledger.process(fact)
    assert raised.value.hint


def test_check_in_wrong_sql_fails_the_drop_that_it_is_for(extended: Path):
    add(extended, {"checks/net_interest/fee_is_affordable.sql": "SELECT no_such_column FROM net_interest"})
    ledger = start(extended)
    (outcome,) = ledger.process(ledger.put("customers_2025-10-31.csv", CUSTOMERS))
    assert outcome.delivered == Delivered.FAILED
    assert isinstance(outcome.failure, ConfigurationError)
    assert "no_such_column" in outcome.failure.why
    assert outcome.failure.hint


def test_drop_that_met_wrong_sql_is_taken_once_the_sql_is_mended(extended: Path):
    sound = (extended / "marts/net_interest.sql").read_text()
    add(extended, {"marts/net_interest.sql": "SELECT no_such_column FROM account_summary"})
    ledger = start(extended)
    fact = ledger.put("customers_2025-10-31.csv", CUSTOMERS)
    with pytest.raises(Exception, match="no_such_column"):
        ledger.process(fact)
    add(extended, {"marts/net_interest.sql": sound})
    mended = start(extended)
    assert [outcome.delivered for outcome in mended.process(fact)] == [Delivered.ACCEPTED]
    assert len(mended.table("history_customer")) == 2


VIEWS = {
    "intermediate/a_rate.sql": """
        -- What of net_interest is left of each hundred.
        SELECT s.*
        FROM rich AS s
        WHERE s.net_interest > 0
        """,
    "intermediate/rich.sql": "SELECT account_id, net_interest FROM net_interest WHERE net_interest >= 1.5",
}


def test_view_may_read_marts(extended: Path):
    ledger = filled(extended)
    add(extended, VIEWS)
    ledger = start(extended)  # on a root that has the marts
    ledger.drop("fees_2025-10-31.csv", FEES)
    assert ledger.rows("SELECT account_id FROM a_rate ORDER BY 1") == [(12,), (21,)]
    shutil.rmtree(ledger.root)
    ledger = filled(extended)  # and on one that has none yet
    assert ledger.rows("SELECT account_id FROM a_rate ORDER BY 1") == [(12,), (21,)]

    pipeline = ledger.runtime.pipeline
    in_order = list(relations(pipeline))
    assert in_order.index("net_interest") < in_order.index("rich") < in_order.index("a_rate")
    assert reads(pipeline)["rich"] == ("net_interest",)
    assert [ref.table for ref in read_lineage(pipeline)["a_rate"].columns["net_interest"].direct] == ["rich"]
    assert verify(ledger.runtime, lambda *_: None).differences == ()


def test_mart_that_reads_a_view_of_marts_is_an_error_at_load(extended: Path):
    add(extended, VIEWS)
    path = extended / "marts/net_interest.sql"
    path.write_text(f"{path.read_text()}\nUNION ALL SELECT * FROM a_rate")
    with pytest.raises(ContractError, match="net_interest reads the view a_rate, which reads a mart itself"):
        load_pipeline(str(extended))
