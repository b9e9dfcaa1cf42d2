"""A property of the standard as a column of a contract, in its entries."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from dropledger.core.contracts.contract import normalise_header
from dropledger.core.contracts.contract_file import Column, Rule
from dropledger.core.contracts.odcs.date_words import from_java
from dropledger.core.contracts.odcs.document import Property
from dropledger.core.contracts.odcs.notes import Notes
from dropledger.core.contracts.odcs.rules import IN_SQL, Entries, rule_of, rules_of_options, word_of
from dropledger.core.contracts.odcs.types import type_of
from dropledger.core.ports.session import Matches

_WORDS = {"rule": "accepted_values", "values": {"true": True, "false": False}}


def column_of(
    found: Property, name: str, relations: Sequence[Entries], format_: str, matches: Matches, notes: Notes
) -> Entries:
    """The column, called `name`, that a property is in files of a format; `relations` are its relationship rules."""
    base = _base(found, name, format_, notes)
    rules = _Rules(base, matches, notes)
    for quality in found.quality:
        rule = rule_of(quality, notes)
        if rule is not None:
            rules.take(rule)
    if found.enum and not rules.has("accepted_values"):
        rules.take({"rule": "accepted_values", "values": [word_of(one.value) for one in found.enum]})
    if (found.required or found.primary_key) and not rules.refuses("not_null"):
        rules.take({"rule": "not_null"}, first=True)
    if found.unique and not rules.refuses("unique"):
        rules.take({"rule": "unique"})
    for relation in relations:
        if not any(rule.get("to") == relation["to"] for rule in rules.taken):
            rules.take(relation)
    for rule in rules_of_options(_left(found, base), _scale(base["type"]), rules.taken, notes):
        rules.take(rule)
    if base["type"] == "boolean" and not rules.has("accepted_values"):
        rules.take(_WORDS)
        notes.add("the document does not say how true and false are written", "correct the words under accepted_values")
    notes.unread([found, *found.enum, *found.quality, *found.relationships])
    entries = {**base, "rules": [_shown(rule) for rule in rules.taken]}
    unknown = [entry for entry in entries if entry not in Column.model_fields]  # for the contract to be told of
    return {entry: entries[entry] for entry in [*Column.model_fields, *unknown] if entries.get(entry)}


def _shown(rule: Entries) -> str | Entries:
    ordered = {entry: rule[entry] for entry in Rule.model_fields if entry in rule}
    return str(rule["rule"]) if len(ordered) == 1 else ordered


class _Rules:
    """The rules of a column that go with it; what does not is noted."""

    def __init__(self, base: Mapping[str, Any], matches: Matches, notes: Notes) -> None:
        self.taken: list[Entries] = []
        self._base, self._matches, self._notes = base, matches, notes

    def take(self, rule: Entries, *, first: bool = False) -> None:
        why = self._unfit(rule)
        if why:
            self._notes.add(f"{rule} is no rule of it, as {why}", IN_SQL)
        else:
            self.taken.insert(0 if first else len(self.taken), rule)

    def has(self, kind: str) -> bool:
        return any(rule["rule"] == kind for rule in self.taken)

    def refuses(self, kind: str) -> bool:
        return any(rule["rule"] == kind and rule.get("severity", "error") == "error" for rule in self.taken)

    def _unfit(self, rule: Entries) -> str:
        needed = [] if self.has("accepted_values") or self._base["type"] != "boolean" else [_WORDS]
        words = needed if rule.get("rule") != "accepted_values" else []
        why = unfit({**self._base, "rules": [*words, *self.taken, rule]})
        pattern = rule.get("pattern")
        if why or not isinstance(pattern, str):
            return why
        try:
            self._matches(pattern, "")
        except ValueError as error:
            return f"it does not compile as RE2: {error}"
        return ""


def unfit(entries: Mapping[str, Any]) -> str:
    """Why entries are no column; empty if they are one."""
    try:
        Column.model_validate(dict(entries))
    except ValidationError as error:
        return error.errors()[0]["msg"].removeprefix("Value error, ")
    return ""


def _base(found: Property, name: str, format_: str, notes: Notes) -> Entries:
    """The column without rules."""
    base: Entries = {
        "name": name,
        **found.ours,
        **_headers(found, name, format_),
        "type": _type(found, format_, notes),
        "description": found.description,
        "classification": found.classification,
    }
    read = _reading(found, base["type"])
    words = [_WORDS] if base["type"] == "boolean" else []
    if read and (why := unfit({**base, **read, "rules": words})):
        notes.add(f"of logicalTypeOptions {read} is not read, as {why}", "say how files write it")
        read = {}
    if "format" in found.logical_type_options and base["type"] in {"date", "timestamp"} and not read:
        notes.add(f"the format {found.logical_type_options['format']} has no words here", "say how files write it")
    return {**base, **read}


def _type(found: Property, format_: str, notes: Notes) -> str:
    typed = type_of(found.logical_type, found.physical_type)
    if typed.lost:
        notes.add(typed.lost, typed.hint)
    if typed.type == "json" and format_ == "csv":
        notes.add(
            "is an object or a list, which CSV files have as text",
            "say format: ndjson, json or parquet, and type: json",
        )
        return "text"
    if typed.type == "json" and (found.model_extra or {}).get("properties"):
        notes.add("its properties are kept as they are", "give each that matters a column with a path")
    return typed.type


def _headers(found: Property, name: str, format_: str) -> Entries:
    """What files call it, where that is not its name."""
    ours = found.ours.get("aliases", [])
    others = [*ours] if isinstance(ours, list) else [ours]
    if found.physical_name and found.physical_name != name:
        others.insert(0, found.physical_name)
    if normalise_header(found.name) != normalise_header(name) and found.name not in others:
        others.append(found.name)
    if format_ in {"csv", "parquet"} or not others:
        return {"aliases": others}
    return {} if "path" in found.ours else {"path": others[0]}


def _reading(found: Property, type_: str) -> Entries:
    """How files write dates and times of it."""
    options = found.logical_type_options
    format_ = from_java(str(options["format"])) if "format" in options else None
    zone = options.get("defaultTimezone")
    read = {}
    if format_ is not None and type_ in {"date", "timestamp"}:
        read[f"{type_}_format"] = format_
    has_zone = format_ is not None and ("%z" in format_ or "%Z" in format_)
    if zone is not None and type_ == "timestamp" and not has_zone:
        read["timezone"] = str(zone)
    return read


def _left(found: Property, base: Mapping[str, Any]) -> Property:
    """The property without the options that its type says already."""
    said = {"defaultTimezone"} if {"timezone", "timestamp_format"} & base.keys() else set()
    if base["type"] in {"date", "timestamp"} or str(found.logical_type_options.get("format")) in {
        "i8",
        "i16",
        "i32",
        "i64",
    }:
        said.add("format")
    options = {name: value for name, value in found.logical_type_options.items() if name not in said}
    return found.model_copy(update={"logical_type_options": options})


def _scale(type_: str) -> int | None:
    if type_ == "bigint":
        return 0
    return int(type_.split(",")[1].rstrip(")")) if type_.startswith("decimal") else None
