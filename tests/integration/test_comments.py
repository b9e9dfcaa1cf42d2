"""Lines that a contract says are comments: passed over wherever they stand, the lines of the others kept."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.ledger import Ledger
from support.one_feed import ENTRY, one_feed, refused, rejects_of, rows_of

from dropledger.core.errors import ContractError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.verify import verify

BASE = (
    ENTRY
    + """  - {name: text}
"""
)
HASH = 'comment: "#"\n'
NAME = "entries_2025-11-01.csv"
New = Callable[..., Ledger]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """A ledger whose contract has these entries beside."""
    return lambda entries=HASH: Ledger(tmp_path / "root", one_feed(tmp_path / "one", BASE + entries))


EVERYWHERE = """# made by "hand,
#id,text
id,text
1,one
# 7,seven
#
2,"two
# three
"
3,# is no comment here
 # 4,nor here
#"5,five
6,six
# the end"""


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_are_passed_over_but_not_within_a_quoted_cell(new: New, end: str):
    ledger = new()
    outcome = ledger.drop(NAME, EVERYWHERE.replace("\n", end))
    assert rows_of(ledger) == [
        ("4", "1", "one"),
        ("7", "2", "two\n# three\n"),
        ("10", "3", "# is no comment here"),
        ("13", "6", "six"),
    ]
    assert [(line, rule) for line, _, rule, *_ in rejects_of(ledger, outcome)] == [(11, "type")]
    assert outcome.rows_read == 5
    assert verify(ledger.runtime, lambda *_: None).sound
    assert ledger.rows("SELECT _line, id FROM src_entry WHERE id = '6'") == [(13, "6")]


def test_a_file_with_comments_at_its_top_alone_and_one_without_any_are_read_as_they_are(new: New):
    ledger = new()
    assert ledger.drop(NAME, "# a\n# b\nid,text\n1,one\n2,two\n").rows_read == 2
    assert rows_of(ledger) == [("4", "1", "one"), ("5", "2", "two")]
    ledger.drop("entries_2025-11-02.csv", "id,text\n1,one\n2,2\n")
    assert rows_of(ledger)[0] == ("3", "2", "2")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_in_another_encoding_and_packed(new: New, encoding: str, *, packed: bool):
    ledger = new(f"{HASH}encoding: {encoding.removesuffix('-sig')}\n")
    content = "# ä\nid,text\n1,é\n# ö\n2,ü\n".encode(encoding)
    outcome = ledger.drop(NAME, gzip.compress(content) if packed else content)
    assert outcome.delivered == Delivered.ACCEPTED, outcome
    assert rows_of(ledger) == [("3", "1", "é"), ("5", "2", "ü")]


@pytest.mark.parametrize("comment", ["#", "//", "REM "])
def test_beside_preamble_and_trailer(new: New, comment: str):
    entries = f'comment: "{comment}"\npreamble: {{lines: 2}}\ntrailer: {{pattern: "^END", rows: 2}}\n'
    ledger = new(entries)
    text = "A\n#B\n#C\nid,text\n#D\n1,one\n#E\nEND,1\n#F\n\n#G\n".replace("#", comment)
    assert ledger.drop(NAME, text).delivered == Delivered.ACCEPTED
    assert rows_of(ledger) == [("6", "1", "one")]


def test_a_trailer_may_begin_as_comments_do(new: New):
    ledger = new(f'{HASH}trailer: {{pattern: "^#END", rows: 2}}\n')
    assert ledger.drop(NAME, "id,text\n1,one\n#x\n#END,1\n").delivered == Delivered.ACCEPTED
    assert refused(ledger.drop(NAME, "id,text\n1,one\n#END,2\n#x\n")).startswith("control_total")
    assert refused(ledger.drop(NAME, "id,text\n1,one\n#x\n")).startswith("incomplete")


def test_without_a_header_and_without_a_row(new: New):
    ledger = new(f"{HASH}header: none\n")
    assert ledger.drop(NAME, "#id,text\n1,one\n#2,two\n").rows_read == 1
    assert refused(ledger.drop(NAME, "# nothing\n# else\n"))
    assert refused(ledger.drop(NAME, "# nothing"))


def test_what_is_longer_than_a_chunk_is_found(new: New):
    ledger = new('comment: "//"\n')
    many = "".join(f"{number},{'x' * 90}\n" for number in range(12_000))
    at = len("id,text\n") + len(many)
    for pad in (0, 1, 2):  # the mark lies on either side of the end of a chunk, or across it
        padding = f"{10**6},{'y' * ((1 << 20) - at % (1 << 20) - len('1000000,') - pad)}\n" if at % (1 << 20) else ""
        outcome = ledger.drop(f"entries_2025-11-0{pad + 1}.csv", f"id,text\n{many}{padding}//1,2\n")
        assert (outcome.rows_read, outcome.rows_rejected) == (12_001, 0), outcome


def test_undeclared_comments_are_refused_as_before_and_a_replay_reads_them_when_they_are_declared(
    new: New, tmp_path: Path
):
    ledger = new("")
    outcome = ledger.drop(NAME, "id,text\n1,one\n2,two\n# three\n")
    assert outcome.rows_rejected == 1
    declared = Ledger(ledger.root, one_feed(tmp_path / "one", BASE + HASH), ledger.clock)
    replay(declared.runtime, Selection(), None, lambda *_: None)
    assert declared.table("rejected_row") == []
    assert rows_of(declared) == [("2", "1", "one"), ("3", "2", "two")]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ("comment: ''\n", "'' is what rows may begin with too"),
        ("comment: ' #'\n", "' #' is what rows may begin with too"),
        ("comment: ',#'\n", "',#' is what rows may begin with too"),
        ("comment: '\"#'\n", "comment begins with the quote"),
        ("comment: '#'\nformat: ndjson\n", "comment does not go with format: ndjson"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_contract_is_loaded(tmp_path: Path, entries: str, reason: str):
    with pytest.raises(ContractError) as refusal:
        one_feed(tmp_path / "one", BASE + entries)
    assert reason in str(refusal.value)
    assert "entry.yaml:" in str(refusal.value)


@pytest.mark.slow
@pytest.mark.databricks
@pytest.mark.timeout(1800)
def test_on_databricks(tmp_path: Path, request: pytest.FixtureRequest):
    access = access_to(request.getfixturevalue("databricks"))
    ledger = RemoteLedger(tmp_path / "root", one_feed(tmp_path / "one", BASE + HASH), access, new_schema())
    ledger.drop(NAME, EVERYWHERE)
    assert [line for line, *_ in rows_of(ledger)] == ["4", "7", "10", "13"]
