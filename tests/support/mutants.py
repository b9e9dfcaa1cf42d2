"""Sample files, mutated: cells, rows, headers, separators, quotes, line ends, encodings, bytes and names.

A file is made from a seed alone, so that whatever is found can be made again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

FIRST_MOMENT = datetime(2020, 1, 1, tzinfo=UTC)
HEADERS = {
    "account": ["AccountID", "CustomerID", "Balance", "AccountType"],
    "customer": ["CustomerID", "Name", "HasLoan"],
    "branch": ["branch", "town", "note"],
}
DELIMITERS = {"account": ",;", "customer": ",;", "branch": ",;\t|"}
NAMES = ("Ann", "Bo Lee", "Zoë", "李雷", "O'Hara", "=1+1", "Lee, Ann", 'Bo "B" Lee', "", "Name", "a\\b", "-", "N/A")


def _words(text: str) -> list[str]:
    return text.split()


ODD_CELLS = (
    *("", " ", "1 000", "YES ", "Customer ID", "x" * 5000),
    *_words("0 -0 -1 +7 007 1.0 1.00 1.005 1. .5 1e3 1,50 1.234,50 NaN"),
    *_words("9223372036854775807 9223372036854775808 -9223372036854775809 9999999999999999.99 12345678901234567"),
    *_words("NULL null None true Yes nO Savings sAVINGS Checking Saving \u0663 １２ a;b a|b"),
    *_words("AccountID balance Town branch #REF! =cmd() @x \\ \\N '1' ''"),
    *('"', '""', '"""', '"a', 'a"', '"a"b', '"a" "b"', ' "a"', '  "a"', '"a"  ', '"1"', '"1', '"a""b"', '"a\nb"'),
    *('"a\r\nb"', "\t1", "1\t", "a\tb"),
    *("\u00a0", "\ufeff", "\ufeff1", "\u2028", "\u0085", "\u200b1", "e\u0301", "\U0001f4a5"),
)
CODECS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "cp037", "utf-7", "shift_jis", "gb18030")
ENDS = ("\n", "\r\n", "\r")


@dataclass
class Draft:
    """A file in the making: `rows[0]` is the header, cells are as they are written; `ends` are line ends by row."""

    feed: str
    name: str
    delimiter: str
    rows: list[list[str]]
    ends: list[str] = field(default_factory=list)
    before: str = ""
    codec: str = "utf-8"

    def content(self) -> bytes:
        ends = [*self.ends, *["\n"] * (len(self.rows) - len(self.ends))]
        lines = (self.delimiter.join(row) + end for row, end in zip(self.rows, ends, strict=False))
        return (self.before + "".join(lines)).encode(self.codec, "replace")


@dataclass(frozen=True)
class Mutant:
    """A file to be dropped, and what was done to the sample that it was."""

    feed: str
    name: str
    content: bytes
    done: tuple[str, ...]


def mutant(random: Random, number: int) -> Mutant:
    """The `number`th file of a ledger; up to five mutations of a sound sample."""
    draft = _sample(random, number)
    done = random.choices(MUTATIONS, k=random.choice((0, 1, 1, 1, 2, 2, 3, 5)))
    for mutate in done:
        mutate(random, draft)
    content = draft.content()
    of_bytes = random.choices(OF_BYTES, k=random.choice((0, 0, 0, 0, 1, 2)))
    for change in of_bytes:
        content = change(random, content)
    return Mutant(draft.feed, draft.name, content, tuple(step.__name__.strip("_") for step in (*done, *of_bytes)))


def _sample(random: Random, number: int) -> Draft:
    feed = random.choice(tuple(HEADERS))
    moment = FIRST_MOMENT + timedelta(minutes=number)
    ending = {"branch": "branches"}.get(feed, f"{feed}s")
    delimiter = random.choice(DELIMITERS[feed])
    draft = Draft(feed, f"{ending} {moment:%Y%m%dT%H%M%SZ}.csv", delimiter, [list(HEADERS[feed])])
    for key in random.sample(range(1, 100), random.choice((1, 3, 5, 8, 30))):
        draft.rows.append([_written(cell, delimiter) for cell in _sound_row(random, feed, key)])
    return draft


def _sound_row(random: Random, feed: str, key: int) -> list[str]:
    if feed == "account":
        return [str(key), str(random.randrange(9)), f"{random.choice((0, 7, 10_000, 19_999))}.50", "Savings"]
    if feed == "customer":
        return [str(key), random.choice(NAMES), random.choice(("Yes", "No", "None"))]
    return [f"B{key}", random.choice(("Oslo", "Bergen", "")), random.choice(NAMES)]


