"""Names, kinds and contents of files that nobody in their right mind would drop."""

import codecs
import csv
import encodings.aliases
import os
import socket
from pathlib import Path

import pytest
from support.ledger import Ledger
from support.reading import Reader, attempt

from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.verify import verify

pytestmark = pytest.mark.slow

ACCOUNTS = b"AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n"

NAMES = [
    b"accounts_2026-01-01.csv",
    b"accounts..%2f..%2fetc_2026-01-02.csv",
    b"accounts..\\..\\windows_2026-01-03.csv",
    b"accounts\n_2026-01-04.csv",
    b"accounts'; DROP TABLE drop_ledger; --_2026-01-05.csv",
    b'accounts"$(reboot)`id`_2026-01-06.csv',
    "accounts\u202efdp_2026-01-07.csv".encode(),  # right to left from here on
    "accounts\u200b\U0001f4a5_2026-01-08.csv".encode(),
    b"accounts\x07\x1b[31m_2026-01-09.csv",
    b"accounts\xff\xfe_2026-01-10.csv",
    b"accounts[1]*?{a,b}_2026-01-11.csv",
    b"accounts_2026-01-12_" + b"x" * (255 - 24) + b".csv",
    b"accounts_2026-01-13_" + "é".encode() * 115 + b".csv",
    b"accounts ~ $HOME %s {0} _2026-01-14.csv",
    b"ACCOUNTS_2026-01-15.CSV",
]
STRANGERS = [b"-rf_2026-02-01.csv", b"--help.csv", b" .csv", b"con.csv", b"\xff.csv", b"..csv", b"accounts.csv.exe"]


def land(ledger: Ledger, name: bytes, content: bytes = ACCOUNTS) -> None:
    path = os.fsencode(ledger.root / "inbox") + b"/" + name
    with open(path, "wb") as file:  # noqa: PTH123 (the name need not be text)
        file.write(content)


def everything_below(folder: Path) -> list[bytes]:
    walk = os.walk(os.fsencode(folder))
    return sorted(where + b"/" + name for where, folders, names in walk for name in (*folders, *names))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:40]))
def test_any_name_of_a_feed_is_taken_and_stays_below_the_root(ledger: Ledger, name: bytes):
    beside = everything_below(ledger.root.parent)
    land(ledger, name)

    (outcome,) = ledger.process(*ledger.runtime.store.arrivals())

    assert (outcome.delivered, outcome.rows_accepted) == (Delivered.ACCEPTED, 1)
    assert outcome.drop.as_of.source == "file_name"
    assert list((ledger.root / "inbox").iterdir()) == []
    (archived,) = [path for path in (ledger.root / "archive").rglob("*") if path.is_file()]
    assert archived.read_bytes() == ACCOUNTS
    assert archived.parent == ledger.root / f"archive/account/{outcome.drop.as_of.moment:%Y/%m/%d}"
    assert ledger.rows("SELECT status FROM drop_ledger") == [("published",)]
    strangers = set(everything_below(ledger.root.parent)) - set(beside)
    assert all(path.startswith(os.fsencode(ledger.root) + b"/") for path in strangers)
    assert ledger.process() == []  # and nothing is left to do


@pytest.mark.parametrize("name", STRANGERS, ids=ascii)
def test_any_other_name_is_quarantined_with_its_reason(ledger: Ledger, name: bytes):
    land(ledger, name)
    (fact,) = ledger.runtime.store.arrivals() or [None]
    if fact is None:
        assert name.startswith(b".")  # which programs give to files that they are still writing
        return

    (outcome,) = ledger.process(fact)

    assert outcome.rule == "unknown_feed"
    quarantined = [path for path in (ledger.root / "quarantine").iterdir() if not path.name.endswith(".reason.json")]
    assert [path.read_bytes() for path in quarantined] == [ACCOUNTS]
    assert (ledger.root / "quarantine" / f"{quarantined[0].name}.reason.json").is_file()


def test_what_is_no_regular_file_is_left_where_it_is(ledger: Ledger, tmp_path: Path):
    inbox, outside = ledger.root / "inbox", tmp_path / "outside"
    outside.mkdir()
    (outside / "accounts_2026-01-01.csv").write_bytes(ACCOUNTS)
    (inbox / "accounts_2026-01-01.csv").symlink_to(outside / "accounts_2026-01-01.csv")
    (inbox / "accounts_2026-01-02.csv").symlink_to("/dev/zero")
    (inbox / "accounts_2026-01-03.csv").symlink_to(inbox / "accounts_2026-01-03.csv")
    (inbox / "account").symlink_to(outside)
    os.mkfifo(inbox / "accounts_2026-01-04.csv")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(inbox / "accounts.sock.csv"))
    before = everything_below(tmp_path)

    assert ledger.runtime.store.arrivals() == []
    assert ledger.process() == []

    listener.close()
    assert [path for path in everything_below(tmp_path) if b"/inbox" in path or b"/outside" in path] == [
        path for path in before if b"/inbox" in path or b"/outside" in path
    ]
    assert len(ledger.runtime.store.problems()) == 6


