"""An object of the standard as a contract, in its entries."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dropledger.core.contracts.contract_file import Contract
from dropledger.core.contracts.odcs import OURS
from dropledger.core.contracts.odcs.column import column_of
from dropledger.core.contracts.odcs.document import (
    Document,
    Property,
    Quality,
    Relationship,
    SchemaObject,
    Server,
    Team,
)
from dropledger.core.contracts.odcs.names import renamed, renamed_columns
from dropledger.core.contracts.odcs.notes import Notes
from dropledger.core.contracts.odcs.rules import IN_SQL, Entries, metric_of, named, severity
from dropledger.core.ports.session import Matches

_FORMATS = {"csv": "csv", "parquet": "parquet", "json": "ndjson"}


@dataclass(frozen=True)
class Names:
    """What the feeds and columns of a document are called here, by what it calls them."""

    feeds: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, document: Document) -> "Names":
        objects = document.objects
        feeds = dict(zip((found.name for found in objects), renamed([found.name for found in objects]), strict=True))
        return cls(feeds, {found.name: _columns(found) for found in objects})

    def of_reference(self, to: str) -> str | None:
        """The `feed.column` that a reference leads to; None where it leads into another document."""
        parts = to.strip("/").split("/")
        if len(parts) == 4 and parts[0] == "schema" and parts[2] == "properties":
            parts = [parts[1], parts[3]]
        elif len(parts) == 1:
            parts = to.split(".")
        if len(parts) != 2:
            return None
        feed, column = parts
        if feed not in self.feeds:
            return ".".join((*renamed([feed]), *renamed_columns([column])))
        return f"{self.feeds[feed]}.{self.columns[feed].get(column, column)}"


def _columns(found: SchemaObject) -> dict[str, str]:
    names = [property_.name for property_ in found.properties]
    return dict(zip(names, renamed_columns(names), strict=True))


def feed_of(found: SchemaObject, document: Document, names: Names, matches: Matches, notes: Notes) -> Entries:
    """The contract that an object of a document is; what it does not say is noted."""
    feed, columns = names.feeds[found.name], names.columns[found.name]
    ours = {**_files(found, document.servers, feed, notes), **found.ours}
    relations = _relations(found, names, notes)
    checks, least = _of_all_rows(found, notes)
    if least is not None:
        rest = ours.get("volume", {})
        ours["volume"] = {"min_rows": least, **rest} if isinstance(rest, Mapping) else rest
    if initial := ours.get("initial"):
        notes.add(f"its initial rows stand in a file of their own, {initial}", "put that beside the contract")
    notes.unread([found, *found.quality, *found.relationships])
    key = _key(found, columns, notes)
    entries = {
        **ours,
        "feed": feed,
        "description": found.description or (document.description.purpose if len(document.objects) == 1 else ""),
        "owner": _owner(document.team, feed, notes),
        "key": key,
        "columns": [
            column_of(
                _without_what_key_says(property_, key),
                columns[property_.name],
                relations.get(property_.name, ()),
                str(ours.get("format", "csv")),
                matches,
                notes.within(columns[property_.name]),
            )
            for property_ in found.properties
        ],
        "checks": checks,
    }
    unknown = [entry for entry in entries if entry not in Contract.model_fields]  # for the contract to be told of
    ordered = [*Contract.model_fields, *unknown]
    return {entry: entries[entry] for entry in ordered if entries.get(entry) not in (None, "", [], {})}


def _files(found: SchemaObject, servers: Sequence[Server], feed: str, notes: Notes) -> Entries:
    """Which files are the feed's, and of which format: as a server says, or as may be."""
    if "files" in found.ours:
        return {}
    server = next((one for one in servers if one.format.lower() in _FORMATS), None)
    format_ = _FORMATS[server.format.lower()] if server else "csv"
    if server is not None and format_ == "ndjson" and server.delimiter == "array":
        format_ = "json"
    place = (server.location or server.path) if server else ""
    last = place.replace("{model}", found.name).rsplit("/", 1)[-1]
    pattern = last if "." in last else f"{feed}*.{format_}"
    notes.add(f"the document does not say how files are called; {pattern} is taken", "correct files, and format")
    if len(servers) > (server is not None):
        notes.add("no contract says the servers", "a root is named by --root")
    return {"files": [pattern], **({"format": format_} if format_ != "csv" else {})}


