"""The contracts in samples/contracts, in the shapes of real exports, on both engines.

Each file is loaded as it is meant, and its broken siblings are refused with the reason.
"""

import csv
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from support.databricks_ledger import RemoteLedger, access_to, new_schema
from support.ledger import Ledger
from support.one_feed import one_feed, refused
from support.sample_contracts import NAMES, SAMPLES, contract_file, good_file

from dropledger.core.ingest.control_files import pair
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.operations.verify import verify

BROKEN = [
    (name, file, reason)
    for name in NAMES
    for file, reason in yaml.safe_load((SAMPLES / name / "broken" / "reasons.yaml").read_text(encoding="utf-8")).items()
]
Of = Callable[[str], Ledger]
samples = pytest.mark.parametrize("name", NAMES)


def contract_of(name: str) -> str:
    return contract_file(name).read_text(encoding="utf-8")


def drop(ledger: Ledger, path: Path) -> Outcome:
    """Let a sample land, and the control file beside it if it has one; what becomes of it."""
    landed = [ledger.put(other.name, other.read_bytes()) for other in sorted(path.parent.glob(f"{path.name}*"))]
    [outcome] = ledger.process(*pair(landed, ledger.runtime.pipeline).ready)
    return outcome


@pytest.fixture(
    params=[
        "duckdb",
        pytest.param("databricks", marks=[pytest.mark.slow, pytest.mark.databricks, pytest.mark.timeout(1800)]),
    ]
)
def of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Of]:
    """A ledger of a sample's contract."""

    def ledger(name: str) -> Ledger:
        pipeline = one_feed(tmp_path / "one", contract_of(name))
        if request.param == "duckdb":
            return Ledger(tmp_path / "root", pipeline)
        access = access_to(request.getfixturevalue("databricks"))
        return RemoteLedger(tmp_path / "root", pipeline, access, new_schema())

    yield ledger
    shutil.rmtree(tmp_path, ignore_errors=True)


@samples
def test_files_are_loaded_as_expected(of: Of, name: str):
    ledger = of(name)
    outcome = drop(ledger, good_file(name))
    assert (outcome.delivered, outcome.rows_rejected) == (Delivered.ACCEPTED, 0), outcome
    with (SAMPLES / name / "expected.csv").open(encoding="utf-8", newline="") as file:
        header, *expected = csv.reader(file)
    [feed] = ledger.runtime.pipeline.contracts
    with ledger.runtime.warehouse.session(read_only=True) as session:
        found = session.query(f"SELECT * FROM history_{feed} ORDER BY line")
    texts = [
        ["" if row[column] is None else str(row[column]).removesuffix("+00:00") for column in header] for row in found
    ]
    assert texts == expected
    if not isinstance(ledger, RemoteLedger):
        assert not verify(ledger.runtime, lambda *_: None).differences


@pytest.mark.parametrize(("name", "file", "reason"), BROKEN)
def test_broken_siblings_are_refused_with_the_reason(tmp_path: Path, name: str, file: str, reason: str):
    ledger = Ledger(tmp_path / "root", one_feed(tmp_path / "one", contract_of(name)))
    outcome = drop(ledger, SAMPLES / name / "broken" / file)
    assert refused(outcome).startswith(reason)
    feed = yaml.safe_load(contract_of(name))["feed"]
    assert ledger.table(f"history_{feed}") == []


def test_the_moments_of_local_times_are_those_of_the_clock(of: Of):
    ledger = of("local_times")
    ledger.drop("bookings.csv", good_file("local_times").read_bytes())
    with ledger.runtime.warehouse.session(read_only=True) as session:
        found = session.query("SELECT reference, valid_from FROM history_booking ORDER BY reference")
    assert [f"{row['valid_from']:%Y-%m-%d %H:%M}" for row in found] == [
        "2025-10-25 21:59",
        "2025-10-25 23:30",
        "2025-10-26 02:00",
        "2025-03-30 01:00",
    ]
    assert not [row for row in found if row["valid_from"].utcoffset()]


def test_each_sample_has_a_broken_sibling():
    assert {name for name, *_ in BROKEN} == set(NAMES)
