"""Where the parts of a picture are, in pixels; the templates draw them as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile, pairwise
from math import log10
from typing import Any

_BAR_WIDTH, _BAR_GAP = 5, 1
_SPARK_HEIGHT = 32
_LANE_HEIGHT, _LANE_GAP, _AXIS_HEIGHT, _NAMES_WIDTH = 26, 8, 34, 132
_SEGMENT_WIDTH = 64
_WIDER = 46
_FILLED_WIDTH, _WIDEST_SCALE = 960, 2.4
MOST_VERSIONS = 40
"""How many versions a picture of a history has at most, the newest."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a sparkline: `low` is the height of its lower part, of which the picture tells apart."""

    x: int
    width: int
    height: float
    low: float
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spark:
    """A sparkline of bars, the newest on the right."""

    width: int
    height: int
    bars: Sequence[Bar]


def spark(rows: Sequence[Mapping[str, Any]]) -> Spark:
    """The rows that drops had, one bar each, with the rejected ones as the lower part."""
    highest = max((row["rows_read"] for row in rows), default=0) or 1
    step = _BAR_WIDTH + _BAR_GAP
    bars = []
    for place, row in enumerate(rows):
        height = max(2.0, _SPARK_HEIGHT * row["rows_read"] / highest)
        low = height * row["rows_rejected"] / row["rows_read"] if row["rows_read"] else 0.0
        bars.append(Bar(place * step, _BAR_WIDTH, round(height, 1), round(low, 1), row))
    return Spark(len(rows) * step, _SPARK_HEIGHT, bars)


@dataclass(frozen=True, slots=True)
class Line:
    """A line chart of totals: `points` as SVG has them, and the `places` of these."""

    width: int
    height: int
    points: str
    places: Sequence[tuple[float, float]]

    @property
    def last(self) -> tuple[float, float]:
        """Where the newest is."""
        return self.places[-1]


def line(values: Sequence[Any], width: int = 180, height: int = 32) -> Line | None:
    """Numbers as a line from left to right, from the smallest at the bottom to the greatest at the top."""
    if not values:
        return None
    low, high = min(values), max(values)
    across = (width - 6) / max(1, len(values) - 1)

    def at(place: int, value: Any) -> tuple[float, float]:
        up = float((value - low) / (high - low)) if high > low else 0.5
        return round(3 + place * across, 1), round(height - 3 - up * (height - 6), 1)

    places = [at(place, value) for place, value in enumerate(values)]
    return Line(width, height, " ".join(f"{x},{y}" for x, y in places), places)


def with_totals(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The totals over time that are drawn: from the first rows of a mart on, but for those that were too large."""
    since = dropwhile(lambda point: not point["row_count"], points)
    return [point for point in since if point["total"] is not None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A bar of a lane: a value that was true from `x` for `width`; `changed` is whether it differs from the one before.

    `version` is the first of the versions that have it.
    """

    x: float
    width: float
    value: Any
    changed: bool
    open: bool
    version: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Lanes:
    """The history of a key: the lanes by column, the gaps (`x`, `width`), and the times on the axis (`x`, time)."""

    width: float
    height: float
    left: int
    top: int
    lane_height: int
    lanes: Sequence[tuple[str, int, Sequence[Stretch]]]
    gaps: Sequence[tuple[float, float]]
    axis: Sequence[tuple[float, datetime | None]]
    left_out: int


def lanes(versions: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Lanes:
    """A picture of a key's versions, in order of time: a lane for each column. The axis is not to scale: a stretch of
    time is the wider the longer it is, by its logarithm.
    """
    shown = versions[-MOST_VERSIONS:]
    edges: list[datetime] = sorted(
        {moment for version in shown for moment in (version["valid_from"], version["valid_to"]) if moment is not None}
    )
    lengths = [_wide(after - before) for before, after in pairwise(edges)]
    still = _SEGMENT_WIDTH + _WIDER if shown[-1]["valid_to"] is None else 0  # how wide the time is that has no end
    scale = max(1.0, min(_WIDEST_SCALE, _FILLED_WIDTH / (sum(lengths) + still)))
    places = {edges[0]: float(_NAMES_WIDTH)}
    for (before, after), length in zip(pairwise(edges), lengths, strict=True):
        places[after] = round(places[before] + scale * length, 1)
    end = round(places[edges[-1]] + scale * still, 1)

    def span(version: Mapping[str, Any]) -> tuple[float, float]:
        begins = places[version["valid_from"]]
        return begins, (end if version["valid_to"] is None else places[version["valid_to"]]) - begins

    gaps = [
        (places[one["valid_to"]], places[other["valid_from"]] - places[one["valid_to"]])
        for one, other in pairwise(shown)
        if one["valid_to"] is not None and one["valid_to"] < other["valid_from"]
    ]
    step = _LANE_HEIGHT + _LANE_GAP
    found = [
        (column, _AXIS_HEIGHT + place * step, _stretches(shown, column, span)) for place, column in enumerate(columns)
    ]
    axis: list[tuple[float, datetime | None]] = [(places[moment], moment) for moment in edges]
    if shown[-1]["valid_to"] is None:
        axis.append((end, None))
    height = _AXIS_HEIGHT + max(1, len(columns)) * step
    return Lanes(
        round(end) + 2, height, _NAMES_WIDTH, _AXIS_HEIGHT, _LANE_HEIGHT, found, gaps, axis, len(versions) - len(shown)
    )


def _wide(length: timedelta) -> float:
    days = length.total_seconds() / 86400
    return round(_SEGMENT_WIDTH + _WIDER * log10(1 + days), 1)


def _stretches(versions: Sequence[Mapping[str, Any]], column: str, span: Any) -> Sequence[Stretch]:
    """The bars of a column: versions that follow each other without a gap and have the same value are one."""
    found: list[Stretch] = []
    before: Mapping[str, Any] | None = None
    for version in versions:
        x, width = span(version)
        meets = before is not None and before["valid_to"] == version["valid_from"]
        if meets and before is not None and before[column] == version[column]:
            last = found.pop()
            joined = round(last.width + width, 1)
            found.append(Stretch(last.x, joined, last.value, last.changed, version["valid_to"] is None, last.version))
        else:
            changed = before is not None and before[column] != version[column]
            found.append(Stretch(x, width, version[column], changed, version["valid_to"] is None, version))
        before = version
    return found
