"""The reference model: what history and marts must be, from the set of drops alone, in plain Python.

It follows the words of the concepts page and nothing of the code: no SQL, no order of arrival, no tables that
are updated. A test holds the tables of the engine against it.

    drops -> observations -> versions of each key -> what is true at a moment -> marts
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

Key = tuple[Any, ...]
Values = tuple[Any, ...]


@dataclass(frozen=True)
class Feed:
    """How a feed's drops are read; `max_rejected` is the share of refused rows that a file may have."""

    name: str
    mode: Literal["full", "delta", "event"] = "full"
    missing_keys: Literal["keep", "close"] = "keep"
    max_rejected: Decimal = Decimal("0.5")


@dataclass(frozen=True)
class Row:
    """A line of a file, typed.

    `key` is None where it cannot be read, `values` where the operation column says that the key is gone;
    `effective` is the row's own column, if the feed has one. An unsound row breaks an error rule.
    """

    line: int
    key: Key | None
    values: Values | None
    effective: datetime | None = None
    sound: bool = True


@dataclass(frozen=True)
class Drop:
    """A file with its identity. `sequence` is the order of receipt; `as_of_given` that as_of came from `--as-of`."""

    drop_id: str
    as_of: datetime
    sequence: int
    rows: Sequence[Row]
    as_of_given: bool = False

    def effective(self, row: Row) -> datetime:
        """From when a row is true: the given as_of, else the row's own column, else the drop's as_of."""
        return self.as_of if self.as_of_given or row.effective is None else row.effective


@dataclass(frozen=True)
class Observation:
    """That a drop saw a key with these values, or, where `values` is None, that it saw it absent."""

    key: Key
    effective: datetime
    sequence: int
    values: Values | None
    drop_id: str
    line: int


@dataclass(frozen=True)
class Version:
    """A key's values in `[valid_from, valid_to)`, with the row that opened them."""

    key: Key
    values: Values
    valid_from: datetime
    valid_to: datetime | None
    drop_id: str
    line: int

    @property
    def is_current(self) -> bool:
        return self.valid_to is None

    def is_true_at(self, moment: datetime) -> bool:
        return self.valid_from <= moment and (self.valid_to is None or moment < self.valid_to)


def drop_id(feed: str, as_of: datetime | None, content: bytes) -> str:
    """The identity of a drop; without an as_of of one whose rows bring their own times."""
    stamp = as_of.astimezone(UTC).isoformat().replace("+00:00", "Z") if as_of else "rows"
    return hashlib.sha256(feed.encode() + b"\0" + stamp.encode() + b"\0" + content).hexdigest()[:16]


# Drops to observations


def _spellings(feed: Feed, drop: Drop) -> list[list[Row]]:
    """The sound rows that share key and effective time, each different set of values once, by its first line.

    Of events those that share the key, and their time is one of the values.
    """
    found: dict[Any, dict[Any, Row]] = defaultdict(dict)
    for row in drop.rows:
        if row.sound and feed.mode == "event":
            found[row.key].setdefault((row.values, row.effective), row)
        elif row.sound:
            found[row.key, drop.effective(row)].setdefault(row.values, row)
    return [list(alike.values()) for alike in found.values()]


def accepted_rows(feed: Feed, drop: Drop) -> list[Row]:
    """Rows alike count once; rows with the same key and effective time but different values are all refused."""
    return [spellings[0] for spellings in _spellings(feed, drop) if len(spellings) == 1]


def is_quarantined(feed: Feed, drop: Drop) -> bool:
    """Whether more than the allowed share of the file's rows is refused, rows alike counted once."""
    conflicting = sum(len(spellings) for spellings in _spellings(feed, drop) if len(spellings) > 1)
    distinct = {replace(row, line=0) for row in drop.rows}
    unsound = sum(not row.sound for row in distinct)
    return conflicting + unsound > feed.max_rejected * len(distinct)


def observations(feed: Feed, drops: Iterable[Drop]) -> list[Observation]:
    """What the drops saw, and what complete extracts did not see."""
    drops = list(drops)
    seen = [
        Observation(row.key, drop.effective(row), drop.sequence, row.values, drop.drop_id, row.line)
        for drop in drops
        for row in accepted_rows(feed, drop)
        if row.key is not None
    ]
    if feed.missing_keys == "close":
        known = {observation.key for observation in seen}
        for drop in drops:
            there = {row.key for row in drop.rows}  # a key whose row was refused is not taken for absent
            if None not in there:  # a key that cannot be read may be any
                seen += [Observation(key, drop.as_of, drop.sequence, None, drop.drop_id, 0) for key in known - there]
    return seen


# Observations to versions


def fold(seen: Iterable[Observation]) -> list[Version]:
    """Each key's observations in the order (effective time, sequence), equal neighbours folded."""
    timelines: dict[Key, dict[datetime, Observation]] = defaultdict(dict)
    for observation in sorted(seen, key=lambda observation: (observation.effective, observation.sequence)):
        timelines[observation.key][observation.effective] = observation  # the last in sequence stands
    return [version for timeline in timelines.values() for version in _versions(timeline.values())]


