"""YAML in, validated models out, with errors that name file, line and fix."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from core.errors import ContractError

Model = TypeVar("Model", bound=BaseModel)
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """`path` as an instance of `model`.

    Raises:
        ContractError: the file is missing, is not YAML, or does not fit `model`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(
            path, 1, f"cannot be read: {error}", hint="check that the file exists and is UTF-8"
        ) from error
    return parse_yaml(text, path, model)


def parse_yaml(text: str, path: Path, model: type[Model]) -> Model:
    """The YAML text of `path` as an instance of `model`.

    Raises:
        ContractError: it is not YAML, or does not fit `model`.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        _refuse_repeated_keys(path, root)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader, in C where there is one) # nosec B506
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(path, line, f"not valid YAML: {error.problem}", hint="mend the YAML here") from error
    except (yaml.YAMLError, TypeError, ValueError) as error:  # control characters, lists as keys, dates that are none
        reason = str(error).splitlines()[0]
        raise ContractError(path, 1, f"not valid YAML: {reason}", hint="quote the value, or mend the YAML") from error
    if not isinstance(document, dict):
        raise ContractError(path, 1, "holds no mapping", hint="start with `feed:`, see docs/contracts.md")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ContractError(
            path,
            _line_of(root, first["loc"]),
            _sentence(first["loc"], first["type"], first["msg"]),
            hint=_fix(first["type"], model),
        ) from error


def line_of_entry(path: Path, name: str) -> int:
    """The 1-based line of an entry of the document."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith(f"{name}:")), 1)


def _sentence(location: Sequence[int | str], kind: str, message: str) -> str:
    place = ".".join(str(part) for part in location)
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"unknown entry '{place}'"
    if kind == "missing":
        return f"'{place}' is missing"
    return f"{place}: {message}" if place else message


def _fix(kind: str, model: type[BaseModel]) -> str:
    if kind in {"extra_forbidden", "missing"}:
        entries = ", ".join(field.alias or name for name, field in model.model_fields.items())
        return f"the entries are: {entries}; see docs/contracts.md"
    return "correct this entry; docs/contracts.md lists what each may hold"


def _line_of(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """The 1-based line of the innermost node that a validation error's location leads to."""
    line = node.start_mark.line + 1 if node else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _refuse_repeated_keys(path: Path, node: yaml.Node | None) -> None:
    # PyYAML keeps the last of two equal keys without a word; half a contract would be lost.
    if isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ContractError(
                    path, key.start_mark.line + 1, f"'{key.value}' stands twice", hint="keep one of the two"
                )
            seen.add(key.value)
            _refuse_repeated_keys(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(path, item)
