"""The pages of docs/ name all that there is, lead where they say, and their worked example is a pipeline."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from support.template import template

from dropledger.core.contracts.contract_file import CheckDefinition, Column, Contract, Operation, Rule
from dropledger.core.contracts.pipeline_file import MartFile, ModelFile, PipelineFile
from dropledger.core.contracts.pipeline_spec import BUILT_IN, load_pipeline
from dropledger.handlers.cli.main import cli
from dropledger.handlers.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# A file of the worked example: its name in the sentence that ends before the fence.
_FILE = re.compile(
    r"`(?P<path>[\w./]+\.(?:yaml|sql))`[^\n]*:\n\n```(?:yaml|sql)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def links() -> Iterator[tuple[Path, str]]:
    for path in PAGES:
        for target in _LINK.findall(_FENCE.sub("", path.read_text(encoding="utf-8"))):
            if "://" not in target and not target.startswith("mailto:"):
                yield path, target


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.casefold()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_is_in_the_list_of_commands(command):
    assert f"| `dropledger {command}" in page("operating.md")


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_the_json_of_every_command_is_described(command):
    assert f"**`dropledger {command}" in page("json.md")


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_option_of_a_command_is_beside_it(command):
    shared = {option for parameter in cli.params for option in parameter.opts}
    row = next(line for line in page("operating.md").splitlines() if line.startswith(f"| `dropledger {command}"))
    for parameter in cli.commands[command].params:
        if parameter.param_type_name == "option" and not shared & set(parameter.opts):
            assert parameter.opts[-1] in row
    for option in shared & {"--root", "--warehouse", "--json", "--quiet"}:
        assert f"`{option}`" in page("operating.md")


@pytest.mark.parametrize("setting", sorted(Settings.__dataclass_fields__))
def test_every_setting_is_described(setting):
    assert f"| `{setting}` | `DROPLEDGER_{setting.upper()}` |" in page("operating.md")


@pytest.mark.parametrize(
    ("model", "entry"),
    [
        (model, field.alias or name)
        for model in (Contract, Column, Rule, Operation, CheckDefinition, MartFile, ModelFile, PipelineFile)
        for name, field in model.model_fields.items()
    ],
)
def test_every_entry_of_the_pipeline_files_is_described(model: type[BaseModel], entry: str):
    assert f"`{entry}`" in page("contracts.md"), f"{model.__name__}.{entry}"


@pytest.mark.parametrize("entry", sorted(Contract.model_fields))
def test_every_entry_of_a_contract_has_a_row(entry):
    assert f"| `{entry}` |" in page("contracts.md")


@pytest.mark.parametrize("rule", Rule.model_fields["rule"].annotation.__args__)
def test_every_rule_has_a_row(rule):
    assert f"| `{rule}` |" in page("contracts.md")


_COMMAND = re.compile(rf"\bdropledger ((?:{'|'.join(cli.commands)})\b[^`&;|\n]*)")


@pytest.mark.parametrize(
    "words", [words for name in ("aws.md", "databricks.md", "first-day.md") for words in _COMMAND.findall(page(name))]
)
def test_every_command_of_the_cloud_can_be_given(words):
    name, *arguments = shlex.split(words)
    with cli.commands[name].make_context(name, arguments):
        pass


def test_every_parameter_of_the_first_day_is_one_of_the_template():
    given = re.findall(r"--parameter-overrides ([^`;&\n]*)", page("first-day.md"))
    named = {name for words in given for name in re.findall(r"(\w+)=", words)}
    assert {"MemorySize", "ReserveConcurrency", "DatabricksSecret"} <= named <= template()["Parameters"].keys()


def test_first_day_goes_through_ten_steps():
    steps = re.findall(r"^## (\d+)\. .*?(?=^## )", page("first-day.md"), re.MULTILINE | re.DOTALL)
    assert steps == [str(number) for number in range(1, 11)]
    assert page("first-day.md").count("Must come out: ") >= 10
    assert len(_COMMAND.findall(page("first-day.md"))) > 20


@pytest.mark.parametrize(("path", "target"), list(links()), ids=lambda part: getattr(part, "name", part))
def test_every_link_leads_somewhere(path, target):
    file, _, anchor = target.partition("#")
    found = (path.parent / file).resolve() if file else path
    assert found.exists()
    if anchor:
        assert anchor in anchors(found)


def test_the_worked_example_is_a_pipeline(tmp_path):
    example = page("contracts.md").partition("## A worked example")[2]
    folder = tmp_path / "mine"
    shutil.copytree(BUILT_IN / "lending", folder)
    files = {match["path"]: match["text"] for match in _FILE.finditer(example)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    moment = re.search(r"`(moment: \[.*?\])`", example)
    assert moment is not None
    whole = (folder / "pipeline.yaml").read_text(encoding="utf-8")
    (folder / "pipeline.yaml").write_text(
        re.sub(r"^moment: .*$", moment[1], whole, flags=re.MULTILINE), encoding="utf-8"
    )
    assert len(files) == len(re.findall(r"^```(?:yaml|sql)$", example, re.MULTILINE))

    pipeline = load_pipeline(str(folder))

    assert pipeline.contract("collateral").takes("collateral_2025-11-15.csv")
    assert "collateral" in pipeline.file.moment
    assert [check.definition.name for mart in pipeline.marts if mart.name == "pledge" for check in mart.checks] == [
        "pledger_known"
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_shows_the_machine_that_it_was_written_on(path):
    assert not re.search(r"/tmp/|/root/|/home/", path.read_text(encoding="utf-8"))
