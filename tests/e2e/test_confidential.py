"""What must never be told: secrets of the environment anywhere, contents of rows in logs and tracebacks."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from support.console import ACCOUNTS, SCRIPT, Console, environment
from support.odd_check import with_odd_check

pytestmark = pytest.mark.slow

SECRETS = {
    name: f"Hush-{place}-4f1c9e0a"
    for place, name in enumerate(
        (
            "DATABRICKS_TOKEN",
            "DATABRICKS_CLIENT_SECRET",
            "DATABRICKS_PASSWORD",
            "DATABRICKS_AZURE_CLIENT_SECRET",
            "ARM_CLIENT_SECRET",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "DROPLEDGER_TOKEN",
        )
    )
}
HUSH = b"Hush-"

PERSON = "Zaphod"
NUMBER = "424242"
ROWS = {
    "customers_2025-10-31.csv": f"CustomerID,Name,HasLoan\n1,{PERSON},Yes\n2,{PERSON},perhaps {NUMBER}\n",
    "accounts_2025-10-31.csv": f"AccountID,CustomerID,Balance,AccountType\n{NUMBER},1,{NUMBER}.10,Savings\n",
}


@pytest.fixture
def console(tmp_path: Path) -> Console:
    (tmp_path / "temporary").mkdir()
    (tmp_path / "working").mkdir()
    return Console(tmp_path / "working", {"TMPDIR": str(tmp_path / "temporary"), **SECRETS})


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with rows that can be told from anything else."""
    console = Console(tmp_path_factory.mktemp("dropped"), SECRETS)
    done = console.run("process", *(console.file(name, text) for name, text in ROWS.items()))
    assert done.code == 3
    assert HUSH not in done.out.encode() + done.err.encode() + written_below(console.folder)
    return console.root


@pytest.fixture
def filled(console: Console, dropped: Path) -> Console:
    """A folder of its own with a copy of that root."""
    shutil.copytree(dropped, console.root)
    return console


def with_damaged_warehouse(console: Console) -> None:
    path = console.root / "warehouse" / "ledger.duckdb"
    content = bytearray(path.read_bytes())
    content[5000::4096] = bytes(byte ^ 0xFF for byte in content[5000::4096])
    path.write_bytes(content)


def with_altered_history(console: Console) -> None:
    """Somebody kept a word where the balance belongs, so that the engine and our code stumble over it."""
    with duckdb.connect(str(console.root / "warehouse" / "ledger.duckdb")) as connection:
        connection.execute("USE ledger.lending")
        connection.execute("ALTER TABLE history_account ALTER balance TYPE VARCHAR")
        connection.execute(f"UPDATE history_account SET balance = '{PERSON} {NUMBER}'")


def with_altered_claim(console: Console) -> None:
    """A claim that no process of ours wrote."""
    claim = console.root / "work" / "20251231T000000000000-00000000"
    claim.mkdir()
    (claim / "content").write_text(ACCOUNTS)
    fields = {"uri": "a.csv", "name": "a.csv", "feed": None, "as_of": f"{PERSON} {NUMBER}"}
    (claim / "claim.json").write_text(json.dumps(fields))


HARMS = {"damaged": (with_damaged_warehouse, 2), "history": (with_altered_history, 2)}


def with_file_that_meets_a_bug(console: Console) -> str:
    """A file in the inbox that meets an error nobody foresaw, which quotes it; the pipeline under which it does."""
    condition = "(TIMESTAMP '2026-01-01' AT TIME ZONE customer_name) IS NULL"
    (console.root / "inbox" / "customers_2025-12-31.csv").write_text(
        f"CustomerID,Name,HasLoan\n5,{PERSON} {NUMBER},Yes\n"
    )
    return str(with_odd_check(console.folder / "pipeline", condition).folder)


def written_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


# Secrets


def test_no_command_tells_or_keeps_a_secret(filled: Console):
    said, console = "", filled
    for command in ("doctor", "doctor --json", "status", "demo", "verify --json", "explain 5", "explain 5 --json"):
        done = console.run(*command.split())
        said += done.out + done.err
    (console.root / "inbox" / "odd.csv").write_text("a\n1\n")
    said += console.run("watch", "--once", log="console").err
    with console.watch() as watching:
        (watching.inbox / "stray.csv").write_text("a\n1\n")
        watching.line("stray.csv")
        assert watching.stop(signal.SIGTERM) == 0
    assert "settings" in said
    assert HUSH not in said.encode()
    assert HUSH not in written_below(console.folder.parent)


@pytest.mark.parametrize("harm", HARMS)
def test_no_error_tells_a_secret_or_a_row(filled: Console, harm: str):
    harmful, code = HARMS[harm]
    harmful(filled)
    for options in ([], ["--json"]):
        done = filled.run("explain", NUMBER, *options)
        assert done.code == code, done.err
        assert ("Traceback" in done.err) == (code == 1)
        told = done.out + done.err
        assert "Hush-" not in told
        assert PERSON not in told
        assert NUMBER not in told
    assert done.json["error"]["exit_code"] == code
    doctor = filled.run("doctor")
    assert doctor.code == (2 if harm == "damaged" else 0)
    assert "Hush-" not in doctor.out + doctor.err
    assert HUSH not in written_below(filled.folder.parent)