def _versions(timeline: Iterable[Observation]) -> list[Version]:
    versions: list[Version] = []
    open_values: Values | None = None
    for at in timeline:
        if at.values == open_values:
            continue
        if open_values is not None:
            versions[-1] = replace(versions[-1], valid_to=at.effective)
        if at.values is not None:
            versions.append(Version(at.key, at.values, at.effective, None, at.drop_id, at.line))
        open_values = at.values
    return versions


def history(feed: Feed, drops: Iterable[Drop]) -> list[Version]:
    return facts(feed, drops) if feed.mode == "event" else fold(observations(feed, drops))


# Facts


def facts(feed: Feed, drops: Iterable[Drop]) -> list[Version]:
    """Of each key the event that was received first, which nothing changes or ends."""
    found: dict[Key, Version] = {}
    for drop in sorted(drops, key=lambda drop: drop.sequence):
        for row in accepted_rows(feed, drop):
            assert row.key is not None
            assert row.values is not None
            assert row.effective is not None
            found.setdefault(row.key, Version(row.key, row.values, row.effective, None, drop.drop_id, row.line))
    return list(found.values())


def contradictions(feed: Feed, drops: Iterable[Drop]) -> set[tuple[str, int]]:
    """The rows, by drop_id and line, that say another thing than the event that was received first."""
    drops = list(drops)
    standing = {fact.key: (fact.values, fact.valid_from) for fact in facts(feed, drops)}
    return {
        (drop.drop_id, row.line)
        for drop in drops
        for row in accepted_rows(feed, drop)
        if row.key is not None and standing[row.key] != (row.values, row.effective)
    }


# Versions to marts: the lending pipeline


@dataclass(frozen=True)
class Tier:
    """A row of a rate card."""

    min_balance: Decimal
    rate: Decimal
    loan_bonus: Decimal
    method: str
    drop_id: str
    line: int


@dataclass(frozen=True)
class AccountSummary:
    customer_id: int
    account_id: int
    original_balance: Decimal
    interest_rate: Decimal
    annual_interest: Decimal
    new_balance: Decimal


@dataclass(frozen=True)
class AccountOrigin:
    account_id: int
    account_drop_id: str
    account_line: int
    customer_drop_id: str
    customer_line: int
    rate_drop_id: str
    rate_line: int


@dataclass(frozen=True)
class CustomerProfile:
    customer_id: int
    customer_name: str | None
    has_loan: bool
    savings_accounts: int
    total_savings_balance: Decimal
    total_annual_interest: Decimal


@dataclass(frozen=True)
class Marts:
    account_summary: list[AccountSummary]
    account_summary_origin: list[AccountOrigin]
    customer_profile: list[CustomerProfile]


def interest(balance: Decimal, has_loan: bool, card: Iterable[Tier]) -> tuple[Tier, Decimal, Decimal]:
    """The balance's tier, its rate with the loan bonus, and the annual interest rounded half up to the cent."""
    tiers = sorted((tier for tier in card if tier.min_balance <= balance), key=lambda tier: tier.min_balance)
    rates = [tier.rate + (tier.loan_bonus if has_loan else 0) for tier in tiers]
    if tiers[-1].method == "marginal":
        ends = [*(tier.min_balance for tier in tiers[1:]), balance]
        slices = [end - tier.min_balance for tier, end in zip(tiers, ends, strict=True)]
        exact = sum((part * rate for part, rate in zip(slices, rates, strict=True)), Decimal())
    else:
        exact = balance * rates[-1]
    return tiers[-1], rates[-1], exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def marts(feeds: Mapping[str, Feed], drops: Mapping[str, Sequence[Drop]]) -> Marts:
    """The marts at their moment: the latest effective time observed in the customer and account feeds."""
    seen = {name: observations(feed, drops.get(name, ())) for name, feed in feeds.items()}
    times = [observation.effective for name in ("customer", "account") for observation in seen[name]]
    if not times:
        return Marts([], [], [])
    customers, accounts, card = (
        [version for version in fold(seen[name]) if version.is_true_at(max(times))]
        for name in ("customer", "account", "rate")
    )
    tiers = [Tier(*version.key, *version.values, version.drop_id, version.line) for version in card]
    summary, origin = _account_summary(customers, accounts, tiers)
    return Marts(summary, origin, [_profile(customer, summary) for customer in customers])


def _account_summary(
    customers: Iterable[Version], accounts: Iterable[Version], card: Sequence[Tier]
) -> tuple[list[AccountSummary], list[AccountOrigin]]:
    by_key = {customer.key: customer for customer in customers}
    rows, origins = [], []
    for account in accounts:
        customer_id, balance, account_type = account.values
        customer = by_key.get((customer_id,))
        if account_type == "Savings" and customer is not None:  # an orphan has no mart row
            tier, rate, earned = interest(balance, customer.values[1], card)
            rows.append(AccountSummary(customer_id, *account.key, balance, rate, earned, balance + earned))
            places = [(version.drop_id, version.line) for version in (account, customer, tier)]
            origins.append(AccountOrigin(*account.key, *(part for place in places for part in place)))
    return rows, origins


def _profile(customer: Version, summary: Iterable[AccountSummary]) -> CustomerProfile:
    own = [row for row in summary if (row.customer_id,) == customer.key]
    return CustomerProfile(
        *customer.key,
        *customer.values,
        savings_accounts=len(own),
        total_savings_balance=sum((row.original_balance for row in own), Decimal()),
        total_annual_interest=sum((row.annual_interest for row in own), Decimal()),
    )
