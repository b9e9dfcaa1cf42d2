"""What is read of a document of the standard. Entries that nothing here names are kept to be told of."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from dropledger.core.contracts.odcs import API_VERSION, OURS


class Element(BaseModel):
    """What all parts of a document have."""

    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel, coerce_numbers_to_str=True)
    SAYS_NOTHING: ClassVar[frozenset[str]] = frozenset({"id"})

    custom_properties: "tuple[CustomProperty, ...]" = ()

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, given: object) -> object:
        if isinstance(given, Mapping):
            return {name: value for name, value in given.items() if value is not None}
        return given

    @property
    def ours(self) -> Mapping[str, Any]:
        """The entries that the standard has no words for; empty in a document that others wrote."""
        found = [property_.value for property_ in self.custom_properties if property_.property == OURS]
        return found[0] if found and isinstance(found[0], Mapping) else {}

    @property
    def unread(self) -> list[str]:
        """What it says that nothing here reads, by name."""
        others = [f"customProperties {one.property}" for one in self.custom_properties if one.property != OURS]
        said = (name for name, value in (self.model_extra or {}).items() if value)
        return [*(name for name in said if name not in self.SAYS_NOTHING), *others]


class CustomProperty(BaseModel):
    """A property that the standard does not have."""

    property: str
    value: Any = None


class Quality(Element):
    """A rule of a property or of an object. What it must be stands in `operators`."""

    SAYS_NOTHING = frozenset({"id", "dimension", "unit", "businessImpact", "tags", "method"})

    name: str = ""
    description: str = ""
    severity: str = "error"
    type: str = "library"
    metric: str = ""
    rule: str = ""
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    engine: str = ""
    implementation: Any = None
    query: str = ""

    @property
    def operators(self) -> Mapping[str, Any]:
        return {name: value for name, value in (self.model_extra or {}).items() if name.startswith("must")}

    @property
    def unread(self) -> list[str]:
        return [name for name in super().unread if name not in self.operators]

    @property
    def of_percent(self) -> bool:
        return str((self.model_extra or {}).get("unit", "")) == "percent"


class Relationship(Element):
    """A reference from a property, or from the properties that `from` names, to others."""

    SAYS_NOTHING = frozenset({"id", "type"})

    to: str | list[str]
    source: Annotated[str | list[str] | None, Field(alias="from")] = None


class Word(Element):
    """One of the values that there are, as from version 3.2 on."""

    value: Any = None


class Property(Element):
    """A column."""

    SAYS_NOTHING = frozenset({"id", "partitioned", "partitionKeyPosition", "properties", "items"})

    name: str = Field(min_length=1)
    physical_name: str | None = None
    description: str = ""
    logical_type: str | None = None
    physical_type: str | None = None
    logical_type_options: Mapping[str, Any] = Field(default_factory=dict)
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    primary_key_position: int = -1
    classification: str | None = None
    enum: tuple[Word, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    quality: tuple[Quality, ...] = ()


class SchemaObject(Element):
    """A table, file or topic."""

    SAYS_NOTHING = frozenset({"id", "logicalType", "physicalType", "physicalName"})

    name: str = Field(min_length=1)
    description: str = ""
    properties: tuple[Property, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    quality: tuple[Quality, ...] = ()


class Server(Element):
    """Where files lie."""

    server: str = ""
    format: str = ""
    delimiter: str = ""
    location: str = ""
    path: str = ""


class Member(Element):
    """A member of a team; `ours` may name the feeds that it owns."""

    username: str = ""
    role: str = ""


class Team(Element):
    """Who owns what the document is about."""

    name: str = ""
    members: tuple[Member, ...] = ()


class Description(Element):
    """What a document is about."""

    purpose: str = ""


def _as_team(given: object) -> object:
    return {"members": given} if isinstance(given, list) else given  # as before version 3.1


class Document(Element):
    """A document of the standard."""

    SAYS_NOTHING = frozenset({"kind", "id", "name", "version", "status"})

    api_version: str
    description: Description = Description()
    objects: Annotated[tuple[SchemaObject, ...], Field(alias="schema", min_length=1)]
    servers: tuple[Server, ...] = ()
    team: Annotated[Team, BeforeValidator(_as_team)] = Team()

    @field_validator("api_version")
    @classmethod
    def _of_version_three(cls, version: str) -> str:
        if not version.startswith("v3."):
            raise ValueError(f"version {version} of the standard is not read; bring the document to {API_VERSION}")
        return version
