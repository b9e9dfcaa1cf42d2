"""Contracts as a document of the standard."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any

from dropledger.core.contracts.contract import Column, Contract, Severity
from dropledger.core.contracts.odcs import API_VERSION
from dropledger.core.contracts.odcs.date_words import to_java
from dropledger.core.contracts.odcs.quality import bounds, custom, quality_of, quality_of_check, refuses, row_count
from dropledger.core.contracts.odcs.types import logical_type
from dropledger.core.contracts.pipeline_spec import Check
from dropledger.core.contracts.yaml_file import entries_of

_OF_FEED = frozenset({"feed", "description", "owner", "key", "columns", "checks"})
_OF_COLUMN = frozenset({"name", "type", "rules", "description", "classification", "aliases"})
_FORMATS = ("date_format", "timestamp_format")


def document(contracts: Sequence[Contract], checks: Mapping[str, Sequence[Check]], title: str) -> dict[str, Any]:
    """A document of the standard, with an object for each contract; `checks` has the SQL of those of each feed.

    Its version is the SHA-256 of the contract that the ledger knows, or that of those of several.
    """
    digests = [contract.sha256 for contract in contracts]
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": title,
        "name": title,
        "version": digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest(),
        "status": "active",
        **_team(contracts),
        "schema": [_object(contract, checks.get(contract.feed, ())) for contract in contracts],
    }


def _team(contracts: Iterable[Contract]) -> dict[str, Any]:
    """The one owner of all, or each with its feeds."""
    feeds: dict[str, list[str]] = {}
    for contract in contracts:
        feeds.setdefault(contract.owner, []).append(contract.feed)
    if [*feeds] == [""]:
        return {}
    if len(feeds) == 1:
        return {"team": {"name": next(iter(feeds))}}
    owners = {owner: owned for owner, owned in feeds.items() if owner}
    members = [{"username": owner, "role": "owner", **custom({"feeds": owned})} for owner, owned in owners.items()]
    return {"team": {"members": members}}


def _object(contract: Contract, checks: Iterable[Check]) -> dict[str, Any]:
    said = _exact(entries_of(contract.yaml, contract.file))
    ours = {"mode": contract.mode, **{name: value for name, value in said.items() if name not in _OF_FEED}}
    sql = {check.definition.name: check.sql for check in checks}
    quality = [quality_of_check(check, sql.get(check.name)) for check in contract.checks]
    least = contract.volume.min_rows
    if least is not None:
        quality.append(row_count(least))
        rest = {name: value for name, value in ours.pop("volume").items() if name != "min_rows"}
        ours |= {"volume": rest} if rest else {}
    return {
        "name": contract.feed,
        "logicalType": "object",
        "physicalType": "file",
        **_if_said(description=contract.description),
        "properties": [
            _property(contract, column, entries)
            for column, entries in zip(contract.columns, said["columns"], strict=True)
        ],
        **_if_said(quality=quality),
        **custom(ours),
    }


def _property(contract: Contract, column: Column, said: Mapping[str, Any]) -> dict[str, Any]:
    logical = logical_type(column)
    options, expressed = _options(column)
    ours = {name: value for name, value in said.items() if name not in _OF_COLUMN | expressed}
    aliases = list(column.aliases)
    header = aliases.pop(0) if aliases and aliases[0] != column.name else ""
    key = [place for place, name in enumerate(contract.key, start=1) if name == column.name]
    related = [{"to": rule.to} for rule in column.rules if rule.to is not None]
    return {
        "name": column.name,
        **_if_said(physicalName=header, description=column.description),
        **_if_said(logicalType=logical),
        "physicalType": column.type,
        **_if_said(logicalTypeOptions=options),
        **({"primaryKey": True, "primaryKeyPosition": key[0]} if key else {}),
        **({"required": True} if refuses(column, "not_null") else {}),
        **({"unique": True} if refuses(column, "unique") else {}),
        **_if_said(classification=column.classification, relationships=related),
        **_if_said(quality=[quality_of(rule) for rule in column.rules]),
        **custom({**_if_said(aliases=aliases), **ours}),
    }


def _options(column: Column) -> tuple[dict[str, Any], frozenset[str]]:
    """What the standard has for the values of a column of its type, and the entries of ours that this says whole."""
    options: dict[str, Any] = {}
    expressed: set[str] = set()
    if column.type == "bigint":
        options["format"] = "i64"
    if column.type == "bigint" or column.decimal is not None:
        least, most = bounds(column.rules)
        options |= _if_said(minimum=least, maximum=most)
    patterns = [rule.pattern for rule in column.rules if rule.severity == Severity.ERROR and rule.pattern is not None]
    if column.type == "text" and patterns:
        options["pattern"] = patterns[0]
    formats = (*column.date_format, *column.timestamp_format)
    java = to_java(formats[0]) if len(formats) == 1 else None
    if java is not None:
        options["format"] = java
        expressed |= {*_FORMATS}
    if column.timezone is not None:
        options["defaultTimezone"] = column.timezone
        expressed.add("timezone")
    return options, frozenset(expressed)


def _if_said(**entries: Any) -> dict[str, Any]:
    return {name: value for name, value in entries.items() if value not in (None, "", [], {})}


def _exact(value: Any) -> Any:
    """Entries as text where they are numbers with a fraction, so that no reader makes floats of them."""
    if isinstance(value, dict):
        return {name: _exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    return str(value) if isinstance(value, Decimal) else value
