"""What commands say, and leave with, where there is no root, or something in it is not as it should be."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.in_process import run
from support.ledger import Ledger

pytestmark = pytest.mark.slow

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n"
LOOKING = {
    "status": (),
    "drops": (),
    "rejects": ("0",),
    "history": ("account", "11"),
    "explain": ("11",),
    "sql": ("SELECT * FROM drop_ledger",),
    "plan": ("accounts_2026-03-01.csv",),
    "verify": (),
    "doctor": (),
}
PAST = {"export": (), "retract": ("0", "--reason", "wrong"), "replay": ()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file to be planned, and no root."""
    (tmp_path / "accounts_2026-03-01.csv").write_text(ACCOUNTS)
    return tmp_path


@pytest.fixture
def filled(folder: Path, new_ledger: Callable[[str], Ledger]) -> Ledger:
    ledger = new_ledger("ledger")
    ledger.process(ledger.put("customers_2026-01-01.csv", CUSTOMERS), ledger.put("accounts_2026-01-02.csv", ACCOUNTS))
    return ledger


@pytest.mark.parametrize("command", sorted(LOOKING | PAST))
@pytest.mark.parametrize("root", ["nowhere", "accounts_2026-03-01.csv", "accounts_2026-03-01.csv/below"])
def test_root_that_is_not_there_is_told_and_not_made(folder: Path, command: str, root: str):
    before = sorted(folder.rglob("*"))
    left = run(command, *(LOOKING | PAST)[command], "--root", root, "--json", cwd=folder)
    assert (left.code, left.json["command"]) == (2, command)
    assert left.json["error"]["what"] == f"there is no root at {folder / root}"
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", sorted(LOOKING))
def test_command_that_looks_makes_nothing_in_a_folder_without_a_ledger(folder: Path, command: str):
    (folder / "empty").mkdir()
    left = run(command, *LOOKING[command], "--root", "empty", "--json", cwd=folder)
    assert left.code == (0 if command in {"status", "doctor"} else 2)
    assert list((folder / "empty").iterdir()) == []


def text(path: Path) -> None:
    path.write_text("AccountID,CustomerID\n1,1\n")


def zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def garbled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start in range(12288, len(content), 4096):
        content[start + 100 : start + 160] = b"\xff" * 60
    path.write_bytes(bytes(content))


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


COMMANDS = {**LOOKING, **PAST, "process": ("accounts_2026-03-01.csv",), "backfill": (".",)}


@pytest.mark.parametrize("damage", [text, zero_bytes, cut, garbled, folder_instead])
def test_damaged_warehouse_is_told_with_2_by_every_command(
    filled: Ledger, folder: Path, damage: Callable[[Path], None]
):
    damage(filled.database)
    found = {
        command: run(command, *arguments, "--json", cwd=folder).code
        for command, arguments in COMMANDS.items()
        if not (command == "replay" and damage is zero_bytes)  # which makes it again from the archive
    }
    assert found == dict.fromkeys(found, 2)


def test_lost_warehouse_is_named_by_doctor_and_verify(filled: Ledger, folder: Path):
    filled.database.unlink()
    left = run("doctor", "--json", cwd=folder)
    assert left.code == 2
    (problem,) = [found for found in left.json["problems"] if "is lost" in found["problem"]]
    assert "dropledger replay" in problem["try"]
    assert run("verify", "--json", cwd=folder).json["error"]["exit_code"] == 2
    assert run("status", "--json", cwd=folder).json["error"]["exit_code"] == 2
    done = run("replay", "--json", cwd=folder)
    assert (done.code, done.json["drops"], done.json["recovered"]) == (0, 2, True)
    assert run("verify", cwd=folder).code == 0


def test_edited_artifact_is_told_by_verify_and_doctor_and_mended_by_export(filled: Ledger, folder: Path):
    path = filled.root / "outputs" / "account_summary.csv"
    before = path.read_bytes()
    path.write_bytes(before.replace(b"101", b"901"))
    left = run("verify", "--json", cwd=folder)
    assert (left.code, left.json["differences"]) == (5, [])
    assert [found["name"] for found in left.json["files"]] == ["outputs/account_summary.csv"]
    told = run("verify", cwd=folder)
    assert (told.code, "outputs/account_summary.csv: " in told.out) == (5, True)
    assert "Verified:" not in told.out
    problems = run("doctor", "--json", cwd=folder).json["problems"]
    (problem,) = [found for found in problems if "account_summary.csv" in found["problem"]]
    assert "dropledger export without options" in problem["try"]
    exported = run("export", "--json", cwd=folder)
    assert (exported.code, path.read_bytes()) == (0, before)
    assert exported.json["artifacts"]["account_summary.csv"] == str(path)
    assert run("verify", cwd=folder).code == 0


