"""The words of the domain: a file that dropped, the claim on it, its identity and its as_of."""

import hashlib
import json
import re
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path


class AsOfSource(StrEnum):
    """Where a drop's as_of came from, in order of precedence."""

    OPTION = "option"
    FILE_NAME = "file_name"
    METADATA = "metadata"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class FileDropped:
    """A file landed. All that the pipeline knows of where drops come from.

    `feed` is the one that was named, or the folder in the inbox, whether there is such a feed or not. `feed_if_known`
    is whether the file name tells it where there is not, as the file lies further down.
    `metadata_unread` is what the metadata say of its as_of where that is no moment.
    `version` is the store's own mark for this content, where others may follow or precede it under the same uri.
    `control` is the control file that landed beside it, where its contract wants one.
    """

    uri: str
    name: str
    modified_at: datetime
    feed: str | None = None
    as_of: datetime | None = None
    metadata_as_of: datetime | None = None
    metadata_unread: str | None = None
    feed_if_known: bool = False
    keep_original: bool = False
    version: str | None = None
    control: "FileDropped | None" = None

    @property
    def content(self) -> tuple[str, str | None]:
        """What landed, whatever else is known of it by now."""
        return self.uri, self.version


@dataclass(frozen=True, slots=True)
class Claim:
    """A drop taken into work: nobody else will take it, and a crash will not lose it.

    `path` is a local file with the bytes as received; `claim_id` names this delivery for good. `damage` is there if it
    is no longer known what dropped: `dropped` then says what can be told. `placed` is whether an earlier process has
    let the bytes be read under the name that they are archived by. `control` is a local file with the bytes of its
    control file, if there is one.
    """

    claim_id: str
    path: Path
    dropped: FileDropped
    damage: str = ""
    placed: bool = False
    control: Path | None = None


CONTROL = "control"
"""The name by which a claim has the bytes of its control file staged."""

_TEMPORARY_ENDINGS = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")


def is_temporary(name: str) -> bool:
    """Whether a name is one that programs give to files they are still writing."""
    return name.startswith((".", "~")) or name.casefold().endswith(_TEMPORARY_ENDINGS)


@dataclass(frozen=True, slots=True)
class AsOf:
    """The moment (UTC) from which a drop's rows are true, and what said so."""

    moment: datetime
    source: AsOfSource


def iso(moment: datetime) -> str:
    """`moment` in ISO 8601, UTC, ending in Z, with a fraction only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_DESCRIBED = {field.name for field in fields_of(FileDropped)}


def described(dropped: FileDropped) -> bytes:
    """What is known of a file that landed, as JSON; `restored` reads it."""
    moments = {
        name: iso(moment) if moment else None
        for name, moment in (
            ("modified_at", dropped.modified_at),
            ("as_of", dropped.as_of),
            ("metadata_as_of", dropped.metadata_as_of),
        )
    }
    names = {
        "uri": dropped.uri,
        "name": dropped.name,
        "feed": dropped.feed,
        "version": dropped.version,
        "metadata_unread": dropped.metadata_unread,
        "feed_if_known": dropped.feed_if_known,
    }
    if dropped.control is not None:
        names["control"] = described(dropped.control).decode()
    return json.dumps({**names, **moments}).encode()


def restored(description: bytes) -> FileDropped:
    """The file that `described` told of.

    Raises:
        ValueError: the description is damaged.
    """
    fields = json.loads(description)
    if not isinstance(fields, dict) or any(not isinstance(value, str | bool | None) for value in fields.values()):
        raise ValueError("it does not say what dropped")
    for name in ("modified_at", "as_of", "metadata_as_of"):
        fields[name] = parse_moment(str(fields[name])) if fields.get(name) else None
    if not (fields.get("uri") and fields.get("name") and fields["modified_at"]) or fields.keys() - _DESCRIBED:
        raise ValueError("it does not say what dropped, and when")
    if fields.get("control"):
        fields["control"] = restored(str(fields["control"]).encode())
    return FileDropped(**fields)


_MIDNIGHT_AT_THE_END = re.compile("[0-9][^0-9:+-]24(:|00|$)", re.ASCII)


def parse_moment(text: str) -> datetime:
    """An ISO 8601 date or timestamp as aware UTC; without a zone it is taken as UTC.

    Raises:
        ValueError: `text` is not ISO 8601, or lies outside the years 1 to 9999 in UTC.
    """
    if _MIDNIGHT_AT_THE_END.search(text):  # which some versions of Python read as the next day
        raise ValueError(f"{text} is no time of day")
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text} lies outside the calendar in UTC") from error


DROP_ID_DIGITS = 16


class DropHash:
    """Folds a file's bytes, chunk by chunk, into its `drop_id`, its SHA-256 and its size.

    The drop_id is the first 16 hex digits of SHA-256 over feed, NUL, as_of (`iso`), NUL, bytes. None as as_of
    is for rows that bring their own times: the word `rows` stands in its place, so that no name or clock matters.
    """

    def __init__(self, feed: str, as_of: datetime | None) -> None:
        self._content = hashlib.sha256()
        self._identity = hashlib.sha256(f"{feed}\0{iso(as_of) if as_of else 'rows'}\0".encode())
        self.size = 0

    def update(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._content.update(chunk)
        self._identity.update(chunk)

    @property
    def drop_id(self) -> str:
        return self._identity.hexdigest()[:DROP_ID_DIGITS]

    @property
    def sha256(self) -> str:
        return self._content.hexdigest()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a local file's bytes, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
