"""The words of the domain: a file that dropped, the claim on it, its identity and its as_of."""

import hashlib
import json
import re
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import UTC, datetime, timedelta
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

    `feed` is the one that was named, or the folder in the inbox, whether there is such a feed or not. `feed_if_known`
    is whether the file name tells it where there is not, as the file lies further down.
    `metadata_unread` is what the metadata say of its as_of where that is no moment.
    `version` is the store's own mark for this content, where others may follow or precede it under the same uri.
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

    @property
    def content(self) -> tuple[str, str | None]:
        """What landed, whatever else is known of it by now."""
        return self.uri, self.version


@dataclass(frozen=True, slots=True)
class Claim:
    """A drop taken into work: nobody else will take it, and a crash will not lose it.

    `path` is a local file with the bytes as received; `claim_id` names this delivery for good. `damage` is there if it
    is no longer known what dropped: `dropped` then says what can be told. `placed` is whether an earlier process has
    let the bytes be read under the name that they are archived by.
    """

    claim_id: str
    path: Path
    dropped: FileDropped
    damage: str = ""
    placed: bool = False


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


_FLAGS = re.VERBOSE | re.IGNORECASE | re.ASCII
_YEAR = "(?:19|20|21)[0-9]{2}"
_ZONES = (
    "EST|EDT|CST|CDT|MST|MDT|PST|PDT|AKST|AKDT|HST|AST|ADT|NST|BRT|WET|WEST|CET|CEST|MEZ|MESZ|BST|IST|EET|EEST"
    "|MSK|SAST|PKT|HKT|SGT|JST|KST|ACST|AEST|AEDT|AWST|NZST|NZDT"
)

# Four digits, a month and a day. With dashes any year is one; else the digits may be an account number.
_DAY = rf"""(?<![0-9])
    (?: (?P<year>{_YEAR}) (?P<sep>[-_.]?) (?P<month>[0-9]{{2}}) (?P=sep) (?P<day>[0-9]{{2}})
      | (?P<other_year>[0-9]{{4}}) - (?P<other_month>[0-9]{{2}}) - (?P<other_day>[0-9]{{2}}) )"""
_STARTS_A_DAY = rf"(?!{_YEAR}(?P<s>[-_.]?)[0-9]{{2}}(?P=s)[0-9]{{2}}(?![0-9]))"
_TIME = rf"""
    (?: T (?P<t_hour>[0-9]{{2}}) [:-]? (?P<t_minute>[0-9]{{2}}) (?: [:-]? (?P<t_second>[0-9]{{2}}) )?
      | [-_ ] {_STARTS_A_DAY} (?P<hour>[01][0-9]|2[0-4])
        (?: (?P<minute>[0-9]{{2}}) (?P<second>[0-9]{{2}})?
          | (?P<mark>[:._-]) (?P<m_minute>[0-9]{{2}}) (?P=mark) (?P<m_second>[0-9]{{2}})
          | : (?P<c_minute>[0-9]{{2}}) )
      | (?<=[0-9]{{8}}) (?P<j_hour>[0-9]{{2}}) (?P<j_minute>[0-9]{{2}}) (?P<j_second>[0-9]{{2}}) )
    (?![0-9])
    (?: [.,] (?P<fraction>[0-9]{{3}}(?:[0-9]{{3}})?) (?![0-9]) )?
    (?: Z (?![a-z]) | [-_ ]? (?:UTC|GMT) (?![a-z]) | (?P<offset>[+] [0-9]{{2}} :? [0-9]{{2}}) (?![0-9])
      | (?<=T[0-9]{{6}}) (?P<west>- [0-9]{{2}} :? [0-9]{{2}}) (?![0-9]) )?"""
_MOMENT = re.compile(rf"{_DAY} (?: {_TIME} | (?![0-9]) )", _FLAGS)

# What begins behind a moment and would say more of it, if it were read.
_MORE = re.compile(
    rf"""T[0-9] | [+][0-9]
    | [-_ ]? (?:{_ZONES}) (?![a-z])
    | [-_ ]? [0-9]{{1,2}} h [0-9]{{2}} (?![0-9])
    | [-_ ] {_STARTS_A_DAY} (?:[01][0-9]|2[0-4]) [0-9]{{2}} (?:[0-9]{{2}})? (?![0-9])
    | [.] (?:[01][0-9]|2[0-4]) [0-5][0-9] (?:[0-5][0-9])? (?![0-9])
    | [-_ ] (?:[01][0-9]|2[0-4]) (?P<m>[:._-]) [0-5][0-9] (?![0-9]|(?P=m)[0-9]{{2}})""",
    _FLAGS,
)
_MORE_OF_A_TIME = re.compile(
    rf"""[+-][0-9] | [.,][0-9] | [:][0-9] | [-_ ]? [ap]m (?![a-z]) | [-_ ]? (?:{_ZONES}) (?![a-z])""", _FLAGS
)

