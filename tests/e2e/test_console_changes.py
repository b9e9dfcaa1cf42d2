"""What the console changes where it may: a planned file is landed, a drop is retracted and restored."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.console import ACCOUNTS, CUSTOMERS, LATER, Console, entries_of
from support.served import Served, serving

pytestmark = pytest.mark.slow


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[tuple[Console, Served]]:
    console = Console(tmp_path)
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    console.run("process", console.file("accounts_2025-10-31.csv", ACCOUNTS))
    with serving(console, "--write") as served:
        yield console, served


def test_planned_file_is_landed_and_taken(writing: tuple[Console, Served]):
    console, served = writing
    token = {"form_token": served.form_token()}
    planned = served.upload("/plan.json", "accounts_2025-11-30.csv", LATER.encode(), token).json
    file = console.file("accounts_2025-11-30.csv", LATER)
    told = entries_of(console, "plan", str(file))
    assert {**planned, **told} == planned
    assert served.get("/index.json").json["waiting"]["inbox"] == 0
    fields = {**token, "upload": planned["upload"], "feed": "account"}
    landed = served.post("/drops", fields)
    assert landed.status == 303
    [path] = (path for path in (console.root / "inbox").rglob("*") if path.is_file())
    assert (path.name, path.read_text()) == ("accounts_2025-11-30.csv", LATER)
    assert landed.headers["location"].endswith("%2Faccounts_2025-11-30.csv")
    assert served.get("/index.json").json["waiting"]["inbox"] == 1
    assert served.post("/drops", fields).status == 404
    assert console.run("watch", "--once").code == 3
    assert served.get("/drops.json").json["drops"][0]["drop_id"] == planned["outcome"]["drop_id"]


def test_landed_file_never_takes_the_place_of_one_that_waits(writing: tuple[Console, Served]):
    console, served = writing
    fields = {"form_token": served.form_token(), "feed": "account"}
    name = "accounts_2025-11-30.csv"
    console.file(name, "AccountID,CustomerID,Balance,AccountType\n1001,1,1.00,Savings\n")
    (console.root / "inbox" / name).write_bytes((console.folder / name).read_bytes())
    for text in (LATER, LATER.replace("12500", "12700")):
        planned = served.upload("/plan.json", name, text.encode(), {"form_token": served.form_token()}).json
        assert served.post("/drops", {**fields, "upload": planned["upload"]}).status == 303
    waiting = [path for path in (console.root / "inbox").rglob("*") if path.is_file()]
    assert len(waiting) == 3
    console.run("watch", "--once")
    assert [drop["status"] for drop in served.get(f"/drops.json?name={name}").json["drops"]] == ["published"] * 3


def test_reason_is_a_line_of_text_and_says_where_it_was_given(writing: tuple[Console, Served]):
    _, served = writing
    drop_id = served.get("/drops.json?feed=account").json["drops"][0]["drop_id"]
    fields = {"form_token": served.form_token(), "typed": drop_id}
    for reason in ("two\nlines", "\x1b[31mred", "x" * 501, "  "):
        assert served.post(f"/drops/{drop_id}/retract", {**fields, "reason": reason}).status == 404
    served.post(f"/drops/{drop_id}/retract", {**fields, "reason": "wrong"})
    [retraction] = served.get(f"/drops/{drop_id}.json").json["retractions"]
    assert retraction["retracted_by"].endswith(", in the console")


def test_drop_is_retracted_and_restored(writing: tuple[Console, Served]):
    _, served = writing
    drop_id = served.get("/drops.json?feed=account").json["drops"][0]["drop_id"]
    fields = {"form_token": served.form_token(), "typed": drop_id}
    assert "Retract this drop" in served.get(f"/drops/{drop_id}").text
    done = served.post(f"/drops/{drop_id}/retract", {**fields, "reason": "wrong extract"})
    assert (done.status, done.headers["location"]) == (303, f"/drops/{drop_id}")
    shown = served.get(f"/drops/{drop_id}.json").json
    assert (shown["drop"]["status"], shown["retractions"][0]["reason"]) == ("retracted", "wrong extract")
    assert served.get("/models/account_summary.json").json["rows"] == 0
    page = served.get(f"/drops/{drop_id}").text
    assert "Restore this drop" in page
    assert "wrong extract" in page
    served.post(f"/drops/{drop_id}/restore", {**fields, "reason": "it was right"})
    assert served.get(f"/drops/{drop_id}.json").json["drop"]["status"] == "published"


def test_plan_tells_what_would_be_refused(writing: tuple[Console, Served]):
    _, served = writing
    token = {"form_token": served.form_token()}
    refused = served.upload("/plan", "balances.csv", ACCOUNTS.encode(), token)
    assert refused.status == 200
    assert "the file name fits no feed" in refused.text
    assert served.upload("/plan", "a.csv", ACCOUNTS.encode(), {**token, "feed": "nothing"}).status == 404
    assert served.post("/plan", token).status == 422
