"""How the DuckDB session reads delimited files: which rows, from which lines, and what is refused.

Texts are made up by Hypothesis and held against Python's csv module. The session has two ways to read, a quick
one for files in which each line is a row and a careful one for all others; a `Layout` that denies that all
lines end alike leads to the careful one.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from support.reading import Loaded, Malformed, Reader, Row, attempt

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import DataRefused
from dropledger.core.ports.session import Session
from dropledger.core.steps.validate import validate
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

pytestmark = pytest.mark.timeout(60 + settings().max_examples)
MORE = settings(max_examples=3 * settings().max_examples)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    warehouse = DuckDBWarehouse(tmp_path_factory.mktemp("warehouse") / "ledger.duckdb", "lending", wait_seconds=5.0)
    with warehouse.session() as session:
        yield session


@pytest.fixture(scope="module")
def customers(session: Session, lending: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Reads files with the header CustomerID, Name, HasLoan."""
    return Reader(session, lending.contract("customer"), tmp_path_factory.mktemp("files") / "customers.csv")


@pytest.fixture(scope="module")
def accounts(session: Session, lending: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(session, lending.contract("account"), tmp_path_factory.mktemp("files") / "accounts.csv")


# Well-formed texts

HEADER = ("CustomerID", "Name", "HasLoan")
LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class Table:
    """A well-formed text, the places of its columns and the width of its header."""

    text: str
    delimiter: str
    places: tuple[int, ...]
    width: int

    @property
    def may_have_empty_cells_more(self) -> bool:
        """Whether the last column is filled in every row, so that no cell can have moved behind it."""
        return self.width - 1 in {self.places[0], self.places[2]}


def expected(table: Table) -> Loaded:
    """What Python's csv module makes of a table.

    Line breaks in cells are line feeds, whatever they were. Lines that hold nothing, or blanks alone, are no rows.
    """
    lines = LINE_END.split(table.text)
    reader = csv.reader(io.StringIO(table.text, newline=""), delimiter=table.delimiter, strict=True)
    rows, malformed, next_line = [], [], 1
    for cells in reader:
        line, next_line = next_line, reader.line_num + 1
        raw = "\n".join(lines[line - 1 : reader.line_num])
        if line == 1 or not raw.strip(" "):
            continue
        more = len(cells) - table.width
        if more == 0 or (more > 0 and table.may_have_empty_cells_more and not "".join(cells[table.width :]).strip(" ")):
            values = tuple(LINE_END.sub("\n", cells[place]) or None for place in table.places)
            rows.append(Row(line, values, raw))
        else:
            malformed.append(Malformed(line, "ragged_row", raw))
    return Loaded(len(rows) + len(malformed), rows, malformed)


def written(cell: str, delimiter: str, *, quote: bool) -> str:
    """A cell as RFC 4180 has it."""
    if quote or any(character in cell for character in ('"', delimiter, "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


@st.composite
def tables(draw: st.DrawFn, ends: tuple[str, ...]) -> Table:
    """Texts as RFC 4180 has them, but with either delimiter, rows of any length, blank lines and these line ends."""
    delimiter = draw(st.sampled_from(",;"))
    header = [*draw(st.permutations(HEADER)), *draw(st.lists(st.sampled_from(("Note", "Notes 2")), max_size=1))]
    # Few characters, so that quotes and line breaks often meet; now and then all that Unicode has.
    few = st.sampled_from(("a", "b", "1", " ", "\t", '"', ",", ";", "'", "\\", "é", "\u2028", *ends))
    cell = st.lists(few, max_size=6).map("".join) | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
    full = st.lists(cell, min_size=len(header), max_size=len(header))
    row = full | full | full | st.lists(cell, max_size=len(header) + 3)
    end = st.sampled_from(ends)
    text = delimiter.join(header) + draw(end)
    rows = draw(st.lists(row, max_size=7))
    for place, cells in enumerate(rows):
        text += delimiter.join(written(cell, delimiter, quote=draw(st.booleans())) for cell in cells)
        if place + 1 < len(rows) or draw(st.booleans()):
            text += draw(end)
    return Table(text, delimiter, tuple(header.index(name) for name in HEADER), len(header))


def customer_table(text: str) -> Table:
    return Table(text, ",", (0, 1, 2), 3)


@MORE
@given(st.sampled_from(("\n", "\r\n", "\r")).flatmap(lambda end: tables((end,))))
@example(customer_table("CustomerID,Name,HasLoan"))
@example(customer_table("CustomerID,Name,HasLoan\r\n"))
@example(customer_table('CustomerID,Name,HasLoan\n\n1,"a,""b""\n\n",No\n'))
def test_well_formed_text_is_read_as_the_csv_module_reads_it(customers: Reader, table: Table):
    assert customers.read(table.text) == expected(table)


MIXED = "line ends of several kinds are left to the engine, which takes the file's first one for all"


@MORE
@given(tables(("\n", "\r\n", "\r")))
@example(customer_table("CustomerID,Name,HasLoan\n1,Ann,No\r\n2,Bob,No\r\n"))
def test_well_formed_text_with_mixed_line_ends_is_read_as_the_csv_module_reads_it(customers: Reader, table: Table):
    assert customers.read(table.text) == expected(table)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("\n1,Ann,No\r\n2,Bob,No\r\n", id="header ends in LF, rows in CR LF"),
        pytest.param("\n\r\n1,Ann,No\n", id="blank line ends in CR LF"),
        pytest.param('\n1,"An\r\nn",No\n', id="CR LF in a cell of an LF file"),
        pytest.param('\r\n1,"An\rn",No\r\n', id="CR in a cell of a CR LF file"),
        pytest.param('\r\n1,"An\ré",No\r\n', id="CR before a letter beyond ASCII"),
        pytest.param("\r\r\n1,Ann,No\r\n", id="CR CR LF"),
    ],
)
def test_every_kind_of_line_end_ends_a_line_once(customers: Reader, body: str):
    table = customer_table(f"CustomerID,Name,HasLoan{body}")

    assert customers.read(table.text) == expected(table)


def test_line_feeds_are_read_in_a_file_that_begins_with_windows_line_ends(customers: Reader):
    table = customer_table('CustomerID,Name,HasLoan\r\n1,"An\nn",No\n\n2,Bob,No\r\n\r\n\n3,Cy,No')

    assert customers.read(table.text) == expected(table)


# The two ways of reading

ODD_CELLS = ("", " ", "a", " a ", "é", "\t", '""', '"a"', '"a b"', '"a""b"', '"a,b"', ' "a"', '"a" ', ' "a" ', 'a"b')
ODDER_CELLS = ("a;b", "'", "\\", '"\\"', "#", "NULL", '"', '"a', 'a"', '"a"b', "\ufeff", "\u2028", '"\n"', '"a\nb"')


@st.composite
def odd_texts(draw: st.DrawFn) -> str:
    """Lines of odd cells, most of them of the header's length, so that either way can often read the text."""
    cell = st.sampled_from(ODD_CELLS + draw(st.sampled_from(((), ODDER_CELLS))))
    row = st.lists(cell, min_size=3, max_size=3)
    row = row | row | row | st.lists(cell, max_size=5)
    lines = [",".join(HEADER), *(",".join(cells) for cells in draw(st.lists(row, max_size=5)))]
    text = "\n".join(lines) + draw(st.sampled_from(("", "\n")))
    return text.replace("\n", draw(st.sampled_from(("\n", "\r\n"))))


@MORE
@given(odd_texts())
def test_quick_and_careful_way_read_the_same_rows(customers: Reader, text: str):
    assert attempt(lambda: customers.read(text)) == attempt(lambda: customers.read(text, carefully=True))


@pytest.mark.parametrize("tail", [",", ",,", ',"",', ",,,,"])
@pytest.mark.parametrize("neighbour", ["", "2,Bob\n"], ids=["clean", "beside a ragged row"])
def test_empty_cells_behind_the_last_are_let_pass(customers: Reader, tail: str, neighbour: str):
    found = customers.read(f"CustomerID,Name,HasLoan\n1,Ann,No{tail}\n{neighbour}")

    assert [row.cells for row in found.rows] == [("1", "Ann", "No")]


@pytest.mark.parametrize("column", ["Name", "Note"], ids=["that may be empty", "that the contract does not know"])
@pytest.mark.parametrize("tail", [",", ',""', ", "])
def test_empty_cell_too_many_is_no_row_where_cells_may_have_moved_behind_a_column(
    customers: Reader, column: str, tail: str
):
    header = {"Name": "CustomerID,HasLoan,Name", "Note": "CustomerID,Name,HasLoan,Note"}[column]
    row = {"Name": "1,No,Ann", "Note": "1,Ann,No,x"}[column]
    found = customers.read(f"{header}\n{row}{tail}\n{row.replace('1', '2')}\n")

    assert [row.line for row in found.rows] == [3]
    assert found.malformed == [Malformed(2, "ragged_row", row + tail)]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        pytest.param("CustomerID,Name,HasLoan,", "1,Ann,No{}", id="behind a column that is always filled"),
        pytest.param("CustomerID,HasLoan,Name, ,", "1,No,Ann,{}", id="behind a column that may be empty"),
    ],
)
def test_cells_below_an_unnamed_end_of_the_header_must_be_empty(customers: Reader, header: str, row: str):
    found = customers.read(f"{header}\n{row.format(',')}\n{row.format(',x').replace('1', '2')}\n")

    assert [(row.line, row.cells) for row in found.rows] == [(2, ("1", "Ann", "No"))]
    assert found.malformed == [Malformed(3, "ragged_row", row.format(",x").replace("1", "2"))]


