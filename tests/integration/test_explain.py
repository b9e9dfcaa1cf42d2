"""Figures explain themselves as their pipeline's folder says, whatever its marts and keys are."""

from decimal import Decimal
from pathlib import Path
from textwrap import dedent

import pytest
from support.in_process import run
from support.ledger import Ledger

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.errors import ConfigurationError, ContractError
from dropledger.core.views.explain import explain

PIPELINE = {
    "pipeline.yaml": "pipeline: branches\nschema: branches\nmoment: [stock]\n",
    "stock.yaml": """
        feed: stock
        description: What each branch holds of each article.
        files: ["stock*.csv"]
        mode: delta
        key: [branch, article]
        columns:
          - {name: branch, type: text, rules: [not_null]}
          - {name: article, type: text, rules: [not_null]}
          - {name: pieces, type: bigint, rules: [not_null]}
          - {name: price, type: "decimal(12,2)", rules: [not_null]}
        """,
    "marts/worth.yaml": "mart: worth\nkey: [place, article]\ncolumns: [place, article, worth]\nartifacts: [csv]\n",
    "marts/worth.sql": """
        SELECT branch AS place, article, CAST(pieces * price AS DECIMAL(18, 2)) AS worth
        FROM history_stock
        WHERE is_current AND pieces > 0
        /* incremental */ AND (branch, article) IN (SELECT place, article FROM touched_worth) /* end */
        """,
    "marts/worth.touched.sql": "SELECT DISTINCT branch AS place, article FROM changed_stock",
    "explain/worth.yaml": """
        of: stock
        sections:
          - name: stock
            says: "{pieces} pieces at {price}"
        figure:
          arithmetic: "{pieces} x {price} = {worth}"
          says: "worth {worth}"
        """,
    "explain/worth/stock.sql": """
        -- The version true at the moment.
        SELECT h.pieces, h.price, h.drop_id, h.line, d.name AS file
        FROM history_stock AS h
        LEFT JOIN drop_ledger AS d ON d.drop_id = h.drop_id
        WHERE h.branch = :place AND h.article = :article
            AND h.valid_from <= :moment AND (h.valid_to IS NULL OR h.valid_to > :moment)
        """,
    "explain/worth/figure.sql": """
        SELECT
            CASE WHEN s.pieces = 0 THEN 'nothing is left of it' END AS no_figure,
            s.pieces, s.price, CAST(s.pieces * s.price AS DECIMAL(18, 2)) AS worth
        FROM stock AS s
        """,
}


def branches(folder: Path, **changes: str) -> Pipeline:
    for name, text in {**PIPELINE, **changes}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return load_pipeline(str(folder))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "root", branches(tmp_path / "pipeline"))
    ledger.drop("stock_2026-01-01.csv", 'Branch,Article,Pieces,Price\n"Lee, Ann",7,3,0.50\nHill,-1,0,9.00\n')
    ledger.drop("stock_2026-01-02.csv", 'Branch,Article,Pieces,Price\n"Lee, Ann",7,4,0.50\n')
    return ledger


def test_key_of_several_text_columns_is_explained(ledger: Ledger):
    with ledger.runtime.session() as session:
        found = explain(session, ledger.runtime.pipeline, "worth", '"Lee, Ann",7')
    assert (found["place"], found["article"], found["verdict"]) == ("Lee, Ann", "7", "computed")
    assert (found["stock"]["file"], found["stock"]["line"]) == ("stock_2026-01-02.csv", 2)
    assert found["figure"]["arithmetic"] == "4 x 0.50 = 2.00"
    assert (found["figure"]["worth"], found["mart"]["worth"], found["agrees"]) == (Decimal(2), Decimal(2), True)


def test_command_shows_what_the_pipeline_says(ledger: Ledger, tmp_path: Path):
    options = ("--root", tmp_path / "root", "--pipeline", tmp_path / "pipeline")
    [(drop_id,)] = ledger.rows("SELECT drop_id FROM branches.drop_ledger WHERE sequence = 2")
    done = run("explain", "worth", '"Lee, Ann",7', *options, cwd=tmp_path)
    assert done.out.splitlines() == [
        'Stock "Lee, Ann",7 at 2026-01-02',
        "  4 pieces at 0.50",
        f"    line 2 of stock_2026-01-02.csv (drop {drop_id})",
        "  4 x 0.50 = 2.00",
        "  worth 2.00",
        "  Matches the mart.",
    ]
    nothing = run("explain", "--json", *options, "--", "Hill,-1", cwd=tmp_path)
    document = nothing.json
    assert (document["verdict"], document["figure"], document["agrees"]) == ("nothing is left of it", None, True)
    assert run("explain", "worth", "a", "b", *options, cwd=tmp_path).code == 2
    without = run("explain", "worth", *options, cwd=tmp_path).err
    assert "a key is missing: worth is a mart" in without
    assert "Try: dropledger explain worth PLACE,ARTICLE" in without
    assert "has no mart 'profit'" in run("explain", "profit", "a,b", *options, cwd=tmp_path).err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"explain/profit.yaml": PIPELINE["explain/worth.yaml"]}, "there is no mart 'profit' to explain"),
        (
            {"explain/worth.yaml": PIPELINE["explain/worth.yaml"].replace("of: stock", "of: shelf")},
            "'shelf' is no feed",
        ),
        ({"explain/worth.yaml": PIPELINE["explain/worth.yaml"].replace("name: stock", "name: shelf")}, "is missing"),
    ],
)
def test_wrong_explanations_are_errors_at_load(tmp_path: Path, change: dict[str, str], message: str):
    with pytest.raises(ContractError, match=message):
        branches(tmp_path, **change)


