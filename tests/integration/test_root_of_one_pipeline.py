"""A root keeps its pipeline, is found with its settings, and has a warehouse only once something is in it."""

import json
import shutil
from pathlib import Path

import pytest
from support.commands import Commands
from support.three_days import CUSTOMERS

from dropledger.core.contracts.pipeline_spec import BUILT_IN
from dropledger.core.errors import ConfigurationError
from dropledger.handlers.cli.main import cli
from dropledger.handlers.settings import read_settings

DROP = "customers_2025-10-31.csv"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """Commands on a root that is not there yet, run in a folder with a file to drop."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / DROP).write_text(CUSTOMERS, encoding="utf-8")
    return Commands(tmp_path / "ledger", capsys)


def another(folder: Path, *, schema: str = "lending") -> Path:
    """A pipeline of another name, which has the same feeds."""
    shutil.copytree(BUILT_IN / "lending", folder)
    (folder / "pipeline.yaml").write_text(
        f"pipeline: {folder.name}\nschema: {schema}\nmoment: [account]\n", encoding="utf-8"
    )
    return folder


def refusal(commands: Commands, *arguments: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refused:
        cli.main(["--root", str(commands.root), *arguments], standalone_mode=False)
    return refused.value


@pytest.mark.parametrize("schema", ["lending", "other"])
def test_root_refuses_another_pipeline_and_says_what_to_set(commands: Commands, tmp_path: Path, schema: str):
    other = str(another(tmp_path / "retail", schema=schema))
    assert commands.code("process", DROP) == 0
    files = {path: path.read_bytes() for path in Path(commands.root).rglob("*") if path.is_file()}
    for command in (["process", DROP], ["watch", "--once"], ["status"], ["drops"], ["verify"], ["export"], ["replay"]):
        refused = refusal(commands, "--pipeline", other, *command)
        assert "DROPLEDGER_PIPELINE" in refused.hint
        assert ("the pipeline lending" if schema == "lending" else "whose schema is lending") in str(refused)
    after = {path: path.read_bytes() for path in files}
    assert {path for path in files if after[path] != files[path]} <= {Path(commands.root) / "work/.lock"}
    assert commands.code("--pipeline", "lending", "status") == 0


def test_manifest_is_not_overwritten_by_a_second_pipeline_with_a_warehouse_elsewhere(
    commands: Commands, tmp_path: Path
):
    other = str(another(tmp_path / "retail"))
    assert commands.code("process", DROP) == 0
    manifest = Path(commands.root) / "outputs/manifest.json"
    before = manifest.read_bytes()
    assert json.loads(before)["pipeline"] == "lending"
    refused = refusal(commands, "--pipeline", other, "--warehouse", str(tmp_path / "mine.duckdb"), "process", DROP)
    assert "pipeline lending" in str(refused)
    assert "DROPLEDGER_PIPELINE=lending" in refused.hint
    assert manifest.read_bytes() == before
    assert not (tmp_path / "mine.duckdb").exists()


def test_pipeline_of_the_command_line_goes_before_that_of_the_environment(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DROPLEDGER_PIPELINE", str(another(tmp_path / "retail")))
    (Path(commands.root) / "inbox").mkdir(parents=True)
    assert commands.json("--pipeline", "lending", "status")["pipeline"] == "lending"
    assert commands.json("status", "--pipeline", "lending")["pipeline"] == "lending"
    assert commands.json("status")["pipeline"] == "retail"


def test_first_command_that_fails_leaves_no_warehouse(commands: Commands, tmp_path: Path):
    """The pipeline's SQL is wrong; once it is mended, all goes as if nothing had been."""
    broken = another(tmp_path / "retail")
    mart = broken / "marts/account_summary.sql"
    text = mart.read_text(encoding="utf-8")
    mart.write_text("SELECT no_such_column FROM history_account", encoding="utf-8")
    assert commands.code("--pipeline", str(broken), "process", DROP) == 2
    assert list((Path(commands.root) / "warehouse").iterdir()) == []
    assert commands.json("--pipeline", str(broken), "status")["drops"] == {}
    mart.write_text(text, encoding="utf-8")
    assert commands.code("--pipeline", str(broken), "process", DROP) == 0
    assert commands.json("--pipeline", str(broken), "status")["drops"] == {"published": 1}


# dropledger.toml


def settings_file(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dropledger.toml").write_text(text, encoding="utf-8")


def test_settings_are_found_in_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings_file(tmp_path / "books", 'outputs = "on_demand"\nwait_seconds = 7\n')
    monkeypatch.chdir(tmp_path)
    found = read_settings(root=str(tmp_path / "books"))
    assert (found.outputs, found.wait_seconds, found.root) == ("on_demand", 7.0, str(tmp_path / "books"))


def test_settings_are_found_in_the_nearest_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings_file(tmp_path, 'root = "books"\nwait_seconds = 1\n')
    settings_file(tmp_path / "a", 'root = "../books"\nwait_seconds = 2\n')
    (tmp_path / "a/b/c").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b/c")
    found = read_settings()
    assert found.wait_seconds == 2
    assert Path(found.root).resolve() == tmp_path / "books"  # from where the file lies, not from where the command runs


def test_root_says_what_holds_for_it_and_the_folder_says_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    another(tmp_path / "books/mine")
    settings_file(tmp_path, 'root = "books"\nwait_seconds = 1\nmemory_limit = "500MB"\n')
    settings_file(tmp_path / "books", 'root = "elsewhere"\nwait_seconds = 9\npipeline = "mine"\n')
    monkeypatch.chdir(tmp_path)
    found = read_settings()
    assert (found.wait_seconds, found.memory_limit) == (9, "500MB")
    assert (Path(found.root), Path(found.pipeline)) == (tmp_path / "books", tmp_path / "books/mine")
    monkeypatch.setenv("DROPLEDGER_WAIT_SECONDS", "3")
    assert read_settings().wait_seconds == 3


def test_names_in_a_file_are_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    another(tmp_path / "lending")
    settings_file(tmp_path, 'root = "s3://bucket/books"\nwarehouse = "databricks"\npipeline = "lending"\n')
    monkeypatch.chdir(tmp_path)
    found = read_settings()
    assert (found.root, found.warehouse, found.pipeline) == ("s3://bucket/books", "databricks", "lending")


def test_file_of_somebody_else_above_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As where all may write, and a file would name a pipeline whose SQL is run."""
    settings_file(tmp_path, "wait_seconds = 1\n")
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    monkeypatch.setattr("os.geteuid", lambda: 4321)
    monkeypatch.setattr(Path, "stat", owned_by(1234))
    assert read_settings().wait_seconds == 30


def owned_by(user: int):
    stat = Path.stat

    def found(path: Path, **options: bool):
        if path.name != "dropledger.toml":
            return stat(path, **options)
        fields = list(stat(path, **options))
        fields[4] = user
        return type(stat(path))(fields)

    return found


def test_wrong_entry_names_the_file_that_it_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings_file(tmp_path / "books", "wait_secs = 7\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        read_settings(root=str(tmp_path / "books"))
    assert str(tmp_path / "books/dropledger.toml") in refused.value.hint
