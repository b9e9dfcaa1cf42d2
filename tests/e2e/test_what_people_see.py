"""What people are told: warnings wherever they look, tables on any terminal, and hints that lead on."""

import os
import pty
import re
import stat
import subprocess
from pathlib import Path

import pytest
from support.console import ACCOUNTS, CUSTOMERS, SCRIPT, Console, drop_ids, environment, until

pytestmark = pytest.mark.slow

MANY = "AccountID,CustomerID,Balance,AccountType\n" + "".join(
    f"{key},1,{key}.00,Savings\n" for key in range(1001, 1011)
)
FEW = "AccountID,CustomerID,Balance,AccountType\n1001,1,5.00,Savings\n1002,1,6.00,Savings\n"
VOLUME = "volume (8): 2 rows, 80 % fewer than the 10 of accounts_2025-10-31.csv, the drop before it"
MISSING = "missing_keys (8): known keys that this complete extract lacks; they stay as they were"


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A customer with ten accounts, of which the second extract has two."""
    console = Console(tmp_path_factory.mktemp("filled"))
    files = [
        console.file("customers_2025-10-31.csv", CUSTOMERS),
        console.file("accounts_2025-10-31.csv", MANY),
        console.file("accounts_2025-11-30.csv", FEW),
    ]
    assert console.run("process", *files).code == 0
    return console


def on_a_terminal(console: Console, *arguments: str, columns: int = 80) -> str:
    """What a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    env = {**environment(), "COLUMNS": str(columns), "TERM": "xterm-256color"}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen([SCRIPT, *arguments], cwd=console.folder, env=env, stdout=theirs, stderr=theirs)
        os.close(theirs)
        written = b""
        try:
            while part := terminal.read(65536):
                written += part
        except OSError:  # which is how a terminal says that nobody writes any more
            pass
        assert process.wait(15) == 0
    return written.decode().replace("\r\n", "\n")


def test_late_file_and_the_source_of_its_as_of_are_told_when_it_is_loaded_and_by_drops(console: Console):
    file = console.file("accounts.csv", FEW)
    os.utime(file, (1_759_276_800,) * 2)
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    console.run("process", console.file("accounts_2025-10-31.csv", MANY))
    loaded = console.run("process", file).out
    for out in (loaded, console.run("drops").out):
        assert "accounts.csv: late: its feed had observed later times already, so it was inserted before them." in out
        assert "accounts.csv: as_of 2025-10-01 is from its modification time." in out


# Warnings


def test_drops_carries_the_warnings_of_each_drop(filled: Console):
    rows = filled.run("drops", "--json").json["drops"]
    assert {row["name"]: row["warnings"] for row in rows} == {
        "customers_2025-10-31.csv": [],
        "accounts_2025-10-31.csv": [],
        "accounts_2025-11-30.csv": [MISSING, VOLUME],
    }
    drop_id = drop_ids(filled)["accounts_2025-11-30.csv"]
    shown = filled.run("drops").out
    assert f"{drop_id} accounts_2025-11-30.csv: warning: {VOLUME}\n" in shown
    assert f"{drop_id} accounts_2025-11-30.csv: warning: {MISSING}\n" in shown


def test_drops_of_another_feed_has_no_warnings_of_this_one(filled: Console):
    assert [row["warnings"] for row in filled.run("drops", "--feed", "customer", "--json").json["drops"]] == [[]]


def test_status_carries_the_warnings_of_the_newest_drop_of_each_feed(filled: Console):
    drop_id = drop_ids(filled)["accounts_2025-11-30.csv"]
    assert filled.run("status", "--json").json["warnings"] == [
        {"feed": "account", "drop_id": drop_id, "name": "accounts_2025-11-30.csv", "warnings": [MISSING, VOLUME]}
    ]
    assert f"accounts_2025-11-30.csv: warning: {VOLUME}\n" in filled.run("status").out


def test_watch_logs_each_warning_of_a_drop(console: Console):
    with console.watch() as watching:
        for name, text in {
            "customers_2025-10-31.csv": CUSTOMERS,
            "accounts_2025-10-31.csv": MANY,
            "accounts_2025-11-30.csv": FEW,
        }.items():
            console.file(name, text).rename(watching.inbox / name)
            watching.line(name)
        lines = until(lambda: [line for line in watching.lines if line["event"] == "warned"][1:] and watching.lines)
    drop_id = drop_ids(console)["accounts_2025-11-30.csv"]
    warned = [line for line in lines if line["event"] == "warned"]
    assert {line["warning"] for line in warned} == {VOLUME, MISSING}
    assert {(line["level"], line["feed"], line["drop_id"], line["name"]) for line in warned} == {
        ("warning", "account", drop_id, "accounts_2025-11-30.csv")
    }
    assert [line["name"] for line in lines if line["level"] == "warning"] == ["accounts_2025-11-30.csv"] * 2


