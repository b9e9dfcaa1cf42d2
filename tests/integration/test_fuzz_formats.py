"""Mutated files of each declared format: no crash, no hang, and counts that add up.

Nothing is loaded that a plain reading has otherwise.

DROPLEDGER_TEST_MUTANTS says how many files of each are read and validated, DROPLEDGER_TEST_SEED makes other ones;
without them they are a few, for everyday runs. A batch of each goes through the whole pipeline as well.
"""

import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from support.format_mutants import DAMAGED_PACKING, PACKED, mutated, mutated_bytes, mutated_table
from support.ledger import Ledger
from support.one_feed import one_feed
from support.plain_formats import ANY, UNREADABLE, plain_rows
from support.reading import Reader
from support.sample_contracts import NAMES, contract_file, good_file

from dropledger.core.errors import DataRefused
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.steps.control import refuse_other_totals
from dropledger.core.steps.validate import Validated, refuse_beyond_limit, validate

MUTANTS = int(os.environ.get("DROPLEDGER_TEST_MUTANTS", "25"))
SEED = int(os.environ.get("DROPLEDGER_TEST_SEED", "1"))
BATCH = 20
SECONDS_FOR_A_FILE = 5
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
KINDS = [
    *NAMES,
    *("european gzip", "excel zstd", "core_banking gzip", "events gzip", "events zstd", "web_service gzip"),
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + MUTANTS)]


@dataclass(frozen=True)
class Kind:
    """Files of a sample's contract, all packed alike if at all; `said` is what the contract says."""

    name: str
    contract: str
    said: Mapping[str, Any]
    file: str
    content: bytes
    packing: str

    def mutants(self, random: Random) -> Iterator[bytes]:
        """Files, without end."""
        while True:
            if self.said.get("format") == "parquet":
                yield (mutated_table if random.random() < 0.6 else mutated_bytes)(random, self.content)
                continue
            content = mutated(random, self.content, self.said.get("encoding", "utf-8"))
            if self.packing:
                content = PACKED[self.packing][0](content)
                content = mutated_bytes(random, content) if random.random() < 0.1 else content
            yield content

    def text(self, content: bytes) -> bytes | None:
        """What is in a file, or None if its packing is damaged."""
        try:
            return PACKED[self.packing][1](content) if self.packing else content
        except DAMAGED_PACKING:
            return None


def kind_of(name: str) -> Kind:
    sample, _, packing = name.partition(" ")
    good, contract = good_file(sample), yaml.safe_load(contract_file(sample).read_text(encoding="utf-8"))
    contract.pop("control_file", None)  # whose digest no mutant would fit
    return Kind(name, yaml.safe_dump(contract), contract, good.name, good.read_bytes(), packing)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return kind_of(request.param)


def test_mutated_files_are_read_as_they_are_declared(kind: Kind, tmp_path: Path):
    pipeline = one_feed(tmp_path / "one", kind.contract)
    [contract] = pipeline.contracts.values()
    mutants = kind.mutants(Random(f"{kind.name} {SEED}"))
    tally: Counter[str] = Counter()
    with Ledger(tmp_path / "root", pipeline).runtime.warehouse.session() as session:
        reader = Reader(session, contract, tmp_path / kind.file)
        for _, content in zip(range(MUTANTS), mutants, strict=False):
            started = time.monotonic()
            try:
                told = check_read(kind, reader, content)
            except Exception as error:
                raise AssertionError(f"{kind.name}: {content!r}") from error
            tally[told] += 1
            assert time.monotonic() - started < SECONDS_FOR_A_FILE, content
    print(f"\n{kind.name}, seed {SEED}: {tally.total()} files, {dict(tally.most_common())}")  # seen with -s
    assert tally["accepted"]


