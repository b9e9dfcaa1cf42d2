"""Drops made up at random, for a pipeline to be tried on: few keys and few values, so that much is joined."""

import csv
import io
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random

from dropledger.core.contracts.contract import Column, Contract, Limits, VolumeLimits
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.errors import ContractError
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.operations.backfill import backfill
from dropledger.core.operations.retract import retract
from dropledger.core.steps.checks import CheckFailed

_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_ANY = Limits(None, None)


def with_plain_files(pipeline: Pipeline) -> Pipeline:
    """The pipeline with plain CSV files, whatever its own are like, and without checks of its own.

    Made-up values need not make sense, so just what holds for any data is held against them.
    """
    return replace(
        pipeline,
        contracts={feed: _plain(contract) for feed, contract in pipeline.contracts.items()},
        marts=tuple(replace(mart, checks=()) for mart in pipeline.marts),
        feed_checks=dict.fromkeys(pipeline.contracts, ()),
    )


def _plain(contract: Contract) -> Contract:
    return replace(
        contract,
        format="csv",
        encoding="utf-8",
        delimiters=(",",),
        quote='"',
        escape=None,
        header="required",
        preamble=None,
        trailer=None,
        control_file=None,
        comment=None,
        ignore=(),
        drift=(),
        checks=(),
        volume=VolumeLimits(None, _ANY, _ANY),
        max_rejected=Decimal(1),
        columns=tuple(_plain_column(column) for column in contract.columns),
    )


def _plain_column(column: Column) -> Column:
    return replace(
        column,
        joined=(),
        path=None,
        date_format=(),
        timestamp_format=(),
        timezone=None,
        zones={},
        dst=None,
        decimal_mark=None,
        group_mark=None,
        strip=(),
        negative=(),
    )


def made_up_file(contract: Contract, random: Random) -> str:
    """The text of a file of a feed with plain files: one to four rows, each with a key of its own."""
    rows = {}
    for _ in range(random.randint(1, 4)):
        cells = {column.name: _cell(contract, column, random) for column in contract.columns}
        rows[tuple(cells[name] for name in contract.key)] = cells
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.name for column in contract.columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    return text.getvalue()


def _cell(contract: Contract, column: Column, random: Random) -> str:
    rules = {rule.rule: rule for rule in column.rules}
    if contract.operation is not None and column.name == contract.operation.column:
        codes = contract.operation
        return random.choice([*codes.upsert, *codes.upsert, *codes.delete])
    needed = {*contract.key, contract.effective_column}
    if column.name not in needed and "not_null" not in rules and not random.randrange(4):
        return ""
    if "accepted_values" in rules and rules["accepted_values"].values:
        return str(random.choice([*rules["accepted_values"].values]))
    low = rules["range"].min if "range" in rules else None
    return _value(column, random.randint(1, 3), int(low) if low is not None else 0)


def _value(column: Column, number: int, low: int) -> str:
    match column.type:
        case "text":
            return "abc"[number - 1]
        case "json":
            return f'{{"a": {number}}}'
        case "boolean":
            return "true" if number > 1 else "false"
        case "date":
            return str(date(2026, 1, 1 + number))
        case "timestamp":
            return f"{date(2026, 1, 1 + number)} 10:00:00"
        case _:
            return str(low + number)


@dataclass
class MadeUp:
    """Lets made-up things happen to a root: drops in order and late, several at once, retractions.

    `runtime` is on a root of its own, `folder` where the files come to lie. `files` and `refused` count them.
    """

    runtime: Runtime
    folder: Path
    files: int = 0
    refused: int = 0
    _random: Random = field(default_factory=partial(Random, 0))  # the same each time, so that a finding comes again
    _accepted: list[str] = field(default_factory=list)

    def happen(self, day: int) -> str:
        """Let the next thing happen, on a day from the first on; what it was."""
        how = self._random.choice(["drop", "drop", "late drop", "drops at once", "retraction"])
        if how == "retraction" and self._accepted:
            drop_id = self._accepted.pop(self._random.randrange(len(self._accepted)))
            try:
                retract(self.runtime, drop_id, "made up", "dropledger check")
            except CheckFailed as failed:
                self._refuse_broken_key(failed.what)
            return f"the made-up drop {drop_id} was taken back"
        feeds = self._random.choices([*self.runtime.pipeline.contracts], k=3 if how == "drops at once" else 1)
        at = _FIRST + timedelta(days=self._random.randint(0, day) if how == "late drop" else day, hours=day % 24)
        dropped = [self._file(feed, at + timedelta(minutes=place)) for place, feed in enumerate(feeds)]
        outcomes = (backfill if len(dropped) > 1 else process)(self.runtime, dropped, lambda _: None)
        self._accepted += [outcome.drop.drop_id for outcome in outcomes if outcome.in_history]
        self.refused += sum(not outcome.in_history for outcome in outcomes)
        for outcome in outcomes:
            self._refuse_broken_key(outcome.error or "")
        return f"a made-up {'drop' if how == 'retraction' else how} of {' and '.join(feeds)}"

    def _refuse_broken_key(self, error: str) -> None:
        """Stop where a file that its contract takes broke the key of a mart: no other check of marts is run here."""
        name, _, broken = error.partition(".")
        if any(mart.name == name for mart in self.runtime.pipeline.marts):
            raise ContractError(
                self.runtime.pipeline.folder / "marts" / f"{name}.sql",
                1,
                f"a made-up file broke the key of {name}: {broken}",
                hint="let the SQL give each row a key of its own that is not NULL, or name another key in the YAML",
            )

    def _file(self, feed: str, at: datetime) -> FileDropped:
        self.files += 1
        path = self.folder / f"{feed}_{self.files}.csv"
        path.write_text(made_up_file(self.runtime.pipeline.contracts[feed], self._random), encoding="utf-8")
        return FileDropped(str(path), path.name, at, feed=feed, as_of=at, keep_original=True)
