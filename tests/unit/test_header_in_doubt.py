"""Headers in which a column may be another than it seems, and what is said of damaged ones."""

import json
from dataclasses import replace

import pytest

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.contract_file import contract_of
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import DataRefused
from dropledger.core.formats.csv_header import read_header
from dropledger.core.formats.detect import format_of

NAMES = ["date", "time", "qty", "product_id", "price", "kind", "text", "url", "notes"]
SALES = contract_of(
    json.dumps(
        {
            "feed": "sale",
            "files": ["s*"],
            "key": ["date"],
            "columns": [{"name": name, "rules": ["not_null"] if name == "date" else []} for name in NAMES],
        }
    ),
    "",
)
HEADER = "DATE,TIME,Qty,PRODUCTID,Price,Kind,Text,URL,Notes"
ROW = "1,2,3,4,5,6,7,8,9"


def refusal(header: str, contract: Contract = SALES, rows: str = f"{ROW}\n{ROW}\n") -> DataRefused:
    with pytest.raises(DataRefused) as raised:
        read_header(f"{header}\n{rows}", contract)
    assert raised.value.hint
    return raised.value


@pytest.mark.parametrize(
    ("header", "rule", "says"),
    [
        (HEADER.replace("PRODUCTID,", "PRODUCTID"), "missing_column", "two names joined: PRODUCTIDPrice"),
        (HEADER.replace("PRODUCTID,", "PRODUCTID;"), "missing_column", "two names joined: PRODUCTID;Price"),
        (HEADER.replace("PRODUCTID,", "PRODUCTID "), "missing_column", "two names joined: PRODUCTID Price"),
        (HEADER.replace("Price,", ""), "missing_column", "lacks price; it has 8 names over rows of 9 cells"),
        (HEADER.replace("Price,", "Price,,"), "malformed_header", "10 names, one of them empty, over rows of 9 cells"),
        ("," + HEADER.replace("Price,", "Price,,"), "malformed_header", "11 names, two of them empty, over rows of 9"),
        ("'" + HEADER.replace(",", "','") + "'", "malformed_header", "the names stand in apostrophes"),
        ("“" + HEADER.replace(",", "”,“") + "”", "malformed_header", "the names stand in typographic quotes"),
        ("[" + HEADER.replace(",", "],[") + "]", "malformed_header", "the names stand in brackets"),
        (HEADER.replace("Price", "'Price'"), "malformed_header", "the names stand in apostrophes"),
    ],
)
def test_reason_names_what_is_seen_in_a_damaged_header(header: str, rule: str, says: str):
    found = refusal(header)

    assert found.rule == rule
    assert says in found.what


def test_name_may_be_empty_where_rows_have_its_cell():
    assert read_header(f",{HEADER}\n0,{ROW}\n", SALES).unexpected == ("column 1 (it has no name)",)


@pytest.mark.parametrize("rows", ["", f"{ROW}\n{ROW},\n", '"open\n'])
def test_name_may_be_empty_where_rows_do_not_agree(rows: str):
    assert read_header(f"{HEADER.replace('Price,', 'Price,,')}\n{rows}", SALES).width == 10


def test_unknown_header_beside_a_missing_column_with_a_default_is_refused(lending: Pipeline):
    found = refusal("MinBalance,Rate,LoanBonus,Calc Method", lending.contract("rate"), "0,0.01,0,marginal\n")

    assert (found.rule, found.what) == ("unknown_column", "Calc Method is not known, and Method is missing")
    assert "alias" in found.hint


def test_header_without_a_name_beside_a_missing_column_with_a_default_is_refused(lending: Pipeline):
    found = refusal(",MinBalance,Rate,LoanBonus", lending.contract("rate"), "marginal,0,0.01,0\n")

    assert found.what == "column 1 (it has no name) is not known, and Method is missing"


@pytest.mark.parametrize("ignored", ["Calc Method", "calc_*"])
def test_header_that_is_not_wanted_can_be_listed(lending: Pipeline, ignored: str):
    rate = replace(lending.contract("rate"), ignore=(ignored,))
    found = read_header("MinBalance,Rate,LoanBonus,CalcMethod\n0,0.01,0,x\n", rate)

    assert (found.unexpected, found.positions["method"]) == ((), None)


def test_column_with_a_default_may_be_missing_alone(lending: Pipeline):
    assert read_header("MinBalance,Rate,LoanBonus\n0,0.01,0\n", lending.contract("rate")).positions["method"] is None


@pytest.mark.parametrize(
    ("beginning", "says"),
    [
        (b"PK\x03\x04\x14\0\x06\0[Content_Types].xml\0xl/workbook.xml", "Excel workbook (xlsx)"),
        (b"PK\x03\x04\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "(ods)"),
        (b"PK\x03\x04\x14\0accounts.csv", "a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "(xls)"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"7z\xbc\xaf\x27\x1c\0", "7-Zip"),
        (b"accounts.csv".ljust(257, b"\0") + b"ustar\0", "tar"),
    ],
)
def test_file_is_named_for_what_it_is(beginning: bytes, says: str):
    found = format_of(beginning)

    assert found is not None
    assert says in found[0]
    assert found[1]


def test_file_that_may_be_anything_has_no_name():
    assert format_of(b"\0\1\2") is None
