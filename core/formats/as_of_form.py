"""The moment that a file name bears in the form that a contract declares."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from dropledger.core.as_of_in_name import as_of_in_name, in_zone, refused_name
from dropledger.core.contracts.contract import NameForm
from dropledger.core.rules.moments import moment_format, moment_of


def declared_as_of(name: str, form: NameForm) -> datetime | None:
    """The moment (UTC) that a file name bears in the form that a contract declares; None where it bears no date.

    Raises:
        DataRefused: it bears another date, or one in another form.
    """
    sought = [match["as_of"] for match in re.finditer(form.pattern, name)] if form.pattern is not None else [name]
    if form.format is None:
        found = {moment for text in sought if (moment := as_of_in_name(text, form.timezone))}
    else:
        found = {moment for text in sought for moment in _in_format(text, form.format, form.timezone)}
    if len(found) > 1:
        raise refused_name(f"holds {len(found)} different dates")
    if found:
        return found.pop()
    if (form.pattern is not None and not sought) or as_of_in_name(name) is None:
        return None
    raise refused_name(f"bears a date that is not written like {form.format or form.pattern}, as the contract has it")


def _in_format(text: str, form: str, zone: str | None) -> Iterator[datetime]:
    read = moment_format(form)
    for match in re.finditer(f"(?<![0-9]){read.pattern}(?![0-9])", text):
        moment = moment_of(match[0], read)
        if moment is None:
            raise refused_name(f"holds '{match[0]}', which no calendar has")
        there = moment.replace(tzinfo=UTC)
        yield there if zone is None or read.has_zone else in_zone(there, zone)
