"""gzip and zstd files are read as the text in them, within bounds, and kept as they were received."""

import errno
import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.ledger import Ledger, Record
from support.reading import attempt

from dropledger.core import compression
from dropledger.core.compression import Compression
from dropledger.core.drop import AsOf, AsOfSource
from dropledger.core.formats import text_part
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.plan import plan
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import retract
from dropledger.core.operations.verify import verify
from dropledger.core.steps.intake import read_again
from dropledger.infra.local.inbox import dropped_file
from dropledger.infra.local.process_name import process_name

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Pack = Callable[[bytes], bytes]

HEADER = b"AccountID,CustomerID,Balance,AccountType\n"
ACCOUNTS = HEADER + b"11,1,100.00,Savings\n12,1,200.00,Checking\n"
OTHER_ACCOUNTS = HEADER + b"11,1,150.00,Savings\n"
SKIPPED_FRAME = b"\x50\x2a\x4d\x18\x03\0\0\0abc"


def zstandard(text: bytes) -> bytes:
    return zstd.compress(text, options={zstd.CompressionParameter.checksum_flag: 1})


def gzipped(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


PACKS = {".gz": gzipped, ".zst": zstandard}
BOTH = pytest.mark.parametrize(("ending", "pack"), PACKS.items(), ids=["gzip", "zstd"])


def versions(ledger: Ledger) -> list[Record]:
    return ledger.table("history_account", "account_id, balance, account_type, valid_from, valid_to, line")


def passing_files(ledger: Ledger) -> list[str]:
    found = [path for name in ("work", "warehouse") for path in (ledger.root / name).iterdir()]
    return [path.name for path in found if path.name not in {".lock", "ledger.duckdb"}]


@BOTH
def test_packed_file_is_read_as_its_text_and_kept_as_received(ledger: Ledger, ending: str, pack: Pack):
    received = pack(ACCOUNTS)

    outcome = ledger.drop(f"accounts_2026-01-01.csv{ending}", received)

    assert (outcome.delivered, outcome.rows_accepted) == (Delivered.ACCEPTED, 2)
    assert ledger.table("history_account", "account_id, balance, line") == [(11, 100, 2), (12, 200, 3)]
    assert ledger.table("src_account", "account_id, balance, _line") == [("11", "100.00", 2), ("12", "200.00", 3)]
    formula = hashlib.sha256(b"account\x002026-01-01T00:00:00Z\x00" + received).hexdigest()[:16]
    assert ledger.rows("SELECT drop_id, sha256, size_bytes, name FROM drop_ledger") == [
        (formula, hashlib.sha256(received).hexdigest(), len(received), f"accounts_2026-01-01.csv{ending}")
    ]
    assert (ledger.root / outcome.file).read_bytes() == received
    assert passing_files(ledger) == []


def test_the_bytes_tell_how_a_file_is_packed_whatever_its_name_says(ledger: Ledger):
    as_excel_writes_it = b"\xef\xbb\xbf" + ACCOUNTS.replace(b"\n", b"\r\n")
    received = {
        "accounts_2026-01-01.csv.gz": ACCOUNTS,
        "accounts_2026-01-02.csv.zst": ACCOUNTS,
        "accounts_2026-01-03.csv": gzipped(ACCOUNTS),
        "accounts_2026-01-04.csv": zstandard(ACCOUNTS),
        "accounts_2026-01-05.csv.zst": gzipped(ACCOUNTS),
        "ACCOUNTS_2026-01-06.CSV.GZ": zstandard(ACCOUNTS),
        "accounts_2026-01-07.csv": gzipped(as_excel_writes_it),
    }

    outcomes = ledger.process(*(ledger.put(name, content) for name, content in received.items()))

    assert [outcome.rows_accepted for outcome in outcomes] == [2] * len(received)
    assert ledger.table("history_account", "account_id, balance") == [(11, 100), (12, 200)]
    verified = verify(ledger.runtime, lambda *_: None)  # which reads them again, by their names in the archive
    assert (verified.drops, verified.differences) == (len(received), ())


def rule_of(tmp_path: Path, ledger: Ledger, received: bytes) -> object:
    """By what rule a file is refused at its first reading; its text's lines if it is not."""
    path = tmp_path / "received"
    path.write_bytes(received)
    contract = ledger.runtime.pipeline.contract("account")
    as_of = AsOf(ledger.clock(), AsOfSource.OPTION)
    found = attempt(lambda: read_again(path, contract, as_of))
    return found if isinstance(found, str) else found[0].layout.physical_lines


@BOTH
def test_file_cut_off_anywhere_is_refused(tmp_path: Path, ledger: Ledger, ending: str, pack: Pack):
    received = pack(ACCOUNTS)

    found = {rule_of(tmp_path, ledger, received[:length]) for length in range(4, len(received))}

    assert found == {"cannot_unpack"}


@BOTH
def test_second_part_cut_off_anywhere_is_refused(tmp_path: Path, ledger: Ledger, ending: str, pack: Pack):
    first, received = pack(ACCOUNTS), pack(ACCOUNTS) + pack(b"13,1,1.00,Savings\n")

    found = {rule_of(tmp_path, ledger, received[:length]) for length in range(len(first) + 1, len(received))}

    assert found == {"cannot_unpack"}


@BOTH
def test_file_with_a_changed_byte_is_refused_or_still_the_same_text(
    tmp_path: Path, ledger: Ledger, ending: str, pack: Pack
):
    received = pack(ACCOUNTS)
    path = tmp_path / "received"

    def text() -> bytes:
        return b"".join(compression.unpacked(path, compression.Compression(pack_name)))

    pack_name = {".gz": "gzip", ".zst": "zstd"}[ending]
    found = []
    for place in range(4, len(received)):
        path.write_bytes(received[:place] + bytes([received[place] ^ 0x55]) + received[place + 1 :])
        found.append(attempt(text))

    assert set(found) <= {"cannot_unpack", ACCOUNTS}
    assert found.count("cannot_unpack") > len(received) * 0.8  # a gzip header has time and system, which say nothing


def test_members_and_frames_in_a_row_are_one_text(tmp_path: Path, ledger: Ledger):
    cut = len(HEADER) + 5
    for received in (
        gzipped(HEADER) + gzipped(ACCOUNTS[len(HEADER) :]),
        gzipped(ACCOUNTS) + bytes(512),  # tapes and some tools fill up so
        gzipped(ACCOUNTS[:cut]) + gzipped(b"") + gzipped(ACCOUNTS[cut:]),
        zstandard(HEADER) + zstandard(ACCOUNTS[len(HEADER) :]),
        SKIPPED_FRAME + zstandard(ACCOUNTS) + SKIPPED_FRAME,
        zstandard(ACCOUNTS[:cut]) + SKIPPED_FRAME + zstandard(b"") + zstandard(ACCOUNTS[cut:]),
    ):
        assert rule_of(tmp_path, ledger, received) == 3
    assert ledger.drop("accounts_2026-01-01.csv", received).rows_accepted == 2


REFUSED = {
    "gzip_cut_off": (gzipped(ACCOUNTS)[:-4], "cannot_unpack"),
    "gzip_with_text_behind_it": (gzipped(ACCOUNTS) + b"13,1,1.00,Savings\n", "cannot_unpack"),
    "zstd_cut_off": (zstandard(ACCOUNTS)[:-4], "cannot_unpack"),
    "zstd_with_text_behind_it": (zstandard(ACCOUNTS) + b"13,1,1.00,Savings\n", "cannot_unpack"),
    "zstd_with_gzip_behind_it": (zstandard(ACCOUNTS) + gzipped(ACCOUNTS), "cannot_unpack"),
    "gzip_in_gzip": (gzipped(gzipped(ACCOUNTS)), "packed_twice"),
    "zstd_in_gzip": (gzipped(zstandard(ACCOUNTS)), "packed_twice"),
    "gzip_in_zstd": (zstandard(gzipped(ACCOUNTS)), "packed_twice"),
    "zstd_in_zstd": (zstandard(SKIPPED_FRAME + zstandard(ACCOUNTS)), "packed_twice"),
    "gzip_of_nothing": (gzipped(b""), "empty_file"),
    "zstd_without_a_frame": (SKIPPED_FRAME, "empty_file"),
    "latin_1": (gzipped(ACCOUNTS + "13,1,1.00,Sparbüchse\n".encode("latin-1")), "not_utf8"),
    "nul_byte": (zstandard(ACCOUNTS + b"13,1,1.00,Sav\0ings\n"), "control_characters"),
}


def test_what_cannot_be_read_lies_in_quarantine_as_received(ledger: Ledger):
    facts = [ledger.put(f"accounts_{name}.csv.gz", received) for name, (received, _) in REFUSED.items()]

    ledger.process(*facts)

    for name, (received, rule) in REFUSED.items():
        quarantined = ledger.root / "quarantine" / f"accounts_{name}.csv.gz"
        assert quarantined.read_bytes() == received
        assert json.loads(quarantined.with_name(f"{quarantined.name}.reason.json").read_text())["rule"] == rule
        ledgered = ledger.rows("SELECT status, sha256 FROM drop_ledger WHERE name = ?", [quarantined.name])
        assert ledgered == [("quarantined", hashlib.sha256(received).hexdigest())]
    assert ledger.table("history_account") == []
    assert passing_files(ledger) == []


@BOTH
def test_bomb_is_refused_after_a_bounded_amount(ledger: Ledger, ending: str, pack: Pack):
    rows = b"".join(b"%d,1,1.00,Savings\n" % number for number in range(10)) * 90_000
    bomb = pack(HEADER) + pack(rows) * 6  # 92 MB of flawless rows
    most = max(compression.ALWAYS_ALLOWED, compression.MOST_TIMES * len(bomb))
    path = ledger.root / "inbox" / f"accounts_2026-01-01.csv{ending}"
    seen = 0

    def unpack() -> None:
        nonlocal seen
        for chunk in compression.unpacked(path, compression.Compression({".gz": "gzip", ".zst": "zstd"}[ending])):
            seen += len(chunk)

    fact = ledger.put(path.name, bomb)
    assert attempt(unpack) == "unpacks_to_too_much"
    assert most - (1 << 20) <= seen <= most
    assert ledger.process(fact)[0].rule == "unpacks_to_too_much"
    assert passing_files(ledger) == []


def test_bomb_is_refused_by_the_bound_on_any_file(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compression, "MOST_BYTES", len(ACCOUNTS) - 1)

    assert ledger.drop("accounts_2026-01-01.csv.gz", gzipped(ACCOUNTS)).rule == "unpacks_to_too_much"
    monkeypatch.setattr(compression, "MOST_BYTES", len(ACCOUNTS))
    assert ledger.drop("accounts_2026-01-02.csv.gz", gzipped(ACCOUNTS)).rows_accepted == 2


def test_bomb_that_is_no_text_is_refused_at_its_beginning(ledger: Ledger):
    bomb = zstandard(bytes(1 << 26)) * 10_000  # 671 GB of NUL bytes
    started = time.monotonic()

    outcome = ledger.drop("accounts_2026-01-01.csv.zst", bomb)

    assert outcome.rule == "control_characters"
    assert time.monotonic() - started < 10


def test_frame_that_asks_for_much_memory_is_refused(ledger: Ledger):
    window = {zstd.CompressionParameter.window_log: 30, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=window)
    received = packer.compress(ACCOUNTS) + packer.flush()

    assert ledger.drop("accounts_2026-01-01.csv.zst", received).rule == "cannot_unpack"


def test_refused_rows_of_a_packed_file_have_their_lines_and_texts(ledger: Ledger):
    text = b'CustomerID,Name,HasLoan\n1,Ann,No\n\n2,"Ben\nBerg",No\nthree,Cy,No\n4,Di,Yes\n'

    outcome = ledger.drop("customers_2026-01-01.csv.gz", gzipped(text))

    assert (outcome.rows_accepted, outcome.rows_rejected) == (3, 1)
    assert ledger.rows("SELECT line, rule, raw FROM rejected_row") == [(6, "type", "three,Cy,No")]
    assert ledger.table("history_customer", "customer_id, line") == [(1, 2), (2, 4), (4, 7)]
    assert (ledger.root / "quarantine" / "customers_2026-01-01.csv.gz.rejects.csv").is_file()
    assert passing_files(ledger) == []


def test_packed_files_are_read_again_for_late_drops_and_whatever_else_asks_the_archive(ledger: Ledger, tmp_path: Path):
    texts = [ACCOUNTS, OTHER_ACCOUNTS, ACCOUNTS]
    names = [f"accounts_2026-01-0{day}.csv" for day in (1, 2, 3)]
    plain = Ledger(tmp_path / "plain", ledger.runtime.pipeline)
    packed = [pack(text) for pack, text in zip((gzipped, zstandard, gzipped), texts, strict=True)]
    for place in (0, 2, 1):  # the second is late, and has to be woven in between the others
        plain.drop(names[place], texts[place])
        ledger.drop(names[place] + ".gz", packed[place])

    assert versions(ledger) == versions(plain)
    assert len(versions(ledger)) == 4
    assert verify(ledger.runtime, lambda *_: None).differences == ()
    replay(ledger.runtime, Selection(), None, lambda *_: None)
    assert versions(ledger) == versions(plain)

    path = tmp_path / "accounts_2026-01-02.csv.zst"
    path.write_bytes(zstandard(HEADER + b"11,1,175.00,Savings\n"))
    before = versions(ledger)
    planned = plan(ledger.runtime, dropped_file(path))
    assert (planned.outcome.delivered, planned.outcome.versions_opened) == (Delivered.ACCEPTED, 1)
    assert versions(ledger) == before

    for found in (ledger, plain):
        retract(found.runtime, found.rows("SELECT drop_id FROM drop_ledger WHERE sequence = 2")[0][0], "test", "me")
    assert versions(ledger) == versions(plain)
    assert passing_files(ledger) == []


def test_old_extracts_come_in_packed_or_not(ledger: Ledger, tmp_path: Path):
    plain = Ledger(tmp_path / "plain", ledger.runtime.pipeline)
    texts = {f"accounts_2026-01-0{day}.csv": ACCOUNTS if day % 2 else OTHER_ACCOUNTS for day in range(1, 7)}
    plain.drop(*list(texts.items())[-1])
    ledger.drop("accounts_2026-01-06.csv.gz", gzipped(OTHER_ACCOUNTS))
    packs = [gzipped, zstandard, bytes]

    backfill(plain.runtime, [plain.put(name, text) for name, text in list(texts.items())[:-1]], lambda _: None)
    facts = [ledger.put(name, packs[place % 3](text)) for place, (name, text) in enumerate(list(texts.items())[:-1])]
    outcomes = backfill(ledger.runtime, facts, lambda _: None)

    assert {outcome.delivered for outcome in outcomes} == {Delivered.ACCEPTED}
    assert versions(ledger) == versions(plain)
    assert passing_files(ledger) == []


def test_packed_and_plain_are_two_drops_and_the_second_changes_nothing(ledger: Ledger):
    first = ledger.drop("accounts_2026-01-01.csv", ACCOUNTS)
    second = ledger.drop("accounts_2026-01-01.csv.gz", gzipped(ACCOUNTS))

    assert second.delivered == Delivered.ACCEPTED
    assert second.drop.drop_id != first.drop.drop_id
    assert len(versions(ledger)) == 2
    again = ledger.drop("accounts.csv.gz", gzipped(ACCOUNTS), as_of=first.drop.as_of.moment)
    assert (again.delivered, again.drop.drop_id) == (Delivered.DUPLICATE, second.drop.drop_id)


def test_what_a_killed_process_had_unpacked_goes_at_the_next_start(ledger: Ledger):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [process_name(process) for process in (gone.pid, os.getppid())]
    folders = [ledger.database.with_name(f"ledger.duckdb.tmp-lines-{name}") for name in names]
    for folder in folders:
        folder.mkdir()
        (folder / "unpacked-0").write_bytes(ACCOUNTS)

    ledger.drop("accounts_2026-01-01.csv.gz", gzipped(ACCOUNTS))

    assert not folders[0].exists()
    assert folders[1].exists()  # of a process that is alive


def test_file_that_the_disk_has_no_room_to_unpack_does_not_keep_the_others(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    unpack = text_part.unpacked

    def full(path: Path, compression: Compression) -> Iterator[bytes]:
        yield from unpack(path, compression)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(text_part, "unpacked", full)
        outcomes = ledger.process(
            ledger.put("accounts_2026-01-01.csv.gz", gzip.compress(ACCOUNTS)),
            ledger.put("accounts_2026-01-02.csv", ACCOUNTS),
        )
        told = {outcome.drop.name: str(outcome.delivered) for outcome in outcomes}
        assert told == {"accounts_2026-01-01.csv.gz": "postponed", "accounts_2026-01-02.csv": "accepted"}
    (outcome,) = ledger.process()
    assert str(outcome.delivered) == "accepted"
    assert passing_files(ledger) == []
