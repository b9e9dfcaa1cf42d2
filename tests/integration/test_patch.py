"""A CSV that is brought up to date by its changed lines has the bytes that writing all of it gives."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.comparison import assert_manifest_true
from support.ledger import Ledger, Template, artifacts_patched_from

from dropledger.core.drop import sha256_of
from dropledger.core.ingest.run import process
from dropledger.core.operations.export import export
from dropledger.core.operations.retract import retract
from dropledger.core.steps import patch

pytestmark = pytest.mark.slow

CUSTOMERS = "CustomerID,Name,HasLoan\n" + "".join(f"{key},Name {key},No\n" for key in range(1, 9))
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"
KEYS = range(-20, 400, 3)


@contextmanager
def patched_from(size: int, block: int = 1 << 20) -> Iterator[list[str]]:
    """Let CSVs of so many bytes be brought up to date, whatever share of the rows changed; the names, as they are."""
    found: list[str] = []
    attempt = patch.Patch.write

    def noting(one: patch.Patch, path: Path) -> str | None:
        digest = attempt(one, path)
        if digest:
            found.append(path.stem)
        return digest

    with artifacts_patched_from(size), pytest.MonkeyPatch.context() as patches:
        patches.setattr(patch, "_BLOCK", block)
        patches.setattr(patch.Patch, "write", noting)
        yield found


def accounts(rows: Sequence[tuple[int, int]]) -> str:
    return ACCOUNTS + "".join(f"{key},{abs(key) % 8 + 1},{balance}.50,Savings\n" for key, balance in rows)


def filled(ledger: Ledger) -> None:
    ledger.drop("customers_2025-11-01.csv", CUSTOMERS)
    ledger.drop("accounts_2025-11-01.csv", accounts([(key, 1) for key in KEYS]))


def written_whole(ledger: Ledger, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    export(ledger.runtime, folder, None)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def templates(template: Callable[[Any], Template], lending: Any) -> Template:
    return template(lending)


ROWS = st.tuples(st.integers(-25, 410), st.integers(0, 99))
CHANGES = st.lists(st.lists(ROWS, min_size=1, max_size=9, unique_by=lambda row: row[0]), min_size=1, max_size=3)


@given(changes=CHANGES, block=st.sampled_from([64, 500, 1 << 20]))
def test_artifacts_have_the_bytes_of_those_written_whole(templates: Template, changes: list[Any], block: int):
    with templates.ledger() as ledger, patched_from(1, block) as found:
        filled(ledger)
        for day, rows in enumerate(changes, start=2):
            ledger.drop(f"accounts_2025-11-{day:02}.csv", accounts(rows))
        assert "account_summary" in found
        assert_manifest_true(ledger.root)
        for name, content in written_whole(ledger, ledger.root.parent / "whole").items():
            assert (ledger.root / "outputs" / name).read_bytes() == content, name


def test_rows_that_go_and_several_files_at_once_are_brought_up_to_date(ledger: Ledger, tmp_path: Path):
    with patched_from(1) as found:
        filled(ledger)
        gone = accounts([(10, 5)]).replace("Savings", "Checking")
        ledger.process(
            ledger.put("accounts_2025-11-02.csv", gone),
            ledger.put("accounts_2025-11-03.csv", accounts([(500, 1), (13, 2)])),
        )
    assert sorted(found[-2:]) == ["account_summary", "customer_profile"]
    summary = (ledger.root / "outputs/account_summary.csv").read_bytes()
    assert b",10," not in summary
    assert b",500," in summary
    assert written_whole(ledger, tmp_path / "whole")["account_summary.csv"] == summary


def edit(root: Path) -> None:
    path = root / "outputs/account_summary.csv"
    path.write_bytes(path.read_bytes().replace(b",1.50,", b",9.50,", 1))


def delete(root: Path) -> None:
    (root / "outputs/account_summary.csv").unlink()


def delete_the_manifest(root: Path) -> None:
    (root / "outputs/manifest.json").unlink()


def restore_an_older_state(root: Path) -> None:
    """An artifact of another state, with a manifest that is true of it."""
    path = root / "outputs/account_summary.csv"
    edit(root)
    manifest = json.loads((root / "outputs/manifest.json").read_text())
    for entry in manifest["artifacts"]:
        if entry["name"] == path.name:
            entry |= {"sha256": sha256_of(path), "size_bytes": path.stat().st_size}
    (root / "outputs/manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("harm", [edit, delete, delete_the_manifest, restore_an_older_state])
def test_what_was_not_published_last_is_written_whole(ledger: Ledger, tmp_path: Path, harm: Callable[[Path], None]):
    with patched_from(1) as found:
        filled(ledger)
        found.clear()
        harm(ledger.root)
        ledger.drop("accounts_2025-11-02.csv", accounts([(13, 2)]))
    assert "account_summary" not in found
    summary = (ledger.root / "outputs/account_summary.csv").read_bytes()
    assert written_whole(ledger, tmp_path / "whole")["account_summary.csv"] == summary


def test_after_a_retraction_and_a_crash_artifacts_are_written_whole(ledger: Ledger, tmp_path: Path):
    with patched_from(1) as found, pytest.MonkeyPatch.context() as patches:
        filled(ledger)
        wrong = ledger.drop("accounts_2025-11-02.csv", accounts([(13, 2)])).drop.drop_id
        retract(ledger.runtime, wrong, "wrong", "me")
        found.clear()
        patches.setattr("dropledger.core.ingest.completion.publish", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ledger.drop("accounts_2025-11-03.csv", accounts([(16, 2)]))
        patches.undo()
        process(ledger.runtime, [], lambda _: None)
    assert found == []
    summary = (ledger.root / "outputs/account_summary.csv").read_bytes()
    assert written_whole(ledger, tmp_path / "whole")["account_summary.csv"] == summary
