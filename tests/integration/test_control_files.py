"""Control files: a drop waits for the file beside it that says what it holds, and is held against that."""

import gzip
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.commands import Commands
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.ledger import Ledger, micro_batches_from
from support.one_feed import ENTRY, one_feed, refused, rows_of

from dropledger.core.errors import ContractError
from dropledger.core.ingest.control_files import left_waiting, pair
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.made_up import MadeUp, with_plain_files
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.verify import verify

BASE = (
    ENTRY
    + """  - {name: amount, type: "decimal(12,2)"}
"""
)
TOTALS = 'control_file: {suffix: .ctl, pattern: "^TOTAL", rows: 2, sums: {amount: 3}}\n'
ROWS = "id,amount\n1,10.00\n2,5.50\n"
FITS = "TOTAL,2,15.50\n"
NAME = "entries_2025-11-01.csv"
CONTROL = f"{NAME}.ctl"
New = Callable[..., Ledger]


@pytest.fixture
def new(tmp_path: Path) -> New:
    """A ledger whose contract has these entries beside."""

    def made(entries: str = TOTALS) -> Ledger:
        return Ledger(tmp_path / "root", one_feed(tmp_path / "one", BASE + entries))

    return made


def take(ledger: Ledger) -> list[Outcome]:
    """Take what lies in the inbox and need not wait."""
    return ledger.process(*pair(ledger.runtime.store.arrivals(), ledger.runtime.pipeline).ready)


def land(ledger: Ledger, **files: str | bytes) -> None:
    for name, text in files.items():
        ledger.put(name, text)


def files_below(folder: Path) -> dict[str, bytes]:
    """The files below a folder by name, without their drop_id and what tells of them."""
    told = (".json", ".rejects.csv")
    found = {path.name: path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(told)}
    return {name[17:] if folder.name == "archive" else name: path.read_bytes() for name, path in found.items()}


@pytest.mark.parametrize("first", [NAME, CONTROL])
def test_a_drop_waits_for_its_control_file_and_both_are_kept(new: New, first: str):
    ledger = new()
    texts = {NAME: ROWS, CONTROL: FITS}
    land(ledger, **{first: texts[first]})
    assert take(ledger) == []
    waits = left_waiting(ledger.runtime.store, ledger.runtime.pipeline)
    assert [(one.dropped.name, one.control_file) for one in waits.awaited] == (
        [(NAME, CONTROL)] if first == NAME else []
    )
    assert [one.name for one in waits.alone] == ([] if first == NAME else [CONTROL])
    land(ledger, **texts)
    [outcome] = take(ledger)
    assert (outcome.delivered, outcome.drop.name) == (Delivered.ACCEPTED, NAME)
    assert rows_of(ledger) == [("2", "1", "10.00"), ("3", "2", "5.50")]
    assert list((ledger.root / "inbox").iterdir()) == []
    assert files_below(ledger.root / "archive") == {NAME: ROWS.encode(), f"{NAME}.control_file": FITS.encode()}
    assert verify(ledger.runtime, lambda *_: None).sound


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        ("TOTAL,3,15.50\n", "control_total: the control file says that there are 3 rows, and 2 were read"),
        (
            "TOTAL,2,15.51\n",
            "control_total: the control file says that amount sums up to 15.51, and what was read to 15",
        ),
        ("TOTAL,two,15.50\n", "control_total: field 2 of the control file is no number"),
        ("TOTAL,2\n", "control_total: field 3 of the control file is no number"),
        ("SUM,2,15.50\n", "incomplete: the control file cannot be held against the file: no line of it is like ^TOTAL"),
        ("", "incomplete: the control file cannot be held against the file: it is empty"),
        (b"TOTAL\xff", "incomplete: the control file cannot be held against the file: it is no text in utf-8"),
        ("T" * 70_000, "incomplete: the control file cannot be held against the file: it has 70,000 bytes"),
    ],
)
def test_a_control_file_that_does_not_agree_refuses_the_drop(new: New, control: str | bytes, reason: str):
    ledger = new()
    land(ledger, **{NAME: ROWS, CONTROL: control})
    [outcome] = take(ledger)
    assert refused(outcome).startswith(reason)
    kept = control if isinstance(control, bytes) else control.encode()
    assert files_below(ledger.root / "quarantine") == {NAME: ROWS.encode(), f"{NAME}.control_file": kept}
    assert ledger.runtime.store.quarantined() == [NAME]
    land(ledger, **{NAME: ROWS, CONTROL: FITS})  # the same bytes with a control file that agrees
    [outcome] = take(ledger)
    assert outcome.delivered == Delivered.ACCEPTED
    assert list((ledger.root / "inbox").iterdir()) == []


