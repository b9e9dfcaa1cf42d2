"""History is a pure function of the set of drops: the real pipeline held against the reference model.

Hypothesis makes up plans of deliveries: late files, duplicates, corrections of the same day, keys that vanish
and return, refused rows, files that wait together; with values so few that A, B, A comes up all the time. The
tests at the end need no chance: they go through every timeline of four drops, in every order of arrival.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise, permutations, product
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

import model
from core.definition import BUILT_IN, Pipeline
from ledger import Ledger, Record, Template, custom_pipeline, fetch

try:
    from core.retract import retract
except ImportError:
    retract = None

pytestmark = pytest.mark.timeout(60 + 5 * settings().max_examples)


def day(number: int) -> datetime:
    return datetime(2025, 1, number, tzinfo=UTC)


# A plan: batches of deliveries


@dataclass(frozen=True)
class File:
    """A file about to be dropped: its text, and the same rows as the model takes them."""

    feed: str
    as_of: datetime
    header: str
    lines: tuple[str, ...]
    rows: tuple[model.Row, ...] = field(repr=False)
    by_option: bool = False

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in (self.header, *self.lines))


@dataclass(frozen=True)
class Again:
    """The same file delivered once more under another name: the `nth` of those delivered before."""

    nth: int


@dataclass(frozen=True)
class Retraction:
    """The `nth` of the drops in history is taken back."""

    nth: int


Step = list[File | Again] | Retraction


def plans(files: st.SearchStrategy[File]) -> st.SearchStrategy[list[Step]]:
    deliveries = st.one_of(files, files, files, files, st.builds(Again, st.integers(0, 4)))
    batches = st.lists(deliveries, min_size=1, max_size=3)
    return st.lists(with_retractions(batches), min_size=1, max_size=4)


def with_retractions(batches: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    if retract is None:
        return batches
    return st.one_of(batches, batches, batches, st.builds(Retraction, st.integers(0, 4)))


class Run:
    """A ledger and the set of drops that the model takes, fed with the same files."""

    def __init__(self, ledger: Ledger, feeds: Mapping[str, model.Feed], initial: Mapping[str, model.Drop] | None = None):
        self.ledger = ledger
        self.feeds = feeds
        self.initial = initial or {}
        self.delivered: list[File] = []
        self.drops: dict[str, tuple[str, model.Drop]] = {}

    def take(self, plan: Iterable[Step]) -> None:
        for step in plan:
            if isinstance(step, Retraction):
                self._retract(step)
            else:
                self._deliver(step)

    def _deliver(self, batch: Iterable[File | Again]) -> None:
        arrived = {}
        for delivery in batch:
            if isinstance(delivery, File):
                file = delivery
            elif self.delivered:
                file = self.delivered[delivery.nth % len(self.delivered)]
            else:
                continue
            self.delivered.append(file)
            dated = "" if file.by_option else f"_{file.as_of:%Y-%m-%d}"
            name = f"{file.feed}s-{len(self.delivered)}{dated}.csv"
            fact = self.ledger.put(name, file.text, as_of=file.as_of if file.by_option else None)
            arrived[name] = file, fact
        outcomes = self.ledger.process(*(fact for _, fact in arrived.values()))
        assert sorted(outcome.drop.name for outcome in outcomes) == sorted(arrived)
        for outcome in outcomes:  # in order of receipt
            file, _ = arrived[outcome.drop.name]
            identity = model.drop_id(file.feed, file.as_of, file.text.encode())
            assert (outcome.drop.drop_id, outcome.delivered) == (identity, self._receive(identity, file))

    def _receive(self, identity: str, file: File) -> str:
        if identity in self.drops:
            return "duplicate"
        last = max((drop.sequence for _, drop in self.drops.values()), default=0)
        drop = model.Drop(identity, file.as_of, last + 1, file.rows, as_of_given=file.by_option)
        if model.is_quarantined(self.feeds[file.feed], drop):
            return "quarantined"
        self.drops[identity] = file.feed, drop
        return "accepted"

    def _retract(self, retraction: Retraction) -> None:
        if self.drops:
            identity = list(self.drops)[retraction.nth % len(self.drops)]
            retract(self.ledger.runtime, identity, "sent by mistake", "the tests")
            del self.drops[identity]

    def drops_of(self, feed: str) -> list[model.Drop]:
        initial = [self.initial[feed]] if feed in self.initial else []
        return initial + [drop for name, drop in self.drops.values() if name == feed]

    def tables(self, *marts: str) -> dict[str, list[Record]]:
        """The history tables and the marts, each in order."""
        with self.ledger.connection() as connection:
            names = [f"history_{feed}" for feed in self.feeds] + list(marts)
            return {name: fetch(connection, f'SELECT * FROM "{name}" ORDER BY ALL') for name in names}

    def expected_history(self) -> dict[str, list[Record]]:
        """What the model makes of the drops, for each history table."""
        return {f"history_{name}": versions(model.history(feed, self.drops_of(name))) for name, feed in self.feeds.items()}

    def expected_marts(self) -> dict[str, list[Record]]:
        marts = model.marts(self.feeds, {name: self.drops_of(name) for name in self.feeds})
        return {
            "account_summary": in_order(map(astuple, marts.account_summary)),
            "customer_profile": in_order(map(astuple, marts.customer_profile)),
        }


def versions(found: Iterable[model.Version]) -> list[Record]:
    """Versions as the rows of a history table."""
    return in_order((*v.key, *v.values, v.valid_from, v.valid_to, v.is_current, v.drop_id, v.line) for v in found)


def in_order(rows: Iterable[Record]) -> list[Record]:
    """As ORDER BY ALL has them, nulls last."""
    return sorted(rows, key=lambda row: [(cell is None, cell) for cell in row])


def assert_sound_timelines(rows: Iterable[Record], key_columns: int) -> None:
    """Periods of a key do not overlap, the last alone may be current, and equal ones never touch."""
    timelines = defaultdict(list)
    for row in rows:
        key, values, (valid_from, valid_to, is_current) = row[:key_columns], row[key_columns:-5], row[-5:-2]
        assert is_current == (valid_to is None)
        assert valid_to is None or valid_from < valid_to
        timelines[key].append((valid_from, valid_to, values))
    for timeline in timelines.values():
        in_time = sorted(timeline, key=lambda version: version[0])
        for (_, until, before), (since, _, after) in pairwise(in_time):
            assert until is not None
            assert until <= since
            assert until < since or before != after


# Every mode of a feed, with a key of two columns


@dataclass(frozen=True)
class Mode:
    """A feed `holding` in one of the modes that contracts know."""

    entries: Mapping[str, Any]
    operation: bool = False
    effective: bool = False
    key_alone: bool = False

    @property
    def feed(self) -> model.Feed:
        return model.Feed("holding", self.entries["mode"], self.entries.get("missing_keys", "keep"))

    @property
    def contract(self) -> dict[str, Any]:
        columns: list[dict[str, Any]] = [
            {"name": "owner_id", "type": "bigint", "rules": ["not_null"]},
            {"name": "currency", "rules": ["not_null"]},
        ]
        if not self.key_alone:
            amount = {"rule": "range", "name": "amount >= 0", "min": 0}
            columns.append({"name": "amount", "type": "decimal(18,2)", "rules": [amount]})
        if self.operation:
            columns.append({"name": "operation"})
        if self.effective:
            columns.append({"name": "changed_on", "type": "date"})
        key = ["owner_id", "currency"]
        return {"feed": "holding", "files": ["holdings*.csv"], "key": key, "columns": columns, **self.entries}

    @property
    def header(self) -> str:
        return ",".join(column["name"] for column in self.contract["columns"])


OPERATION = {"operation": {"column": "operation"}}
EFFECTIVE = {"effective_column": "changed_on"}
MODES = {
    "full, missing keys kept": Mode({"mode": "full", "missing_keys": "keep"}),
    "full, missing keys closed": Mode({"mode": "full", "missing_keys": "close"}),
    "full, key alone, missing keys closed": Mode({"mode": "full", "missing_keys": "close"}, key_alone=True),
    "delta": Mode({"mode": "delta"}),
    "delta with operation": Mode({"mode": "delta", **OPERATION}, operation=True),
    "delta with effective column": Mode({"mode": "delta", **EFFECTIVE}, effective=True),
    "delta with operation and effective column": Mode(
        {"mode": "delta", **OPERATION, **EFFECTIVE}, operation=True, effective=True
    ),
}


@dataclass(frozen=True)
class Holding:
    """A row of a `holding` file; the empty amount is a NULL, and a deleted row's amount means nothing."""

    owner_id: str
    currency: str
    amount: str = "1.00"
    operation: str = "U"
    changed_on: int = 1

    def cells(self, mode: Mode) -> str:
        cells = [self.owner_id, self.currency]
        cells += [] if mode.key_alone else [self.amount]
        cells += [self.operation] if mode.operation else []
        cells += [f"2025-01-{self.changed_on:02}"] if mode.effective else []
        return ",".join(cells)

    def row(self, line: int, mode: Mode) -> model.Row:
        readable = self.owner_id.isdigit()
        amount = Decimal(self.amount) if self.amount else None
        return model.Row(
            line,
            key=(int(self.owner_id), self.currency) if readable else None,
            values=None if mode.operation and self.operation == "D" else () if mode.key_alone else (amount,),
            effective=day(self.changed_on) if mode.effective else None,
            sound=readable and (amount is None or amount >= 0),
        )


