"""The moment that a file name bears."""

import re
from datetime import UTC, datetime, timedelta

from dropledger.core.errors import DataRefused

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
    (?: (?P<utc> Z (?![a-z]) | [-_ ]? (?:UTC|GMT) (?![a-z]) ) | (?P<offset>[+] [0-9]{{2}} :? [0-9]{{2}}) (?![0-9])
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


def as_of_in_name(name: str, zone: str | None = None) -> datetime | None:
    """The date, or the timestamp (UTC), in a file name; None where it bears nothing like a date.

    A moment that bears no zone is one in `zone`, such as Europe/Madrid; else it is in UTC.

    A date is written 2025-10-31, 20251031, 2025_10_31 or 2025.10.31; a time behind it T103000, -1030, _103000 or as
    part of fourteen digits, with Z or an offset such as +0200 where it has a zone. docs/concepts.md tells it all.

    Raises:
        DataRefused: the name holds two different moments, an impossible one, or something like a date in a form that is
            not read; none is picked at random.
    """
    found: set[datetime] = set()
    rest, end = "", 0
    for match in _MOMENT.finditer(name):
        moment = _moment(match, zone)
        if moment is None and match["year"] is None:
            continue  # digits that are no date, such as an account number
        behind = name[match.end() :]
        timed = match.end() > (match.end("day") if match["year"] else match.end("other_day"))
        if moment is None or _MORE.match(behind) or (timed and _MORE_OF_A_TIME.match(behind)):
            raise refused_name(f"holds '{_shown(name, match)}', which is no date or time that is read in full")
        found.add(moment)
        rest += name[end : match.start()] + "|"
        end = match.end()
    rest += name[end:]
    like = _LIKE_A_DATE.search(rest)
    if like is not None:
        raise refused_name(f"holds '{like[0]}', which is like a date and is none in a form that is read")
    if len(found) > 1:
        raise refused_name(f"holds {len(found)} different dates")
    return found.pop() if found else None


def refused_name(what: str) -> DataRefused:
    """The refusal of a file name that holds or bears this."""
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


def _moment(match: re.Match[str], zone: str | None) -> datetime | None:
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
        if zone is not None and not (offset or match["utc"]):
            return in_zone(there, zone)
        return there - _offset(offset) if offset else there
    except (ValueError, OverflowError):
        return None


def in_zone(there: datetime, zone: str) -> datetime:
    """The moment (UTC) at which clocks in a zone show a time.

    Raises:
        DataRefused: they show it twice, or never.
    """
    from zoneinfo import ZoneInfo

    local = there.replace(tzinfo=ZoneInfo(zone))
    moments = {local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    if len(moments) > 1:
        raise refused_name(f"bears {there:%Y-%m-%d %H:%M}, which comes twice or never on the clocks of {zone}")
    return moments.pop()


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