def test_the_digest_is_that_of_the_bytes_as_received(new: New):
    ledger = new("control_file: {suffix: .sha256, sha256: 1}\n")
    packed = gzip.compress(ROWS.encode())
    named = f"{NAME}.gz"
    land(ledger, **{named: packed, f"{named}.SHA256": f"{hashlib.sha256(ROWS.encode()).hexdigest()}  {named}\n"})
    [outcome] = take(ledger)
    assert refused(outcome).startswith("control_total: the control file says that the file has the SHA-256")
    assert outcome.rows_read == 0
    land(ledger, **{named: packed, f"{named}.SHA256": f"{hashlib.sha256(packed).hexdigest().upper()}  {named}\n"})
    [outcome] = take(ledger)
    assert (outcome.delivered, outcome.rows_accepted) == (Delivered.ACCEPTED, 2)


def test_a_control_file_that_says_nothing_is_just_waited_for(new: New):
    ledger = new("control_file: {suffix: .done}\n")
    land(ledger, **{NAME: ROWS})
    assert take(ledger) == []
    land(ledger, **{f"{NAME}.done": b"\xff\x00"})
    assert [outcome.delivered for outcome in take(ledger)] == [Delivered.ACCEPTED]


def test_trailer_and_control_file_are_both_held_against_the_rows(new: New):
    ledger = new(f'{TOTALS}trailer: {{pattern: "^END", rows: 2}}\n')
    land(ledger, **{NAME: f"{ROWS}END,2\n", CONTROL: "TOTAL,3,15.50\n"})
    assert refused(take(ledger)[0]).startswith("control_total: the control file says that there are 3 rows")
    land(ledger, **{NAME: f"{ROWS}END,3\n", CONTROL: FITS})
    assert refused(take(ledger)[0]).startswith("control_total: the file says that it has 3 rows")


def test_many_that_wait_together_are_each_held_against_their_own(new: New):
    ledger = new()
    for day in range(1, 10):
        total = 15 if day == 5 else 15.5
        land(ledger, **{f"entries_2025-11-0{day}.csv": ROWS, f"entries_2025-11-0{day}.csv.ctl": f"TOTAL,2,{total}\n"})
    with micro_batches_from(2):
        outcomes = take(ledger)
    assert [outcome.drop.name[-6:-4] for outcome in outcomes if outcome.refused] == ["05"]
    assert len(outcomes) == 9
    assert len(files_below(ledger.root / "archive")) == 16


def test_ledger_that_is_lost_is_made_again_and_a_control_file_that_is_gone_is_told(new: New):
    ledger = new()
    land(ledger, **{NAME: ROWS, CONTROL: FITS})
    take(ledger)
    before = rows_of(ledger)
    shutil.rmtree(ledger.root / "warehouse")
    assert replay(ledger.runtime, Selection(), None, lambda *_: None).recovered
    assert rows_of(ledger) == before
    [kept] = (ledger.root / "archive").rglob("*.control_file")
    kept.write_text("TOTAL,9,9\n", encoding="utf-8")
    [found] = verify(ledger.runtime, lambda *_: None).files
    assert (found.name, "SHA-256" in found.problem) == (str(kept.relative_to(ledger.root)), True)
    kept.unlink()
    [found] = verify(ledger.runtime, lambda *_: None).files
    assert found.problem.startswith("the control file of drop")
    land(ledger, **{NAME: ROWS, CONTROL: "TOTAL,7,7\n"})  # another one mends nothing
    assert [outcome.delivered for outcome in take(ledger)] == [Delivered.DUPLICATE]
    assert not kept.exists()
    land(ledger, **{NAME: ROWS, CONTROL: FITS})
    take(ledger)
    assert verify(ledger.runtime, lambda *_: None).sound


