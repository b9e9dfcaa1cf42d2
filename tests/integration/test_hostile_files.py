"""Names and kinds of files that nobody in their right mind would drop."""

import os
import socket
from pathlib import Path

import pytest
from ledger import Ledger

from core.ledger import Delivered

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
