"""A row whose quotes can mean two things is refused, as where the separator before a quoted cell is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ledger import Ledger, without_marts
from support.reading import Malformed, Reader

from dropledger.core.contracts.contract_file import Contract
from dropledger.core.ledger.ledger import Delivered

NAMES = ["day", "time", "qty", "product_id", "price", "kind", "text", "url", "notes"]
SALES = {
    "feed": "sale",
    "files": ["sales*.csv"],
    "delimiters": [",", ";", "|"],
    "key": ["day"],
    "columns": [{"name": name, "rules": ["not_null"] if name == "day" else []} for name in NAMES],
}
HEADER = ",".join(NAMES)
SOUND = '18/02/2018,02:15,2,BH-9827,$78.07,"All-Weather Table, Round","Made in the USA",https://x.example/1,'
LOST = SOUND.replace('$78.07,"', '$78.07"')
AFTER = "19/02/2018,02:16,1,BH-1,$1.00,Chair,b,c,d"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("quotes")
    ledger = Ledger(folder / "root", without_marts(folder / "lending", {"sale.yaml": SALES}))
    contract = ledger.runtime.pipeline.contract("sale")
    with ledger.runtime.warehouse.session() as session:
        yield Reader(session, contract, folder / "sales.csv")


def lines(*rows: str) -> str:
    return "\n".join([HEADER, *rows, ""])


BY_BLANKS = (
    '18/02/2018 02:15 2 BH-9827 $78.07 Table "A, b, c, d, e, f, g, h, and i" "Made in the USA" https://x.example/1 '
)
TWO_MEANINGS = {
    "a separator lost before a quoted cell that holds one": LOST,
    "a blank left of it": LOST.replace('$78.07"', '$78.07 "'),
    "several blanks left of it": LOST.replace('$78.07"', '$78.07   "'),
    "another separator in its place": LOST.replace('$78.07"', '$78.07;"'),
    "a bar in its place": LOST.replace('$78.07"', '$78.07|"'),
    "quotes doubled in the cell": LOST.replace("All-Weather", 'All ""Weather""'),
    "quotes doubled at its beginning": LOST.replace('"All-Weather', '"""All""-Weather'),
    "two separators lost": LOST.replace('Round","Made', 'Round""Made').replace("BH-9827", "BH,9827"),
    "letters that are not ASCII": LOST.replace("$78.07", "78 €").replace("All-", "Über"),
    "a line delimited by blanks with as many commas in its text": BY_BLANKS,
}
ONE_MEANING = {
    "inches before a word": ('Pipe 5" steel', 'Table 10"'),
    "inches at the end of both": ('Pipe 5"', 'Table 10"'),
    "inches in the last cell alone": ("Pipe", 'Table 10"x4'),
    "inches on both sides": ('5"x4"', '10"'),
    "a word in quotes": ('the "big" one', '10"'),
    "doubled quotes": ('say ""hi""', '10"'),
}


@pytest.mark.parametrize("row", TWO_MEANINGS.values(), ids=TWO_MEANINGS)
@pytest.mark.parametrize("carefully", [False, True], ids=["as it comes", "record by record"])
def test_row_that_can_mean_two_things_is_refused(reader: Reader, row: str, carefully: bool):
    assert row.count(",") >= len(NAMES) - 1
    found = reader.read(lines(row, AFTER), carefully=carefully)

    assert found.malformed == [Malformed(2, "malformed_quotes", row)]
    assert [(read.line, read.raw) for read in found.rows] == [(3, AFTER)]


@pytest.mark.parametrize(("first", "second"), ONE_MEANING.values(), ids=ONE_MEANING)
@pytest.mark.parametrize("carefully", [False, True], ids=["as it comes", "record by record"])
def test_quote_that_belongs_to_a_text_is_read(reader: Reader, first: str, second: str, carefully: bool):
    found = reader.read(lines(f"1,2,3,4,5,{first},{second},8,9", AFTER), carefully=carefully)

    assert found.malformed == []
    assert found.rows[0].cells[5:7] == (first, second)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (lines(AFTER), True),
        (lines(SOUND), True),
        (lines(SOUND).replace(",", ";"), True),
        (lines('1,2,3,4,5,"say ""hi""","""so""",8,9'), True),
        (lines('1,2,3,4,5,"a, ""b""",Table 10",8,Pipe 5" steel'), True),
        (lines('1,2,3,4,5,"",,8,9'), True),
        (lines('1,2,3,4,5,Table 10"x4,7,8,9'), False),
        (lines(LOST), False),
    ],
)
def test_file_without_such_a_quote_is_read_straight_through(reader: Reader, text: str, plain: bool):
    assert reader.extract(text).layout.line_per_row == plain


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, (1 << 20) - 1])
def test_quote_is_found_where_the_file_is_read_in_parts(reader: Reader, size: int):
    filling = lines(*[AFTER] * ((size - len(HEADER)) // (len(AFTER) + 1) - 1))
    for shift in range(LOST.index('"') - 2, LOST.index('"') + 4):
        padding = "x" * (size - len(filling) - shift - len(AFTER) - 1)
        text = f"{filling}{AFTER}{padding}\n{LOST}\n"
        assert text.encode().index(b'07"All') in range(size - 8, size + 4)
        assert not reader.extract(text).layout.line_per_row


def test_stray_quote_counts_the_line_that_it_swallows(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", without_marts(tmp_path / "lending"))
    text = 'CustomerID,Name,HasLoan\n1,"Ann,No\n2,"Bo",No\n3,Cy,No\n4,"Di",No\n5,Ed,No\n'
    outcome = ledger.drop("customers_2025-12-31.csv", text)

    assert (outcome.delivered, outcome.rows_read, outcome.rows_accepted) == (Delivered.ACCEPTED, 5, 3)
    assert outcome.rows_rejected == 2
    assert ledger.table("rejected_row", "line, rule, raw") == [
        (2, "malformed_quotes", '1,"Ann,No\n2,"Bo",No'),
        (3, "malformed_quotes", '2,"Bo",No'),
    ]
    (reason,) = ledger.rows("SELECT reason FROM rejected_row WHERE line = 3")
    assert reason == ("a quote that opens in line 2 and is not closed there swallows this line",)
    assert ledger.table("history_customer", "customer_id") == [(3,), (4,), (5,)]


def test_every_line_between_is_counted_and_blank_ones_are_not(reader: Reader):
    found = reader.read(lines('1,2,3,4,5,"open,7,8,9', AFTER, "", SOUND, AFTER))

    assert [(row.line, row.rule) for row in found.malformed] == [
        (2, "malformed_quotes"),
        (3, "malformed_quotes"),
        (5, "malformed_quotes"),
    ]
    assert [row.line for row in found.rows] == [6]
    assert found.read == 4


def test_line_break_in_a_malformed_cell_is_no_line_of_its_own(reader: Reader):
    found = reader.read(lines('1,2,3,4,5,"a\nb"c,7,8,9', AFTER))

    assert [(row.line, row.rule) for row in found.malformed] == [(2, "malformed_quotes")]
    assert [row.line for row in found.rows] == [4]


def test_contract_has_as_many_columns_as_the_rows_have_cells():
    assert len(Contract.model_validate(SALES).columns) == SOUND.replace("Table, Round", "").count(",") + 1
