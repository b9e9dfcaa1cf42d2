"""Text files in the forms that contracts declare: read as they are meant, with the lines and texts of the file."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from support.ledger import Ledger
from support.one_feed import ENTRY, one_feed, refused, rejects_of, rows_of

from dropledger.core.errors import ContractError
from dropledger.core.operations.verify import verify

BASE = (
    ENTRY
    + """  - {name: text}
  - {name: amount, type: "decimal(12,2)"}
"""
)
NAME = "entries_2025-10-31.csv"
PLAIN = "id,text,amount\n1,a,1.50\n2,b,2.50\n"
READ = [("2", "1", "a", "1.50"), ("3", "2", "b", "2.50")]

New = Callable[[str], Ledger]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """A ledger whose contract has these entries beside."""
    return lambda entries: Ledger(tmp_path / "root", one_feed(tmp_path / "one", BASE + entries))


def shifted(rows: list[tuple[str, ...]], by: int) -> list[tuple[str, ...]]:
    return [(str(int(line) + by), *values) for line, *values in rows]


def assert_all_alike(ledger: Ledger) -> None:
    """What is in the tables is what the archived files give, and the newest source has the lines of history."""
    assert not verify(ledger.runtime, lambda *_: None).differences
    lines = ledger.rows("SELECT _line FROM src_entry WHERE _accepted ORDER BY _line")
    assert lines == ledger.rows("SELECT line FROM history_entry WHERE is_current ORDER BY line")
    assert ledger.rows("SELECT id FROM stg_entry ORDER BY id") == ledger.rows(
        "SELECT id FROM history_entry ORDER BY id"
    )


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("windows-1252", "windows-1252"),
        ("iso-8859-1", "iso-8859-1"),
        ("ISO-8859-15", "iso-8859-15"),
        ("utf-8", "utf-8-sig"),
    ],
)
def test_texts_are_read_in_their_encoding(new: New, encoding, codec, packed):
    ledger = new(f"encoding: {encoding}\n")
    content = 'id,text,amount\n1,Müller,1.50\n2,"Ça\nva",2.50\nx,é,1\n'.encode(codec)

    outcome = ledger.drop(NAME, gzip.compress(content) if packed else content)

    assert rows_of(ledger) == [("2", "1", "Müller", "1.50"), ("3", "2", "Ça\nva", "2.50")]
    assert [(line, rule, raw) for line, _, rule, _, raw in rejects_of(ledger, outcome)] == [(5, "type", "x,é,1")]
    assert_all_alike(ledger)


def test_an_encoding_is_decoded_in_streams_and_never_half(new: New):
    ledger = new("encoding: utf-16\n")
    text = "id,text,amount\n" + "".join(f"{number},{'äöü€' * 10},1.00\n" for number in range(20_000))

    ledger.drop(NAME, text.encode("utf-16"))

    assert ledger.rows("SELECT count(*), count(DISTINCT text), min(text), max(line) FROM history_entry") == [
        (20_000, 1, "äöü€" * 10, 20_001)
    ]


@pytest.mark.parametrize(
    ("encoding", "content", "reason"),
    [
        ("utf-8", PLAIN.encode("utf-16"), "the file begins as UTF-16; the contract says utf-8"),
        ("utf-8", b"id,text,amount\n1,M\xfcller,1\n", "declare its encoding, such as encoding: windows-1252"),
        ("utf-16", PLAIN.encode(), "the file has no byte order mark, and the contract says utf-16"),
        ("utf-16", PLAIN.encode("utf-16")[:-1], "the file is no utf-16 text"),
        ("windows-1252", PLAIN.encode("utf-8-sig"), "the file begins as UTF-8; the contract says windows-1252"),
        ("windows-1252", "id,text,amount\n1,Müller,1\n".encode(), "the letters of the file read as UTF-8"),
        ("windows-1252", b"id,text,amount\n1,\x81,1\n", "the file is no windows-1252 text"),
        ("iso-8859-1", b"id,text,amount\n1,\x80,1\n", "declare encoding: windows-1252"),
        ("iso-8859-1", PLAIN.encode("utf-16"), "the file begins as UTF-16; the contract says iso-8859-1"),
    ],
)
def test_another_encoding_than_declared_is_refused_by_name(new: New, encoding, content, reason):
    assert reason in refused(new(f"encoding: {encoding}\n").drop(NAME, content))


def test_quotes_are_letters_where_the_contract_says_none(new: New):
    ledger = new("quote: none\n")
    ledger.drop(NAME, 'id,text,amount\n1,"5"" wide,1.00\n2,a "b,2.00\n3,"c,3.00\n')
    assert rows_of(ledger) == [
        ("2", "1", '"5"" wide', "1.00"),
        ("3", "2", 'a "b', "2.00"),
        ("4", "3", '"c', "3.00"),
    ]
    assert_all_alike(ledger)


def test_cells_may_be_quoted_by_apostrophes(new: New):
    ledger = new('quote: "\'"\n')
    outcome = ledger.drop(NAME, "id,'text',amount\n1,'a, ''b''\nc',1.00\n2,\"d\",2.00\n3,'e'f,1\n4,,4.00\n")
    assert rows_of(ledger) == [
        ("2", "1", "a, 'b'\nc", "1.00"),
        ("4", "2", '"d"', "2.00"),
        ("6", "4", "", "4.00"),
    ]
    assert [(line, rule, raw) for line, _, rule, _, raw in rejects_of(ledger, outcome)] == [
        (5, "malformed_quotes", "3,'e'f,1")
    ]
    assert_all_alike(ledger)


def test_quotes_within_cells_may_be_escaped(new: New):
    ledger = new('escape: "\\\\"\n')
    text = 'id,text,amount\n1,"a \\"b\\", c",1.00\n2,"d\\\\",2.00\n3,"e ""f""",3.00\n4,g\\h,4.00\n5,"i\\\nj",5.00\n'
    ledger.drop(NAME, text)
    assert rows_of(ledger) == [
        ("2", "1", 'a "b", c', "1.00"),
        ("3", "2", "d\\", "2.00"),
        ("4", "3", 'e "f"', "3.00"),
        ("5", "4", "g\\h", "4.00"),
        ("6", "5", "i\nj", "5.00"),
    ]
    assert_all_alike(ledger)