def test_file_that_meets_a_bug_is_told_without_what_it_holds(filled: Console):
    pipeline = with_file_that_meets_a_bug(filled)
    for options in ([], ["--json"]):
        done = filled.run("watch", "--once", *options, pipeline=pipeline)
        assert (done.code, "NotImplementedException" in done.err) == (1, True)
        told = done.out + done.err + filled.run("doctor", pipeline=pipeline).out
        assert PERSON not in told
        assert NUMBER not in told
        assert "Hush-" not in told
    (note,) = filled.root.glob("work/*/failed.json")
    assert PERSON not in note.read_text()


def test_claim_that_was_altered_is_told_without_what_it_holds(filled: Console):
    with_altered_claim(filled)
    done = filled.run("watch", "--once", "--json")
    assert (done.code, [entry["rule"] for entry in done.json["outcomes"]]) == (3, ["damaged_claim"])
    assert PERSON not in done.out + done.err + filled.run("drops").out


@pytest.mark.parametrize("toml", ["databricks_token = 'Hush-hush'", "log = 'Hush-hush'", "token = Hush-hush"])
def test_setting_that_is_a_secret_by_mistake_is_not_repeated(console: Console, toml: str):
    console.file("dropledger.toml", toml)
    done = console.run("doctor", "--json")
    assert done.code == 2
    assert "Hush" not in done.out + done.err
    assert "dropledger.toml" in done.err


@pytest.mark.parametrize("setting", ["log", "wait_seconds", "memory_limit"])
def test_value_that_a_setting_cannot_have_is_not_repeated(console: Console, setting: str):
    done = console.run("doctor", **{setting: "Hush-hush"})
    assert done.code == 2
    assert "Hush" not in done.out + done.err
    assert f"DROPLEDGER_{setting.upper()}" in done.err


# Contents of rows


def test_row_in_the_place_of_the_header_is_for_the_files_owner_alone(filled: Console):
    (filled.root / "inbox" / "customers_2025-11-30.csv").write_text(f"{NUMBER},{PERSON},No\n")

    done = filled.run("watch", "--once")

    assert (done.code, json.loads(done.err.splitlines()[-1])["rule"]) == (3, "no_header")
    assert PERSON not in done.out + done.err
    assert PERSON not in filled.run("drops").out
    reason = json.loads((filled.root / "quarantine" / "customers_2025-11-30.csv.reason.json").read_text())
    assert f"begins with '{NUMBER},{PERSON},No'" in reason["error"]


def test_what_the_engine_says_of_a_row_is_for_the_files_owner_alone(filled: Console):
    console = filled
    with_altered_history(console)
    later = ROWS["accounts_2025-10-31.csv"].replace(".10", ".20")
    (console.root / "inbox" / "accounts_2025-11-30.csv").write_text(later)

    done = console.run("watch", "--once")

    assert (done.code, json.loads(done.err.splitlines()[-1])["rule"]) == (3, "not_computable")
    assert PERSON not in done.out + done.err
    (report,) = [
        path
        for path in (console.root / "outputs" / "quality_reports").iterdir()
        if json.loads(path.read_text())["name"] == "accounts_2025-11-30.csv"
    ]
    assert "ConversionException" in json.loads(report.read_text())["error"]
    assert PERSON not in report.read_text()
    assert PERSON not in console.run("drops").out
    reason = json.loads((console.root / "quarantine" / "accounts_2025-11-30.csv.reason.json").read_text())
    assert f"{PERSON} {NUMBER}" in reason["error"]


def test_message_of_a_bug_is_shown_on_a_terminal(filled: Console):
    """Where the same person could look at the rows; in a pipe, a journal or a file it is left out."""
    console = filled
    pipeline = with_file_that_meets_a_bug(console)
    ours, theirs = pty.openpty()
    env = environment(pipeline=pipeline) | console.variables
    process = subprocess.Popen([SCRIPT, "watch", "--once"], cwd=console.folder, env=env, stderr=theirs)
    os.close(theirs)
    told = b""
    try:
        while part := os.read(ours, 65536):
            told += part
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    os.close(ours)
    assert process.wait(30) == 1
    assert f"Unknown TimeZone '{PERSON} {NUMBER}'".encode() in told
    assert re.search(rb"duckdb/session.py.*, line \d+, in _engine", told)
    assert HUSH not in told


LOGGED = """
import structlog
from dropledger.handlers.logs import configure_logs
configure_logs("{kind}")
def fold(row):
    structlog.get_logger().bind(drop_id="5").info("began")
    try:
        raise LookupError("no such tier")
    except LookupError:
        structlog.get_logger().exception("failed")
fold("".join(["Zap", "hod"]))
"""


@pytest.mark.parametrize("kind", ["console", "json"])
def test_traceback_in_a_log_shows_no_local_variable(kind: str):
    done = subprocess.run(
        [sys.executable, "-c", LOGGED.format(kind=kind)], capture_output=True, text=True, check=True, env=environment()
    )
    assert "no such tier" in done.stderr
    assert "began" in done.stderr
    assert PERSON not in done.stderr
