"""Whose drop a file is, and as of when."""

import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from dropledger.core.as_of_in_name import as_of_in_name
from dropledger.core.contracts.contract import Contract, brings_times
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import AsOf, AsOfSource, FileDropped
from dropledger.core.errors import ConfigurationError, DataRefused

_DATED = re.compile("([a-z_]+=)?[0-9][0-9._-]*", re.IGNORECASE | re.ASCII)
_AHEAD = timedelta(days=1)
_SHOWN = 60  # characters of what cannot be read


def addressed(dropped: FileDropped, pipeline: Pipeline) -> tuple[Contract | None, AsOf, DataRefused | None]:
    """Whose a file is and as of when, or the refusal where that cannot be told."""
    contract: Contract | None = None
    try:
        contract = feed_of(dropped, pipeline)
        return contract, _as_of(dropped, contract), None
    except DataRefused as refusal:
        source = AsOfSource.OPTION if dropped.as_of else AsOfSource.MODIFIED
        return contract, AsOf(dropped.as_of or dropped.modified_at, source), refusal


def latest_allowed(contract: Contract, as_of: AsOf, pipeline: Pipeline, received_at: datetime) -> datetime | None:
    """The last moment that what was received then may be true from; None where any will do."""
    moves_moment = contract.feed in pipeline.file.moment
    by_hand = as_of.source == AsOfSource.OPTION and not contract.brings_facts  # whose times it does not give
    if not moves_moment or contract.future == "allowed" or by_hand:
        return None
    return received_at + _AHEAD


def ahead_of_time(contract: Contract, as_of: AsOf, latest: datetime | None) -> DataRefused | None:
    """The refusal of a drop whose as_of lies behind `latest`; rows that bring their own times are judged one by one."""
    if latest is None or as_of.moment <= latest or brings_times(contract, as_of):
        return None
    return DataRefused(
        "as_of_in_future",
        f"the as_of {as_of.moment:%Y-%m-%d %H:%M} lies more than a day ahead, and would move all figures there",
        hint="correct the date; if it is meant, give it with --as-of, or let the contract say future: allowed",
    )


def is_dated(folder: str) -> bool:
    """Whether a folder's name is one of those by which people sort files by their dates."""
    return _DATED.fullmatch(folder) is not None


def feed_of_folders(folders: Sequence[str]) -> tuple[str | None, bool]:
    """What `FileDropped` says of a file in these folders of the inbox: `feed` and `feed_if_known`."""
    if not folders or not folders[0] or is_dated(folders[0]):
        return None, False
    return folders[0], len(folders) > 1


def nearest_feed(folders: Sequence[str], feeds: Collection[str]) -> str | None:
    """The feed that the last of the folders above a file is named after, if one is."""
    return next((folder for folder in reversed(folders) if folder in feeds), None)


def feed_of(dropped: FileDropped, pipeline: Pipeline) -> Contract:
    """Whose a file is.

    Raises:
        DataRefused: it belongs to no feed, or may belong to several.
    """
    if dropped.feed is not None and (dropped.feed in pipeline.contracts or not dropped.feed_if_known):
        try:
            return pipeline.contract(dropped.feed)
        except ConfigurationError as error:
            raise DataRefused("unknown_feed", str(error), hint=error.hint) from error
    takers = [contract for contract in pipeline.contracts.values() if contract.takes(dropped.name)]
    if len(takers) == 1:
        return takers[0]
    if takers:
        raise DataRefused(
            "ambiguous_feed",
            f"the file name fits several feeds: {', '.join(contract.feed for contract in takers)}",
            hint="drop it into inbox/<feed>/, or name the feed with --feed",
        )
    patterns = ", ".join(pattern for contract in pipeline.contracts.values() for pattern in contract.files)
    raise DataRefused(
        "unknown_feed",
        "the file name fits no feed",
        hint=f"name it by one of the patterns {patterns}; or drop it into inbox/<feed>/; or name the feed with --feed",
    )


def _as_of(dropped: FileDropped, contract: Contract) -> AsOf:
    """The drop's as_of by the contract's sources, in their fixed order."""
    candidates: list[tuple[AsOfSource, Callable[[], datetime | None]]] = [
        (AsOfSource.OPTION, lambda: dropped.as_of),
        (AsOfSource.FILE_NAME, lambda: _as_of_in_name(dropped.name, contract)),
        (AsOfSource.METADATA, lambda: _as_of_in_metadata(dropped)),
        (AsOfSource.MODIFIED, lambda: dropped.modified_at),
    ]
    for source, candidate in candidates:
        if source in contract.as_of or source == AsOfSource.OPTION:
            moment = candidate()
            if moment is not None:
                return AsOf(moment, source)
    raise DataRefused(
        "no_as_of",
        "nothing says from when the rows are true",
        hint="put a date into the file name, like accounts_2025-10-31.csv, or give it with --as-of",
    )


def _as_of_in_name(name: str, contract: Contract) -> datetime | None:
    if contract.as_of_in_name is None:
        return as_of_in_name(name)
    from dropledger.core.formats.as_of_form import declared_as_of  # which few contracts need

    return declared_as_of(name, contract.as_of_in_name)


def _as_of_in_metadata(dropped: FileDropped) -> datetime | None:
    if dropped.metadata_unread is not None:
        raise DataRefused(
            "no_as_of",
            f"the object's metadata as-of is '{dropped.metadata_unread[:_SHOWN]}', which is no time that is read",
            hint="write it like 2025-10-31 or 2025-10-31T10:30:00Z, or put the date into the file name",
        )
    return dropped.metadata_as_of