def test_sql_in_header_and_cells_stays_text(ledger: Ledger):
    attack = "'); DROP TABLE drop_ledger; --"
    header = f'CustomerID,Name,HasLoan,"x""{attack}"'
    text = f'{header}\n1,"{attack}",No,"{attack}"\n2,"""; SELECT 1",No,\n'
    land(ledger, b"customers_2026-01-01.csv", text.encode())
    (outcome,) = ledger.process(*ledger.runtime.store.arrivals())
    assert outcome.rows_accepted == 2
    assert ledger.table("history_customer", "customer_name") == [('"; SELECT 1',), (attack,)]
    assert ledger.rows("SELECT status FROM drop_ledger") == [("published",)]


def test_engine_fetches_no_code_for_what_it_meets(ledger: Ledger):
    with ledger.runtime.warehouse.session() as session:
        settings = session.query("SELECT current_setting('autoinstall_known_extensions') AS autoinstall")
    assert settings == [{"autoinstall": False}]


def test_folder_called_like_a_file_is_a_folder(ledger: Ledger):
    folder = ledger.root / "inbox" / "accounts_2026-01-01.csv"
    folder.mkdir()
    land(ledger, b"accounts_2026-01-01.csv/customers_2026-01-01.csv", b"CustomerID,Name,HasLoan\n1,Ann,No\n")

    (outcome,) = ledger.process(*ledger.runtime.store.arrivals())

    assert (outcome.delivered, outcome.rule) == (Delivered.QUARANTINED, "unknown_feed")
    assert folder.is_dir()


@pytest.mark.parametrize("folder", ["outputs", "archive", "quarantine"])
def test_link_in_the_place_of_a_file_that_is_written_is_replaced_not_followed(
    ledger: Ledger, tmp_path: Path, folder: str
):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names = {"outputs": ["account_summary.csv", "manifest.json"], "archive": [], "quarantine": ["odd.csv.reason.json"]}
    for name in names[folder]:
        (ledger.root / folder / name).symlink_to(victim)
    land(ledger, b"accounts_2026-01-01.csv")
    land(ledger, b"odd.csv")

    ledger.process(*ledger.runtime.store.arrivals())

    assert victim.read_text() == "precious"
    assert not any(path.is_symlink() for path in (ledger.root / folder).iterdir()) or folder == "quarantine"


def test_dropped_file_called_like_a_reason_leaves_the_reason_alone(ledger: Ledger):
    land(ledger, b"odd.csv")
    ledger.process(*ledger.runtime.store.arrivals())
    reason = (ledger.root / "quarantine" / "odd.csv.reason.json").read_bytes()
    land(ledger, b"odd.csv.reason.json", b"no JSON")
    land(ledger, b"even.csv.reason.json", b"[]")
    ledger.process(*ledger.runtime.store.arrivals())
    land(ledger, b"even.csv")
    ledger.process(*ledger.runtime.store.arrivals())

    quarantined = {path.name: path.read_bytes() for path in (ledger.root / "quarantine").iterdir()}
    assert quarantined["odd.csv"] == ACCOUNTS
    assert quarantined["odd.csv.reason.json"] == reason
    assert quarantined["even.csv.reason.json"] == b"[]"
    assert list(quarantined.values()).count(ACCOUNTS) == 2
    assert b"no JSON" in quarantined.values()


# Contents

SQL = [
    "'); DROP TABLE drop_ledger; --",
    "Robert'); DELETE FROM history_customer; --",
    '" OR ""="',
    "${cells} {0} %s :drop_id $1 ?",
    "x' UNION SELECT sha256 FROM drop_ledger --",
    "\\'; ATTACH 'victim.duckdb' AS victim; --",
    "/* incremental */",
]


