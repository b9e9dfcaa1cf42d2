"""What template.yaml says: its parameters, and its resources as CloudFormation would make them."""

from functools import cache
from typing import Any

import yaml

from support.engines import PROJECT

_NOTHING = object()


class _Tagged(yaml.SafeLoader):
    """Reads `!Ref x` as `{"Ref": "x"}`, and so on."""


def _function(loader: Any, name: str, node: Any) -> dict[str, Any]:
    of = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: lambda node: loader.construct_sequence(node, deep=True),
        yaml.MappingNode: lambda node: loader.construct_mapping(node, deep=True),
    }
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": of[type(node)](node)}


_Tagged.add_multi_constructor("!", _function)


@cache
def template() -> dict[str, Any]:
    """The whole of it, with functions as in JSON."""
    found: dict[str, Any] = yaml.load((PROJECT / "template.yaml").read_text(encoding="utf-8"), _Tagged)
    return found


def parameter(name: str) -> dict[str, Any]:
    """A parameter's definition."""
    found: dict[str, Any] = template()["Parameters"][name]
    return found


def resource(name: str, **given: str) -> dict[str, Any]:
    """A resource's properties with these parameters, the others as they are by default."""
    found: dict[str, Any] = _resolved(template()["Resources"][name], given)["Properties"]
    return found


def _resolved(value: Any, given: dict[str, str]) -> Any:  # noqa: C901, PLR0911 - a case for each function
    match value:
        case {"Ref": "AWS::NoValue"}:
            return _NOTHING
        case {"Ref": name} if name in template()["Parameters"]:
            return given.get(name, str(parameter(name)["Default"]))
        case {"Condition": name} if len(value) == 1:
            return _resolved(template()["Conditions"][name], given)
        case {"Fn::If": [name, then, otherwise]}:
            return _resolved(then if _resolved({"Condition": name}, given) else otherwise, given)
        case {"Fn::Equals": [one, other]}:
            return _resolved(one, given) == _resolved(other, given)
        case {"Fn::Not": [one]}:
            return not _resolved(one, given)
        case {"Fn::And": conditions}:
            return all(_resolved(one, given) for one in conditions)
        case {"Fn::Split": [between, text]}:
            return _resolved(text, given).split(between)
        case {"Fn::FindInMap": [name, *keys]}:
            first, second = (_resolved(key, given) for key in keys)
            return template()["Mappings"][name][first][second]
        case dict():
            every = {key: _resolved(entry, given) for key, entry in value.items()}
            return {key: entry for key, entry in every.items() if entry is not _NOTHING}
        case list():
            return [entry for entry in (_resolved(entry, given) for entry in value) if entry is not _NOTHING]
        case _:
            return value