def test_pipeline_without_explanations_says_what_to_add(tmp_path: Path):
    pipeline = branches(tmp_path / "pipeline")
    (tmp_path / "pipeline/explain/worth.yaml").unlink()
    ledger = Ledger(tmp_path / "root", load_pipeline(str(pipeline.folder)))
    with (
        ledger.runtime.session() as session,
        pytest.raises(ConfigurationError, match="has no explanation of worth") as raised,
    ):
        explain(session, ledger.runtime.pipeline, "worth", "a,b")
    assert "explain/worth.yaml" in raised.value.hint


def test_slices_of_a_marginal_card_add_up(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", load_pipeline("lending"))
    ledger.drop(
        "rates_2025-01-01.csv", "MinBalance,Rate,LoanBonus,Method\n0,0.01,0.005,marginal\n100,0.02,0.005,marginal\n"
    )
    ledger.drop("customers_2025-01-01.csv", "CustomerID,Name,HasLoan\n1,Amara,Yes\n")
    ledger.drop("accounts_2025-01-01.csv", "AccountID,CustomerID,Balance,AccountType\n11,1,150.00,Savings\n")
    with ledger.runtime.session() as session:
        found = explain(session, ledger.runtime.pipeline, None, "11")
    assert [(part["amount"], part["rate"]) for part in found["figure"]["slices"]] == [
        (Decimal(100), Decimal("0.015")),
        (Decimal(50), Decimal("0.025")),
    ]
    assert found["figure"]["arithmetic"] == (
        "100.00 x (0.010000 + 0.005000) + 50.00 x (0.020000 + 0.005000) = 2.75, rounded half up to 2.75; "
        "150.00 + 2.75 = 152.75"
    )
    assert found["agrees"] is True


GROUPED = {
    "marts/stocked.yaml": "mart: stocked\nkey: [day, article]\ncolumns: [day, article, pieces]\nartifacts: [csv]\n",
    "marts/stocked.sql": """
        SELECT CAST(valid_from AS DATE) AS day, article, CAST(sum(pieces) AS BIGINT) AS pieces
        FROM history_stock
        GROUP BY CAST(valid_from AS DATE), article
        """,
    "marts/stocked.touched.sql": """
        SELECT DISTINCT CAST(h.valid_from AS DATE) AS day, h.article
        FROM history_stock AS h
        INNER JOIN changed_stock AS c ON c.branch = h.branch AND c.article = h.article
        """,
    "explain/stocked.yaml": """
        sections:
          - name: pieces
            says: "{pieces} pieces in {branch}"
            many: true
        figure:
          says: "{pieces} pieces"
        """,
    "explain/stocked/pieces.sql": """
        SELECT h.branch, h.pieces, h.drop_id, h.line, d.name AS file
        FROM history_stock AS h
        LEFT JOIN drop_ledger AS d ON d.drop_id = h.drop_id
        WHERE CAST(h.valid_from AS DATE) = CAST(:day AS DATE) AND h.article = :article AND h.valid_from <= :moment
        ORDER BY h.branch
        """,
    "explain/stocked/figure.sql": """
        SELECT
            CASE WHEN count(*) = 0 THEN 'no article came that day' END AS no_figure,
            CAST(sum(pieces) AS BIGINT) AS pieces
        FROM pieces
        """,
}


def test_row_whose_key_is_of_no_feed_is_explained(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", branches(tmp_path / "pipeline", **GROUPED))
    ledger.drop("stock_2026-01-01.csv", "Branch,Article,Pieces,Price\nAnn,7,3,0.50\nHill,7,2,9.00\nHill,8,1,9.00\n")

    shown = run("explain", "stocked", "2026-01-01,7", "--root", ledger.root, "--pipeline", tmp_path / "pipeline")
    assert shown.out.splitlines()[0] == "Stocked 2026-01-01,7 at 2026-01-01"
    assert shown.out.splitlines()[-2:] == ["  5 pieces", "  Matches the mart."]
    assert "line 3 of stock_2026-01-01.csv" in shown.out
    with ledger.runtime.session() as session:
        found = explain(session, ledger.runtime.pipeline, "stocked", "2026-01-01,8")
        assert (str(found["day"]), found["article"], found["agrees"]) == ("2026-01-01", "8", True)
        with pytest.raises(ConfigurationError, match="stocked has nothing of 2026-01-02,8") as told:
            explain(session, ledger.runtime.pipeline, "stocked", "2026-01-02,8")
        assert told.value.why == "no article came that day"
        assert "outputs/stocked.csv" in told.value.hint
        for key, says in (
            ("soon,8", "'soon' is no day of stocked"),
            ("8", "that of the mart stocked has 2"),
        ):
            with pytest.raises(ConfigurationError, match=says):
                explain(session, ledger.runtime.pipeline, "stocked", key)