# Tables


def test_drops_and_outcomes_keep_ids_whole_on_80_columns(filled: Console):
    for arguments in (["drops"], ["history", "account", "1001"], ["plan", "accounts_2025-11-30.csv"]):
        shown = on_a_terminal(filled, *arguments)
        ids = set(drop_ids(filled).values()) & set(re.findall(r"^[0-9a-f]{16}(?= )", shown, re.MULTILINE))
        assert ids, shown


def test_drops_fits_a_terminal_of_80_columns(filled: Console):
    shown = on_a_terminal(filled, "drops")
    table = re.sub(r"\x1b\[\d*m", "", shown).partition("\n" + drop_ids(filled)["accounts_2025-11-30.csv"] + " acc")[0]
    assert max(len(line) for line in table.splitlines()) <= 80
    assert "…" not in shown


def test_tables_in_a_pipe_are_plain(filled: Console):
    shown = filled.run("drops").out + filled.run("status").out + filled.run("explain", "1001").out
    assert shown.isascii()
    assert "\x1b" not in shown
    assert re.search(
        r"^[0-9a-f]{16}  account   accounts_2025-11-30\.csv   2025-11-30  published     2         0$",
        shown,
        re.MULTILINE,
    )


def test_demo_does_not_add_up_rows_of_several_marts(console: Console):
    done = console.run("demo")
    assert (done.code, done.err) == (0, "")
    assert "mart rows" not in done.out


def test_duplicate_rows_and_rejected_ones_are_counted_below_the_table(console: Console):
    text = ACCOUNTS + "1001,1,9999.99,Savings\n1003,1,-1,Savings\n"
    done = console.run("process", console.file("accounts_2025-10-31.csv", text))
    assert done.code == 3
    assert re.search(r"accounts_2025-10-31\.csv  accepted  2025-10-31     4         1  \+2 -0$", done.out, re.MULTILINE)
    assert "accounts_2025-10-31.csv: 1 row rejected.\n" in done.out
    assert "accounts_2025-10-31.csv: 1 duplicate row left out.\n" in done.out


# Hints


def test_folder_in_the_place_of_a_file_leads_to_backfill(console: Console):
    (console.folder / "old").mkdir()
    done = console.run("process", "old")
    assert (done.code, done.out) == (2, "")
    assert "old is a folder" in done.err
    assert "dropledger backfill old" in done.err


@pytest.mark.parametrize(("key", "nearest"), [("9999", "is 1010"), ("5", "is 1001"), ("-1", None)])
def test_unknown_account_is_told_what_accounts_there_are(filled: Console, key: str, nearest: str | None):
    done = filled.run("explain", "--", key)
    assert (done.code, done.out) == (2, "")
    assert f"there is no account {key}\n" in done.err
    assert "the ledger has 10 accounts\n" in done.err
    assert f"the nearest {nearest or 'is 1001'};" in done.err


def test_account_between_two_others_is_told_of_both(console: Console):
    console.run("process", console.file("accounts_2025-10-31.csv", ACCOUNTS + "1009,1,1.00,Checking\n"))
    for command in (["explain"], ["history", "account"]):
        assert "the nearest are 1002 and 1009;" in console.run(*command, "1005").err


def test_key_that_is_no_value_of_its_column_has_none_nearest(filled: Console):
    assert "Try: dropledger drops lists what was dropped" in filled.run("history", "account", "first").err


def test_account_before_its_first_version_is_no_unknown_one(filled: Console):
    done = filled.run("explain", "1001", "--as-of", "2024-01-01")
    assert (done.code, done.out) == (2, "")
    assert "no version of account 1001 is true at 2024-01-01" in done.err
    assert "dropledger history account 1001" in done.err


def test_account_of_a_ledger_without_any_is_told_so(console: Console):
    console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS))
    done = console.run("explain", "1001")
    assert done.code == 2
    assert "no account was ever dropped" in done.err


def test_demo_is_made_where_people_are_and_again_beside_it(console: Console):
    assert [Path(console.run("demo", "--json").json["root"]).name for _ in range(2)] == [
        "dropledger-demo",
        "dropledger-demo-2",
    ]
    assert sorted(path.name for path in console.folder.iterdir()) == ["dropledger-demo", "dropledger-demo-2"]
    assert stat.S_IMODE((console.folder / "dropledger-demo").stat().st_mode) == 0o700