def _written(cell: str, delimiter: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if delimiter in cell or '"' in cell else cell


# Mutations of a draft


def _place(random: Random, draft: Draft, first: int = 1) -> tuple[int, int]:
    """A cell, of the rows from `first` on."""
    row = random.randrange(min(first, len(draft.rows) - 1), len(draft.rows))
    return row, random.randrange(max(1, len(draft.rows[row])))


def _change_cell(random: Random, draft: Draft, change: Callable[[str], str], first: int = 1) -> None:
    row, place = _place(random, draft, first)
    if draft.rows[row]:
        draft.rows[row][place] = change(draft.rows[row][place])


def _odd_cell(random: Random, draft: Draft) -> None:
    _change_cell(random, draft, lambda _: random.choice(ODD_CELLS))


def _quoted_odd_cell(random: Random, draft: Draft) -> None:
    _change_cell(random, draft, lambda _: '"' + random.choice(ODD_CELLS).replace('"', '""') + '"')


def _cell_of_another_column(random: Random, draft: Draft) -> None:
    row, place = _place(random, draft)
    if draft.rows[row]:
        draft.rows[row][place] = random.choice(draft.rows[row])


def _text_inserted(random: Random, draft: Draft) -> None:
    what = random.choice(
        ('"', '""', "'", "\\", " ", "  ", "\t", "\n", "\r", "\u00a0", "\ufeff", "\u2028", ",", ";", "|", "-")
    )

    def insert(cell: str) -> str:
        at = random.randint(0, len(cell))
        return cell[:at] + what + cell[at:]

    _change_cell(random, draft, insert, first=random.choice((0, 1, 1, 1)))


def _blanks_around(random: Random, draft: Draft) -> None:
    blanks = [random.choice(("", " ", "  ", "\t", "\u00a0")) for _ in range(2)]
    _change_cell(random, draft, lambda cell: blanks[0] + cell + blanks[1], first=random.choice((0, 1)))


def _cell_quoted(random: Random, draft: Draft) -> None:
    quote = random.choice(('"', '"', "'", "\u201c"))
    _change_cell(random, draft, lambda cell: f"{quote}{cell}{quote}", first=random.choice((0, 1)))


def _all_quoted(random: Random, draft: Draft) -> None:
    draft.rows = [[cell if cell.startswith('"') else f'"{cell}"' for cell in row] for row in draft.rows]


def _cell_lost(random: Random, draft: Draft) -> None:
    row, place = _place(random, draft)
    del draft.rows[row][place : place + 1]


def _cell_more(random: Random, draft: Draft) -> None:
    row, place = _place(random, draft)
    draft.rows[row].insert(random.choice((place, len(draft.rows[row]))), random.choice(("", "", " ", '""', "x", "5")))


def _row_again(random: Random, draft: Draft) -> None:
    row, _ = _place(random, draft)
    draft.rows.insert(random.randint(1, len(draft.rows)), list(draft.rows[row]))


def _row_in_conflict(random: Random, draft: Draft) -> None:
    row, _ = _place(random, draft)
    other = _sound_row(random, draft.feed, 1)
    draft.rows.append([*draft.rows[row][:1], *(_written(cell, draft.delimiter) for cell in other[1:])])


def _row_lost(random: Random, draft: Draft) -> None:
    row, _ = _place(random, draft, random.choice((0, 1, 1, 1)))
    if len(draft.rows) > 1:
        del draft.rows[row]


def _rows_swapped(random: Random, draft: Draft) -> None:
    one, other = _place(random, draft, 0)[0], _place(random, draft, 0)[0]
    draft.rows[one], draft.rows[other] = draft.rows[other], draft.rows[one]


def _odd_row(random: Random, draft: Draft) -> None:
    header = draft.rows[0]
    row = random.choice(
        (
            [],
            [" "],
            [""] * len(header),
            list(header),
            list(reversed(header)),
            [*header, "Note"],
            ["Total", "", "1.00", ""][: len(header)],
            ["3 rows exported"],
            ["# a comment"],
            ["-" * 8] * len(header),
            ["Konto", "Kunde", "Saldo", "Art"][: len(header)],
            ["sep=" + draft.delimiter],
        )
    )
    draft.rows.insert(random.randint(0 if random.random() < 0.1 else 1, len(draft.rows)), list(row))


def _row_of_another_separator(random: Random, draft: Draft) -> None:
    row, _ = _place(random, draft, random.choice((0, 1, 1, 1)))
    draft.rows[row] = [random.choice(",;\t| :").join(draft.rows[row])]


def _columns_moved(random: Random, draft: Draft) -> None:
    width = len(draft.rows[0])
    order = random.sample(range(width), width)
    draft.rows = [[row[place] for place in order] if len(row) == width else row for row in draft.rows]


def _column_more(random: Random, draft: Draft) -> None:
    place = random.choice((0, 1, len(draft.rows[0])))
    draft.rows[0].insert(place, random.choice(("Note", "", " ", "Balance", '"x, y"')))
    for row in draft.rows[1:]:
        row.insert(place, random.choice(("", "x", "7", '"q"')))


def _column_lost(random: Random, draft: Draft) -> None:
    place = random.randrange(max(1, len(draft.rows[0])))
    for row in draft.rows:
        del row[place : place + 1]


def _separator_at_the_end(random: Random, draft: Draft) -> None:
    for row in draft.rows[random.choice((0, 1)) :]:
        if random.random() < 0.95:
            row.append("")


def _header_respelled(random: Random, draft: Draft) -> None:
    spell = random.choice(
        (str.upper, str.lower, str.title, lambda cell: f" {cell} ", lambda cell: cell.replace("ID", "_id"))
    )
    draft.rows[0] = [spell(cell) for cell in draft.rows[0]]


def _table_behind(random: Random, draft: Draft) -> None:
    other = _sample(random, 0)
    draft.rows += [[], *other.rows] if random.random() < 0.5 else other.rows


def _lines_before(random: Random, draft: Draft) -> None:
    draft.before += random.choice(("\n", "Report\n\n", "sep=;\n", "\ufeff", "\ufeff\ufeff", '"a\nb"\n', " ", "\r\n"))


def _line_ends(random: Random, draft: Draft) -> None:
    draft.ends = [random.choice(ENDS)] * len(draft.rows)


def _line_ends_mixed(random: Random, draft: Draft) -> None:
    ends = random.choice(
        (ENDS, ("\n", "\r\n"), ("\n", "\n\n", "\n \n"), ("\r\n", "\r\r\n"), ("\n", "\u2028"), ("\n", "\x0b"))
    )
    draft.ends = [random.choice(ends) for _ in draft.rows]


def _no_last_line_end(random: Random, draft: Draft) -> None:
    draft.ends = [*draft.ends, *["\n"] * (len(draft.rows) - len(draft.ends))][: len(draft.rows)]
    draft.ends[-1] = ""


def _separator(random: Random, draft: Draft) -> None:
    draft.delimiter = random.choice((",", ";", "\t", "|", " ", ":", ", ", ",,", "^", "\\t"))


def _encoded(random: Random, draft: Draft) -> None:
    draft.codec = random.choice(CODECS)


def _named(random: Random, draft: Draft) -> None:
    draft.name = random.choice(
        (
            draft.name.upper(),
            draft.name.replace(".csv", ".CSV"),
            "x" + draft.name,
            draft.name.replace(".csv", " 2019-01-01.csv"),
            draft.name.replace(".csv", "\n'\";--.csv"),
            draft.name.replace("s ", "s \u202e"),
            draft.name.replace("customers", "accounts"),
            draft.name[: random.randint(1, len(draft.name))],
        )
    )


MUTATIONS = (
    *(_odd_cell, _odd_cell, _odd_cell, _quoted_odd_cell, _cell_of_another_column, _text_inserted, _text_inserted),
    *(_blanks_around, _cell_quoted, _all_quoted, _cell_lost, _cell_more, _row_again, _row_in_conflict, _row_lost),
    *(_rows_swapped, _odd_row, _row_of_another_separator, _columns_moved, _column_more, _column_lost),
    *(_separator_at_the_end, _header_respelled, _table_behind, _lines_before, _line_ends, _line_ends_mixed),
    *(_no_last_line_end, _separator, _encoded, _named),
)


# Mutations of bytes


def _bytes_changed(random: Random, content: bytes) -> bytes:
    changed = bytearray(content or b"x")
    changed[random.randrange(len(changed))] = random.choice(b"\",;\n\r\t |\\'01.-\x00\x80\xff")
    return bytes(changed)


def _bytes_lost(random: Random, content: bytes) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + content[at + random.choice((1, 1, 3, 20)) :]


def _bytes_inserted(random: Random, content: bytes) -> bytes:
    at = random.randint(0, len(content))
    return (
        content[:at]
        + random.choice((random.randbytes(3), b'"', b"\n", b"\r", b",", b"\xef\xbb\xbf", b"\x1a", b"\x00"))
        + content[at:]
    )


def _bytes_again(random: Random, content: bytes) -> bytes:
    at, to = sorted((random.randint(0, len(content)), random.randint(0, len(content))))
    return content[:to] + content[at:to] + content[to:]


def _cut_off(random: Random, content: bytes) -> bytes:
    return content[: random.randint(0, len(content))]


OF_BYTES = (_bytes_changed, _bytes_lost, _bytes_inserted, _bytes_again, _cut_off)
