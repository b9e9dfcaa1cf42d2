"""Warehouse, archive and artifacts of a root in a bucket: as in a folder, and beside other machines."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from support.bucket_machine import ACCOUNTS, CUSTOMERS, Machine
from support.buckets import BucketRoot

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError, Conflict
from dropledger.core.operations.replay import Selection, replay
from dropledger.core.operations.verify import Verified, verify
from dropledger.core.steps.soundness import refuse_foreign_warehouse

pytestmark = pytest.mark.slow

New: TypeAlias = Callable[[], Machine]


@pytest.fixture
def root(s3: None) -> BucketRoot:
    return BucketRoot()


@pytest.fixture
def machine(root: BucketRoot, tmp_path: Path, lending: Pipeline) -> New:
    folders = iter(range(10))
    return lambda: Machine(root, tmp_path / f"machine{next(folders)}", lending)


@pytest.fixture
def filled(root: BucketRoot, machine: New) -> Machine:
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    root.land("accounts_2026-01-02.csv", ACCOUNTS)
    one = machine()
    assert len(one.take_all()) == 2
    return one


def verified(machine: Machine) -> Verified:
    return verify(machine.runtime, lambda *_: None)


def test_lost_warehouse_is_refused_and_made_again_from_the_archive(root: BucketRoot, filled: Machine, machine: New):
    before = root.read("outputs/account_summary.csv")
    root.delete("warehouse/ledger.duckdb")
    root.land("customers_2026-01-03.csv", CUSTOMERS.replace("Ann", "Anna"))
    for one in (filled, machine()):
        with pytest.raises(ConfigurationError, match="is lost"):
            one.take_all()
    with pytest.raises(ConfigurationError, match="is lost"):
        verified(filled)
    assert root.names("inbox/") == ["inbox/customers_2026-01-03.csv"]
    assert root.read("outputs/account_summary.csv") == before
    replayed = replay(filled.runtime, Selection(), None, lambda *_: None)
    assert (replayed.drops, replayed.recovered) == (2, True)
    assert root.read("outputs/account_summary.csv") == before
    assert [str(outcome.delivered) for outcome in machine().take_all()] == ["accepted"]
    assert verified(machine()).sound


def test_objects_of_archive_and_outputs_are_accounted_for(root: BucketRoot, filled: Machine):
    assert verified(filled).sound
    changed, gone = sorted(root.names("archive/"))
    before = {name: root.read(name) for name in (changed, gone)}
    root.put(changed, "AccountID\n1\n")
    root.delete(gone)
    root.put("archive/customer/2026/01/01/feedfacefeedface-customers.csv", CUSTOMERS)
    root.put("outputs/account_summary.csv", "edited")
    assert {found.name for found in verified(filled).files} == {
        changed,
        gone,
        "archive/customer/2026/01/01/feedfacefeedface-customers.csv",
        "outputs/account_summary.csv",
    }
    root.delete("archive/customer/2026/01/01/feedfacefeedface-customers.csv")
    for name, content in before.items():
        root.land(name.rpartition("/")[2][17:], content)
    assert {str(outcome.delivered) for outcome in filled.take_all()} == {"duplicate"}
    assert {name: root.read(name) for name in before} == before
    assert [found.name for found in verified(filled).files] == ["outputs/account_summary.csv"]


def test_other_machine_that_took_the_first_drop_meanwhile_is_no_loss(root: BucketRoot, machine: New):
    one, other = machine(), machine()
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    with one.runtime.session() as session:
        assert len(other.take_all()) == 1
        with pytest.raises(Conflict):
            refuse_foreign_warehouse(one.runtime.store, one.runtime.warehouse, session)
    assert verified(one).sound


def test_claim_that_is_garbled_keeps_nothing(root: BucketRoot, machine: New):
    root.put("work/20260101T000000000000-abcd/claim.json", "{")
    root.land("customers_2026-01-01.csv", CUSTOMERS)
    assert [str(outcome.delivered) for outcome in machine().take_all()] == ["accepted"]
    assert root.names("work/") == []


def test_restored_warehouse_is_taken_by_a_machine_that_has_a_copy_of_the_damaged_one(root: BucketRoot, filled: Machine):
    good = root.read("warehouse/ledger.duckdb")
    root.put("warehouse/ledger.duckdb", "no database")
    root.land("customers_2026-01-03.csv", CUSTOMERS)
    with pytest.raises(ConfigurationError, match="not a DuckDB file"):
        filled.take_all()
    root.put("warehouse/ledger.duckdb", good)
    assert [str(outcome.delivered) for outcome in filled.take_all()] == ["accepted"]
