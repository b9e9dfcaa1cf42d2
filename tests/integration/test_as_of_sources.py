"""Where a drop's as_of comes from, what is refused rather than guessed, and how people see it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from support.event_feed import event_pipeline, events
from support.ledger import Ledger, SettableClock, custom_pipeline, without_marts

from dropledger.core.contracts.pipeline_spec import Pipeline, load_pipeline
from dropledger.core.drop import AsOfSource, FileDropped
from dropledger.core.errors import ContractError
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.operations.retract import restore, retract
from dropledger.core.operations.verify import verify
from dropledger.core.steps.address import addressed
from dropledger.core.views.drops import list_drops
from dropledger.core.views.status import read_status

ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n1001,1,{},Savings\n"
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ada,Yes\n"


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The lending pipeline without its marts, whose accounts may come from the future."""
    return without_marts(tmp_path_factory.mktemp("pipeline") / "lending")


@pytest.fixture
def plain(tmp_path: Path, feeds: Pipeline) -> Ledger:
    return Ledger(tmp_path / "root", feeds)


# Dates in names


def test_date_in_a_name_is_read_or_refused_and_never_that_of_the_file(plain: Ledger):
    names = {
        "accounts_2025_10_04.csv": (Delivered.ACCEPTED, at(2025, 10, 4)),
        "accounts_20251004-123456.csv": (Delivered.ACCEPTED, at(2025, 10, 4, 12, 34, 56)),
        "accounts_04-10-2025.csv": (Delivered.QUARANTINED, None),
        "accounts_20250229.csv": (Delivered.QUARANTINED, None),
    }
    for number, (name, (delivered, as_of)) in enumerate(names.items()):
        outcome = plain.process(plain.put(name, ACCOUNTS.format(number), modified_at=at(2020, 1, 1)))[0]
        assert outcome.delivered == delivered, name
        if as_of is None:
            assert outcome.rule == "ambiguous_as_of", name
        else:
            assert (outcome.drop.as_of.moment, outcome.drop.as_of.source) == (as_of, AsOfSource.FILE_NAME)


def test_later_of_two_files_of_a_day_stands_whichever_comes_last(ledger: Ledger):
    ledger.drop("customers_2025-12-01.csv", CUSTOMERS)
    ledger.drop("accounts_20251231_1500.csv", ACCOUNTS.format("999.00"))
    ledger.drop("accounts_20251231_0900.csv", ACCOUNTS.format("100.00"))

    assert ledger.rows("SELECT balance, valid_from, valid_to FROM history_account ORDER BY valid_from") == [
        (100, at(2025, 12, 31, 9), at(2025, 12, 31, 15)),
        (999, at(2025, 12, 31, 15), None),
    ]
    assert ledger.rows("SELECT original_balance FROM account_summary") == [(999,)]


def test_archive_folder_of_an_early_year_has_four_digits(plain: Ledger):
    outcome = plain.drop("accounts.csv", ACCOUNTS.format(1), as_of=at(33, 1, 2))

    assert outcome.file == f"archive/account/0033/01/02/{outcome.drop.drop_id}-accounts.csv"
    assert (plain.root / outcome.file).is_file()
    assert verify(plain.runtime, lambda *_: None).differences == ()


def test_initial_file_whose_date_is_not_read_is_a_fault_of_the_contract(tmp_path: Path):
    folder = tmp_path / "lending"
    custom_pipeline(folder, {})
    (folder / "rates_1970-01-01.csv").rename(folder / "rates_01-01-1970.csv")
    contract = (folder / "rate.yaml").read_text(encoding="utf-8").replace("rates_1970-01-01", "rates_01-01-1970")
    (folder / "rate.yaml").write_text(contract, encoding="utf-8")

    with pytest.raises(ContractError, match=r"'rates_01-01-1970\.csv' bears no date that is read"):
        load_pipeline(str(folder)).initial_rows()


# The future


def test_as_of_more_than_a_day_ahead_is_refused_where_it_would_move_the_moment(ledger: Ledger):
    ledger.clock.moment = at(2026, 1, 1, 12)
    outcomes = {
        name: ledger.drop(name, text)
        for name, text in {
            "customers_2026-01-02.csv": CUSTOMERS,
            "accounts_2062-01-01.csv": ACCOUNTS.format(1),
            "rates_2062-01-01.csv": "MinBalance,Rate,LoanBonus,Method\n0,0.02,0.01,marginal\n",
        }.items()
    }

    assert [str(outcome.delivered) for outcome in outcomes.values()] == ["accepted", "quarantined", "accepted"]
    refused = outcomes["accounts_2062-01-01.csv"]
    assert refused.rule == "as_of_in_future"
    assert refused.hint is not None
    assert "--as-of" in refused.hint
    assert ledger.rows("SELECT moment FROM mart_moment") == [(at(2026, 1, 2),)]