def test_quotes_behind_several_blanks_are_quotes(customers: Reader):
    found = customers.read('CustomerID,Name,HasLoan\n1,  "Ann",No\n')

    assert found.rows == [Row(2, ("1", "Ann", "No"), '1,  "Ann",No')]


def test_two_quoted_texts_in_one_cell_are_malformed(customers: Reader):
    found = customers.read('CustomerID,Name,HasLoan\n1,"Ann" "Lee",No\n')

    assert found == Loaded(1, [], [Malformed(2, "malformed_quotes", '1,"Ann" "Lee",No')])


# Any text

ANY_TEXT = st.text("a1 \t\",;\n'\\é", max_size=40) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@MORE
@given(header=st.sampled_from(("CustomerID,Name,HasLoan", "CustomerID;Name;HasLoan;Note")), body=ANY_TEXT, end=ANY_TEXT)
@example("CustomerID,Name,HasLoan", '1,"a', '2,b",No\n')
def test_any_text_is_read_or_refused_and_the_transaction_lives_on(customers: Reader, header: str, body: str, end: str):
    text = f"{header}\n{body}\n{end}"
    assume("\r" not in text)  # see test_every_kind_of_line_end_ends_a_line_once
    extract = attempt(lambda: customers.extract(text))
    if isinstance(extract, str):
        assert extract == "control_characters"
        return
    with customers.transaction() as session:
        read = attempt(lambda: customers.load(extract))
        if isinstance(read, str):
            assert read == "unbalanced_quotes"
        else:
            lines = [
                row["_line"]
                for name in ("loaded_row", "loaded_malformed")
                for row in session.query(f"SELECT _line FROM {name}")
            ]
            assert len(lines) == len(set(lines)) == read
            assert all(1 < line <= len(LINE_END.split(text)) for line in lines)
        assert session.query("SELECT 1 AS one") == [{"one": 1}]


