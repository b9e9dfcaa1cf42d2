"""A feed `holding`, with a key of two columns, in every mode that contracts know; files for it, made up or given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from dropledger.core.contracts.pipeline_spec import Pipeline
from support import model
from support.ledger import custom_pipeline
from support.plans import File, day


@dataclass(frozen=True)
class Mode:
    """A feed `holding` in one of the modes that contracts know."""

    entries: Mapping[str, Any]
    operation: bool = False
    effective: bool = False
    key_alone: bool = False

    @property
    def facts(self) -> bool:
        return bool(self.entries["mode"] == "event")

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
    "event": Mode({"mode": "event", **EFFECTIVE}, effective=True),
    "delta with operation and effective column": Mode(
        {"mode": "delta", **OPERATION, **EFFECTIVE}, operation=True, effective=True
    ),
}

ABSENT = "absent"
STATES = {
    "full, missing keys kept": ["1.00", "2.00", None],
    "full, missing keys closed": ["1.00", "2.00", None],
    "delta with operation": ["1.00", "2.00", ABSENT, None],
}
"""What a drop may say of a key, by mode: the amount, that it is deleted, or nothing."""


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
        deleted = mode.operation and self.operation == "D"
        amount = Decimal(self.amount) if self.amount else None
        return model.Row(
            line,
            key=(int(self.owner_id), self.currency) if readable else None,
            values=None if deleted else () if mode.key_alone else (amount,),
            effective=day(self.changed_on) if mode.effective else None,
            sound=readable and (deleted or amount is None or amount >= 0),
        )


def holding_file(mode: Mode, as_of: datetime, holdings: Iterable[Holding], *, by_option: bool = False) -> File:
    holdings = list(holdings)
    lines = tuple(holding.cells(mode) for holding in holdings)
    rows = tuple(holding.row(line, mode) for line, holding in enumerate(holdings, start=2))
    return File("holding", as_of, mode.header, lines, rows, by_option, mode.effective, mode.facts)


def _key(place: tuple[str, str, int]) -> tuple[str, str]:
    return place[:2]


@st.composite
def holding_files(draw: st.DrawFn, mode: Mode) -> File:
    """A file whose rows differ in key (or in key and day), with a blemish now and then."""
    by_option = draw(st.integers(0, 5)) == 5
    blemish = draw(
        st.sampled_from([None] * 3 + ["repeated", "conflicting", "conflicting", "unsound", "unreadable key"])
    )
    days = range(1, 3 if mode.facts else 6) if mode.effective and (mode.facts or not by_option) else [1]
    places = list(product("123" if mode.facts else "12", ["EUR", "USD"], days))
    least = 3 if blemish == "conflicting" else 1 if mode.entries["mode"] == "full" else 0
    amounts = st.sampled_from(["1.00", "2.00", "1.00", "2.00", ""])
    of_deleted = st.sampled_from(["1.00", "-1.00", ""])
    operations = st.sampled_from("UUID" if mode.operation else "U")
    rows = [
        Holding(owner_id, currency, draw(of_deleted if operation == "D" else amounts), operation, changed_on)
        for owner_id, currency, changed_on in draw(
            st.lists(st.sampled_from(places), min_size=least, max_size=4, unique_by=_key if mode.facts else tuple)
        )
        for operation in [draw(operations)]
    ]
    if blemish == "unreadable key":
        rows.append(Holding("x", "EUR"))
    elif blemish == "unsound" and not mode.key_alone:
        owner_id, currency, changed_on = draw(st.sampled_from(places))
        rows.append(Holding(owner_id, currency, "-1.00", changed_on=changed_on))
    elif blemish == "conflicting" and not mode.key_alone:
        rows.append(replace(rows[0], operation="U", amount="3.00"))
    elif blemish is not None:
        rows += [replace(row, amount="4.00" if row.operation == "D" else row.amount) for row in rows[:1]]
    return holding_file(mode, day(draw(st.integers(1, 5))), rows, by_option=by_option)


def holding_pipeline(mode: Mode, folder: Path) -> Pipeline:
    """A pipeline of this feed alone, without marts."""
    changes = {
        "customer.yaml": None,
        "account.yaml": None,
        "rate.yaml": None,
        "holding.yaml": mode.contract,
        "pipeline.yaml": {"moment": ["holding"]},
    }
    return custom_pipeline(folder, changes, without=["marts", "intermediate", "explain", "checks"])


def every_timeline(mode: Mode, states: Sequence[str | None], days: Sequence[int]) -> list[File]:
    """A drop for each day; each key goes through one of all the sequences of states, None for not in the file."""
    timelines = list(enumerate(product(states, repeat=len(days))))

    def holdings_at(place: int) -> list[Holding]:
        return [
            Holding(str(owner_id), "EUR", "1.00" if state == ABSENT else state, "D" if state == ABSENT else "U")
            for owner_id, timeline in timelines
            if (state := timeline[place]) is not None
        ]

    return [holding_file(mode, day(number), holdings_at(place)) for place, number in enumerate(days)]
