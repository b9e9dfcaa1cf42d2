"""YAML in, validated models out, with errors that name file, line and fix."""

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dropledger.core.errors import ContractError

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[int | str]
_Loader: type[yaml.SafeLoader] = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_SHAPES = {"dict_type": "a mapping", "list_type": "a list", "tuple_type": "a list"}
ENTRY_ERROR = "of_entry"
"""The type of an error of a whole model that one entry of it is to blame for, which its context names as `entry`."""
_DEEPEST = 50
_MOST = 1_000_000
"""So many levels, and values with all aliases followed, are in no file of people; more would fill the memory."""
_READ_AS = {
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
    "tag:yaml.org,2002:timestamp": "a date",
    "tag:yaml.org,2002:null": "nothing",
}


def _exact(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal | float:
    # A float would drag its binary error into a money bound.
    try:
        return Decimal(node.value.replace("_", ""))
    except InvalidOperation:  # what YAML knows beside digits: .inf, 1:30.5
        return loader.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:float", _exact)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """`path` as an instance of `model`.

    Raises:
        ContractError: the file is missing, is not YAML, or does not fit `model`.
    """
    return parse_yaml(read_text(path), path, model)


def read_text(path: Path) -> str:
    """What a YAML file holds.

    Raises:
        ContractError: the file is missing, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(
            path, 1, f"cannot be read: {error}", hint="check that the file exists and is UTF-8"
        ) from error


def parse_yaml(text: str, path: Path, model: type[Model]) -> Model:
    """The YAML text of `path` as an instance of `model`.

    Raises:
        ContractError: it is not YAML, or does not fit `model`.
    """
    root, document = _parsed(text, path)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _contract_error(path, root, error.errors(include_url=False), model) from error


def entries_of(text: str, path: Path) -> dict[str, Any]:
    """The entries of the YAML text of `path` as they are written; a number with a fraction is a Decimal.

    Raises:
        ContractError: it is not YAML, or no mapping.
    """
    return _parsed(text, path)[1]


def _parsed(text: str, path: Path) -> tuple[yaml.Node | None, dict[str, Any]]:
    """The nodes of a YAML text, and what they hold."""
    try:
        _refuse_deep(path, text)
        root = yaml.compose(text, Loader=_Loader)
        _refuse_unfit_nodes(path, root)
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader, in C where there is one) # nosec B506
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(path, line, f"not valid YAML: {error.problem}", hint="mend the YAML here") from error
    except (yaml.YAMLError, TypeError, ValueError) as error:  # control characters, lists as keys, dates that are none
        reason = str(error).splitlines()[0]
        raise ContractError(path, 1, f"not valid YAML: {reason}", hint="quote the value, or mend the YAML") from error
    if not isinstance(document, dict):
        raise ContractError(path, 1, "holds no mapping", hint="start with `feed:`, see docs/contracts.md")
    return root, document


def line_at(path: Path, location: Location) -> int:
    """The 1-based line of what a location, such as `("columns", 2, "default")`, leads to; of as much as is there."""
    return _led_to(yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader), location)[0]


def _contract_error(
    path: Path, root: yaml.Node | None, errors: Sequence[ErrorDetails], model: type[BaseModel]
) -> ContractError:
    """The one of the errors that says most, with line and fix."""
    misspelt = _misspelt(errors, model)
    if misspelt is not None:
        found, meant = misspelt
        name = _place(root, found["loc"])
        return ContractError(
            path,
            _led_to(root, found["loc"])[0],
            f"unknown entry '{name}'; did you mean '{meant}'?",
            hint=_entries(model, found["loc"]),
        )
    errors = [_at_entry(error) for error in errors]
    # Of what may be one thing or another, each alternative has its errors: those that lead deepest say most.
    real = [_real(root, error["loc"]) for error in errors]
    alternatives = [place for place, location in enumerate(real) if location[: len(real[0])] == real[0]]
    first = errors[max(alternatives, key=lambda place: len(real[place]))]
    line, node = _led_to(root, first["loc"])
    shapes = [_SHAPES[errors[place]["type"]] for place in alternatives if errors[place]["type"] in _SHAPES]
    misread = _misread(root, first["loc"]) if first["type"] == "string_type" else None
    if misread is not None:
        place = _place(root, first["loc"][:-2] if first["loc"][-1] == "[key]" else first["loc"])
        read_as = _READ_AS.get(misread.tag) or str(yaml.safe_load(misread.value)).lower()
        return ContractError(
            path,
            misread.start_mark.line + 1,
            f"{place}: YAML reads {misread.value} as {read_as}, where a text belongs",
            hint=f'quote it: "{misread.value}"',
        )
    if first["type"] in _SHAPES:
        what = f"{_place(root, first['loc'])}: should be {' or '.join(dict.fromkeys(shapes))}"
    else:
        what = _sentence(_place(root, first["loc"]), first["type"], first["msg"])
    if first["type"] == "extra_forbidden" and isinstance(node, yaml.ScalarNode) and not node.value:
        what += ", which has no value: between braces YAML cuts a text at its commas, so quote the text before it"
    hint = "correct this entry; docs/contracts.md lists what each may hold"
    if first["type"] in {"extra_forbidden", "missing"}:
        hint = _entries(model, first["loc"])
    return ContractError(path, line, what, hint=hint)


