"""Keys on the command line: with hyphens in front, with commas, with quotes."""

import pytest
from support.console import Console
from support.ledger import Ledger, without_marts

pytestmark = pytest.mark.slow

PLEDGE = {
    "feed": "pledge",
    "files": ["pledges*.csv"],
    "key": ["owner", "number"],
    "columns": [
        {"name": "owner", "rules": ["not_null"]},
        {"name": "number", "type": "bigint", "rules": ["not_null"]},
        {"name": "note"},
    ],
}
BRANCH = {
    "feed": "branch",
    "files": ["branches*.csv"],
    "key": ["branch"],
    "columns": [{"name": "branch", "rules": ["not_null"]}, {"name": "town"}],
}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Console:
    folder = tmp_path_factory.mktemp("keys")
    pipeline = without_marts(folder / "mine", {"pledge.yaml": PLEDGE, "branch.yaml": BRANCH})
    ledger = Ledger(folder / "ledger", pipeline)
    ledger.drop("pledges_2025-10-31.csv", 'owner,number,note\n"Lee, Ann",-7,a\n-x,8,b\n')
    ledger.drop("branches_2025-10-31.csv", 'branch,town\n"Oslo, north",x\n5" pipe,y\n-q,z\n')
    return Console(folder, {"DROPLEDGER_PIPELINE": str(folder / "mine")})


@pytest.mark.parametrize(
    ("feed", "arguments", "value"),
    [
        ("pledge", ['"Lee, Ann",-7'], "a"),
        ("pledge", ["--", "-x,8"], "b"),
        ("branch", ["Oslo, north"], "x"),
        ("branch", ['"Oslo, north"'], "x"),
        ("branch", ['5" pipe'], "y"),
        ("branch", ["--", "-q"], "z"),
    ],
)
def test_key_is_found_however_it_has_to_be_written(console: Console, feed: str, arguments: list[str], value: str):
    done = console.run("history", "--json", feed, *arguments)

    assert (done.code, done.err) == (0, "")
    (version,) = done.json["versions"]
    assert version["note" if feed == "pledge" else "town"] == value


def test_key_that_is_taken_for_an_option_is_told_with_the_way_out(console: Console):
    for command in (["history", "account"], ["explain"]):
        done = console.run(*command, "-5")
        assert done.code == 2
        assert "No such option '-5'" in done.err
        assert f"Try: dropledger {command[0]} --help; put -- before a key that begins with a hyphen" in done.err


def test_help_says_how_such_keys_are_written(console: Console):
    said = " ".join(console.run("history", "--help").out.split())

    assert "Put -- before a key that begins with a hyphen: dropledger history account -- -5." in said
    assert """'"Lee, Ann",7'""" in said


@pytest.mark.parametrize(("key", "has"), [("a,b,c", "has 3 parts"), ("a", "has 1 part"), ('"a,7', "is not closed")])
def test_key_of_another_number_of_parts_is_told_with_the_way_to_quote(console: Console, key: str, has: str):
    done = console.run("history", "pledge", key)

    assert done.code == 2
    assert has in done.err
    assert "give owner, number, separated by commas; quote a part that holds one" in done.err


@pytest.mark.parametrize(
    ("feed", "key", "nearest"),
    [
        ("pledge", '"Lee, Ann",-6', '"Lee, Ann",-7'),
        ("pledge", "A,1", '-x,8 and "Lee, Ann",-7'),
        ("pledge", "-y,7", '-x,8 and "Lee, Ann",-7'),
        ("branch", "Bergen", '5" pipe and Oslo, north'),
        ("branch", "Zagreb", "Oslo, north"),
    ],
)
def test_unknown_key_is_told_with_the_ones_around_it(console: Console, feed: str, key: str, nearest: str):
    done = console.run("history", feed, "--", key)

    assert (done.code, done.out) == (2, "")
    assert f"Try: the nearest {'are' if ' and ' in nearest else 'is'} {nearest}; dropledger drops" in done.err