def test_without_an_escape_a_backslash_is_a_letter(new: New):
    ledger = new("")
    ledger.drop(NAME, 'id,text,amount\n1,"a\\",1.00\n')
    assert rows_of(ledger) == [("2", "1", "a\\", "1.00")]


@pytest.mark.parametrize("rest", ["", "3,,\n", '4,"a\nb",1\n', "\n"])
def test_without_a_header_columns_stand_in_order(new: New, rest):
    ledger = new("header: none\n")
    ledger.drop(NAME, "1,a,1.50\n2,b,2.50\n" + rest)
    assert rows_of(ledger)[:2] == shifted(READ, -1)
    assert_all_alike(ledger)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PLAIN, "unexpected_header: the first line is a header; the contract says header: none"),
        ("1,a\n", "missing_column: the first line has 2 cells, and the contract lists 3 columns (header: none)"),
        ("1|a|1\n", "missing_column: the first line has 1 cells"),
    ],
)
def test_without_a_header_the_first_line_must_be_a_row(new: New, content, reason):
    assert reason in refused(new("header: none\n").drop(NAME, content))


@pytest.mark.parametrize("entry", ["{lines: 3}", "{until_header: true}"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_before_the_header_are_passed_over(new: New, entry, line_end):
    ledger = new(f"preamble: {entry}\n")
    text = 'Core bank;"extract\n,,,\n\n' + PLAIN + "x,c,1\n"

    outcome = ledger.drop(NAME, text.replace("\n", line_end))

    assert rows_of(ledger) == shifted(READ, 3)
    assert [(line, raw) for line, *_, raw in rejects_of(ledger, outcome)] == [(7, "x,c,1")]
    assert_all_alike(ledger)


@pytest.mark.parametrize(
    ("entries", "content", "reason"),
    [
        ("", "a\nb\n" + PLAIN, "declare preamble: {lines: 2}, or {until_header: true}"),
        ("preamble: {lines: 9}\n", PLAIN, "the file has 3 whole lines; the contract says preamble: {lines: 9}"),
        ("preamble: {lines: 1}\n", PLAIN, "no_header: the first line names none of the columns"),
        ("preamble: {until_header: true}\n", "a\n1,b,2\n", "no line among the first 1 MiB names the columns"),
    ],
)
def test_lines_before_the_header_are_those_declared(new: New, entries, content, reason):
    assert reason in refused(new(entries).drop(NAME, content))


TRAILER = 'trailer: {pattern: "^TRAILER,", rows: 2, sums: {amount: 3}}\n'


@pytest.mark.parametrize("behind", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_trailer_is_no_row_and_its_totals_are_those_of_the_rows(new: New, behind, encoding):
    ledger = new(f"{TRAILER}encoding: {encoding}\n")
    outcome = ledger.drop(NAME, f"{PLAIN}x,bad,0\nTRAILER,3,4.00{behind}".encode(encoding))
    assert rows_of(ledger) == READ
    assert [(line, raw) for line, *_, raw in rejects_of(ledger, outcome)] == [(4, "x,bad,0")]
    assert_all_alike(ledger)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PLAIN, "incomplete: the last line is no trailer like ^TRAILER,"),
        (PLAIN[:-1], "incomplete: "),
        (PLAIN + "TRAILER,3,4.00\n", "control_total: the file says that it has 3 rows, and 2 were read"),
        (PLAIN + "TRAILER,2,4.01\n", "the file says that amount sums up to 4.01, and what was read to 4.00"),
        (PLAIN + "3,c,x\nTRAILER,3,5.00\n", "(1 rows were refused; what cannot be read is in no sum)"),
        (PLAIN + "TRAILER,two,4.00\n", "control_total: field 2 of the trailer is no number"),
        (PLAIN + "TRAILER,2\n", "control_total: field 3 of the trailer is no number"),
    ],
)
def test_a_file_that_is_not_what_its_trailer_says_is_refused(new: New, content, reason):
    ledger = new(TRAILER)
    assert reason in refused(ledger.drop(NAME, content))
    assert rows_of(ledger) == []


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ("encoding: klingon\n", "entry.yaml:9: encoding: there is no encoding 'klingon'; use its IANA name"),
        ("encoding: base64\n", "entry.yaml:9: encoding: there is no encoding 'base64'"),
        ('quote: "x"\n', "entry.yaml:9: quote: "),
        ('escape: "\\\\"\nquote: none\n', "escape is read within quoted cells"),
        ("preamble: {}\n", "entry.yaml:9: preamble: say either lines, how many there are, or until_header: true"),
        ("preamble: {lines: 0}\n", "entry.yaml:9: preamble.lines: "),
        ("header: none\npreamble: {until_header: true}\n", "looks for a header"),
        ("header: none\nignore: [a]\n", "ignore names headers"),
        ('trailer: {pattern: "("}\n', "entry.yaml:9: trailer.pattern: ( is no regular expression"),
        (
            'trailer: {pattern: "^T", sums: {ammount: 2}}\n',
            "trailer.sums names 'ammount', which is not among",
        ),
        ('trailer: {pattern: "^T", sums: {text: 2}}\n', "trailer.sums names 'text', which is no number"),
    ],
)
def test_wrong_declarations_are_told_with_file_and_line(new: New, entries, reason):
    with pytest.raises(ContractError) as error:
        new(entries)
    assert reason in str(error.value)