def test_file_refused_as_of_the_future_is_taken_when_its_time_has_come(plain: Ledger):
    plain.clock.moment = at(2026, 1, 1)
    refused = plain.drop("accounts_2026-03-01.csv", ACCOUNTS.format(1))
    assert (refused.rule, refused.rows_read, refused.rows_rejected) == ("as_of_in_future", 0, 0)
    plain.clock.moment = at(2026, 3, 1)
    assert plain.drop("accounts_2026-03-01.csv", ACCOUNTS.format(1)).delivered == Delivered.ACCEPTED


def test_as_of_ahead_is_taken_by_hand_or_where_the_contract_says_so(plain: Ledger, tmp_path: Path):
    by_hand = plain.drop("accounts.csv", ACCOUNTS.format(1), as_of=at(2062, 1, 1))
    pipeline = custom_pipeline(tmp_path / "pipeline", {"account.yaml": {"future": "allowed"}})
    by_contract = Ledger(tmp_path / "other", pipeline).drop("accounts_2062-01-01.csv", ACCOUNTS.format(1))

    assert by_hand.delivered == by_contract.delivered == Delivered.ACCEPTED


def test_files_of_the_future_are_refused_among_many_that_wait_together(plain: Ledger):
    plain.clock.moment = at(2025, 3, 6)
    facts = [plain.put(f"accounts_2025-03-{day:02}.csv", ACCOUNTS.format(day)) for day in range(1, 10)]
    outcomes = plain.process(*facts)

    refused = [outcome.drop.name for outcome in outcomes if outcome.rule == "as_of_in_future"]
    assert refused == ["accounts_2025-03-08.csv", "accounts_2025-03-09.csv"]
    assert plain.rows("SELECT max(balance) FROM history_account") == [(7,)]


# What people see


def test_drops_and_status_say_where_the_as_of_came_from_and_what_was_late(plain: Ledger):
    plain.drop("accounts_2025-01-02.csv", ACCOUNTS.format(2))
    late = plain.drop("accounts_2025-01-01.csv", ACCOUNTS.format(1))
    by_hand = plain.drop("accounts.csv", ACCOUNTS.format(3), as_of=at(2025, 1, 3))
    early_card = plain.drop("rates_1969-01-01.csv", "MinBalance,Rate,LoanBonus,Method\n0,0.02,0.01,marginal\n")
    plain.drop("accounts_2025-01-04.csv", "AccountID\n1\n")

    assert [outcome.late for outcome in (late, by_hand, early_card)] == [True, False, True]
    assert late.as_json()["late"] is True
    with plain.runtime.warehouse.session(read_only=True) as session:
        drops = list_drops(session, None, 10, plain.runtime.pipeline)
        status = read_status(session, plain.runtime.pipeline, plain.clock)
    assert [(row["name"], row["as_of_source"], row["late"]) for row in drops] == [
        ("accounts_2025-01-04.csv", "file_name", None),
        ("rates_1969-01-01.csv", "file_name", True),
        ("accounts.csv", "option", False),
        ("accounts_2025-01-01.csv", "file_name", True),
        ("accounts_2025-01-02.csv", "file_name", False),
    ]
    assert (status["feeds"]["account"]["as_of_sources"], status["feeds"]["account"]["late"]) == (
        {"file_name": 2, "option": 1},
        1,
    )
    assert status["feeds"]["customer"]["late"] == 0


def test_late_is_said_by_what_was_in_history_when_a_drop_came(plain: Ledger):
    clock: SettableClock = plain.clock
    first = plain.drop("accounts_2025-01-05.csv", ACCOUNTS.format(5))
    late = plain.drop("accounts_2025-01-03.csv", ACCOUNTS.format(3))
    clock.moment += timedelta(hours=1)
    retract(plain.runtime, first.drop.drop_id, "wrong", "somebody")
    clock.moment += timedelta(hours=1)
    later = plain.drop("accounts_2025-01-04.csv", ACCOUNTS.format(4))

    assert (late.late, later.late) == (True, False)
    with plain.runtime.warehouse.session(read_only=True) as session:
        found = {row["name"]: row["late"] for row in list_drops(session, "account", 10)}
    assert found == {
        "accounts_2025-01-05.csv": None,
        "accounts_2025-01-03.csv": True,
        "accounts_2025-01-04.csv": False,
    }


def told_late(ledger: Ledger) -> dict[str, bool | None]:
    with ledger.runtime.warehouse.session(read_only=True) as session:
        return {row["drop_id"]: row["late"] for row in list_drops(session, None, 10)}


def test_late_is_before_the_latest_of_its_feed_and_not_at_it(plain: Ledger):
    first, same, early, between, _ = outcomes = [
        plain.drop(f"accounts_2025-01-{day:02}.csv", ACCOUNTS.format(number))
        for number, day in enumerate([5, 5, 2, 4, 9])
    ]
    other = plain.drop("customers_2025-01-01.csv", CUSTOMERS)
    said = {outcome.drop.drop_id: outcome.late for outcome in (*outcomes, other)}

    assert list(said.values()) == [False, False, True, True, False, False]
    assert told_late(plain) == said
    for gone in (first, early, same):  # each was there when the others came
        retract(plain.runtime, gone.drop.drop_id, "wrong", "somebody")
        said[gone.drop.drop_id] = None
        assert told_late(plain) == said
    assert said[between.drop.drop_id]