def test_mutated_files_are_in_the_ledger_or_refused(kind: Kind, tmp_path: Path):
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", kind.contract))
    name, mutants = Path(kind.file), kind.mutants(Random(f"{kind.name} {SEED} ledger"))
    put = [
        ledger.put(f"{name.stem}-{day}{name.suffix}", next(mutants), as_of=FIRST + timedelta(days=day))
        for day in range(BATCH)
    ]
    started = time.monotonic()
    outcomes = ledger.process(*put)
    assert time.monotonic() - started < SECONDS_FOR_A_FILE * BATCH, "a file held up the others"
    with ledger.runtime.warehouse.session(read_only=True) as session:
        rejected = Counter(row["drop_id"] for row in session.query("SELECT drop_id FROM rejected_row"))
    for outcome in outcomes:
        counts = outcome.rows_accepted + outcome.rows_rejected + outcome.rows_duplicate
        match outcome.delivered:
            case Delivered.ACCEPTED:
                assert outcome.rows_read == counts, outcome
                assert rejected[outcome.drop.drop_id] == outcome.rows_rejected, outcome
            case Delivered.QUARANTINED:
                assert outcome.rule not in {None, "not_computable"}, outcome
                assert outcome.error, outcome
                assert outcome.hint, outcome
            case _:
                assert outcome.delivered == Delivered.DUPLICATE, outcome


def check_read(kind: Kind, reader: Reader, content: bytes) -> str:
    """Read and validate a file; what became of it."""
    try:
        extract = reader.extract(content)
        with reader.transaction() as session:
            session.load(extract.path, extract.layout, "loaded", drop_id=extract.drop_id)
            validated = validate(session, extract, "loaded")
            rows = session.query("SELECT * FROM observation")
            rejected: list[dict[str, Any]] = []
            if validated.left_out:
                session.raw_rows("loaded", validated.left_out, "raw_row")
                rejected = session.query(
                    f"""SELECT l._line, l._duplicate, l.rule, l.reason, r.raw
                    FROM {validated.left_out} AS l LEFT JOIN raw_row AS r ON r._line = l._line"""
                )
            check_counts(validated, rows, rejected)
            check_rows(kind, content, validated, rows, rejected)
            refuse_other_totals(session, extract, validated)
            refuse_beyond_limit(extract.contract, validated)
    except DataRefused as refusal:
        if not (refusal.rule and refusal.what and refusal.hint):
            raise
        return refusal.rule
    return "accepted"


def check_counts(validated: Validated, rows: list[dict[str, Any]], left_out: list[dict[str, Any]]) -> None:
    counts = validated.rows_accepted, validated.rows_rejected, validated.rows_duplicate
    duplicates = sum(row["_duplicate"] for row in left_out)
    assert validated.rows_read == sum(counts)
    assert counts == (len(rows), len(left_out) - duplicates, duplicates)
    lines = [row["_line"] for row in (*rows, *left_out)]
    assert len(set(lines)) == len(lines), "a line is accepted and refused, or stands twice"
    for row in left_out:
        assert row["_duplicate"] or (row["rule"] and row["reason"]), row
        assert row["raw"] is not None, row


def check_rows(
    kind: Kind, content: bytes, validated: Validated, rows: list[dict[str, Any]], left_out: list[dict[str, Any]]
) -> None:
    """Hold what was read against a plain reading, where there is one."""
    said, text = kind.said, kind.text(content)
    assert text is not None, "the packing is damaged"
    plain = plain_rows(said, text)
    kinds = {column["name"]: column.get("type", "text") for column in said["columns"]}
    for row in rows if plain is not None else ():
        check_row(row, plain or {}, kinds)
    if said.get("format", "csv") == "csv":
        check_raw(text.decode(said.get("encoding", "utf-8")), left_out)
    elif plain is not None:
        assert validated.rows_read >= len(plain)


def check_raw(text: str, left_out: list[dict[str, Any]]) -> None:
    """Refused rows are told as they stand in the file."""
    lines = re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))
    for row in left_out:
        first = row["_line"] - 1
        assert row["raw"] == "\n".join(lines[first : first + 1 + row["raw"].count("\n")]), row


def check_row(row: Mapping[str, Any], rows: Mapping[int, Mapping[str, Any]], kinds: Mapping[str, str]) -> None:
    plain = rows.get(row["_line"])
    assert plain is not None, row
    for name, kind in kinds.items():
        value, wanted = row[name], plain[name]
        if wanted is ANY:
            continue
        if kind == "json" and value is not None:
            value, wanted = _exact(json.loads(value, parse_float=Decimal)), _exact(wanted)
        assert wanted is not UNREADABLE, (name, value)
        assert value == wanted, (name, value, wanted)


def _exact(value: Any) -> Any:
    """The value with its numbers apart from texts and words, whole ones as well as others."""
    match value:
        case list():
            return [*map(_exact, value)]
        case dict():
            return {name: _exact(part) for name, part in value.items()}
        case Decimal() | int() if not isinstance(value, bool):
            return "number", Decimal(value)
        case _:
            return value
