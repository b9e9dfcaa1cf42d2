"""Links within the root: the operator's own lead elsewhere, those further down are nobody's to follow."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.ledger import Ledger

from dropledger.core.errors import ConfigurationError
from dropledger.core.operations.retract import retract
from dropledger.infra.local.folders import filled
from dropledger.infra.local.store import FOLDERS

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Amara,Yes\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n"
OTHER_MEMORY = Path("/dev/shm")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is none of dropledger's business."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def link_to(ledger: Ledger, name: str, elsewhere: Path) -> Path:
    link = ledger.root / name
    if link.is_dir():
        link.rename(ledger.root.parent / "set_aside")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    return link


@pytest.mark.parametrize("name", ["outputs/changes", "outputs/quality_reports"])
def test_link_below_a_folder_of_outputs_is_not_followed(ledger: Ledger, elsewhere: Path, name: str):
    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2025-12-31.csv", ACCOUNTS)
    link = link_to(ledger, name, elsewhere)
    with pytest.raises(ConfigurationError, match=f"{name} is a link"):
        ledger.drop("accounts_2026-01-01.csv", ACCOUNTS)
    assert_not_followed(ledger, elsewhere, link)


@pytest.mark.parametrize("name", ["archive/account", "archive/account/2026/01"])
def test_link_below_the_archive_is_not_followed_and_keeps_no_other_file(ledger: Ledger, elsewhere: Path, name: str):
    link = link_to(ledger, name, elsewhere)
    kept, other = ledger.process(
        ledger.put("accounts_2026-01-01.csv", ACCOUNTS), ledger.put("customers_2026-01-02.csv", CUSTOMERS)
    )
    assert (str(kept.delivered), str(other.delivered)) == ("failed", "accepted")
    assert f"{name} is a link" in (kept.error or "")
    assert kept.failure is not None
    assert kept.failure.exit_code == ConfigurationError.exit_code
    assert_not_followed(ledger, elsewhere, link)


def assert_not_followed(ledger: Ledger, elsewhere: Path, link: Path) -> None:
    assert content(elsewhere) == {"precious": b"precious"}
    assert ledger.rows("SELECT count(*) FROM history_account") == [(1,)]
    link.unlink()
    ledger.process()  # and all is completed once the link is gone
    assert ledger.rows("SELECT DISTINCT status FROM drop_ledger") == [("published",)]
    assert {path.read_text() for path in (ledger.root / "archive/account").rglob("*.csv")} == {ACCOUNTS}
    assert ledger.runtime.store.unfinished() == []


def test_file_in_the_place_of_a_folder_is_told_of(ledger: Ledger):
    (ledger.root / "outputs" / "changes").write_text("no folder")
    with pytest.raises(ConfigurationError, match="outputs/changes"):
        ledger.drop("accounts_2026-01-01.csv", ACCOUNTS)


def test_what_is_taken_back_is_not_removed_through_a_link(ledger: Ledger, elsewhere: Path):
    drop_id = ledger.drop("accounts_2026-01-01.csv", ACCOUNTS).drop.drop_id
    ledger.drop("accounts_2026-01-02.csv", ACCOUNTS.replace("100", "200"))
    (ledger.root / "outputs" / "changes").rename(elsewhere / "changes")
    (ledger.root / "outputs" / "changes").symlink_to(elsewhere / "changes")
    before = content(elsewhere)
    assert f"changes/{drop_id}.csv" in before

    with pytest.raises(ConfigurationError, match="outputs/changes is a link"):
        retract(ledger.runtime, drop_id, "wrong", "somebody")

    assert content(elsewhere) == before


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_right_in_the_root_may_be_a_link_of_the_operators(ledger: Ledger, elsewhere: Path, folder: str):
    (ledger.root / folder).rename(elsewhere / folder)
    (ledger.root / folder).symlink_to(elsewhere / folder)

    ledger.drop("customers_2026-01-01.csv", CUSTOMERS)
    ledger.drop("accounts_2026-01-01.csv", ACCOUNTS + "12,1,-1,Savings\n")

    assert ledger.rows("SELECT status FROM drop_ledger") == [("published",), ("published",)]
    assert (ledger.root / folder).is_symlink()
    assert (ledger.root / "outputs" / "account_summary.csv").read_text().splitlines()[1].startswith("1,11,100.00,")
    assert (ledger.root / "quarantine" / "accounts_2026-01-01.csv.rejects.csv").exists()


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    if not os.access(OTHER_MEMORY, os.W_OK) or OTHER_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    with TemporaryDirectory(dir=OTHER_MEMORY, prefix=f"dropledger-{secrets.token_hex(4)}") as folder:
        yield Path(folder)


def test_copy_into_another_file_system_follows_no_link_either(ledger: Ledger, elsewhere: Path, other_file_system: Path):
    (ledger.root / "outputs").rmdir()
    (ledger.root / "outputs").symlink_to(other_file_system)
    for name in ("manifest.json", ".manifest.json.tmp", ".manifest.json.tmp.tmp"):
        (other_file_system / name).symlink_to(elsewhere / "precious")

    ledger.drop("accounts_2026-01-01.csv", ACCOUNTS)

    assert content(elsewhere) == {"precious": b"precious"}
    manifest = other_file_system / "manifest.json"
    assert not manifest.is_symlink()
    assert '"account_summary.csv"' in manifest.read_text()
    assert manifest.stat().st_mode & 0o077 == 0
    assert not (other_file_system / ".manifest.json.tmp").is_symlink()


def test_folder_that_is_filled_replaces_links_in_it_and_may_be_one_itself(elsewhere: Path, tmp_path: Path):
    (tmp_path / "target").mkdir()
    (tmp_path / "to").symlink_to(tmp_path / "target")
    (tmp_path / "target" / "figures.csv").symlink_to(elsewhere / "precious")

    with filled(tmp_path / "to") as folder:
        (folder / "figures.csv").write_text("1,2\n")
        assert (tmp_path / "target" / "figures.csv").read_text() == "precious"

    assert content(elsewhere) == {"precious": b"precious"}
    assert content(tmp_path / "target") == {"figures.csv": b"1,2\n"}
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["figures.csv"]