def test_drop_is_not_late_for_what_it_observed_itself_before_it_was_taken_back_and_in_again(tmp_path: Path):
    ledger = Ledger(tmp_path / "root", event_pipeline(tmp_path / "pipeline"))
    drop_id = ledger.drop("events.csv", events(("A", "1", "2025-01-01"), ("A", "2", "2025-01-02"))).drop.drop_id
    retract(ledger.runtime, drop_id, "wrong", "somebody")
    restore(ledger.runtime, drop_id, "right", "somebody")

    assert told_late(ledger) == {drop_id: False}


# Metadata


@pytest.mark.parametrize("text", ["31/12/2025", "2025-12-31T24:00:00Z", ""])
def test_metadata_that_cannot_be_read_are_refused(plain: Ledger, text: str):
    def told(fact: FileDropped) -> FileDropped:
        return FileDropped(fact.uri, fact.name, fact.modified_at, metadata_unread=text)

    refused = plain.process(told(plain.put("accounts.csv", ACCOUNTS.format(1))))[0]
    dated = plain.process(told(plain.put("accounts_2025-12-31.csv", ACCOUNTS.format(1))))[0]

    assert (refused.delivered, refused.rule) == (Delivered.QUARANTINED, "no_as_of")
    assert f"'{text}'" in (refused.error or "")
    assert dated.delivered == Delivered.ACCEPTED  # its name goes first, and nobody asks the metadata


@pytest.mark.parametrize(
    ("entry", "name", "as_of"),
    [
        ('{file_name: "%d-%m-%Y"}', "accounts_04-10-2025.csv", "2025-10-04T00:00Z"),
        ('{file_name: "%d%m%Y"}', "accounts_04102025.csv", "2025-10-04T00:00Z"),
        ('{file_name: "%d-%b-%y"}', "accounts 4-Oct-25.csv", "2025-10-04T00:00Z"),
        (r'{pattern: "_(?P<as_of>\\d{8})_"}', "accounts_20251004_20990101.csv", "2025-10-04T00:00Z"),
        (r'{pattern: "_b(?P<as_of>.*)_", file_name: "%y%m%d"}', "accounts_b251004_1.csv", "2025-10-04T00:00Z"),
        ("{timezone: Europe/Madrid}", "accounts_2025-10-04.csv", "2025-10-03T22:00Z"),
        ("{timezone: Europe/Madrid}", "accounts_20251004T103000Z.csv", "2025-10-04T10:30Z"),
        ('{file_name: "%d-%m-%Y", timezone: Europe/Madrid}', "accounts_04-12-2025.csv", "2025-12-03T23:00Z"),
        ('{file_name: "%d-%m-%Y"}', "accounts.csv", "2020-01-01T00:00Z"),
    ],
)
def test_contract_says_how_names_bear_the_as_of(tmp_path: Path, entry, name, as_of):
    pipeline = custom_pipeline(tmp_path / "mine", {"account.yaml": {"as_of": yaml.safe_load(entry)}})
    dropped = FileDropped(name, name, datetime(2020, 1, 1, tzinfo=UTC))

    _, found, refusal = addressed(dropped, pipeline)

    assert refusal is None
    assert found.moment == datetime.fromisoformat(as_of)


@pytest.mark.parametrize(
    ("entry", "name", "reason"),
    [
        ('{file_name: "%d-%m-%Y"}', "accounts_2025-10-04.csv", "bears a date that is not written like %d-%m-%Y"),
        ('{file_name: "%d-%m-%Y"}', "accounts_31-02-2025.csv", "holds '31-02-2025', which no calendar has"),
        ('{file_name: "%d-%m-%Y"}', "accounts_01-02-2025_02-02-2025.csv", "holds 2 different dates"),
        (r'{pattern: "_(?P<as_of>\\d{8})_"}', "accounts_20251304_.csv", "which is no date or time"),
        ("{timezone: Europe/Madrid}", "accounts_20251026T023000.csv", "comes twice or never on the clocks"),
    ],
)
def test_name_that_bears_another_form_is_refused(tmp_path: Path, entry, name, reason):
    pipeline = custom_pipeline(tmp_path / "mine", {"account.yaml": {"as_of": yaml.safe_load(entry)}})

    _, _, refusal = addressed(FileDropped(name, name, datetime(2020, 1, 1, tzinfo=UTC)), pipeline)

    assert refusal is not None
    assert refusal.rule == "ambiguous_as_of"
    assert reason in refusal.what


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ('{file_name: "%d-%m"}', "lacks %Y"),
        ('{pattern: "("}', "( is no regular expression"),
        ('{pattern: "[0-9]+"}', "needs a group (?P<as_of>...)"),
        ("{timezone: Mars}", "there is no time zone 'Mars'"),
        ("{sources: [clock]}", "as_of"),
    ],
)
def test_form_of_names_that_cannot_be_read_is_told(tmp_path: Path, entry, reason):
    with pytest.raises(ContractError) as error:
        custom_pipeline(tmp_path / "mine", {"account.yaml": {"as_of": yaml.safe_load(entry)}})
    assert reason in str(error.value)