def test_an_optional_column_is_empty_where_a_file_lacks_it(new: New):
    ledger = new("")
    [contract] = ledger.runtime.pipeline.contracts.values()
    text = contract.yaml.replace("{name: text}", "{name: text, optional: true}")
    ledger = Ledger(ledger.root, one_feed(ledger.root.parent / "one", text))

    ledger.drop("entries_2025-10-31.csv", "id,amount\n1,1.50\n")
    ledger.drop("entries_2025-11-01.csv", PLAIN)

    assert ledger.table("history_entry", "id, text, valid_to IS NULL") == [
        (1, "a", True),
        (1, None, False),
        (2, "b", True),
    ]
    assert "unknown_column: note is not known, and text is missing" in refused(
        ledger.drop("entries_2025-11-02.csv", "id,amount,note\n1,1.50,x\n")
    )


def test_a_column_may_be_joined_of_several(new: New):
    column = """
  - name: at
    type: timestamp
    joined: [Date, Time, Zone]
    timestamp_format: "%d/%m/%Y %H:%M:%S %Z"
    zones: {CEST: "+02:00"}
"""
    ledger = new("").root
    text = BASE.rstrip() + column
    ledger = Ledger(ledger.parent / "joined", one_feed(ledger.parent / "two", text))

    outcome = ledger.drop(
        NAME,
        "Date,id,Time,text,Zone,amount\n"
        "31/10/2025,1, 10:00:00 ,a,CEST,1\n"
        '31/10/2025,2,10:00:00,"b\nc",UTC,1\n'
        ",3,,d,,1\n"
        "31/10/2025,4,,e,,1\n",
    )

    assert rows_of(ledger) == [
        ("2", "1", "a", "1.00", "2025-10-31 08:00:00"),
        ("3", "2", "b\nc", "1.00", "2025-10-31 10:00:00"),
        ("5", "3", "d", "1.00", ""),
    ]
    assert [(line, rule) for line, _, rule, *_ in rejects_of(ledger, outcome)] == [(6, "type")]
    assert "missing_column: the header lacks Date and Time and Zone" in refused(
        ledger.drop("entries_2025-11-01.csv", "id,text,amount,Date,Time\n1,a,1,31/10/2025,10:00:00\n")
    )
