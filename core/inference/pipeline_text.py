"""The files of a pipeline that is made of drafts: contracts, a first mart with its check, and a test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dropledger.core.inference.contract_text import contract_yaml, scalar
from dropledger.core.inference.draft import ColumnDraft, FeedDraft
from dropledger.core.inference.templates import filled, text_of
from dropledger.core.sql.text import quoted

SAMPLE = "payments_2025-10-31.csv"
"""The file that a pipeline is made of where none is named."""

_MOST_COLUMNS = 40
_COUNT = "row_count"


@dataclass(frozen=True, slots=True)
class FirstMart:
    """A mart: its name, and its files by their names in the pipeline's folder."""

    name: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Words:
    """What a mart's YAML file says, in words and names; the first of the `amounts` is its measure."""

    description: str
    key: Sequence[str]
    columns: Sequence[str]
    of_columns: Mapping[str, str]
    amounts: Sequence[str]


def pipeline_files(name: str, folder: str, feeds: Sequence[FeedDraft], tested: Sequence[Path | str]) -> dict[str, str]:
    """All files of a pipeline, by their names in its folder, which people call `folder`.

    `tested` are the files that its test loads: paths, or names of files among its samples.
    """
    mart = first_mart(feeds)
    contracts = {f"{feed.feed}.yaml": contract_yaml(feed) for feed in feeds}
    said = {
        "pipeline": name,
        "folder": folder,
        "contracts": ", ".join(contracts),
        "mart": mart.name,
        "feeds": ", ".join(feed.feed for feed in feeds),
    }
    listed = [f'    PIPELINE / "samples" / {path!r},' if isinstance(path, str) else f"    {path!r}," for path in tested]
    test = {
        "files": "\n".join(line.replace("PosixPath(", "Path(") for line in listed),
        "refused": str(sum(feed.rejected for feed in feeds)),
        "mart": mart.name,
    }
    return {
        "pipeline.yaml": filled("pipeline.yaml", said),
        **contracts,
        **mart.files,
        "tests/test_pipeline.py": filled("test_pipeline.txt", test),
    }


def sample() -> str:
    """The text of the file `SAMPLE`."""
    return text_of(SAMPLE)


@cache
def _words_of_sql() -> frozenset[str]:
    """Names that an engine would take for words of its own."""
    return frozenset(text_of("words_of_sql.txt").split())


def first_mart(feeds: Sequence[FeedDraft]) -> FirstMart:
    """Rows and amounts of a feed by a column with few values, or where none has one, the current rows of the first."""
    for feed in feeds:
        group = next((column for column in feed.columns if _groups(feed, column)), None)
        if group is not None:
            return _by_group(feed, group)
    return _current(feeds[0])


def _groups(feed: FeedDraft, column: ColumnDraft) -> bool:
    few = isinstance(column.values, tuple) and bool(column.values)
    return few and column.filled and column.name not in {*feed.key, _COUNT}


def _by_group(feed: FeedDraft, group: ColumnDraft) -> FirstMart:
    name = f"{feed.feed}_by_{group.name}"[:60]
    amounts = [column for column in feed.columns if column.type.startswith("decimal")]
    scales = {column.name: column.type.partition(",")[2].rstrip(")") for column in amounts}
    taken = {group.name, _COUNT}
    totals = {f"total_{column}": column for column in scales if f"total_{column}" not in taken}
    sums = "".join(
        f",\n    CAST(coalesce(sum(h.{_sql(column)}), 0) AS DECIMAL(28, {scales[column]})) AS {total}"
        for total, column in totals.items()
    )
    said = {"feed": feed.feed, "mart": name, "group": _sql(group.name), "sums": sums}
    words = {
        group.name: f"What the rows have as {group.name}.",
        _COUNT: "How many rows there are.",
        **{total: f"The sum of {column}." for total, column in totals.items()},
    }
    told = _Words(f"The current rows of {feed.feed} by {group.name}.", [group.name], [*words], words, [*totals])
    return _mart(name, "group", said, told)


def _current(feed: FeedDraft) -> FirstMart:
    name = f"current_{feed.feed}"[:60]
    # History has the times of rows as valid_from, and nothing of what was done to them.
    apart = {*feed.key, feed.operation, feed.effective}
    others = [column.name for column in feed.columns if column.name not in apart]
    columns = [*feed.key, *(["valid_from"] if feed.effective else []), *others][:_MOST_COLUMNS]
    said = {
        "feed": feed.feed,
        "mart": name,
        "columns": ",\n    ".join(f"h.{_sql(column)}" for column in columns),
        "key_of_mart": ", ".join(f"m.{_sql(column)}" for column in feed.key),
        "same_key_of_mart": _same(feed.key, "t", "m"),
        "same_key_of_history": _same(feed.key, "h", "m"),
    }
    words = {column: f"As in {feed.feed}." for column in columns if column != "valid_from"}
    if feed.effective:
        words["valid_from"] = f"When it happened: {feed.effective} of {feed.feed}."
    amounts = [column.name for column in feed.columns if column.type.startswith("decimal") and column.name in words]
    told = _Words(f"The rows of {feed.feed} that are true now.", feed.key, columns, words, amounts)
    return _mart(name, "current", said, told)


_CHECKS = {
    "group": ("groups_have_rows", "a group has no rows"),
    "current": ("rows_are_current", "a row is current no more"),
}


def _mart(name: str, kind: str, said: Mapping[str, str], words: _Words) -> FirstMart:
    check, message = _CHECKS[kind]
    measure = "".join(f"measure: {amount}  # dropledger plan shows its total\n" for amount in words.amounts[:1])
    yaml = {
        "mart": name,
        "description": scalar(words.description),
        "key": ", ".join(map(scalar, words.key)),
        "columns": ", ".join(map(scalar, words.columns)),
        "measure": measure,
        "descriptions": "\n".join(f"  {scalar(column)}: {scalar(says)}" for column, says in words.of_columns.items()),
        "check": check,
        "message": message,
    }
    return FirstMart(
        name,
        {
            f"marts/{name}.yaml": filled("mart.yaml", yaml),
            f"marts/{name}.sql": filled(f"{kind}.sql", said),
            f"checks/{name}/{check}.sql": filled(f"{kind}.check.sql", said),
        },
    )


def _same(key: Sequence[str], left: str, right: str) -> str:
    return "\n    AND ".join(f"{left}.{_sql(name)} = {right}.{_sql(name)}" for name in key)


def _sql(name: str) -> str:
    """A column as people would write it, in quotes only where it needs them."""
    return quoted(name) if name in _words_of_sql() else name