def holding_file(mode: Mode, as_of: datetime, holdings: Iterable[Holding], *, by_option: bool = False) -> File:
    holdings = list(holdings)
    lines = tuple(holding.cells(mode) for holding in holdings)
    rows = tuple(holding.row(line, mode) for line, holding in enumerate(holdings, start=2))
    return File("holding", as_of, mode.header, lines, rows, by_option)


def holdings(mode: Mode) -> st.SearchStrategy[Holding]:
    upserted = st.builds(
        Holding,
        owner_id=st.sampled_from(["1", "2"]),
        currency=st.sampled_from(["EUR", "USD"]),
        amount=st.sampled_from(["1.00", "2.00", "1.00", "2.00", ""]),
        operation=st.sampled_from(["U", "I"]),
        changed_on=st.integers(1, 5),
    )
    if mode.operation:
        return st.one_of(upserted, upserted, upserted.map(lambda row: replace(row, operation="D", amount="1.00")))
    return upserted


@st.composite
def holding_files(draw: st.DrawFn, mode: Mode) -> File:
    by_option = draw(st.integers(0, 5)) == 5
    one_a_day = mode.effective and not by_option
    rows = draw(
        st.lists(
            holdings(mode),
            min_size=1 if mode.entries["mode"] == "full" else 0,
            max_size=4,
            unique_by=lambda row: (row.owner_id, row.currency, row.changed_on if one_a_day else 0),
        )
    )
    blemish = draw(st.sampled_from([None, None, None, None, "repeated", "conflicting", "unsound", "unreadable key"]))
    if blemish == "unreadable key":
        rows.append(Holding("x", "EUR"))
    elif blemish == "unsound" and not mode.key_alone:
        rows.append(replace(draw(holdings(mode)), operation="U", amount="-1.00"))
    elif blemish == "conflicting" and not mode.key_alone and rows:
        rows.append(replace(rows[0], operation="U", amount="3.00"))
    elif blemish is not None:
        rows += rows[:1]
    return holding_file(mode, day(draw(st.integers(1, 5))), rows, by_option=by_option)


