"""Mutated files of each declared format: no crash, no hang, and counts that add up.

Nothing is loaded that a plain reading has otherwise.

DROPLEDGER_TEST_MUTANTS says how many files of each are tried; without it a few, for everyday runs.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from support.ledger import Ledger
from support.one_feed import one_feed
from support.plain_formats import UNREADABLE, plain_rows

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.sql.text import quoted

MUTANTS = int(os.environ.get("DROPLEDGER_TEST_MUTANTS", "25"))
SEED = int(os.environ.get("DROPLEDGER_TEST_SEED", "1"))
BATCH = 25
SECONDS = 60
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
SAMPLES = Path(__file__).parents[2] / "samples" / "contracts"
NAMES = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())
ODD = (
    *(
        b"",
        b" ",
        b"0",
        b"-1",
        b"+7",
        b"1e3",
        b"1.005",
        b".5",
        b"5.",
        b"NaN",
        b"1,5",
        b"1.234,50",
        b"1,234.50",
        b"(1.00)",
    ),
    *(b"-", b"()", b"31/02/2025", b"26/10/2025 02:30", b"2025-10-31", b"00/00/0000", b'"', b"'", b'""', b"''", b"\\"),
    *(b"null", b"true", b"{}", b"[]", b'"a"', b'{"a":1,"a":2}', b"12345678901234567890", b"0.1234567890123456789"),
    *(b"9223372036854775808", b"\xc3\xa9", b"\xe9", b"\xef\xbb\xbf", b"\xff", b"\0", b"\\u0000", b"\\ud800", b"1E400"),
    *(
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r\n",
        b"\r",
        b":",
        b"}",
        b"]",
        b"TRAILER",
        b"\xe2\x82\xac",
        b"$",
        b"-0",
        b"1.10",
    ),
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + MUTANTS)]


def mutated(random: Random, content: bytes, *, binary: bool) -> bytes:
    """The content with some changes of bytes, lines and tokens."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(content) + 1)
        lines = content.splitlines(keepends=True)
        match random.randrange(3 if binary else 10):
            case 0:
                content = content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]
            case 1:
                content = content[:at] + content[at + random.randrange(1, 5) :]
            case 2:
                content = (
                    content[: random.randrange(len(content) + 1)] if random.random() < 0.3 else content + content[at:]
                )
            case 3 | 4 | 5:
                content = content[:at] + random.choice(ODD) + content[at + random.choice((0, 0, 1, 4)) :]
            case 6 if lines:
                random.shuffle(lines)
                content = b"".join(lines)
            case 7 if lines:
                lines.insert(random.randrange(len(lines)), random.choice(lines))
                content = b"".join(lines)
            case 8 if lines:
                del lines[random.randrange(len(lines))]
                content = b"".join(lines)
            case _:
                part = random.choice(content.split(random.choice((b",", b";", b"|", b":"))) or [b""])
                content = content.replace(part, random.choice(ODD), 1) if part else content
    return content


@pytest.fixture(params=NAMES)
def sample(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_mutated_files_are_accounted_for_and_read_as_they_are_declared(sample: str, tmp_path: Path):
    [contract] = (SAMPLES / sample).glob("*.yaml")
    text = contract.read_text(encoding="utf-8")
    said = yaml.safe_load(text)
    pipeline = one_feed(tmp_path / "one", text)
    [good] = [
        path
        for path in (SAMPLES / sample).iterdir()
        if path.is_file() and path.suffix != ".yaml" and path.stem != "expected"
    ]
    content, random = good.read_bytes(), Random(f"{sample} {SEED}")
    tally: Counter[str] = Counter()
    for batch in range(max(1, MUTANTS // BATCH)):
        files = [mutated(random, content, binary=said.get("format") == "parquet") for _ in range(min(BATCH, MUTANTS))]
        tally += run(
            pipeline, tmp_path, said, [f"{good.stem}-{batch}-{place}{good.suffix}" for place in range(BATCH)], files
        )
    print(f"\n{sample}: {dict(tally.most_common())}")  # seen with -s
    assert sum(tally.values()) >= min(MUTANTS, BATCH)


def run(
    pipeline: Pipeline, folder: Path, said: Mapping[str, Any], names: list[str], files: list[bytes]
) -> Counter[str]:
    with TemporaryDirectory(dir=folder) as place:
        ledger = Ledger(Path(place) / "root", pipeline)
        put = [
            ledger.put(name, content, as_of=FIRST + timedelta(days=number))
            for number, (name, content) in enumerate(zip(names, files, strict=False))
        ]
        started = time.monotonic()
        outcomes = {outcome.drop.name: outcome for outcome in ledger.process(*put)}
        assert time.monotonic() - started < SECONDS, "a file held up the others"
        kept = [column["name"] for column in said["columns"] if column["name"] != said.get("effective_column")]
        columns = ", ".join(map(quoted, kept))
        loaded: dict[str, list[dict[str, Any]]] = {}
        with ledger.runtime.warehouse.session(read_only=True) as session:
            for row in session.query(f"SELECT {columns}, line, drop_id FROM history_{said['feed']}"):
                loaded.setdefault(row.pop("drop_id"), []).append(row)
            rejected = Counter(row["drop_id"] for row in session.query("SELECT drop_id FROM rejected_row"))
        tally: Counter[str] = Counter()
        for name, content in zip(names, files, strict=False):
            outcome = outcomes[name]
            tally[str(outcome.rule or outcome.delivered)] += 1
            check(outcome, content, rejected[outcome.drop.drop_id])
            rows = plain_rows(said, content) if outcome.delivered == Delivered.ACCEPTED else None
            for row in loaded.get(outcome.drop.drop_id, ()) if rows is not None else ():
                check_row(row, rows or {}, content)
        return tally


def check(outcome: Outcome, content: bytes, rejected: int) -> None:
    assert outcome.delivered in {Delivered.ACCEPTED, Delivered.QUARANTINED, Delivered.DUPLICATE}, (outcome, content)
    counts = outcome.rows_accepted + outcome.rows_rejected + outcome.rows_duplicate
    if outcome.delivered == Delivered.ACCEPTED:
        assert outcome.rows_read == counts, (outcome, content)
        assert rejected == outcome.rows_rejected, (outcome, content)
    if outcome.delivered == Delivered.QUARANTINED:
        assert outcome.rule, (outcome, content)
        assert outcome.error, (outcome, content)
        assert outcome.hint, (outcome, content)


def check_row(row: Mapping[str, Any], rows: Mapping[int, Mapping[str, Any]], content: bytes) -> None:
    plain = rows.get(row["line"])
    assert plain is not None, (row, content)
    for name, found in row.items():
        if name != "line":
            value, wanted = found, plain[name]
            if isinstance(wanted, list | dict | bool | Decimal) and isinstance(value, str):
                value, wanted = _json(value), _json(json.dumps(wanted, default=str))
            assert wanted is not UNREADABLE, (name, value, content)
            assert value == wanted, (name, value, wanted, content)


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_float=str, parse_int=str)
    except ValueError:
        return text