def test_named_files_and_folders_are_taken_with_what_lies_beside_them(
    new: New, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    ledger = new()
    monkeypatch.setenv("DROPLEDGER_PIPELINE", str(ledger.runtime.pipeline.folder))
    commands, old = Commands(ledger.root, capsys), tmp_path / "old"
    old.mkdir()
    (old / NAME).write_text(ROWS, encoding="utf-8")
    found = commands.json("process", str(old / NAME), code=4)
    assert (found["outcomes"], CONTROL in found["error"]["what"]) == ([], True)
    assert commands.json("backfill", str(old), code=4)["outcomes"] == []
    assert commands.code("plan", str(old / NAME)) == 4
    (old / CONTROL).write_text(FITS, encoding="utf-8")
    assert commands.json("plan", str(old / NAME))["outcome"]["outcome"] == "accepted"
    [outcome] = commands.json("process", str(old / NAME), str(old / CONTROL))["outcomes"]
    assert (outcome["name"], outcome["outcome"]) == (NAME, "accepted")
    assert [one["outcome"] for one in commands.json("backfill", str(old))["outcomes"]] == ["duplicate"]
    assert sorted(path.name for path in old.iterdir()) == [NAME, CONTROL]
    assert commands.json("process", str(old / CONTROL), code=4)["outcomes"] == []


def test_status_and_doctor_tell_what_waits(
    new: New, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    ledger = new()
    monkeypatch.setenv("DROPLEDGER_PIPELINE", str(ledger.runtime.pipeline.folder))
    commands = Commands(ledger.root, capsys)
    land(ledger, **{NAME: ROWS, "entries_2025-11-02.csv.ctl": FITS})
    found = commands.json("watch", "--once", code=4)
    assert (found["outcomes"], CONTROL in found["error"]["what"]) == ([], True)
    told = commands.json("status")["control_files"]
    assert [(one["name"], one["feed"], one["control_file"]) for one in told["awaited"]] == [(NAME, "entry", CONTROL)]
    assert [one["name"] for one in told["alone"]] == ["entries_2025-11-02.csv.ctl"]
    assert all(one["since"].endswith("Z") for one in (*told["awaited"], *told["alone"]))
    text = commands.text("status")
    assert f"{NAME} waits for its control file {CONTROL} since" in text
    problems = [one["problem"] for one in commands.json("doctor")["problems"]]
    assert len([problem for problem in problems if "control file" in problem]) == 2


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("control_file: {suffix: .gz}", "'.gz' is what temporary, packed or refused files end in"),
        ("control_file: {suffix: .tmp}", "'.tmp' is what temporary, packed or refused files end in"),
        ("control_file: {suffix: ''}", "'' is no suffix; write it like .ctl"),
        ("control_file: {suffix: .ctl, pattern: '('}", "( is no regular expression"),
        ("control_file: {suffix: .ctl, rows: 0}", "greater than or equal to 1"),
        ("control_file: {suffix: .ctl, sums: {other: 1}}", "control_file.sums names 'other', which is not among"),
        ("control_file: {rows: 1}", "suffix"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_the_contract_is_loaded(tmp_path: Path, entry: str, reason: str):
    with pytest.raises(ContractError) as refusal:
        one_feed(tmp_path / "one", f"{BASE}{entry}\n")
    assert reason in str(refusal.value)
    assert "entry.yaml:" in str(refusal.value)


def test_files_that_check_makes_up_are_plain_and_need_none(new: New, tmp_path: Path):
    ledger = new(f"{TOTALS}comment: '1'\n")
    plain = replace(ledger.runtime, pipeline=with_plain_files(ledger.runtime.pipeline))
    made_up = MadeUp(plain, tmp_path)
    for day in range(4):
        made_up.happen(day)
    assert made_up.files
    assert made_up.refused == 0


@pytest.mark.slow
@pytest.mark.databricks
@pytest.mark.timeout(1800)
def test_on_databricks(tmp_path: Path, request: pytest.FixtureRequest):
    access = access_to(request.getfixturevalue("databricks"))
    ledger = RemoteLedger(tmp_path / "root", one_feed(tmp_path / "one", BASE + TOTALS), access, new_schema())
    land(ledger, **{NAME: ROWS, CONTROL: "TOTAL,2,15.51\n"})
    assert refused(take(ledger)[0]).startswith("control_total: the control file says that amount sums up to 15.51")
    land(ledger, **{NAME: ROWS, CONTROL: FITS})
    assert take(ledger)[0].delivered == Delivered.ACCEPTED
    assert rows_of(ledger) == [("2", "1", "10.00"), ("3", "2", "5.50")]
