"""A complete extract that is compared with the one before comes out as if all of it had been read."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparison import WITHOUT_URI, differences, files_of, tables_of
from support.ledger import Ledger, Template, custom_pipeline, extracts_compared_from

from dropledger.core.contracts.pipeline_spec import BUILT_IN
from dropledger.core.errors import ConfigurationError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.retract import retract
from dropledger.core.steps import compare

# A failure is shrunk for up to 300 seconds.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400 + 10 * settings().max_examples)]

CUSTOMERS = "CustomerID,Name,HasLoan\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"


@contextmanager
def compared_from(size: int) -> Iterator[list[bool]]:
    """Let extracts of so many bytes be compared; whether each was, as they come."""
    found: list[bool] = []
    read = compare.read_differing

    def noting(*arguments: Any) -> Any:
        validated = read(*arguments)
        found.append(validated is not None)
        return validated

    with extracts_compared_from(size), pytest.MonkeyPatch.context() as patch:
        patch.setattr("dropledger.core.ingest.admission.read_differing", noting)
        yield found


KINDS = ("Savings", "Checking")
EDITS = st.one_of(
    st.tuples(st.just("balance"), st.integers(0, 30), st.sampled_from(["0.00", "7.50", "20000.00", "-1.00", "x"])),
    st.tuples(st.just("customer"), st.integers(0, 30), st.integers(1, 9)),
    st.tuples(st.just("remove"), st.integers(0, 30), st.none()),
    st.tuples(st.just("insert"), st.integers(0, 30), st.integers(10, 40)),
    st.tuples(st.just("move"), st.integers(0, 30), st.integers(0, 30)),
    st.tuples(st.just("repeat"), st.integers(0, 30), st.none()),
    st.tuples(st.just("space"), st.integers(0, 30), st.none()),
    st.tuples(st.just("quote"), st.integers(0, 30), st.none()),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("account"), st.lists(EDITS, max_size=4), st.integers(-3, 0), st.sampled_from(["", "end", "gz"])
        ),
        st.tuples(st.just("customer"), st.sets(st.integers(1, 9)), st.integers(-3, 0), st.just("")),
        st.tuples(st.just("retract"), st.integers(0, 5), st.just(0), st.just("")),
    ),
    min_size=2,
    max_size=7,
)
Rows = list[list[str]]


def edited(rows: Rows, what: str, place: int, value: Any) -> Rows:
    """The rows of an extract after one change to it."""
    rows = [[*row] for row in rows]
    place %= len(rows)
    match what:
        case "balance":
            rows[place][2] = value
        case "customer":
            rows[place][1] = str(value)
        case "remove" if len(rows) > 1:
            del rows[place]
        case "insert":
            rows.insert(place, [str(value), "1", "5.00", "Savings"])
        case "move":
            rows.insert(value % len(rows), rows.pop(place))
        case "repeat":
            rows.insert(place, rows[place])
        case "space":
            rows[place][3] = f" {rows[place][3]}"
        case "quote":
            rows[place][3] = f'"{rows[place][3]}"'
    return rows


@pytest.fixture(scope="module", params=["keep", "close"], ids=["missing keys kept", "missing keys closed"])
def templates(request: pytest.FixtureRequest, template: Any, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The lending pipeline with a warning that many rows break."""
    columns = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))["columns"]
    columns[2]["rules"].append({"rule": "range", "name": "small_balance", "max": 10_000, "severity": "warn"})
    folder = tmp_path_factory.mktemp("pipeline") / "lending"
    return template(
        custom_pipeline(
            folder, {"account.yaml": {"columns": columns, "missing_keys": request.param, "max_rejected": 1}}
        )
    )


