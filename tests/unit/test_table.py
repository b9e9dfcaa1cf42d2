"""Tables for people: plain lines that hold all there is, folded on a terminal and nowhere else."""

from decimal import Decimal

import pytest

from dropledger.handlers.table import drawn, escaped

ID = "2841884b1d0416a4"
COLUMNS = ("drop_id", "file", "status", "rows")
ROWS = [(ID, "customers_2025-10-31_from_the_branch_in_the_north.csv", "quarantined", 12_345)]


def lines(columns=COLUMNS, rows=ROWS, **options) -> list[str]:
    return drawn(columns, rows, [[str(value) for value in row] for row in rows], **options)


def test_cells_stand_under_their_names_and_numbers_to_the_right():
    rows = [("a", 5, Decimal("1.50")), ("long", 12_345, Decimal("10.00"))]
    assert lines(("name", "rows", "total"), rows) == [
        "name   rows  total",
        "a         5   1.50",
        "long  12345  10.00",
    ]


def test_nothing_is_cut_off_or_folded_without_a_terminal():
    wide = ("x" * 500, "y" * 300)
    assert lines(("one", "other"), [wide])[1] == f"{wide[0]}  {wide[1]}"


@pytest.mark.parametrize("width", [80, 60, 20])
def test_id_stays_whole_however_narrow_a_terminal_is(width: int):
    head, first, *_ = lines(width=width)
    assert head.startswith("drop_id ")
    assert first.startswith(f"{ID}  ")


def test_long_texts_are_folded_to_the_width_of_a_terminal():
    folded = lines(width=60)
    assert max(map(len, folded)) <= 60
    assert len(folded) > 2
    # All of it is there, one part below the other.
    start = folded[0].index("file")
    parts = [line[start : folded[0].index("status")].strip() for line in folded[1:]]
    assert "".join(parts) == ROWS[0][1]


def test_names_of_columns_are_bold_on_a_terminal_alone():
    assert lines(bold=True)[0] == f"\x1b[1m{lines()[0]}\x1b[0m"
    assert "\x1b" not in "".join(lines())


def test_letters_that_take_two_columns_or_none_are_counted_so():
    rows = [("日本", 1), ("e\u0301", 2), ("abcd", 3)]
    assert lines(("name", "n"), rows)[1:] == ["日本  1", "e\u0301     2", "abcd  3"]


def test_control_characters_neither_split_a_row_nor_drive_the_terminal():
    assert escaped("a\nb\tc\x1b[2Jd\u2028e\x9bf") == r"a\nb\tc\x1b[2Jd\u2028e\x9bf"
    assert escaped("Müller, 日本 €\u00a0'") == "Müller, 日本 €\u00a0'"
    assert len(lines(("raw",), [("1,a\r\n2,b",)])) == 2
    assert lines(("a\nb",), [("c",)]) == [r"a\nb", "c"]


def test_table_without_rows_names_its_columns():
    assert lines(rows=[]) == ["drop_id  file  status  rows"]