Templates = Callable[[Pipeline], Template]


@pytest.fixture(scope="module", params=MODES.values(), ids=MODES.keys())
def holding(
    request: pytest.FixtureRequest, template: Templates, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mode, Template]:
    """A mode, and ledgers of a pipeline with one feed in that mode and no marts."""
    mode: Mode = request.param
    changes = {
        "customer.yaml": None,
        "account.yaml": None,
        "rate.yaml": None,
        "holding.yaml": mode.contract,
        "pipeline.yaml": {"moment": ["holding"]},
    }
    folder = tmp_path_factory.mktemp("pipeline") / "holding"
    return mode, template(custom_pipeline(folder, changes, without=["marts", "intermediate", "explain", "checks"]))


@given(data=st.data())
def test_history_is_what_the_model_makes_of_the_set_of_drops(holding: tuple[Mode, Template], data: st.DataObject):
    mode, template = holding
    plan = data.draw(plans(holding_files(mode)), label="plan")
    with template.ledger() as ledger:
        run = Run(ledger, {"holding": mode.feed})
        run.take(plan)
        tables = run.tables()
    assert_sound_timelines(tables["history_holding"], key_columns=2)
    assert tables == run.expected_history()


# The lending pipeline with its marts

DEFAULT_CARD = ("0,0.01,0.005,whole_balance", "10000,0.015,0.005,whole_balance", "20000,0.02,0.005,whole_balance")
CARDS = (
    DEFAULT_CARD,
    ("0,0.01,0.005,marginal", "10000,0.015,0.0025,marginal", "20000,0.02,0,marginal"),
    ("0,0.0125,0.005,whole_balance",),
    ("0,0,0.005,whole_balance", "10000,0.015,0.005,whole_balance", "15000.50,0.0175,0,whole_balance"),
    ("0,0.01,0,marginal", "100,0.333333,0.1,marginal"),
)
# Either side of each boundary, and cents whose interest ends in half a cent.
BALANCES = ("0", "0.50", "1.00", "33.33", "9999.99", "10000", "10001.00", "15000.50", "19999.99", "20000", "123456.70")


