"""Plans of what happens to a ledger, and their run on a real one beside the model.

A plan is a list of steps: files that arrive one by one or together, the same file once more, a backfill, a
retraction, a restoration, a replay. After any plan, tables and model must agree.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import Any

from hypothesis import strategies as st

from dropledger.core.ingest.run import process
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.retract import restore, retract
from support import model
from support.ledger import Ledger, Record

MARTS = ("account_summary", "account_summary_origin", "customer_profile")
"""What the lending pipeline computes from history."""


_copies = count(1)


def day(number: int) -> datetime:
    return datetime(2025, 1, number, tzinfo=UTC)


@dataclass(frozen=True, repr=False)
class File:
    """A file about to be dropped: its text, and the same rows as the model takes them.

    What it is called begins with `name`, or where that is empty with the feed's, and has this `ending`.
    """

    feed: str
    as_of: datetime
    header: str
    lines: tuple[str, ...]
    rows: tuple[model.Row, ...]
    by_option: bool = False
    brings_times: bool = False
    brings_facts: bool = False
    name: str = ""
    ending: str = ".csv"

    def __repr__(self) -> str:
        return f"{self.feed} {self.as_of:%Y-%m-%d}{' by option' if self.by_option else ''}: {' / '.join(self.lines)}"

    def called(self, number: int) -> str:
        """What it is called as the delivery of this number."""
        dated = "" if self.by_option else f"_{self.as_of:%Y-%m-%d}"
        return f"{self.name or f'{self.feed}s'}-{number}{dated}{self.ending}"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # what Hypothesis shows of a failing plan
        printer.text(repr(self))

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in ([self.header] if self.header else []) + [*self.lines])


@dataclass(frozen=True)
class Again:
    """The same file under another name: the `nth` of those delivered before."""

    nth: int


@dataclass(frozen=True)
class Arrival:
    """Files that wait together; `backfilled` ones are old extracts folded in bulk."""

    files: Sequence[File | Again]
    backfilled: bool = False


@dataclass(frozen=True)
class Retraction:
    """The `nth` of the drops in history is taken back."""

    nth: int


@dataclass(frozen=True)
class Restoration:
    """The `nth` of the drops that were taken back is taken in again."""

    nth: int


@dataclass(frozen=True)
class Replay:
    """The warehouse is rebuilt from the archive, and the rebuilt one takes its place."""


Step = Arrival | Retraction | Restoration | Replay


def plans(files: st.SearchStrategy[File]) -> st.SearchStrategy[list[Step]]:
    """Plans for the files of a strategy."""
    single = st.builds(Arrival, st.tuples(files))
    deliveries = files | files | files | files | st.builds(Again, st.integers(0, 4))
    together = st.builds(Arrival, st.lists(deliveries, min_size=1, max_size=4), backfilled=st.booleans())
    retraction = st.builds(Retraction, st.integers(0, 4))
    restoration = st.builds(Restoration, st.integers(0, 4))
    steps = st.sampled_from([single] * 8 + [together] * 4 + [retraction] * 3 + [restoration] * 2 + [st.just(Replay())])
    return st.lists(steps.flatmap(lambda step: step), min_size=1, max_size=10)


class Run:
    """A ledger and the set of drops that the model takes, fed with the same files.

    `initial` holds the drops that stand for a feed's initial rows.
    """

    def __init__(
        self, ledger: Ledger, feeds: Mapping[str, model.Feed], initial: Mapping[str, model.Drop] | None = None
    ):
        self.ledger = ledger
        self.feeds = feeds
        self.initial = initial or {}
        self.delivered: list[File] = []
        self.drops: dict[str, tuple[str, model.Drop]] = {}
        self.taken_back: dict[str, tuple[str, model.Drop]] = {}

    def copy(self) -> "Run":
        """A run that goes on from where this one is, on a ledger beside that of this one."""
        root = self.ledger.root
        copied = Run(self.ledger.copy(root.with_name(f"root {next(_copies)}")), self.feeds, self.initial)
        copied.delivered, copied.drops, copied.taken_back = [*self.delivered], {**self.drops}, {**self.taken_back}
        return copied

    def in_each_order(self, orders: Sequence[Sequence[File]]) -> Iterator["Run"]:
        """For each order, a run that took the files in it; those that begin alike took the beginning once.

        A run goes on when the next is asked for.
        """
        if not any(orders):
            yield self
            return
        firsts = {id(order[0]): order[0] for order in orders}
        for left, (place, first) in zip(range(len(firsts) - 1, -1, -1), firsts.items(), strict=True):
            run = self.copy() if left else self
            run.take_one_by_one([first])
            yield from run.in_each_order([order[1:] for order in orders if id(order[0]) == place])

    def take(self, plan: Iterable[Step]) -> None:
        for step in plan:
            match step:
                case Arrival():
                    self._arrive(step)
                case Retraction() if self.drops:
                    self._take_back(list(self.drops)[step.nth % len(self.drops)])
                case Restoration() if self.taken_back:
                    self._take_in_again(list(self.taken_back)[step.nth % len(self.taken_back)])
                case Replay() if self.drops:
                    replay(self.ledger.runtime, Selection(), None, lambda *_: None)

    def take_one_by_one(self, files: Iterable[File]) -> None:
        self.take(Arrival([file]) for file in files)

    def retract(self, file: File) -> None:
        """Take the drop of this file back."""
        self._take_back(_identity(file))

    def _take_back(self, identity: str) -> None:
        retract(self.ledger.runtime, identity, "sent by mistake", "the tests")
        self.taken_back[identity] = self.drops.pop(identity)

    def restore(self, file: File) -> None:
        """Take the drop of this file in again."""
        self._take_in_again(_identity(file))

    def _take_in_again(self, identity: str) -> None:
        restore(self.ledger.runtime, identity, "it was right", "the tests")
        self.drops[identity] = self.taken_back.pop(identity)

    def _arrive(self, arrival: Arrival) -> None:
        arrived = {}
        for delivery in arrival.files:
            if isinstance(delivery, File):
                file = delivery
            elif self.delivered:
                file = self.delivered[delivery.nth % len(self.delivered)]
            else:
                continue
            self.delivered.append(file)
            name = file.called(len(self.delivered))
            fact = self.ledger.put(name, file.text, as_of=file.as_of if file.by_option else None)
            arrived[name] = file, fact
        take = backfill if arrival.backfilled else process
        outcomes = take(self.ledger.runtime, [fact for _, fact in arrived.values()], lambda _: None)
        assert sorted(outcome.drop.name for outcome in outcomes) == sorted(arrived)
        for outcome in outcomes:  # in order of receipt
            file, _ = arrived[outcome.drop.name]
            assert (outcome.drop.drop_id, outcome.delivered) == (_identity(file), self._receive(file))

    def _receive(self, file: File) -> str:
        identity = _identity(file)
        if identity in self.drops:
            return "duplicate"
        if identity in self.taken_back:
            return "retracted"
        last = max((drop.sequence for _, drop in (self.drops | self.taken_back).values()), default=0)
        drop = model.Drop(identity, file.as_of, last + 1, file.rows, as_of_given=file.by_option)
        if model.is_quarantined(self.feeds[file.feed], drop):
            return "quarantined"
        self.drops[identity] = file.feed, drop
        return "accepted"

    def drops_of(self, feed: str) -> list[model.Drop]:
        initial = [self.initial[feed]] if feed in self.initial else []
        return initial + [drop for name, drop in self.drops.values() if name == feed]

    def tables(self, *marts: str) -> dict[str, list[Record]]:
        """The history tables and the marts named."""
        return self.ledger.tables(*(f"history_{feed}" for feed in self.feeds), *marts)

    def expected_history(self) -> dict[str, list[Record]]:
        """What the model makes of the drops, for each history table."""
        return {
            f"history_{name}": list(map(_row, model.history(feed, self.drops_of(name))))
            for name, feed in self.feeds.items()
        }

    def untold(self) -> set[tuple[str, int]]:
        """The rows of events, by drop_id and line, that are in no history and of which no refused row tells."""
        events = [name for name, feed in self.feeds.items() if feed.mode == "event"]
        of_drops = (model.contradictions(self.feeds[name], self.drops_of(name)) for name in events)
        told = self.ledger.rows("SELECT drop_id, line FROM rejected_row WHERE rule = 'conflicting_key'")
        return set[tuple[str, int]]().union(*of_drops).difference(told)  # type: ignore[arg-type]

    def expected_marts(self) -> dict[str, list[Record]]:
        """What the model makes of the drops, for each mart of the lending pipeline."""
        marts = model.marts(self.feeds, {name: self.drops_of(name) for name in self.feeds})
        return {name: list(map(astuple, getattr(marts, name))) for name in MARTS}


def _identity(file: File) -> str:
    by_rows = file.brings_facts or (file.brings_times and not file.by_option)
    return model.drop_id(file.feed, None if by_rows else file.as_of, file.text.encode())


def _row(v: model.Version) -> Record:
    return (*v.key, *v.values, v.valid_from, v.valid_to, v.is_current, v.drop_id, v.line)


def assert_same(tables: Mapping[str, Sequence[Record]], expected: Mapping[str, Sequence[Record]]) -> None:
    """Every table has just the rows that are expected; a failure shows the others."""
    differences = {
        name: {"unexpected": list((found - wanted).elements()), "missing": list((wanted - found).elements())}
        for name in tables.keys() | expected.keys()
        for found, wanted in [(Counter(tables.get(name, ())), Counter(expected.get(name, ())))]
        if found != wanted
    }
    assert differences == {}


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
