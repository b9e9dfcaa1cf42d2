"""Tables that are written in some form, and read by the contract that is inferred from them, are what they were."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ledger import Ledger
from support.one_feed import one_feed, rows_of

from dropledger.core.inference.contract_text import contract_yaml
from dropledger.core.inference.infer import infer_feeds
from dropledger.core.ledger.ledger import Delivered
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

_DATE_FORMS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d", "%d-%b-%Y", "%d %B %Y", "%Y/%m/%d")
_TIME_FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%d/%m/%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %I:%M:%S %p")


@dataclass(frozen=True)
class Kind:
    """A kind of column: its values, and how one is written in a file, and shown by `rows_of`."""

    values: st.SearchStrategy[object]
    written: Callable[[object], str]
    shown: Callable[[object], str] = str


def amounts(mark: str, group: str, sign: str, currency: str) -> Kind:
    def written(value: object) -> str:
        assert isinstance(value, Decimal)
        text = f"{abs(value):,.2f}".replace(",", "\0").replace(".", mark).replace("\0", group)
        if value < 0:
            text = f"({text})" if sign == "parentheses" else f"{text}-" if sign == "behind" else f"-{text}"
        return f"{currency}{text}" if currency == "$" else f"{text} {currency}".strip()

    values = st.decimals(Decimal(-(10**9)), Decimal(10**9), places=2)
    return Kind(values, written)


def moments(form: str) -> Kind:
    def written(value: object) -> str:
        assert isinstance(value, date)
        return value.strftime(form)

    if form in _TIME_FORMS:
        bounds = datetime(1990, 1, 1), datetime(2099, 12, 31)
        return Kind(st.datetimes(*bounds).map(lambda moment: moment.replace(microsecond=0)), written)
    return Kind(st.dates(date(1990, 1, 1), date(2099, 12, 31)), written)


_WORDS = st.text("aäzÉ ,;|'\"-9", max_size=8).map(lambda text: f"w{text}".rstrip())
kinds = st.one_of(
    st.just(Kind(st.integers(-(2**62), 2**62), str)),
    st.builds(
        amounts,
        *(st.sampled_from(part) for part in ((".",), ("", ",", " ", "'"), ("before", "parentheses", "behind"))),
        st.sampled_from(("", "$", "€", "EUR")),
    ),
    st.builds(
        amounts, st.just(","), st.sampled_from(("", ".", " ")), st.sampled_from(("before", "behind")), st.just("")
    ),
    st.builds(moments, st.sampled_from(_DATE_FORMS + _TIME_FORMS)),
    st.just(Kind(_WORDS, str)),
    st.just(Kind(st.integers(0, 9999).map(lambda number: f"0{number:04}"), str)),
)


@dataclass(frozen=True)
class Table:
    kinds: Sequence[Kind]
    rows: Sequence[Sequence[object]]
    delimiter: str
    encoding: str
    preamble: int
    quoting: int


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(kinds, min_size=2, max_size=5))
    count = draw(st.integers(3, 40))
    rows = [
        [draw(st.none() | kind.values) if number else draw(kind.values) for kind in columns] for number in range(count)
    ]
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "windows-1252")))
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    return Table(columns, rows, draw(st.sampled_from(",;\t|")), encoding, draw(st.sampled_from((0, 0, 3))), quoting)


def written(table: Table) -> bytes:
    text = io.StringIO(newline="")
    text.write("Report\r\n" * table.preamble)
    writer = csv.writer(text, delimiter=table.delimiter, quoting=table.quoting)  # type: ignore[arg-type]
    writer.writerow(["Row ID", *(f"Column {place}" for place in range(len(table.kinds)))])
    for number, row in enumerate(table.rows):
        cells = ["" if value is None else kind.written(value) for kind, value in zip(table.kinds, row, strict=True)]
        writer.writerow([f"R{number}", *cells])
    return text.getvalue().encode(table.encoding)


@pytest.mark.slow
@given(tables())
def test_tables_come_back_equal(table: Table):
    with TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "table_2025-10-31.csv"
        file.write_bytes(written(table))
        with DuckDBWarehouse(folder / "passing.duckdb", "passing").session() as session:
            [feed] = infer_feeds(session, [file], datetime.now(UTC))
        text = contract_yaml(feed)
        ledger = Ledger(folder / "root", one_feed(folder / "one", text), bare=True)
        outcome = ledger.drop(file.name, file.read_bytes())
        assert (outcome.delivered, outcome.rows_rejected) == (Delivered.ACCEPTED, 0), (text, outcome.error)
        found = [row[2:] for row in rows_of(ledger)]
        for place, kind in enumerate(table.kinds):
            if "AMBIGUOUS" in text.partition(f"- name: column_{place}\n")[2].partition("- name: ")[0]:
                continue  # what is said to mean either may mean the other
            shown = ["" if row[place] is None else kind.shown(row[place]) for row in table.rows]
            assert [row[place] for row in found] == shown, text