def _at_entry(error: ErrorDetails) -> ErrorDetails:
    """An error with the place of the entry that is to blame for it."""
    if error["type"] != ENTRY_ERROR:
        return error
    return {**error, "loc": (*error["loc"], error["ctx"]["entry"])}


def _misspelt(errors: Sequence[ErrorDetails], model: type[BaseModel]) -> tuple[ErrorDetails, str] | None:
    """The first unknown entry that is like a known one, and that one."""
    for error in errors:
        if error["type"] == "extra_forbidden":
            near = get_close_matches(str(error["loc"][-1]), _names(_model_at(model, error["loc"])), 1)
            if near:
                return error, near[0]
    return None


def _sentence(place: str, kind: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"unknown entry '{place}'"
    if kind == "missing":
        return f"'{place}' is missing"
    return f"{place}: {message}" if place else message


def _misread(root: yaml.Node | None, location: Location) -> yaml.ScalarNode | None:
    """The word that YAML took for something else than a text, where a location leads to one."""
    is_key = location[-1] == "[key]"
    node = _led_to(root, location[:-2] if is_key else location)[1]
    candidates = [key for key, _ in node.value] if is_key and isinstance(node, yaml.MappingNode) else [node]
    return next((found for found in candidates if isinstance(found, yaml.ScalarNode) and _is_misread(found)), None)


def _is_misread(word: yaml.ScalarNode) -> bool:
    return word.tag != "tag:yaml.org,2002:str" and bool(word.value)


def _entries(model: type[BaseModel], location: Location) -> str:
    return f"the entries are: {', '.join(_names(_model_at(model, location)))}; see docs/contracts.md"


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel]:
    """The model whose entry the last part of a location is."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(_models(field.annotation), model)
    return model


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _real(root: yaml.Node | None, location: Location) -> list[int | str]:
    """The parts of a location that stand in the document: pydantic names the alternatives of a type in between."""
    found: list[int | str] = []
    node = root
    for part in location:
        entry = _entry(node, part)
        if entry is not None:
            found.append(part)
            node = entry[1]
    return found


def _place(root: yaml.Node | None, location: Location) -> str:
    real = _real(root, location)
    return ".".join(str(part) for part in [*real, *([] if location[-1:] == tuple(real[-1:]) else _unmet(location))])


def _unmet(location: Location) -> list[str]:
    """The last part of a location, where it is the name of an entry that is not there."""
    last = str(location[-1]) if location else ""
    return [last] if last.isidentifier() and last not in {"str", "bool"} else []


def _entry(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """Where an entry begins, and what it holds."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _led_to(root: yaml.Node | None, location: Location) -> tuple[int, yaml.Node | None]:
    """The 1-based line of the innermost node that a location leads to, and that node."""
    line, node = root.start_mark.line + 1 if root else 1, root
    for part in _real(root, location):
        entry = _entry(node, part)
        if entry is not None:
            line, node = entry[0].start_mark.line + 1, entry[1]
    return line, node


def _refuse_deep(path: Path, text: str) -> None:
    # The composer in C takes the whole process down when its stack is full.
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ContractError(path, line, f"more than {_DEEPEST} levels stand in each other", hint="flatten them")


def _refuse_unfit_nodes(path: Path, root: yaml.Node | None) -> None:
    """Refuse what PyYAML reads without a word and nobody means: keys that stand twice, aliases that do not end."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        """How much there is with all aliases followed."""
        if id(node) not in sizes:
            sizes[id(node)] = _MOST  # until it is known: for an alias within what it leads to
            sizes[id(node)] = 1 + sum(map(size, _parts(path, node)))
        if sizes[id(node)] >= _MOST:
            line = node.start_mark.line + 1
            raise ContractError(path, line, "its aliases do not end, or are too many", hint="write out what is meant")
        return sizes[id(node)]

    if root is not None:
        size(root)


def _parts(path: Path, node: yaml.Node) -> list[yaml.Node]:
    """What a node holds; half a contract would be lost where the last of two equal keys is kept."""
    if not isinstance(node, yaml.MappingNode):
        return list(node.value) if isinstance(node, yaml.SequenceNode) else []
    seen: set[Any] = set()
    for key, _ in node.value:
        if key.value in seen:
            raise ContractError(
                path, key.start_mark.line + 1, f"'{key.value}' stands twice", hint="keep one of the two"
            )
        seen.add(key.value)
    return [value for _, value in node.value]