def card_file(as_of: datetime, card: Sequence[str]) -> File:
    cells = [line.split(",") for line in card]
    rows = tuple(
        model.Row(line, key=(Decimal(low),), values=(Decimal(rate), Decimal(bonus), method))
        for line, (low, rate, bonus, method) in enumerate(cells, start=2)
    )
    return File("rate", as_of, "MinBalance,Rate,LoanBonus,Method", tuple(card), rows)


def initial_card() -> model.Drop:
    """The card that stands before any drop, as the drop that its file would be."""
    as_of = datetime(1970, 1, 1, tzinfo=UTC)
    content = (BUILT_IN / "lending" / "rates_1970-01-01.csv").read_bytes()
    return model.Drop(model.drop_id("rate", as_of, content), as_of, 0, card_file(as_of, DEFAULT_CARD).rows)


def customer_file(as_of: datetime, customers: Iterable[tuple[int, str, str]]) -> File:
    customers = list(customers)
    lines = tuple(f"{customer_id},{name},{loan}" for customer_id, name, loan in customers)
    rows = tuple(
        model.Row(line, key=(customer_id,), values=(name, loan == "Yes"))
        for line, (customer_id, name, loan) in enumerate(customers, start=2)
    )
    return File("customer", as_of, "CustomerID,Name,HasLoan", lines, rows)


def account_file(as_of: datetime, accounts: Iterable[tuple[int, int, str, str]]) -> File:
    accounts = list(accounts)
    lines = tuple(f"{account_id},{customer_id},{balance},{kind}" for account_id, customer_id, balance, kind in accounts)
    rows = tuple(
        model.Row(line, key=(account_id,), values=(customer_id, Decimal(balance), kind), sound=Decimal(balance) >= 0)
        for line, (account_id, customer_id, balance, kind) in enumerate(accounts, start=2)
    )
    return File("account", as_of, "AccountID,CustomerID,Balance,AccountType", lines, rows)


def lending_files() -> st.SearchStrategy[File]:
    days = st.integers(1, 5).map(day)
    customers = st.tuples(st.integers(1, 3), st.sampled_from(["Ann", "Bo"]), st.sampled_from(["Yes", "No", "None"]))
    accounts = st.tuples(
        st.integers(11, 14),
        st.integers(1, 3),
        st.sampled_from([*BALANCES, "-1.00"]),
        st.sampled_from(["Savings", "Savings", "Savings", "Checking"]),
    )

    def distinct(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row[0])

    account_files = st.builds(account_file, days, distinct(accounts))
    customer_files = st.builds(customer_file, days, distinct(customers))
    return st.one_of(
        account_files, account_files, customer_files, customer_files, st.builds(card_file, days, st.sampled_from(CARDS))
    )


@pytest.fixture(scope="module", params=["keep", "close"], ids=["missing keys kept", "missing keys closed"])
def lending_run(
    request: pytest.FixtureRequest, template: Templates, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mapping[str, model.Feed], Template]:
    """The feeds of the lending pipeline, and ledgers of it; missing customers and accounts are kept or closed."""
    missing = request.param
    feeds = {
        "customer": model.Feed("customer", "full", missing),
        "account": model.Feed("account", "full", missing),
        "rate": model.Feed("rate", "full", "close", max_rejected=Decimal()),
    }
    changes = {"customer.yaml": {"missing_keys": missing}, "account.yaml": {"missing_keys": missing}}
    return feeds, template(custom_pipeline(tmp_path_factory.mktemp("pipeline") / "lending", changes))


@given(plan=plans(lending_files()))
def test_marts_are_what_the_model_makes_of_the_set_of_drops(
    lending_run: tuple[Mapping[str, model.Feed], Template], plan: list[Step]
):
    feeds, template = lending_run
    with template.ledger() as ledger:
        run = Run(ledger, feeds, {"rate": initial_card()})
        run.take(plan)
        tables = run.tables("account_summary", "customer_profile")
    for feed in feeds:
        assert_sound_timelines(tables[f"history_{feed}"], key_columns=1)
    assert tables == {**run.expected_history(), **run.expected_marts()}