def test_sql_in_values_is_text(ledger: Ledger):
    rows = [[str(number), text, "No"] for number, text in enumerate(SQL, 1)]
    rows += [["0", text, text] for text in SQL]  # which are rejected, and quoted in the reasons
    cells = "\n".join(",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows)

    outcome = ledger.drop("customers_2026-01-01.csv", f"CustomerID,Name,HasLoan\n{cells}\n")

    assert (outcome.rows_accepted, outcome.rows_rejected) == (len(SQL), len(SQL))
    assert ledger.table("history_customer", "customer_id, customer_name") == list(enumerate(SQL, 1))
    with (ledger.root / "outputs" / "customer_profile.csv").open(newline="", encoding="utf-8") as file:
        assert [row["customer_name"] for row in csv.DictReader(file)] == SQL
    assert ledger.rows("SELECT status FROM drop_ledger") == [("published",)]
    assert verify(ledger.runtime, lambda *_: None).differences == ()


def test_sql_in_headers_is_text(ledger: Ledger):
    odd = ",".join(f'"{text.replace(chr(34), chr(34) * 2)}"' for text in SQL)
    names = '"Account""ID","CustomerID","Balance","AccountType"'

    refused = ledger.drop("accounts_2026-01-01.csv", f"{names},{odd}\n11,1,1.00,Savings{',x' * len(SQL)}\n")
    outcome = ledger.drop(
        "accounts_2026-01-02.csv",
        f"{odd},AccountID,CustomerID,Balance,AccountType\n{'x,' * len(SQL)}11,1,1.00,Savings\n",
    )

    assert refused.rule == "missing_column"
    assert outcome.rows_accepted == 1
    assert outcome.warnings[0].startswith(f"expected_columns ({len(SQL)})")
    assert ledger.table("history_account", "account_id, customer_id, balance") == [(11, 1, 1)]
    assert ledger.rows("SELECT count(*) FROM drop_ledger") == [(2,)]


def wide(columns: int) -> bytes:
    header, row = ACCOUNTS.splitlines()
    more = columns - 4
    return header + b"".join(b",column %d" % place for place in range(more)) + b"\n" + row + b",x" * more + b"\n"


def test_columns_by_the_thousand_are_read(ledger: Ledger):
    outcome = ledger.drop("accounts_2026-01-01.csv", wide(3_000))

    assert outcome.rows_accepted == 1
    assert ledger.table("history_account", "account_id, balance") == [(11, 100)]


@pytest.mark.parametrize(("columns", "rule"), [(16_385, "too_many_columns"), (200_000, "line_too_long")])
def test_more_columns_than_a_spreadsheet_has_are_refused(ledger: Ledger, columns: int, rule: str):
    assert ledger.drop("accounts_2026-01-01.csv", wide(columns)).rule == rule


@pytest.mark.parametrize("quote", ["", '"'])
def test_cell_of_ten_megabytes_is_read(ledger: Ledger, quote: str):
    cell = "a" * (10 << 20)

    outcome = ledger.drop("customers_2026-01-01.csv", f"CustomerID,Name,HasLoan\n1,{quote}{cell}{quote},No\n2,Ben,No\n")

    assert outcome.rows_accepted == 2
    assert ledger.rows("SELECT customer_id FROM history_customer WHERE customer_name = ?", [cell]) == [(1,)]
    assert ledger.rows("SELECT line FROM history_customer ORDER BY line") == [(2,), (3,)]


@pytest.mark.parametrize("place", [0, 5, 41, 45, len(ACCOUNTS)])
def test_nul_byte_anywhere_is_refused(ledger: Ledger, place: int):
    assert ledger.drop("accounts_2026-01-01.csv", ACCOUNTS[:place] + b"\0" + ACCOUNTS[place:]).rule == (
        "control_characters"
    )


TEXTS = ["Zoë", "Łódź", "Юлия", "Ωmega", "דוד", "日本", "한국", "\U0001f4a5", "plain"]
# Encodings that write other letters as plain ones, so that nothing tells them from text as it stands.
NOT_TOLD_APART = {"hz", "punycode", "raw_unicode_escape", "unicode_escape", "utf_7"}


def text_codecs() -> list[str]:
    found = {*encodings.aliases.aliases.values(), *NOT_TOLD_APART, "cp720", "cp737", "cp856", "utf_8_sig"}
    return sorted(name for name in found if _is_text_codec(name))


def _is_text_codec(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:  # those of another system
        return False


def _has(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeError:
        return False
    return True


def test_text_in_any_of_python_s_codecs_is_read_as_utf_8_or_refused(ledger: Ledger, tmp_path: Path):
    contract = ledger.runtime.pipeline.contract("customer")
    seen, rules, misread = set(), set(), set()
    with ledger.runtime.session() as session:
        reader = Reader(session, contract, tmp_path / "customers.csv")
        for codec in text_codecs():
            for texts in (["plain"], [text for text in TEXTS if _has(codec, text)]):
                lines = [f"{number},{text},No" for number, text in enumerate(texts, 1)]
                content = "".join(f"{line}\n" for line in ["CustomerID,Name,HasLoan", *lines]).encode(codec)
                if content in seen:
                    continue
                seen.add(content)
                found = attempt(lambda content=content: reader.read(content))
                if isinstance(found, str):
                    rules.add(found)
                    continue
                as_utf_8 = content.decode("utf-8-sig").splitlines()[1:]
                assert [row.raw for row in found.rows] + [row.raw for row in found.malformed] == as_utf_8
                assert [",".join(cell or "" for cell in row.cells) for row in found.rows] == [
                    row.raw for row in found.rows
                ]
                if as_utf_8 != lines:
                    misread.add(codec)

    assert len(text_codecs()) > 90
    assert rules == {"not_utf8", "control_characters", "missing_column"}
    assert misread <= NOT_TOLD_APART