def test_doctor_names_archived_files_that_the_ledger_does_not_know_or_that_are_gone(filled: Ledger, folder: Path):
    (gone,) = (filled.root / "archive" / "account").rglob("*.csv")
    stranger = gone.with_name("feedfacefeedface-accounts_2026-01-02.csv")
    gone.rename(stranger)
    problems = [found["problem"] for found in run("doctor", "--json", cwd=folder).json["problems"]]
    for path in (gone, stranger):
        assert any(str(path.relative_to(filled.root)) in problem for problem in problems)
    left = run("verify", "--json", cwd=folder)
    assert (left.code, len(left.json["files"])) == (5, 2)
    told = run("verify", cwd=folder)
    assert "No table was compared" in told.out


def test_changed_archive_is_told_as_that_and_a_changed_contract_as_that(filled: Ledger, folder: Path):
    (path,) = (filled.root / "archive" / "account").rglob("*.csv")
    before = path.read_bytes()
    path.write_bytes(before.replace(b"100.00", b"x"))
    for command in ("replay", "verify"):
        left = run(command, cwd=folder)
        assert "SHA-256" in left.out + left.err
        assert "contract" not in left.out + left.err
    path.write_bytes(before)
    with filled.runtime.session() as session:
        session.execute("UPDATE drop_ledger SET contract_sha256 = 'other' WHERE feed = 'account'")
    told = run("verify", cwd=folder)
    assert "accepted under a contract that has changed since" in told.out
    assert "SHA-256" not in told.out + told.err


@pytest.mark.parametrize("folder_name", ["inbox", "work", "archive", "quarantine", "outputs", "warehouse", "archive/x"])
def test_export_refuses_the_folders_of_the_root(filled: Ledger, folder: Path, folder_name: str):
    before = sorted(filled.root.rglob("*"))
    left = run("export", "--to", filled.root / folder_name, "--json", cwd=folder)
    assert (left.code, left.json["error"]["what"]) == (2, f"{filled.root / folder_name} belongs to the root")
    assert sorted(filled.root.rglob("*")) == before


def test_export_of_a_time_before_the_first_drop_says_that_there_is_nothing(filled: Ledger, folder: Path):
    left = run("export", "--as-of", "2025-12-31", "--to", "then", "--json", cwd=folder)
    assert (left.code, left.json["error"]["exit_code"]) == (3, 3)
    assert "nothing to export" in left.json["error"]["what"]
    assert not (folder / "then").exists()
    assert run("export", "--as-of", "2026-01-02", "--to", "then", cwd=folder).code == 0
    assert (folder / "then" / "account_summary.csv").read_text().count("\n") == 2


def test_explain_that_disagrees_leaves_with_5_and_says_what_to_try(filled: Ledger, folder: Path):
    assert run("explain", 11, cwd=folder).code == 0
    with filled.runtime.session() as session:
        session.execute("UPDATE account_summary SET annual_interest = 9")
    left = run("explain", 11, cwd=folder)
    assert left.code == 5
    assert "dropledger verify" in left.out
    assert left.out.index("dropledger verify") < left.out.index("dropledger replay")
    assert run("explain", 11, "--json", cwd=folder).json["agrees"] is False
    assert run("verify", cwd=folder).code == 5
    assert run("replay", cwd=folder).code == 0
    assert run("explain", 11, cwd=folder).code == 0


def test_left_over_copies_are_named_by_doctor(filled: Ledger, folder: Path):
    left = filled.database.with_name("ledger.planning.duckdb")
    left.write_bytes(b"left")
    problems = [found["problem"] for found in run("doctor", "--json", cwd=folder).json["problems"]]
    assert any(str(left) in problem for problem in problems)
    assert run("process", "accounts_2026-03-01.csv", cwd=folder).code == 0
    assert not left.exists()


def test_older_warehouse_beside_the_one_of_now_is_named_by_doctor(filled: Ledger, folder: Path):
    shutil.copy(filled.database, filled.database.with_name("lending.duckdb"))
    left = run("doctor", "--json", cwd=folder)
    [told] = left.json["problems"]
    assert left.code == 0
    assert "warehouse/ledger.duckdb, which is in use, and warehouse/lending.duckdb" in told["problem"]
    assert "dropledger verify" in told["try"]
    (folder / "mine.duckdb").write_bytes(filled.database.read_bytes())
    assert run("doctor", "--warehouse", "mine.duckdb", "--json", cwd=folder).json["problems"] == []