def _owner(team: Team, feed: str, notes: Notes) -> str:
    for member in team.members:
        feeds = member.ours.get("feeds", [])
        if isinstance(feeds, list) and feed in feeds:
            return member.username
    others = [member for member in team.members if OURS not in {one.property for one in member.custom_properties}]
    owner = next((member for member in others if "owner" in member.role.lower()), None)
    left = [member.username for member in others if member is not owner or team.name]
    if left:
        notes.add(f"an owner is one text, so {', '.join(left)} of the team stand nowhere", "keep them in the document")
    return team.name or (owner.username if owner else "")


def _key(found: SchemaObject, columns: Mapping[str, str], notes: Notes) -> list[str]:
    parts = [property_ for property_ in found.properties if property_.primary_key]
    parts.sort(key=lambda part: part.primary_key_position if part.primary_key_position > 0 else len(columns) + 1)
    if parts:
        return [columns[part.name] for part in parts]
    unique = [part for part in found.properties if part.unique and part.required]
    if len(unique) == 1:
        notes.add(f"has no primary key; {unique[0].name} is taken, as it is unique and required", "correct key")
        return [columns[unique[0].name]]
    notes.add("has no primary key", "name under key what identifies a row")
    return []


def _without_what_key_says(found: Property, key: Sequence[str]) -> Property:
    """A property that is not said to be unique where it is the whole key."""
    return found.model_copy(update={"unique": False}) if found.primary_key and len(key) == 1 else found


def _relations(found: SchemaObject, names: Names, notes: Notes) -> dict[str, list[Entries]]:
    """The relationship rules of properties, by their names in the document."""
    relations: dict[str, list[Entries]] = {}
    for source, relation in _references(found):
        to = names.of_reference(relation.to) if isinstance(relation.to, str) else None
        if source not in names.columns[found.name] or to is None:
            notes.add(f"the relationship to {relation.to} is not from one column to a feed's key", IN_SQL)
        else:
            relations.setdefault(source, []).append({"rule": "relationship", "to": to, "severity": "warn"})
    return relations


def _references(found: SchemaObject) -> Iterator[tuple[str, Relationship]]:
    for property_ in found.properties:
        for relation in property_.relationships:
            yield property_.name, relation
    for relation in found.relationships:
        source = relation.source if isinstance(relation.source, str) else ""
        yield source.strip("/").replace("/", ".").rsplit(".", 1)[-1], relation


def _of_all_rows(found: SchemaObject, notes: Notes) -> tuple[list[Entries], int | None]:
    """The checks that the object's quality rules are, and how many rows a file must have."""
    checks, least = [], []
    for quality in found.quality:
        implementation = quality.implementation
        if quality.engine == OURS and isinstance(implementation, dict) and "check" in implementation:
            checks.append(_check(quality, implementation, notes))
        elif (rows := _rows(quality)) is not None:
            least.append(rows)
        else:
            notes.add(f"{named(quality)} is none of the file's own", IN_SQL)
    return checks, max(least, default=None)


def _check(quality: Quality, implementation: Mapping[str, Any], notes: Notes) -> Entries:
    name = str(implementation["check"])
    told = f":\n{implementation['sql']}" if "sql" in implementation else ""
    notes.add(f"the check {name} is SQL in a file of its own", f"write it into checks/{notes.where}/{name}.sql{told}")
    level = {"severity": "warn"} if severity(quality) == "warn" else {}
    return {"name": name, **level, "message": quality.description}


def _rows(quality: Quality) -> int | None:
    """How many rows a file must have by this rule; None where it says something else."""
    if metric_of(quality) != "rowCount" or quality.of_percent or severity(quality) == "warn":
        return None
    match dict(quality.operators):
        case {"mustBeGreaterOrEqualTo": int() | Decimal() as least, **rest} if not rest and least >= 1:
            return int(least.__ceil__())
        case {"mustBeGreaterThan": int() | Decimal() as below, **rest} if not rest and below >= 0:
            return int(below.__floor__()) + 1
    return None
