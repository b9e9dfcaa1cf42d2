"""Who may read what is written: the owner alone, whatever the umask, unless a folder says otherwise."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import pytest
from support.console import ACCOUNTS, CUSTOMERS, SCRIPT, Console, environment

from dropledger.infra.local.process_name import process_name

pytestmark = pytest.mark.slow

NOBODY = 65534
ODD = 'CustomerID,Name,HasLoan\n1,"Amara\nOkafor",Yes\n2,Jonas,perhaps\n'


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """Commands that start with the laxest umask there is, and a folder for temporary files that is all theirs."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "working").mkdir()
    return Console(tmp_path / "working", {"TMPDIR": str(tmp_path / "temporary")}, umask=0)


def permissions(*folders: Path) -> dict[str, int]:
    """The permissions of all that lies below the folders, by path."""
    found = {}
    for folder in folders:
        for where, folders_here, files in os.walk(folder):
            for path in (f"{where}/{name}" for name in (*folders_here, *files)):
                with suppress(FileNotFoundError):
                    found[path] = stat.S_IMODE(os.lstat(path).st_mode)
    return found


def readable_by_others(*folders: Path) -> dict[str, str]:
    """What lies below the folders and is open to anybody but its owner."""
    return {path: f"{mode:04o}" for path, mode in permissions(*folders).items() if mode & 0o077}


def temporary(console: Console) -> Path:
    return Path(console.variables["TMPDIR"])


def private_file(console: Console, name: str, text: str) -> Path:
    path = console.file(name, text)
    path.chmod(0o600)
    return path


def test_all_that_commands_write_is_private_whatever_the_umask(console: Console):
    files = [
        private_file(console, name, text)
        for name, text in {
            "customers_2025-10-31.csv": CUSTOMERS,
            "customers_2025-11-30.csv": ODD,
            "accounts_2025-10-31.csv": ACCOUNTS,
            "accounts_2025-11-30.csv": ACCOUNTS + "1003,1,$5,Savings\n",
            "stray.csv": "a\n1\n",
        }.items()
    ]
    assert console.run("process", *files).code == 3
    shutil.copy(files[2], console.root / "inbox" / "accounts_2025-12-31.csv")
    os.chmod(console.root / "inbox" / "accounts_2025-12-31.csv", 0o666)  # noqa: PTH101
    late = private_file(console, "accounts_2025-11-15.csv", ACCOUNTS.replace("9999", "8888"))
    drop_id = console.run("drops", "--json").json["drops"][-1]["drop_id"]
    for command in (
        ["watch", "--once"],
        ["plan", late],
        ["export", "--to", "exported/now"],
        ["export", "--to", "exported/then", "--as-of", "2025-11-01"],
        ["replay", "--quiet"],
        ["replay", "--into", "rebuilt/other.duckdb"],
        ["verify"],
        ["retract", drop_id, "--reason", "wrong"],
        ["doctor"],
        ["process", late, "--root", "far/off/ledger", "--warehouse", "apart/one.duckdb"],
        ["demo"],
    ):
        assert console.run(*command).code in {0, 3}, command
    assert readable_by_others(console.folder, temporary(console)) == {}
    for name in (
        "ledger/warehouse/ledger.duckdb",
        "ledger/work/.lock",
        "ledger/outputs/account_summary.parquet",
        "exported/then/account_summary.csv",
        "apart/one.duckdb",
        "rebuilt/other.duckdb",
    ):
        assert stat.S_IMODE((console.folder / name).stat().st_mode) == 0o600
    assert list(temporary(console).iterdir()) == []


