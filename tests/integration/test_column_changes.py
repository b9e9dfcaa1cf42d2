"""Columns of a feed that change with history behind it, on both engines: what goes on, and what waits for a replay."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.ledger import Ledger
from support.one_feed import ENTRY, one_feed, rows_of

from dropledger.core.errors import ConfigurationError
from dropledger.core.ingest.run import process
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import verify

BASE = (
    ENTRY
    + """  - {name: text}
  - {name: amount, type: "decimal(6,2)"}
"""
)
Run = Callable[[str], Ledger]


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("databricks", marks=[pytest.mark.slow, pytest.mark.databricks, pytest.mark.timeout(1800)]),
    ]
)
def under(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """The ledger under a contract of this text, with the history that it has by now."""
    schema = new_schema()

    def run(text: str) -> Ledger:
        pipeline = one_feed(tmp_path / "one", text)
        root = tmp_path / "root"
        if request.param == "duckdb":
            return Ledger(root, pipeline)
        return RemoteLedger(root, pipeline, access_to(request.getfixturevalue("databricks")), schema)

    return run


def history(ledger: Ledger) -> list[dict[str, Any]]:
    with ledger.runtime.warehouse.session(read_only=True) as session:
        return session.query("SELECT * FROM history_entry ORDER BY id, valid_from")


def assert_sound(ledger: Ledger) -> None:
    if isinstance(ledger, RemoteLedger):
        return  # which takes it half a minute; tests/databricks verify
    assert not verify(ledger.runtime, lambda *_: None).differences


def test_an_optional_column_is_added_in_place(under: Run):
    ledger = under(BASE)
    ledger.drop("entries_2025-10-01.csv", "id,text,amount\n1,a,1\n2,b,2\n")
    [late] = ["id,text,amount\n1,z,9\n"]
    ledger = under(BASE + "  - {name: note, optional: true}\n")
    ledger.drop("entries_2025-10-03.csv", "id,text,amount,note\n1,a,1,new\n")

    found = [(row["id"], row["text"], row["note"], row["valid_to"] is None) for row in history(ledger)]
    assert found == [(1, "a", None, False), (1, "a", "new", True), (2, "b", None, True)]

    [outcome] = process(ledger.runtime, [ledger.put("entries_2025-09-01.csv", late)], lambda _: None)
    found = [(row["text"], row["note"]) for row in history(ledger) if row["id"] == 1]
    assert found == [("z", None), ("a", None), ("a", "new")]
    retract(ledger.runtime, outcome.drop.drop_id, "a test", "tester")
    assert [(row["text"], row["note"]) for row in history(ledger) if row["id"] == 1] == [("a", None), ("a", "new")]
    assert_sound(ledger)


def test_a_decimal_is_widened_in_place(under: Run):
    ledger = under(BASE)
    ledger.drop("entries_2025-10-01.csv", "id,text,amount\n1,a,1.25\n")
    ledger = under(BASE.replace("decimal(6,2)", "decimal(20,4)"))
    ledger.drop("entries_2025-10-02.csv", "id,text,amount\n1,a,123456789012.0001\n")
    ledger.drop("entries_2025-09-01.csv", "id,text,amount\n1,a,0.5\n")
    found = [row["amount"] for row in history(ledger)]
    assert found == [Decimal("0.5"), Decimal("1.25"), Decimal("123456789012.0001")]
    assert_sound(ledger)


def test_a_header_is_renamed_by_an_alias(under: Run):
    ledger = under(BASE)
    ledger.drop("entries_2025-10-01.csv", "id,text,amount\n1,a,1\n")
    ledger = under(BASE.replace("{name: text}", "{name: text, aliases: [Memo]}"))
    ledger.drop("entries_2025-10-02.csv", "id,Memo,amount\n1,b,1\n")
    assert [row["text"] for row in history(ledger)] == ["a", "b"]
    assert_sound(ledger)


def test_columns_stand_in_another_order(under: Run):
    ledger = under(BASE)
    ledger.drop("entries_2025-10-01.csv", "id,text,amount\n1,a,1.25\n")
    text = "  - {name: text}\n"
    ledger = under(BASE.replace(text, "") + text)
    ledger.drop("entries_2025-10-02.csv", "id,text,amount\n1,b,1.25\n")
    ledger.drop("entries_2025-09-01.csv", "id,text,amount\n1,z,1.25\n")
    assert [(row["text"], row["amount"]) for row in history(ledger)] == [(t, Decimal("1.25")) for t in "zab"]
    assert [*history(ledger)[0]][:3] == ["id", "amount", "text"]
    assert_sound(ledger)


WAITING = [
    (lambda text: text.replace("  - {name: text}\n", ""), "text is taken out", [("1.00",)]),
    (
        lambda text: text + "  - {name: note, default: none}\n",
        "note is added (with optional: true",
        [("a", "1.00", "none")],
    ),
    (
        lambda text: text.replace("{name: text}", "{name: memo, aliases: [text]}"),
        "text is called memo now",
        [("a", "1.00")],
    ),
    (
        lambda text: text.replace('type: "decimal(6,2)"', "type: text"),
        "amount was decimal(6,2) and is text",
        [("a", "1")],
    ),
    (
        lambda text: text.replace("decimal(6,2)", "decimal(5,2)"),
        "amount was decimal(6,2) and is decimal(5,2)",
        [("a", "1.00")],
    ),
    (lambda text: text.replace("id, type: bigint", "id, type: text"), "id was bigint and is text", [("a", "1.00")]),
]


@pytest.mark.parametrize(("change", "why", "replayed"), WAITING)
def test_other_changes_are_told_and_wait_for_a_replay(tmp_path: Path, change, why, replayed):
    told_and_waits(lambda text: Ledger(tmp_path / "root", one_feed(tmp_path / "one", text)), change, why, replayed)


def test_other_change_is_told_by_both_engines(under: Run):
    told_and_waits(under, *WAITING[0])


def told_and_waits(under: Run, change: Callable[[str], str], why: str, replayed: list[tuple[str, ...]]) -> None:
    ledger = under(BASE)
    ledger.drop("entries_2025-10-01.csv", "id,text,amount\n1,a,1\n")
    before = history(ledger)
    ledger = under(change(BASE))

    with pytest.raises(ConfigurationError) as error:
        process(ledger.runtime, [ledger.put("entries_2025-10-02.csv", "id,text,amount\n1,b,1\n")], lambda _: None)

    assert why in error.value.why
    assert "dropledger replay" in error.value.hint
    assert history(ledger) == before
    if isinstance(ledger, RemoteLedger):
        return
    replay(ledger.runtime, Selection(), None, lambda *_: None)
    assert [row[2:] for row in rows_of(ledger)] == replayed
