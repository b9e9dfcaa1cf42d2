"""Columns may be named as people like, also as the statements that work on them call what is theirs."""

import re
from itertools import cycle, islice
from pathlib import Path

import pytest
from support.engines import PROJECT
from support.ledger import Ledger, micro_batches_from, without_marts
from support.three_days import agrees_with_its_archive

from dropledger.core.contracts.contract import normalise_header
from dropledger.core.contracts.contract_file import RESERVED
from dropledger.core.ledger.migrations import definition
from dropledger.core.operations.retract import retract

pytestmark = pytest.mark.slow

_TEXTS = [
    path.read_text()
    for kind in ("core/sql/*.sql", "infra/**/*.sql", "core/**/*.py", "infra/duckdb/*.py", "infra/readers/*.py")
    for path in PROJECT.glob(kind)
]
_LEDGER = definition().replace("\0", "\n")
_NAMES = {
    *(name for text in _TEXTS for name in re.findall(r"\bAS ([a-z][a-z0-9_]*)\b", text)),
    *re.findall(r"^(?:    |ALTER TABLE \w+ ADD COLUMN )([a-z0-9_]+) ", _LEDGER, re.MULTILINE),
}
NAMES = sorted({normalise_header(name): name for name in sorted(_NAMES - RESERVED)}.values())
assert {"opened", "known", "o", "h"} <= set(NAMES)
PLAIN = ["x0", "x1", "x2"]  # all that is needed, as the cells of a row repeat after three
THINGS = range(1, 7)


def ledger_of(folder: Path, names: list[str], *, as_key: bool) -> Ledger:
    """A ledger of a feed with these columns, whole numbers all."""
    contract = {
        "feed": "thing",
        "files": ["things*.csv"],
        "mode": "delta",
        "key": names if as_key else ["thing_id"],
        "columns": [{"name": name, "type": "bigint", "rules": ["not_null"]} for name in ("thing_id", *names)],
    }
    changes = {"customer.yaml": None, "account.yaml": None, "rate.yaml": None, "thing.yaml": contract}
    return Ledger(
        folder / "root", without_marts(folder / "pipeline", {**changes, "pipeline.yaml": {"moment": ["thing"]}})
    )


def file_of(names: list[str], day: int, *, as_key: bool) -> str:
    """Rows of noughts and ones: by key where the names are the key, else by key and day."""
    lines = [",".join(["thing_id", *names])]
    for thing in THINGS[: 4 + day % 3]:
        pattern = thing if as_key else (thing * 5 + day * 3) % 8
        cells = [str((pattern >> place % 3) % 2) for place in range(len(names))]
        lines.append(",".join([str(thing + day if as_key else thing), *cells]))
    return "\n".join([*lines, lines[1], lines[2][:-1]]) + "\n"  # a row once more, and one with an empty cell


def history_of(
    folder: Path, names: list[str], *, as_key: bool
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    ledger = ledger_of(folder, names, as_key=as_key)
    drop_ids = [
        ledger.drop(f"things_2025-01-{day:02}.csv", file_of(names, day, as_key=as_key)).drop.drop_id
        for day in (10, 20, 15)
    ]
    ledger.drop("things_2025-01-20_again.csv", file_of(names, 21, as_key=as_key))
    with micro_batches_from(2):
        waiting = [
            ledger.put(
                f"things_2025-02-0{day}.csv", "\n".join(file_of(names, day, as_key=as_key).split("\n")[:4]) + "\n"
            )
            for day in (1, 2)
        ]
        ledger.process(*waiting)
    retract(ledger.runtime, drop_ids[2], "wrong", "ann")
    assert agrees_with_its_archive(ledger)
    columns = ", ".join(f'"{name}"' for name in ("thing_id", *names))
    return (
        ledger.table("history_thing", f"{columns}, valid_from, valid_to, is_current, line"),
        ledger.rows("SELECT line, rule FROM rejected_row ORDER BY ALL"),
    )


@pytest.mark.parametrize("as_key", [False, True], ids=["values", "key"])
def test_history_is_the_same_whatever_columns_are_called(tmp_path: Path, as_key: bool):
    found, rejected = history_of(tmp_path / "own", NAMES, as_key=as_key)
    plain, rejected_of_plain = history_of(tmp_path / "plain", PLAIN, as_key=as_key)
    assert rejected == rejected_of_plain
    assert found == [(row[0], *islice(cycle(row[1:4]), len(NAMES)), *row[4:]) for row in plain]