def test_nothing_is_readable_for_a_moment_not_even_what_moves_out_of_memory(console: Console):
    rows = "".join(f"{key},{key % 9},{key}.00,Savings\n" for key in range(400_000))
    first = private_file(console, "accounts_2025-10-31.csv", "AccountID,CustomerID,Balance,AccountType\n" + rows)
    lines = "".join(f'{key},"A\nB",No\n' for key in range(3, 30_000))
    odd = private_file(console, "customers_2025-10-31.csv", ODD + lines)
    seen: set[str] = set()
    with subprocess.Popen(
        [SCRIPT, "process", "--quiet", odd, first],
        cwd=console.folder,
        env=environment(memory_limit="60MB") | console.variables,
        umask=console.umask,
    ) as process:
        while process.poll() is None:
            found = permissions(console.folder, temporary(console))
            assert [path for path, mode in found.items() if mode & 0o077] == []
            seen |= found.keys()
    assert process.returncode in {0, 3}
    name = process_name(process.pid)
    kinds = ("claim.json", "content", "ledger.duckdb", ".wal", f".tmp-{name}", f".tmp-lines-{name}")
    assert [kind for kind in kinds if not any(name.endswith(kind) for name in seen)] == []
    assert list(temporary(console).iterdir()) == []


def other_group() -> int:
    """A group that this user may give files to, and not the one that they get by themselves if there is another."""
    if os.geteuid() == 0:
        return 54321
    return next((group for group in os.getgroups() if group != os.getegid()), os.getegid())


@pytest.mark.parametrize("mode", [0o2750, 0o750])
def test_folder_that_its_group_may_read_is_filled_for_the_group(console: Console, mode: int):
    group, outputs = other_group(), console.root / "outputs"
    outputs.mkdir(parents=True)
    console.root.chmod(0o710)
    os.chown(outputs, -1, group)
    outputs.chmod(mode)

    console.run("process", private_file(console, "accounts_2025-10-31.csv", ACCOUNTS + "1003,1,$5,Savings\n"))

    for path in (outputs, *outputs.rglob("*")):
        found = path.stat()
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (group, mode if path.is_dir() else 0o640), path
    assert {path.name for path in outputs.rglob("*")} >= {"manifest.json", "account_summary.csv", "changes"}
    for name in ("archive", "quarantine", "warehouse", "work", "inbox"):
        assert stat.S_IMODE((console.root / name).stat().st_mode) == 0o700
        assert readable_by_others(console.root / name) == {}


def test_warehouse_and_its_rebuilt_successor_are_as_readable_as_their_folder(console: Console):
    path = private_file(console, "accounts_2025-10-31.csv", ACCOUNTS)
    folder = console.folder / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    for command in (["process", path], ["replay"]):
        assert console.run(*command, "--warehouse", "shared/one.duckdb", "--quiet").code == 0
        assert stat.S_IMODE((folder / "one.duckdb").stat().st_mode) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_other_users_are_told_that_the_root_is_not_theirs(console: Console):
    with TemporaryDirectory(dir=Path(gettempdir())) as folder:
        root = Path(folder) / "ledger"
        console.run("process", private_file(console, "accounts_2025-10-31.csv", ACCOUNTS), "--root", root)
        Path(folder).chmod(0o711)
        for command in ("status", "watch --once"):
            done = as_a_stranger(Path(folder), *command.split(), "--root", root)
            assert done.returncode == 2, done
            assert re.match(rf"Error: (this user may not use|the root) {root}.*\n  Because: .*\n  Try: ", done.stderr)


