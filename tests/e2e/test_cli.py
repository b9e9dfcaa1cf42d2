"""The command line as people and scripts meet it: the real console script, real folders."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest
from support.console import ACCOUNTS, CUSTOMERS, Console, drop_ids, warehouse_held

from dropledger.core import __version__
from dropledger.core.contracts.pipeline_spec import BUILT_IN
from dropledger.handlers.cli.main import cli

pytestmark = pytest.mark.slow

COMMANDS = sorted(cli.commands)
COMMON = ("--root", "--warehouse", "--json", "--quiet")


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


# Help and version


def test_version_is_that_of_the_package(console: Console):
    done = console.run_script("--version")
    assert (done.code, done.out, done.err) == (0, f"dropledger {__version__}\n", "")


# demo


def test_demo_shows_figures_and_leaves_a_root_that_explains_them(console: Console):
    done = console.run("demo", "--root", "shown")
    assert (done.code, done.err) == (0, "")
    assert "12,750.00" in done.out
    assert (console.folder / "shown/outputs/account_summary.csv").read_text().splitlines()[1] == (
        "1,1001,12500.00,0.020000,250.00,12750.00"
    )
    explained = console.run("explain", "1001", "--root", "shown")
    assert explained.code == 0
    assert "Matches the mart." in explained.out


def test_demo_gives_one_object_with_money_as_text(console: Console):
    done = console.run("demo", "--json")
    assert (done.code, done.err) == (0, "")
    assert [outcome["outcome"] for outcome in done.json["outcomes"]] == ["accepted"] * 4
    assert done.json["account_summary"][0]["annual_interest"] == "250.00"
    assert (Path(done.json["root"]) / "outputs/account_summary.csv").exists()


def test_demo_leaves_a_folder_with_files_alone(console: Console):
    console.file("precious.txt", "mine")
    done = console.run("demo", "--root", ".")
    assert done.code == 2
    assert "not empty" in done.err
    assert "Try:" in done.err
    assert [path.name for path in console.folder.iterdir()] == ["precious.txt"]


# process


def test_process_shows_what_became_of_each_file(console: Console):
    files = console.file("customers_2025-10-31.csv", CUSTOMERS), console.file("accounts_2025-10-31.csv", ACCOUNTS)
    done = console.run("process", *files)
    assert (done.code, done.err) == (0, "")
    for path in files:
        assert re.search(rf"{path.name} .* accepted .* 2025-10-31 ", done.out)


def test_process_gives_one_object_for_programs_and_leaves_the_original(console: Console):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    changed_at = path.stat().st_mtime_ns
    done = console.run("process", path, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["command"] == "process"
    (outcome,) = done.json["outcomes"]
    assert (
        outcome
        | {
            "name": "customers_2025-10-31.csv",
            "feed": "customer",
            "as_of": "2025-10-31T00:00:00Z",
            "as_of_source": "file_name",
            "outcome": "accepted",
            "rows_read": 2,
            "rows_accepted": 2,
            "rows_rejected": 0,
            "versions_opened": 2,
            "recomputed": {"account_summary": 0, "customer_profile": 2},
            "warnings": [],
            "error": None,
        }
        == outcome
    )
    assert (console.root / outcome["file"]).read_text() == CUSTOMERS
    # The original stays where it is.
    assert (path.read_text(), path.stat().st_mtime_ns) == (CUSTOMERS, changed_at)
    assert list((console.root / "work").glob("*/")) == []


def test_process_takes_parents_before_children_whatever_the_order_on_the_line(console: Console):
    files = console.file("accounts_2025-10-31.csv", ACCOUNTS), console.file("customers_2025-10-31.csv", CUSTOMERS)
    outcomes = console.run("process", *files, "--json").json["outcomes"]
    assert [outcome["feed"] for outcome in outcomes] == ["customer", "account"]
    assert [outcome["warnings"] for outcome in outcomes] == [[], []]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("2025-09-30", "2025-09-30T00:00:00Z"),
        ("2025-09-30T02:00:00+02:00", "2025-09-30T00:00:00Z"),
    ],
)
def test_as_of_option_goes_before_the_date_in_the_name(console: Console, given: str, taken: str):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    (outcome,) = console.run("process", path, "--as-of", given, "--json").json["outcomes"]
    assert (outcome["as_of"], outcome["as_of_source"]) == (taken, "option")


def test_feed_option_takes_a_file_whose_name_fits_no_feed(console: Console):
    path = console.file("balances_2025-10-31.csv", ACCOUNTS)
    done = console.run("process", path, "--feed", "account", "--json")
    assert done.code == 0
    assert [(outcome["feed"], outcome["rows_accepted"]) for outcome in done.json["outcomes"]] == [("account", 2)]


def test_second_delivery_is_a_duplicate(console: Console):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    console.run("process", path)
    done = console.run("process", path, "--json")
    assert done.code == 0
    assert [outcome["outcome"] for outcome in done.json["outcomes"]] == ["duplicate"]


# Exit codes: 2, usage or configuration


@pytest.mark.parametrize(
    "arguments",
    [
        ["process", "--no-such-option"],
        ["no-such-command"],
        ["process"],
        ["process", "a.csv", "--as-of", "yesterday"],
        ["process", "a.csv", "--as-of", "2025-13-01"],
        ["explain"],
        ["drops", "--limit", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_and_points_to_the_help(console: Console, arguments: list[str]):
    done = console.run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert "Error:" in done.err
    assert re.search(r"Try.*dropledger.* --help", done.err)


def test_wrong_usage_says_what_to_try_as_other_errors_do(console: Console):
    assert "Try:" in console.run("process", "--no-such-option").err


def test_no_command_at_all_shows_the_help(console: Console):
    done = console.run()
    assert (done.code, done.err) == (0, "")
    assert "  process  " in done.out


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["process", "gone.csv"], {}, "gone.csv"),
        (["process", "."], {}, "dropledger backfill ."),
        (["process", "customers_2025-10-31.csv", "--feed", "loan"], {}, "customer"),
        (["history", "loan", "1"], {}, "customer"),
        (["status"], {"wait_seconds": "-1"}, "DROPLEDGER_WAIT_SECONDS"),
        (["status"], {"memory_limit": "lots"}, "DROPLEDGER_MEMORY_LIMIT"),
        (["status"], {"log": "loud"}, "DROPLEDGER_LOG"),
        (["status"], {"pipeline": "nowhere"}, "DROPLEDGER_PIPELINE"),
        (["process", "customers_2025-10-31.csv", "--root", "customers_2025-10-31.csv"], {}, "--root"),
        (["drops"], {}, "dropledger process"),
        (["status"], {"root": ""}, "DROPLEDGER_ROOT"),
        (["demo", "--root", "s3://bucket/root"], {}, "folder of this machine"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_configuration_exits_2_and_says_what_to_try(
    console: Console, arguments: list[str], settings: dict[str, str], said: str
):
    console.file("customers_2025-10-31.csv", CUSTOMERS)
    console.root.mkdir()
    done = console.run(*arguments, **settings)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert "\n  Try: " in done.err
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("text", ["root = ", "rooot = 'x'", "wait_seconds = 'soon'"])
def test_broken_settings_file_exits_2_and_is_named(console: Console, text: str):
    console.file("dropledger.toml", text)
    done = console.run("status")
    assert (done.code, done.out) == (2, "")
    assert "dropledger.toml" in done.err
    assert "Try:" in done.err


def test_error_is_one_object_for_programs_and_text_on_standard_error(console: Console):
    done = console.run("--json", "process", "gone.csv")
    assert done.code == 2
    assert done.json["error"]["exit_code"] == 2
    assert "gone.csv" in done.json["error"]["what"]
    assert done.json["error"]["try"]
    assert "Try:" in done.err


# Exit codes: 3, data refused


@pytest.mark.parametrize(
    ("how", "name", "text"),
    [
        ("--json", "stray.csv", "a,b\n1,2\n"),
        ("--quiet", "accounts_2025-10-31.csv", "AccountID,CustomerID,AccountType\n1001,1,Savings\n"),
        ("--json", "accounts_2025-10-31.csv", ACCOUNTS + "1003,2,-1.00,Savings\n"),
    ],
    ids=["of-no-feed", "quarantined", "rows-rejected"],
)
def test_refused_data_exits_3(console: Console, how: str, name: str, text: str):
    assert console.run("process", console.file(name, text), how).code == 3


def test_process_says_where_a_quarantined_file_lies_and_how_to_mend_it(console: Console):
    path = console.file("accounts_2025-10-31.csv", "AccountID,CustomerID,AccountType\n1001,1,Savings\n")
    done = console.run("process", path)
    assert done.err == ""
    assert "missing_column" in done.out
    assert "quarantine/accounts_2025-10-31.csv" in done.out
    assert "Try:" in done.out
    assert (console.root / "quarantine/accounts_2025-10-31.csv").read_bytes() == path.read_bytes()
    assert (console.root / "quarantine/accounts_2025-10-31.csv.reason.json").exists()


def test_good_rows_go_on_without_the_rejected(console: Console):
    path = console.file("accounts_2025-10-31.csv", ACCOUNTS + "1003,2,-1.00,Savings\n")
    done = console.run("process", path, "--json")
    assert done.err == ""
    (outcome,) = done.json["outcomes"]
    assert (outcome["outcome"], outcome["rows_accepted"], outcome["rows_rejected"]) == ("accepted", 2, 1)


def test_rejected_rows_are_pointed_to(console: Console):
    done = console.run("process", console.file("accounts_2025-10-31.csv", ACCOUNTS + "1003,2,-1.00,Savings\n"))
    assert "1 row rejected" in done.out
    assert f"Try: dropledger rejects {drop_ids(console)['accounts_2025-10-31.csv']}" in done.out


def test_one_refused_file_does_not_hinder_the_others(console: Console):
    files = console.file("customers_2025-10-31.csv", CUSTOMERS), console.file("stray.csv", "a,b\n1,2\n")
    done = console.run("process", *files, "--json")
    assert {outcome["name"]: (outcome["outcome"], outcome["rule"]) for outcome in done.json["outcomes"]} == {
        "customers_2025-10-31.csv": ("accepted", None),
        "stray.csv": ("quarantined", "unknown_feed"),
    }


# Common options and settings


def test_common_options_stand_before_or_behind_the_command(console: Console):
    (console.folder / "here").mkdir()
    before = console.run("--root", "here", "--json", "status")
    behind = console.run("status", "--root", "here", "--json")
    assert before.json == behind.json
    assert before.json["root"] == str(console.folder / "here")


def test_common_option_behind_the_command_wins(console: Console):
    (console.folder / "behind").mkdir()
    done = console.run("--root", "before", "status", "--root", "behind", "--json")
    assert done.json["root"] == str(console.folder / "behind")


def test_quiet_prints_nothing(console: Console):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    done = console.run("--quiet", "process", path)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_quiet_still_prints_errors(console: Console):
    assert "Try:" in console.run("process", "gone.csv", "--quiet").err


def test_flag_goes_before_environment_and_environment_before_the_file(console: Console):
    def root(*arguments: str, **settings: str) -> str:
        return Path(console.run("status", "--json", *arguments, **settings).json["root"]).name

    for name in ("ledger", "by-file", "by-environment", "by-flag"):
        (console.folder / name).mkdir()
    assert root() == "ledger"
    console.file("dropledger.toml", 'root = "by-file"\n')
    assert root() == "by-file"
    assert root(root="by-environment") == "by-environment"
    assert root("--root", "by-flag", root="by-environment") == "by-flag"


def test_warehouse_may_lie_elsewhere(console: Console):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    console.file("dropledger.toml", 'warehouse = "by-file.duckdb"\n')
    assert console.run("process", path, "-q", root="first").code == 0
    assert console.run("process", path, "-q", root="second", warehouse="by-environment.duckdb").code == 0
    flag = ("--warehouse", "by-flag.duckdb")
    assert console.run("process", path, "-q", *flag, root="third", warehouse="by-environment.duckdb").code == 0
    assert {file.name for file in console.folder.glob("*.duckdb")} == {
        "by-file.duckdb",
        "by-environment.duckdb",
        "by-flag.duckdb",
    }
    assert list(console.root.glob("warehouse/*")) == []


def test_pipeline_may_be_a_folder(console: Console):
    folder = console.folder / "retail"
    shutil.copytree(BUILT_IN / "lending", folder)
    (folder / "pipeline.yaml").write_text("pipeline: retail\nschema: shop\nmoment: [customer, account]\n")
    console.file("dropledger.toml", 'pipeline = "retail"\n')
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    assert console.run("process", path, "-q").code == 0
    assert console.run("status", "--json").json["pipeline"] == "retail"
    with duckdb.connect(str(console.root / "warehouse/ledger.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM shop.history_customer").fetchall() == [(2,)]


@pytest.mark.parametrize("command", ["process", "status"])
def test_warehouse_that_is_a_data_file_is_refused(console: Console, command: str):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    arguments = [command, path] if command == "process" else [command]
    done = console.run(*arguments, "--warehouse", console.file("warehouse.csv", CUSTOMERS), wait_seconds=0.2)
    assert done.code in {2, 4}
    assert "Try:" in done.err


def test_warehouse_that_is_no_database_is_refused(console: Console):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    warehouse = console.file("warehouse.duckdb", "no database\n")
    done = console.run("process", path, "--warehouse", warehouse, wait_seconds=0.2)
    assert done.code in {2, 4}
    assert "Try:" in done.err
    assert warehouse.read_text() == "no database\n"


@pytest.mark.parametrize("command", ["status", "drops", "doctor"])
def test_warehouse_that_nobody_prepared_yet_can_be_looked_at(console: Console, command: str):
    with warehouse_held(console):
        pass
    done = console.run(command)
    assert done.code in {0, 2}
    assert "Traceback" not in done.err
