"""Quotes within cells are found wherever the chunks end in which a text comes."""

from hypothesis import example, given
from hypothesis import strategies as st

from dropledger.core.formats.quote_scan import QuoteScan

HEADER = b"AccountID,Note\n"


def opens(*chunks: bytes) -> bool:
    scan = QuoteScan()
    for chunk in chunks:
        scan.update(chunk)
    return scan.opens_within_a_cell(",")


@given(st.lists(st.text('",; a\n\r', max_size=9).map(str.encode), min_size=1))
@example([b"1,a", b"b", b'"c"\n'])
@example([b'1,a "', b"b\r", b"c"])
@example([b"1,\rab", b'"c"'])
@example([b"1,2\n", b"3,a", b'"b"\n', b"4,5\n"])
def test_what_is_found_does_not_depend_on_where_chunks_end(chunks: list[bytes]):
    assert opens(HEADER, *chunks) == opens(HEADER + b"".join(chunks))


def test_quotes_that_open_within_a_cell_are_found():
    assert opens(HEADER, b"1,plain\n2,", b"plain too\n", b'3,letters"more"\n')
    assert not opens(HEADER, b"1,plain\n2,", b"plain too\n", b'3,"letters"\n')