def taken(ledger: Ledger, steps: Sequence[Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """What the steps come to: the outcomes, the tables and the files."""
    rows: Rows = [[str(key), str(key % 8 + 1), f"{key}.00", KINDS[key % 2]] for key in range(11, 31)]
    outcomes: list[Any] = []
    drops: list[str] = []
    for number, (what, how, late, form) in enumerate(steps):
        day = f"2025-11-{10 + 2 * number + late:02}"
        if what == "retract":
            if drops:
                with suppress(ConfigurationError):  # it was taken back before
                    retract(ledger.runtime, drops[how % len(drops)], "wrong", "me")
            continue
        if what == "customer":
            outcome = ledger.drop(
                f"customers_{day}.csv", CUSTOMERS + "".join(f"{key},N{key},No\n" for key in sorted(how))
            )
        else:
            for edit in how:
                rows = edited(rows, *edit)
            text = ACCOUNTS + "".join(",".join(row) + "\n" for row in rows)
            content = text.rstrip("\n").encode() if form == "end" else text.encode()
            packed = gzip.compress(content, mtime=0) if form == "gz" else content
            outcome = ledger.drop(f"accounts_{day}.csv{'.gz' if form == 'gz' else ''}", packed)
        drops += [outcome.drop.drop_id] if outcome.delivered == Delivered.ACCEPTED else []
        outcomes.append(outcome.as_json())
    return outcomes, tables_of(ledger.root, WITHOUT_URI), files_of(ledger.root)


@given(steps=STEPS)
def test_all_comes_out_as_if_every_line_had_been_read(templates: Template, steps: list[Any]):
    with templates.ledger() as read, templates.ledger() as compared:
        expected = taken(read, steps)
        with compared_from(0):
            found = taken(compared, steps)
    for those, these in zip(found[0], expected[0], strict=True):
        assert {**those, "file": None} == {**these, "file": None}
    assert not differences(found[1], expected[1])
    assert not differences(found[2], expected[2])


def extract(changed: Sequence[int] = (), keys: Sequence[int] = range(1, 101), customer: int = 1) -> str:
    return ACCOUNTS + "".join(f"{key},{customer},{key + (key in changed)}.00,Savings\n" for key in keys)


def compared_last(ledger: Ledger, name: str, text: str | bytes) -> bool:
    """Whether this file was compared with the one before it."""
    with compared_from(0) as found:
        outcome = ledger.drop(name, text)
    assert outcome.delivered == Delivered.ACCEPTED
    return found == [True]


def test_an_extract_like_the_one_before_is_compared(ledger: Ledger):
    ledger.drop("customers_2025-11-01.csv", CUSTOMERS + "1,Ann,No\n")
    ledger.drop("accounts_2025-11-01.csv", extract())
    assert compared_last(ledger, "accounts_2025-11-02.csv", extract(changed=[7, 50]))
    assert compared_last(ledger, "accounts_2025-11-03.csv.gz", gzip.compress(extract(changed=[7]).encode()))
    assert compared_last(ledger, "accounts_2025-11-04.csv", extract(changed=[7], keys=range(5, 120)))
    assert ledger.rows("SELECT balance, line FROM history_account WHERE account_id = 50 ORDER BY valid_from") == [
        (50, 51),
        (51, 51),
        (50, 51),
    ]
    assert ledger.rows("SELECT count(*), max(_line) FROM stg_account") == [(115, 116)]


def test_a_late_file_between_does_not_matter(ledger: Ledger):
    ledger.drop("accounts_2025-11-03.csv", extract())
    ledger.drop("accounts_2025-11-01.csv", extract(changed=[3]))
    assert compared_last(ledger, "accounts_2025-11-05.csv", extract(changed=[9]))
    assert not compared_last(ledger, "accounts_2025-11-02.csv", extract(changed=[5]))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(extract().replace("7,1,7.00", "7,1,-1"), extract(), id="a row was refused"),
        pytest.param(extract(), extract().replace("Balance", "balance"), id="another header"),
        pytest.param(extract().replace("\n", "\r\n"), extract(), id="other line ends"),
        pytest.param(extract(), extract(keys=range(2000, 4001)), id="too many lines differ"),
        pytest.param(extract(), extract() + "7,1,8.00,Savings\n", id="a key twice"),
        pytest.param(extract(), extract() + "\n", id="an empty line"),
        pytest.param(extract(), extract() + "101,1,1.00\n", id="a row too short"),
        pytest.param(extract(), extract() + '101,1,1.00,"Sav\nings"\n102,1,1.00,Savings\n', id="a row of two lines"),
        pytest.param(extract(customer=5), extract(customer=5, keys=range(2, 101)), id="orphans, and a key is missing"),
    ],
)
def test_what_is_not_plain_is_read_whole(ledger: Ledger, before: str, after: str):
    ledger.drop("accounts_2025-11-01.csv", before)
    assert not compared_last(ledger, "accounts_2025-11-02.csv", after)


def test_a_line_too_long_to_be_read_as_it_is_makes_a_file_be_read_whole(ledger: Ledger):
    long = f"1,{'x' * 3_000_000},No\n"
    ledger.drop("customers_2025-11-01.csv", f"{CUSTOMERS}{long}2,Bo,No\n")
    assert not compared_last(ledger, "customers_2025-11-02.csv", f"{CUSTOMERS}{long}2,Bo,Yes\n")


def test_a_drop_taken_back_or_a_damaged_archive_makes_the_next_file_be_read_whole(ledger: Ledger):
    first = ledger.drop("accounts_2025-11-01.csv", extract())
    last = ledger.drop("accounts_2025-11-02.csv", extract(changed=[1]))
    retract(ledger.runtime, first.drop.drop_id, "wrong", "me")
    assert not compared_last(ledger, "accounts_2025-11-03.csv", extract(changed=[2]))
    assert compared_last(ledger, "accounts_2025-11-04.csv", extract(changed=[3]))
    [archived] = (ledger.root / "archive").rglob("*accounts_2025-11-04.csv")
    archived.write_text(extract(changed=[8]), encoding="utf-8")
    assert not compared_last(ledger, "accounts_2025-11-05.csv", extract(changed=[8]))
    assert ledger.rows("SELECT balance FROM history_account WHERE account_id = 8 AND is_current") == [(9,)]
    assert last.delivered == Delivered.ACCEPTED


def test_rules_over_several_rows_need_all_rows(tmp_path: Path):
    columns = yaml.safe_load((BUILT_IN / "lending" / "account.yaml").read_text(encoding="utf-8"))["columns"]
    columns[1]["rules"].append({"rule": "unique", "severity": "warn"})
    ledger = Ledger(tmp_path / "root", custom_pipeline(tmp_path / "lending", {"account.yaml": {"columns": columns}}))
    ledger.drop("accounts_2025-11-01.csv", extract())
    assert not compared_last(ledger, "accounts_2025-11-02.csv", extract(changed=[7]))


def test_orphans_among_the_lines_that_stay_are_counted(ledger: Ledger):
    ledger.drop("customers_2025-11-01.csv", CUSTOMERS + "1,Ann,No\n")
    ledger.drop("accounts_2025-11-02.csv", extract(customer=5))
    assert compared_last(ledger, "accounts_2025-11-03.csv", extract(changed=[4], customer=5))
    ledger.drop("customers_2025-11-04.csv", CUSTOMERS + "5,Bo,No\n")
    assert compared_last(ledger, "accounts_2025-11-05.csv", extract(customer=5))
    found = ledger.rows("SELECT failing_rows FROM check_result WHERE check_name = 'orphan_account' ORDER BY sequence")
    assert found == [(100,), (100,), (0,)]
