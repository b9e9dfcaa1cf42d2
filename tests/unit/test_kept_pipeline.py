"""A pipeline that was checked is kept, and taken only where it is sure to be what its files say."""

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from dropledger.core.contracts import kept_pipeline
from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import BUILT_IN, load_pipeline
from dropledger.core.errors import ContractError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the lending pipeline."""
    shutil.copytree(BUILT_IN / "lending", tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "caches" / "dropledger"


def kept_files(cache: Path) -> list[Path]:
    return sorted((cache / "pipelines").iterdir())


def doctored(cache: Path, change: Callable[[str], str]) -> None:
    """Change what is kept, sealed anew like what is whole."""
    (file,) = kept_files(cache)
    before = file.read_text(encoding="utf-8").partition("\n")[2]
    after = change(before)
    assert after != before
    file.write_bytes(kept_pipeline._seal(json.loads(before)["sha256"], after.encode()) + b"\n" + after.encode())


def described(folder: Path, cache: Path) -> str:
    return load_pipeline(str(folder), cache).contract("account").description


SAID, MARKED = "Accounts with their balances.", "Taken from what is kept."


def mark(cache: Path) -> None:
    """Let a pipeline that is taken from the cache tell that it was."""
    doctored(cache, lambda document: document.replace(SAID, MARKED))


def test_kept_pipeline_is_what_its_files_say(folder: Path, cache: Path):
    read = load_pipeline(str(folder), cache)
    mark(cache)
    assert described(folder, cache) == MARKED
    doctored(cache, lambda document: document.replace(MARKED, SAID))

    kept = load_pipeline(str(folder), cache)

    assert kept == read
    bound = next(rule.max for rule in kept.contract("account").column("balance").rules if rule.max is not None)
    assert isinstance(bound, Decimal)
    assert isinstance(kept.contract("account"), Contract)


def test_another_folder_with_the_same_files_takes_it_with_its_own_paths(folder: Path, cache: Path, tmp_path: Path):
    load_pipeline(str(folder), cache)
    mark(cache)
    shutil.copytree(folder, tmp_path / "other")

    found = load_pipeline(str(tmp_path / "other"), cache)

    assert found.contract("account").description == MARKED
    assert (found.folder, found.contract("account").file) == (tmp_path / "other", tmp_path / "other" / "account.yaml")


@pytest.mark.parametrize(
    "name", ["account.yaml", "pipeline.yaml", "marts/account_summary.sql", "checks/account_summary/positive_values.sql"]
)
def test_changed_file_is_read(folder: Path, cache: Path, name: str):
    load_pipeline(str(folder), cache)
    mark(cache)
    comment = "\n-- new\n" if name.endswith(".sql") else "\n# new\n"
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(comment)

    assert load_pipeline(str(folder), cache) == load_pipeline(str(folder))
    assert len(kept_files(cache)) == 2


def test_file_that_became_wrong_is_told_as_ever(folder: Path, cache: Path):
    load_pipeline(str(folder), cache)
    contract = folder / "account.yaml"
    contract.write_text(contract.read_text(encoding="utf-8") + "modes: full\n", encoding="utf-8")

    with pytest.raises(ContractError, match="unknown entry 'modes'; did you mean 'mode'") as told:
        load_pipeline(str(folder), cache)
    assert told.value.file == contract
    assert len(kept_files(cache)) == 1


def test_file_in_a_folder_that_is_a_link_is_one_of_its_files(folder: Path, cache: Path, tmp_path: Path):
    shutil.move(folder / "marts", tmp_path / "marts")
    (folder / "marts").symlink_to(tmp_path / "marts")
    before = load_pipeline(str(folder), cache)
    with (tmp_path / "marts" / "account_summary.sql").open("a", encoding="utf-8") as file:
        file.write("-- new\n")

    after = load_pipeline(str(folder), cache)

    assert after.sha256 != before.sha256
    assert "-- new" in next(mart.sql for mart in after.marts if mart.name == "account_summary")


def test_what_lies_outside_of_the_folder_is_read_each_time(folder: Path, cache: Path, tmp_path: Path):
    rates = next(folder.glob("rates*.csv"))
    shutil.move(rates, tmp_path / rates.name)
    contract = folder / "rate.yaml"
    contract.write_text(
        contract.read_text(encoding="utf-8").replace(f"initial: {rates.name}", f"initial: ../{rates.name}"),
        encoding="utf-8",
    )

    load_pipeline(str(folder), cache)

    assert not cache.exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:-1], id="cut off"),
        pytest.param(lambda content: content.replace(b'"account_id"', b'"account_ix"', 1), id="a letter"),
        pytest.param(lambda content: b"0" * 64 + content[64:], id="the seal"),
        pytest.param(lambda content: b"\xff" * 5000, id="noise"),
    ],
)
def test_damaged_one_is_read_from_its_files_and_mended(folder: Path, cache: Path, damage):
    load_pipeline(str(folder), cache)
    (file,) = kept_files(cache)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))

    assert load_pipeline(str(folder), cache) == load_pipeline(str(folder))
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda document: "[]", id="no mapping"),
        pytest.param(lambda document: document.replace('"moment": [', '"moments": ['), id="another name"),
        pytest.param(lambda document: document.replace('"mode": "full"', '"mode": "half"'), id="a word not known"),
        pytest.param(lambda document: document.replace('"max_rejected": "0.5"', '"max_rejected": 0.5'), id="a float"),
        pytest.param(lambda document: document.replace('"0.5"', '"half"'), id="no number"),
        pytest.param(lambda document: document.replace('"severity": "warn"', '"severity": "loud"'), id="no severity"),
        pytest.param(lambda document: document.replace('"key": ["account_id"]', '"key": "account_id"'), id="no list"),
        pytest.param(lambda document: document.replace('"changes": true', '"changes": 1'), id="a number"),
    ],
)
def test_one_of_another_shape_is_read_from_its_files(folder: Path, cache: Path, change):
    load_pipeline(str(folder), cache)
    doctored(cache, change)

    assert load_pipeline(str(folder), cache) == load_pipeline(str(folder))


def test_one_of_another_dropledger_is_not_taken(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(kept_pipeline, "__version__", "0.0.9")
        kept_pipeline._program.cache_clear()
        load_pipeline(str(folder), cache)
        mark(cache)
    kept_pipeline._program.cache_clear()

    assert described(folder, cache) == SAID


def test_one_that_others_could_have_written_is_not_taken(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    load_pipeline(str(folder), cache)
    mark(cache)
    (file,) = kept_files(cache)
    file.chmod(0o620)
    assert described(folder, cache) == SAID
    mark(cache)
    somebody_else = file.stat().st_uid + 1
    monkeypatch.setattr("os.geteuid", lambda: somebody_else)
    assert described(folder, cache) == SAID


@pytest.mark.parametrize("place", ["a file", "a file/below", "a folder"])
def test_where_nothing_can_be_kept_nothing_is_said(folder: Path, tmp_path: Path, place: str, capfd):
    (tmp_path / "a file").touch()
    (tmp_path / "a folder" / "pipelines").mkdir(parents=True)
    load_pipeline(str(folder), tmp_path / "a folder")
    for kept in kept_files(tmp_path / "a folder"):
        kept.unlink()
        kept.mkdir()

    assert load_pipeline(str(folder), tmp_path / place) == load_pipeline(str(folder))
    assert capfd.readouterr() == ("", "")
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_edits_leave_no_more_than_some(folder: Path, cache: Path):
    for number in range(kept_pipeline._MOST + 3):
        (folder / "pipeline.yaml").write_text(
            (BUILT_IN / "lending" / "pipeline.yaml").read_text(encoding="utf-8") + f"# {number}\n", encoding="utf-8"
        )
        newest = load_pipeline(str(folder), cache)
    assert len(kept_files(cache)) == kept_pipeline._MOST
    assert [file for file in kept_files(cache) if newest.sha256 in file.read_text(encoding="utf-8")]
