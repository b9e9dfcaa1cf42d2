"""What two texts differ in, line by line."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropledger.core.formats import line_difference
from dropledger.core.formats.line_difference import differing_lines

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"longer\n", b"\n", b"a,b\n", b"a\r\n"]), max_size=40)
LAST = st.sampled_from([b"", b"a", b"end"])


def chunks(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def difference(older: bytes, newer: bytes, size: int = 7) -> list[tuple[int, bytes]]:
    return [*differing_lines(chunks(older, size), chunks(newer, size))]


@pytest.mark.parametrize(
    ("older", "newer", "found"),
    [
        (b"h\n1\n2\n", b"h\n1\n2\n", []),
        (b"h\n1\n2\n3\n", b"h\n1\nx\n3\n", [(-3, b"2\n"), (3, b"x\n")]),
        (b"h\n1\n2\n3\n", b"h\n1\n3\n", [(-3, b"2\n")]),
        (b"h\n1\n3\n", b"h\n1\n2\n3\n", [(3, b"2\n")]),
        (b"h\n1\n", b"h\n1\n2\n3\n", [(3, b"2\n"), (4, b"3\n")]),
        (b"h\n1\n2\n", b"h\n", [(-2, b"1\n"), (-3, b"2\n")]),
        (b"h\n1\n2", b"h\n1\n2\n", [(-3, b"2"), (3, b"2\n")]),
        (b"h\n1\n2\n3\n", b"h\n2\n3\n1\n", [(2, b"2\n"), (3, b"3\n"), (-3, b"2\n"), (-4, b"3\n")]),
        (b"", b"h\n", [(1, b"h\n")]),
    ],
)
def test_lines_of_one_text_alone(older: bytes, newer: bytes, found: list[tuple[int, bytes]]):
    assert difference(older, newer) == found


@given(older=LINES, newer=LINES, ends=st.tuples(LAST, LAST), block=st.sampled_from([1, 3, 64, 1 << 20]))
def test_what_remains_of_both_texts_is_alike(
    older: list[bytes], newer: list[bytes], ends: tuple[bytes, ...], block: int
):
    old, new = (b"".join(lines) + end for lines, end in zip((older, newer), ends, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_difference, "_BLOCK", block)
        found = difference(old, new, size=5)
    numbered = [(place, line) for place, line in enumerate(BytesIO(new).readlines(), 1)]
    of_the_older = [(-place, line) for place, line in enumerate(BytesIO(old).readlines(), 1)]
    assert {*found} <= {*numbered, *of_the_older}
    stayed, were = ([line for place, line in lines if (place, line) not in found] for lines in (numbered, of_the_older))
    assert stayed == were


def test_a_block_may_end_where_a_line_does():
    assert difference(b"ab\n" * 9, b"ab\n" * 9 + b"c\n", size=3) == [(10, b"c\n")]


def test_a_change_in_many_lines_is_found_whatever_the_block_ends_within():
    older = [b"%d,%d\n" % (key, key * 7) for key in range(200_000)]
    newer = [*older]
    for key in range(0, 200_000, 997):
        newer[key] = b"%d,changed\n" % key
    found = difference(b"".join(older), b"".join(newer), size=1 << 16)
    assert [number for number, _ in found if number > 0] == [key + 1 for key in range(0, 200_000, 997)]
    assert [line for number, line in found if number < 0] == [older[key] for key in range(0, 200_000, 997)]


def test_a_line_longer_than_a_block_is_one_line():
    long = b"x" * (3 << 20)
    assert difference(b"h\n" + long + b"\nend\n", b"h\n" + long + b"y\nend\n", size=1 << 20) == [
        (-2, long + b"\n"),
        (2, long + b"y\n"),
    ]
