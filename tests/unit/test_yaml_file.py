"""Errors in YAML files name the file, the line and what to do."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from dropledger.core.contracts.pipeline_file import PipelineFile
from dropledger.core.contracts.yaml_file import load_yaml
from dropledger.core.errors import ConfigurationError, ContractError


class Item(BaseModel):
    """An entry of a list."""

    model_config = ConfigDict(extra="forbid")

    name: str
    size: int = 1
    kind: Literal["round", "square"] = "round"


class Shelf(BaseModel):
    """A document with entries of every shape."""

    model_config = ConfigDict(extra="forbid")

    title: str
    items: list[Item] = Field(min_length=1)
    notes: dict[str, str] = {}


GOOD = """\
title: Box
items:
  - name: ball
    size: 2
  - name: die
    kind: square
notes:
  colour: red
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shelf.yaml"


def error(path: Path, text: str | bytes, model: type[BaseModel] = Shelf) -> ContractError:
    """The error that a text gives; its message must begin with file and line."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ContractError) as raised:
        load_yaml(path, model)
    assert str(raised.value).startswith(f"{path}:{raised.value.line}: ")
    assert raised.value.file == path
    assert raised.value.hint
    return raised.value


def test_good_file_becomes_the_model(path):
    path.write_text(GOOD, encoding="utf-8")

    assert load_yaml(path, Shelf) == Shelf(
        title="Box",
        items=[Item(name="ball", size=2), Item(name="die", kind="square")],
        notes={"colour": "red"},
    )


def test_contract_error_stops_the_program_as_wrong_configuration(path):
    assert isinstance(error(path, "[]"), ConfigurationError)
    assert ContractError.exit_code == 2


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        pytest.param("title: Box\n", "", 1, "'title' is missing", id="missing"),
        pytest.param("  - name: ball\n    size: 2", "  - size: 2", 3, "'items.0.name' is missing", id="missing below"),
        pytest.param("  colour: red", "  colour: red\nshade: 3", 9, "unknown entry 'shade'", id="unknown"),
        pytest.param("    size: 2", "    weight: 2", 4, "unknown entry 'items.0.weight'", id="unknown below"),
        pytest.param("title: Box", "titel: Box", 1, "'titel'; did you mean 'title'?", id="misspelt"),
        pytest.param("size: 2", "size: big", 4, "items.0.size: ", id="wrong type"),
        pytest.param("kind: square", "kind: flat", 6, "'round' or 'square'", id="none of those allowed"),
        pytest.param("colour: red", "colour: [red]", 8, "notes.colour: ", id="wrong type in a mapping"),
        pytest.param("size: 2", "size: 2\n    size: 3", 5, "'size' stands twice", id="twice below"),
        pytest.param("colour: red", "colour: red\ntitle: Bag", 9, "'title' stands twice", id="twice"),
        pytest.param("colour: red", "colour: red\n  colour: red", 9, "'colour' stands twice", id="twice and alike"),
        pytest.param("colour: red", "1: red", 8, "notes: YAML reads 1 as a number", id="key is no text"),
        pytest.param("title: Box", "title: [Box", 2, "not valid YAML", id="open bracket"),
        pytest.param("    size: 2", "\tsize: 2", 4, "not valid YAML", id="tab"),
        pytest.param("title: Box", "title: !!python/name:os.system x", 1, "not valid YAML", id="Python object"),
    ],
)
def test_error_names_the_line_and_what_is_wrong(path, before, after, line, says):
    assert before in GOOD
    found = error(path, GOOD.replace(before, after, 1))

    assert found.line == line
    assert says in found.what


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "- a\n- b\n", "just words\n", "42\n"])
def test_file_without_a_mapping_is_refused(path, text):
    assert "holds no mapping" in error(path, text).what


def test_file_that_is_not_utf8_is_refused(path):
    assert "cannot be read" in error(path, "title: Büchse\n".encode("latin-1")).what


def test_file_that_is_not_there_is_named(path):
    with pytest.raises(ContractError, match="cannot be read") as raised:
        load_yaml(path, Shelf)

    assert raised.value.file == path


def test_hint_lists_the_entries_there_are(path):
    assert "title, items, notes" in error(path, GOOD + "shade: 3\n").hint


@pytest.mark.parametrize("document", ["{a: 1, a: 2}", "[{a: 1, b: 1, a: 2}]", "a: {b: [{c: 1, c: 1}]}"])
def test_repeated_key_is_found_wherever_it_stands(path, document):
    assert "stands twice" in error(path, document).what


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("title: {{ name }}\n", id="a template not filled in"),
        pytest.param("? [a, b]\n: c\n", id="a list as key"),
        pytest.param("title: 2025-99-99\n", id="a date that is none"),
        pytest.param("title: a\x07b\n", id="a control character"),
    ],
)
def test_whatever_yaml_cannot_read_is_an_error_with_file_and_line(path, text):
    assert error(path, text).line == 1


def test_hint_for_an_entry_below_lists_the_entries_of_that_place(path):
    assert "name, size, kind" in error(path, GOOD.replace("    size: 2", "    weight: 2")).hint


def test_hint_lists_entries_by_the_names_that_files_use(path):
    assert "pipeline, schema, moment" in error(path, "pipeline: lending\nmoment: [a]\n", PipelineFile).hint


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("title: Box\nitems: &all\n  - *all\n", "its aliases do not end"),
        ("title: Box\nitems: " + "[" * 200_000 + "]" * 200_000, "more than 50 levels"),
        (
            "".join(
                f"{name}: &{name} [{','.join([before] * 9)}]\n"
                for before, name in zip(["x", "*a", "*b", "*c", "*d", "*e", "*f", "*g"], "abcdefgh", strict=True)
            ),
            "its aliases do not end, or are too many",
        ),
    ],
    ids=["circle", "depth", "bomb"],
)
def test_what_would_fill_stack_or_memory_is_refused(path: Path, text: str, what: str):
    assert what in str(error(path, text))


def test_alias_that_ends_is_read(path: Path):
    path.write_text("title: Box\nitems: [&ball {name: ball}, *ball]\n", encoding="utf-8")
    assert [item.name for item in load_yaml(path, Shelf).items] == ["ball", "ball"]
