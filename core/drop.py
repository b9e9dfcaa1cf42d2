"""The words of the domain: a file that dropped, the claim on it, its identity and its as_of."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from core.errors import DataRefused


class AsOfSource(StrEnum):
    """Where a drop's as_of came from, in order of precedence."""

    OPTION = "option"
    FILE_NAME = "file_name"
    METADATA = "metadata"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class FileDropped:
    """A file landed. All that the pipeline knows of where drops come from.

    `version` is the store's own mark for this content, where others may follow or precede it under the same uri.
    """

    uri: str
    name: str
    modified_at: datetime
    feed: str | None = None
    as_of: datetime | None = None
    metadata_as_of: datetime | None = None
    keep_original: bool = False
    version: str | None = None

    @property
    def content(self) -> tuple[str, str | None]:
        """What landed, whatever else is known of it by now."""
        return self.uri, self.version


@dataclass(frozen=True, slots=True)
class Claim:
    """A drop taken into work: nobody else will take it, and a crash will not lose it.

    `path` is a local file with the bytes as received; `claim_id` names this delivery for good. `damage` is there if it
    is no longer known what dropped: `dropped` then says what can be told.
    """

    claim_id: str
    path: Path
    dropped: FileDropped
    damage: str = ""


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
    names = {"uri": dropped.uri, "name": dropped.name, "feed": dropped.feed, "version": dropped.version}
    return json.dumps({**names, **moments}).encode()


def restored(description: bytes) -> FileDropped:
    """The file that `described` told of.

    Raises:
        ValueError: the description is damaged.
    """
    fields = json.loads(description)
    if not isinstance(fields, dict) or any(not isinstance(value, str | None) for value in fields.values()):
        raise ValueError("it does not say what dropped")
    uri, name, modified_at = (fields.get(field) for field in ("uri", "name", "modified_at"))
    if not (uri and name and modified_at):
        raise ValueError("it does not say what dropped, and when")
    as_of, metadata_as_of = (
        parse_moment(fields[field]) if fields.get(field) else None for field in ("as_of", "metadata_as_of")
    )
    return FileDropped(
        uri, name, parse_moment(modified_at), fields.get("feed"), as_of, metadata_as_of, version=fields.get("version")
    )


def parse_moment(text: str) -> datetime:
    """An ISO 8601 date or timestamp as aware UTC; without a zone it is taken as UTC.

    Raises:
        ValueError: `text` is not ISO 8601, or lies outside the years 1 to 9999 in UTC.
    """
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

    The drop_id is the first 16 hex digits of SHA-256 over feed, NUL, as_of (`iso`), NUL, bytes.
    """

    def __init__(self, feed: str, as_of: datetime) -> None:
        self._content = hashlib.sha256()
        self._identity = hashlib.sha256(f"{feed}\0{iso(as_of)}\0".encode())
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


# A time of day stands behind a T, or as six digits behind an underscore or a blank.
_STAMP = re.compile(
    r"""(?<!\d)(\d{4})(-?)(\d{2})\2(\d{2})
    (?:T(\d{2})[:-]?(\d{2})(?:[:-]?(\d{2}))?|[_ ](\d{2}):?(\d{2}):?(\d{2}))
    Z?(?!\d|:|[+.,-]\d)""",
    re.VERBOSE | re.IGNORECASE,
)
_DAY = re.compile(r"(?<!\d)(\d{4})(-?)(\d{2})\2(\d{2})(?!-?\d|T\d)", re.IGNORECASE)
_OTHER_STAMP = re.compile(r"(?<!\d)\d{4}(-?)\d{2}\1\d{2}(?:T\d|\d{6}(?!\d))", re.IGNORECASE)


def as_of_in_name(name: str) -> datetime | None:
    """The date, or the timestamp (UTC), in a file name; None where there is none.

    Raises:
        DataRefused: the name holds two different moments, or a timestamp in a form that is not read here; none
            is picked at random.
    """
    found: set[datetime] = set()

    def take(match: re.Match[str]) -> str:
        year, month, day, hour, minute, second = (*match.group(1, 3, 4), *_time_of(match))
        try:
            found.add(datetime(*map(int, (year, month, day, hour, minute, second)), tzinfo=UTC))  # type: ignore[arg-type,misc]
        except ValueError:
            return match[0]  # digits that are no moment, such as an account number
        return "|"

    rest = _DAY.sub(take, _STAMP.sub(take, name))
    if len(found) > 1 or _OTHER_STAMP.search(rest):
        several = f"{len(found)} different dates" if len(found) > 1 else "a timestamp of another form"
        raise DataRefused(
            "ambiguous_as_of",
            f"the file name holds {several}",
            hint="leave one date in the name, like 2025-10-31 or 20251031T103000Z (UTC), or give it with --as-of",
        )
    return found.pop() if found else None


def _time_of(match: re.Match[str]) -> tuple[str, str, str]:
    if match.re is _DAY:
        return "0", "0", "0"
    hour, minute, second = match.group(5, 6, 7) if match[5] else match.group(8, 9, 10)
    return hour, minute, second or "0"