def test_file_that_is_refused_leaves_the_next_one_alone(customers: Reader):
    good = "CustomerID,Name,HasLoan\n1,Ann,No\n"

    assert attempt(lambda: customers.read('CustomerID,Name,HasLoan\n1,"Ann,No\n')) == "unbalanced_quotes"
    assert customers.read(good).rows == [Row(2, ("1", "Ann", "No"), "1,Ann,No")]


def test_line_of_an_open_quote_is_named(customers: Reader):
    with pytest.raises(DataRefused, match="line 4") as refused:
        customers.read('CustomerID,Name,HasLoan\n1,"Ann\nLee",No\n2,"Bob,No\n3,Cy,No\n')

    assert refused.value.rule == "unbalanced_quotes"


# Files larger than what is read at once


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", range(9))
def test_letters_and_line_ends_may_lie_across_two_chunks(customers: Reader, end: str, before: int):
    """The end of the first MiB falls on each place of `é,No` and the line end behind it."""
    head = f"CustomerID,Name,HasLoan{end}1,"
    name = "x" * (2**20 - before - len(head))
    found = customers.read(f"{head}{name}é,No{end}2,Bob,No{end}")

    assert [(row.line, row.cells) for row in found.rows] == [(2, ("1", name + "é", "No")), (3, ("2", "Bob", "No"))]


