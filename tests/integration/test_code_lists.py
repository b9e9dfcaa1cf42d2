"""Rows of texts that happen to be names of columns are rows; only what cannot be one is a header."""

from pathlib import Path
from typing import Any

import pytest
from support.ledger import Ledger, without_marts

from dropledger.core.ledger.ledger import Delivered

CODES = {
    "feed": "code",
    "files": ["codes*.csv"],
    "key": ["code"],
    "columns": [{"name": "code", "rules": ["not_null"]}, {"name": "name"}, {"name": "description"}],
}
HEADER = "code,name,description\n"


def ledger(folder: Path, **more: Any) -> Ledger:
    contract = {**CODES, **more}
    return Ledger(folder / "root", without_marts(folder / "lending", {"code.yaml": contract}))


def test_names_of_columns_among_texts_are_values(tmp_path: Path):
    rows = "NM,Name,Name of the customer\nDESC,Description,Name\nNAME,Name,Description\nCD,Code,Two letters\nZZ,a,b\n"
    codes = ledger(tmp_path)
    outcome = codes.drop("codes_2025-01-01.csv", HEADER + rows)

    assert (outcome.delivered, outcome.rows_accepted, outcome.rows_rejected) == (Delivered.ACCEPTED, 5, 0)
    assert codes.table("history_code", "code, name, description")[1:4] == [
        ("DESC", "Description", "Name"),
        ("NAME", "Name", "Description"),
        ("NM", "Name", "Name of the customer"),
    ]


def test_row_of_such_texts_with_a_cell_too_many_is_refused_alone(tmp_path: Path):
    outcome = ledger(tmp_path).drop("codes_2025-01-01.csv", f"{HEADER}DESC,Description,Name, in full\nA,b,c\nB,b,c\n")

    assert (outcome.delivered, outcome.rows_accepted, outcome.rows_rejected) == (Delivered.ACCEPTED, 2, 1)


def test_row_with_a_mistake_beside_such_texts_is_refused_alone(tmp_path: Path):
    columns = [*CODES["columns"], {"name": "place", "type": "bigint"}]  # type: ignore[misc]
    codes = ledger(tmp_path, columns=columns)
    outcome = codes.drop("codes_2025-01-01.csv", f"{HEADER.strip()},place\nDESC,Description,Name,x\nA,b,c,1\nB,b,c,2\n")

    assert (outcome.rule, outcome.rows_accepted, outcome.rows_rejected) == (None, 2, 1)
    assert codes.table("rejected_row", "line, column_name, rule") == [(2, "place", "type")]


@pytest.mark.parametrize(
    "again",
    ["description,name,code", "Description,Code,Name", "code,name,description,more", "name,description,code,more,most"],
)
def test_names_of_all_columns_are_the_header_of_another_table(tmp_path: Path, again: str):
    outcome = ledger(tmp_path).drop("codes_2025-01-01.csv", f"{HEADER}A,b,c\n{again}\nx,y,z\n")

    assert outcome.rule == "second_table"
    assert "line 3" in (outcome.error or "")


def test_names_in_place_of_numbers_are_the_header_of_another_table(tmp_path: Path):
    columns = [*CODES["columns"], {"name": "place", "type": "bigint"}]  # type: ignore[misc]
    codes = ledger(tmp_path, columns=columns)
    outcome = codes.drop("codes_2025-01-01.csv", f"{HEADER.strip()},place\nA,b,c,1\nplace,note,x,name\n3,y,z,4\n")

    assert outcome.rule == "second_table"


def test_header_once_more_is_still_no_row(tmp_path: Path):
    codes = ledger(tmp_path)
    codes.drop("codes_2025-01-01.csv", f"{HEADER}A,b,c\nCode,Name,Description\nB,b,c\n")

    assert codes.table("rejected_row", "line, rule") == [(3, "repeated_header")]
    assert codes.table("history_code", "code") == [("A",), ("B",)]