_MONTHS = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_MONTH, _OF_MONTH = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_HOUR, _SIXTY = "(?:[01][0-9]|2[0-4])", "[0-5][0-9]"
# Other things that people take for a date.
_LIKE_A_DATE = re.compile(
    rf"""(?<![0-9])
    (?: {_YEAR} [0-9]{{4}} (?:[0-9]{{6}})? (?![0-9])
      | {_YEAR} {_MONTH} {_OF_MONTH} {_HOUR} (?: {_SIXTY} (?: {_SIXTY} [0-9]{{3}} (?:[0-9]{{3}})? )? )? (?![0-9])
      | {_YEAR} [^0-9a-z]? [0-9]{{2}} [^0-9a-z]? [0-9]{{2}} (?![0-9])
      | {_YEAR} [^0-9a-z] [0-9]{{1,2}} [^0-9a-z] [0-9]{{1,2}} (?![0-9])
      | [0-9]{{4}} {_YEAR} (?![0-9])
      | (?: {_OF_MONTH}{_MONTH} | {_MONTH}{_OF_MONTH} ) {_YEAR} {_HOUR} {_SIXTY} (?:{_SIXTY})? (?![0-9])
      | [0-9]{{1,2}} [^0-9a-z] [0-9]{{1,2}} [^0-9a-z] {_YEAR} (?![0-9])
      | [0-9]{{1,2}} [^0-9a-z]? {_MONTHS} [^0-9a-z]? {_YEAR} (?![0-9])
      | {_YEAR} [^0-9a-z]? {_MONTHS} [^0-9a-z]? [0-9]{{1,2}} (?![0-9])
      | (?<![a-z]) {_MONTHS} [^0-9a-z]{{0,2}} [0-9]{{1,2}} [^0-9a-z]{{1,2}} {_YEAR} (?![0-9]) )""",
    _FLAGS,
)


def as_of_in_name(name: str) -> datetime | None:
    """The date, or the timestamp (UTC), in a file name; None where it bears nothing like a date.

    A date is written 2025-10-31, 20251031, 2025_10_31 or 2025.10.31; a time behind it T103000, -1030, _103000 or as
    part of fourteen digits, with Z or an offset such as +0200 where it has a zone. docs/concepts.md tells it all.

    Raises:
        DataRefused: the name holds two different moments, an impossible one, or something like a date in a form that is
            not read; none is picked at random.
    """
    found: set[datetime] = set()
    rest, end = "", 0
    for match in _MOMENT.finditer(name):
        moment = _moment(match)
        if moment is None and match["year"] is None:
            continue  # digits that are no date, such as an account number
        behind = name[match.end() :]
        timed = match.end() > (match.end("day") if match["year"] else match.end("other_day"))
        if moment is None or _MORE.match(behind) or (timed and _MORE_OF_A_TIME.match(behind)):
            raise _refused(f"holds '{_shown(name, match)}', which is no date or time that is read in full")
        found.add(moment)
        rest += name[end : match.start()] + "|"
        end = match.end()
    rest += name[end:]
    like = _LIKE_A_DATE.search(rest)
    if like is not None:
        raise _refused(f"holds '{like[0]}', which is like a date and is none in a form that is read")
    if len(found) > 1:
        raise _refused(f"holds {len(found)} different dates")
    return found.pop() if found else None


def _refused(what: str) -> DataRefused:
    return DataRefused(
        "ambiguous_as_of",
        f"the file name {what}",
        hint="leave one date in the name, like 2025-10-31 or 20251031T103000Z (UTC), or give it with --as-of; where "
        "names of the feed bear digits that are no date, leave file_name out of the contract's as_of",
    )


def _shown(name: str, match: re.Match[str]) -> str:
    """What was taken for a moment, with the letters and digits right behind it."""
    rest = re.match(r"[-_ :+]?[0-9A-Za-z]*|[.,][0-9]+", name[match.end() :])
    return match[0] + (rest[0] if rest else "")


def _moment(match: re.Match[str]) -> datetime | None:
    """The moment that a match means; None where no calendar or clock has it."""

    def part(*groups: str) -> int:
        return int(next((match[group] for group in groups if match[group]), "0"))

    offset = match["offset"] or match["west"]
    try:
        there = datetime(
            part("year", "other_year"),
            part("month", "other_month"),
            part("day", "other_day"),
            part("t_hour", "hour", "j_hour"),
            part("t_minute", "minute", "m_minute", "c_minute", "j_minute"),
            part("t_second", "second", "m_second", "j_second"),
            int((match["fraction"] or "0").ljust(6, "0")),
            tzinfo=UTC,
        )
        return there - _offset(offset) if offset else there
    except (ValueError, OverflowError):
        return None


def _offset(text: str) -> timedelta:
    """How far a zone such as +0200 is ahead of UTC.

    Raises:
        ValueError: there is no such zone.
    """
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 14 or minutes > 59:  # no place on earth is further ahead
        raise ValueError(text)
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if text[0] == "-" else ahead