@pytest.mark.parametrize("odd", ['"Ann" "Lee"', '"Ann"   "Lee"'])
@pytest.mark.parametrize("before", range(5, 10))
def test_odd_quotes_are_seen_across_two_chunks(customers: Reader, odd: str, before: int):
    """The end of the first MiB falls on each place between the two quoted texts."""
    head = "CustomerID,Name,HasLoan\n1,"
    row = f"2,{odd},No"
    text = f"{head}{'x' * (2**20 - before - len(head) - len(',No') - 3)},No\n{row}\n"

    assert customers.read(text).malformed == [Malformed(3, "malformed_quotes", row)]


@pytest.mark.parametrize("odd_line", [None, 40_000])
def test_lines_of_a_large_file_are_numbered_as_they_stand(customers: Reader, odd_line: int | None):
    lines = ["CustomerID,Name,HasLoan", *(f"{line},Ann of line {line},No" for line in range(2, 60_001))]
    if odd_line is not None:
        lines[odd_line - 1] = "too short"
    extract = customers.extract("\n".join(lines))

    with customers.transaction() as session:
        assert customers.load(extract) == 59_999
        in_place = session.query("SELECT count(DISTINCT _line) AS lines FROM loaded_row WHERE customer_id = _line")
        malformed = session.query("SELECT _line FROM loaded_malformed")

    assert [row["_line"] for row in malformed] == ([] if odd_line is None else [odd_line])
    assert in_place == [{"lines": 59_999 - len(malformed)}]


# From rows to observations

ACCOUNT_CELLS = (
    ("1", "1", "2", "2", " 1", "02", "", "x", '"1"', "9223372036854775808"),
    ("1", "2", "", "y"),
    ("10.00", "10.0", "20", "-1", "1e3", '"1,0"', ""),
    ("Savings", "savings", "Checking", "Saving", ""),
)


@st.composite
def account_files(draw: st.DrawFn) -> str:
    """Accounts of few keys and values, so that rows are often alike, in conflict, or bad in several ways."""
    row = st.tuples(*map(st.sampled_from, ACCOUNT_CELLS)).map(list)
    row = row | row | row | st.lists(st.sampled_from(("1", "2", '"')), max_size=6)
    lines = [
        "AccountID,CustomerID,Balance,AccountType",
        *(",".join(cells) for cells in draw(st.lists(row, max_size=8))),
    ]
    return "\n".join(lines) + "\n"


@MORE
@given(account_files())
def test_every_row_is_observed_refused_or_a_duplicate(accounts: Reader, text: str):
    extract = accounts.extract(text)
    with accounts.transaction() as session:
        read = attempt(lambda: accounts.load(extract))
        if isinstance(read, str):
            assert read == "unbalanced_quotes"
            return
        validated = validate(session, extract, "loaded")
        observed = session.query("SELECT _line, account_id FROM observation")
        all_in = validated.rows_accepted == validated.rows_read
        left_out = [] if all_in else session.query("SELECT _line, _duplicate, rule, reason FROM _dl_left_out")

    refused = [row for row in left_out if not row["_duplicate"]]
    assert validated.rows_read == read
    assert validated.rows_accepted == len(observed)
    assert validated.rows_rejected == len(refused)
    assert validated.rows_duplicate == len(left_out) - len(refused)
    assert len({row["_line"] for row in (*observed, *left_out)}) == read
    assert len({row["account_id"] for row in observed}) == len(observed)
    assert all(row["rule"] and row["reason"] for row in refused)
