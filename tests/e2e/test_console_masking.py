"""Columns that are restricted, and what is made of them: no page and no JSON of the console has a value of one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.console import Console
from support.served import Served, serving

from dropledger.core.contracts.pipeline_spec import BUILT_IN

pytestmark = pytest.mark.slow

SECRET, OTHER = "Amara Okafor", "7777.77"
CUSTOMERS = f"CustomerID,Name,HasLoan\n1,{SECRET},Yes\n2,Jonas Berg,No\n"
ACCOUNTS = f"AccountID,CustomerID,Balance,AccountType\n1001,1,{OTHER},Savings\n1002,2,10000.00,Savings\n"


def restricting(folder: Path) -> Path:
    """The lending pipeline in which names, balances and loans are not for everybody."""
    pipeline = folder / "lending"
    for path in (BUILT_IN / "lending").rglob("*"):
        if path.is_file():
            copy = pipeline / path.relative_to(BUILT_IN / "lending")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    for feed, columns in {"customer": {"customer_name", "has_loan"}, "account": {"balance"}}.items():
        contract = yaml.safe_load((pipeline / f"{feed}.yaml").read_text())
        for column in contract["columns"]:
            if column["name"] in columns:
                column["classification"] = "restricted"
        (pipeline / f"{feed}.yaml").write_text(yaml.safe_dump(contract, sort_keys=False))
    return pipeline


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Console:
    folder = tmp_path_factory.mktemp("masked")
    console = Console(folder, {"DROPLEDGER_PIPELINE": str(restricting(folder))})
    later = ACCOUNTS.replace("7777.77", "7777.70") + f"1003,1,-{OTHER},Savings\n1004,1,{OTHER},Loan\n"
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    console.run("process", console.file("accounts_2025-10-31.csv", ACCOUNTS))
    assert console.run("process", console.file("accounts_2025-11-30.csv", later)).code == 3
    return console


@pytest.fixture(scope="module")
def served(folder: Console) -> Iterator[Served]:
    with serving(folder) as served:
        yield served


@pytest.fixture(scope="module")
def pages(served: Served) -> dict[str, str]:
    """Every page that shows rows, as HTML and as JSON."""
    drops = [drop["drop_id"] for drop in served.get("/drops.json").json["drops"]]
    paths = [
        *(f"/drops/{drop_id}" for drop_id in drops),
        "/history/customer/1",
        "/history/account/1001",
        "/explain/account_summary/1001",
        "/search?q=Amara",
    ]
    texts = {path: served.get(path).text for path in paths}
    return texts | {f"{path} as JSON": served.get(path, Accept="application/json").text for path in paths}


def test_no_page_has_a_restricted_value(pages: dict[str, str]):
    told = {
        path: value
        for path, text in pages.items()
        for value in (SECRET, OTHER, "7,777.77", "7777.70", "a loan", "116.67")
        if value in text.replace("loan bonus", "")
    }
    assert told == {}


def test_what_is_not_restricted_is_shown(pages: dict[str, str], served: Served):
    version = served.get("/history/account/1001.json").json["versions"][0]
    assert (version["balance"], version["account_type"], version["customer_id"]) == ("•••", "Savings", 1)
    explained = served.get("/explain/account_summary/1001.json").json
    assert explained["agrees"] is True
    assert explained["account"]["type"] == "Savings"
    assert explained["rate_card"][0]["rate"] == "0.010000"
    assert (explained["figure"]["arithmetic"], explained["figure"]["new_balance"]) == ("•••", "•••")
    assert served.get("/search.json?q=Amara").json["keys"] == []
    assert "•••" in pages["/history/customer/1"]


def test_rejected_row_shows_no_cell(served: Served):
    newest = served.get("/drops.json").json["drops"][0]["drop_id"]
    drop = served.get(f"/drops/{newest}.json").json
    negative, kind = drop["rejects"]
    assert (negative["line"], negative["column_name"], negative["reason"], negative["raw"]) == (
        4,
        "balance",
        "•••",
        "•••",
    )
    assert (kind["column_name"], kind["raw"]) == ("account_type", "•••")
    assert "Loan" in kind["reason"]
    changed = dict(zip(drop["changes"]["columns"], drop["changes"]["rows"][0], strict=True))
    assert (changed["account_id"], changed["original_balance_before"], changed["annual_interest_after"]) == (
        "1001",
        "•••",
        "•••",
    )


def test_plan_shows_no_cell(served: Served):
    text = ACCOUNTS.replace(OTHER, "8888.88") + "1005,1,-8888.88,Savings\n"
    fields = {"form_token": served.form_token()}
    for path in ("/plan", "/plan.json"):
        planned = served.upload(path, "accounts_2025-12-31.csv", text.encode(), fields)
        assert planned.status == 200
        assert "8888.88" not in planned.text
        assert "8,888.88" not in planned.text
        assert "•••" in planned.text


def test_option_shows_restricted_columns(folder: Console):
    with serving(folder, "--show-restricted") as served:
        assert SECRET in served.get("/history/customer/1").text
        assert OTHER in served.get("/history/account/1001.json").text
        assert "has a loan" in served.get("/explain/account_summary/1001").text


def test_keys_that_are_restricted_are_neither_told_nor_found(tmp_path: Path):
    pipeline = restricting(tmp_path)
    contract = yaml.safe_load((pipeline / "customer.yaml").read_text())
    contract["columns"][0]["classification"] = "restricted"
    (pipeline / "customer.yaml").write_text(yaml.safe_dump(contract, sort_keys=False))
    console = Console(tmp_path, {"DROPLEDGER_PIPELINE": str(pipeline)})
    console.run("process", console.file("customers_2025-10-31.csv", "CustomerID,Name,HasLoan\n71,Zoe,No\n"))
    with serving(console) as served:
        for path in ("/history/customer/7", "/history/customer/71"):
            assert "are restricted" in served.get(path).text
            assert "the nearest" not in served.get(path).text
        assert served.get("/search.json?q=71").json["keys"] == []