def as_a_stranger(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", AS_A_STRANGER, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("how", ["unreadable", "sticky"])
def test_file_that_this_user_may_not_take_does_not_keep_the_others(console: Console, how: str):
    with TemporaryDirectory(dir=Path(gettempdir())) as name:
        folder, root = Path(name), Path(name) / "ledger"
        console.run("status", "--root", root)
        inbox = root / "inbox"
        inbox.mkdir(parents=True)
        for path in (folder, root, inbox):
            os.chown(path, NOBODY if how == "unreadable" or path != inbox else 0, NOBODY)
        inbox.chmod(0o1777)
        (inbox / "lost+found").mkdir(0o700)
        (inbox / "listed").mkdir()
        (inbox / "listed" / "accounts_2025-12-31.csv").write_text(ACCOUNTS)
        (inbox / "listed").chmod(0o744)
        (inbox / "customers_2025-10-31.csv").write_text(CUSTOMERS)
        os.chown(inbox / "customers_2025-10-31.csv", NOBODY, NOBODY)
        theirs = inbox / "accounts_2025-10-31.csv"
        theirs.write_text(ACCOUNTS)
        theirs.chmod(0o600 if how == "unreadable" else 0o644)
        done = as_a_stranger(folder, "watch", "--once", "--json", "--root", root)
        assert [entry["name"] for entry in json.loads(done.stdout)["outcomes"]] == ["customers_2025-10-31.csv"]
        assert (done.returncode, str(theirs) in done.stderr, "Try: " in done.stderr) == (4, True, True)
        doctor = as_a_stranger(folder, "doctor", "--root", root).stdout
        assert "lost+found cannot be listed" in doctor
        assert "listed cannot be listed" in doctor
        assert how == "sticky" or f"{theirs.name} cannot be read" in doctor
        refused = as_a_stranger(folder, "backfill", inbox, "--root", root)
        assert (refused.returncode, "cannot be listed" in refused.stderr) == (2, True)
        os.chown(theirs, NOBODY, NOBODY)
        again = as_a_stranger(folder, "watch", "--once", "--json", "--root", root)
        assert (again.returncode, len(json.loads(again.stdout)["outcomes"])) == (0, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize(
    ("what", "command", "said"),
    [
        ("warehouse", "process", "the folder {root}/warehouse cannot be written to"),
        ("warehouse", "verify", "the folder {root}/warehouse cannot be written to"),
        ("warehouse/ledger.duckdb", "process", "the file {root}/warehouse/ledger.duckdb cannot be opened"),
        ("work", "process", "Permission denied: '{root}/{what}/"),
        ("outputs", "process", "Permission denied: '{root}/{what}/"),
    ],
)
def test_folder_that_may_not_be_written_to_is_called_so_and_no_full_disk(
    console: Console, what: str, command: str, said: str
):
    with TemporaryDirectory(dir=Path(gettempdir())) as name:
        folder = Path(name)
        (folder / "customers_2025-10-31.csv").write_text(CUSTOMERS)
        (folder / "customers_2025-11-30.csv").write_text(CUSTOMERS.replace("Jonas", "Joonas"))
        console.run("process", folder / "customers_2025-10-31.csv", "--root", folder / "ledger")
        for where, folders, files in os.walk(folder):
            for path in (where, *(f"{where}/{inner}" for inner in (*folders, *files))):
                os.chown(path, NOBODY, NOBODY)
        (folder / "ledger" / what).chmod(0o400 if "." in what else 0o500)

        files = ["customers_2025-11-30.csv"] if command == "process" else []
        done = as_a_stranger(folder, command, *files, "--root", folder / "ledger")

        assert done.returncode == 4
        assert said.format(root=folder / "ledger", what=what) in done.stderr
        assert "Try: give this user the right to read and write there" in done.stderr
        assert "disk" not in done.stderr


def test_replay_into_a_folder_that_all_may_read_writes_a_private_file(console: Console):
    console.run("process", private_file(console, "customers_2025-10-31.csv", CUSTOMERS), "--quiet")
    console.folder.chmod(0o755)
    assert console.run("replay", "--quiet", "--into", "known.duckdb").code == 0
    assert readable_by_others(console.folder) == {}


# What is imported first is what another user may not be allowed to read.
AS_A_STRANGER = f"""
import concurrent.futures.thread, csv, encodings.utf_8_sig, os, rich.console, tomllib
import dropledger.handlers.table, dropledger.handlers.watch.loop
from dropledger.handlers.cli import doctor, maintenance, plan_export
from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.handlers.cli.main import main
load_pipeline("lending")
os.setegid({NOBODY}), os.setgroups([]), os.seteuid({NOBODY})
main()
"""
