"""Files that look alike are one feed: by their names, and by what they hold."""

from collections.abc import Sequence
from pathlib import Path

from dropledger.core.compression import Compression, compression_of
from dropledger.core.contracts.contract import normalise_header
from dropledger.core.errors import ConfigurationError, DataRefused
from dropledger.core.formats.detect import format_of
from dropledger.core.formats.text_part import text_in
from dropledger.core.inference.draft import ColumnDraft, FeedDraft, Said
from dropledger.core.inference.names import as_of_of, column_name, feed_name, pattern_of, stem_of
from dropledger.core.inference.record_form import Found, json_form, json_places, parquet_places
from dropledger.core.inference.text_form import TextForm, text_form

_BEGINNING = 1 << 16
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def feeds_of(files: Sequence[Path]) -> list[FeedDraft]:
    """A feed for each group of files, with its columns still of the type text.

    Raises:
        ConfigurationError: files of one name hold different things.
        DataRefused: a file cannot be read.
    """
    groups: dict[tuple[str, ...], list[Path]] = {}
    for path in files:
        alike = tuple(part.casefold() for part in stem_of(path.name))
        groups.setdefault(alike, []).append(path)
    feeds = [_feed(paths) for paths in groups.values()]
    _tell_apart(feeds)
    return feeds


def _tell_apart(feeds: Sequence[FeedDraft]) -> None:
    """Give feeds different names, and file names to one feed each."""
    taken: set[str] = set()
    for feed in feeds:
        name, number = feed.feed, 2
        while feed.feed in taken:
            feed.feed, number = f"{name}_{number}", number + 1
        taken.add(feed.feed)
    for feed in feeds:
        if any(_takes(feed.pattern, path.name) for other in feeds if other is not feed for path in other.files):
            feed.pattern = pattern_of(feed.files[0].name, narrow=True)
    for feed in feeds:
        for other in feeds:
            wrong = next((path for path in other.files if other is not feed and _takes(feed.pattern, path.name)), None)
            if wrong is not None:
                raise ConfigurationError(
                    f"{wrong.name} has a name like {feed.files[0].name}, and may belong to another feed",
                    why=f"both fit the pattern {feed.pattern}",
                    hint="rename one of the files, or make a pipeline of each",
                )


def _takes(pattern: str, name: str) -> bool:
    from fnmatch import fnmatchcase

    from dropledger.core.compression import unpacked_name

    return any(fnmatchcase(one.casefold(), pattern.casefold()) for one in (name, unpacked_name(name)))


def _feed(paths: Sequence[Path]) -> FeedDraft:
    feed = FeedDraft(feed_name(paths[0].name), tuple(paths), pattern_of(paths[0].name))
    feed.as_of = as_of_of([path.name for path in paths])
    forms = []
    for path in paths:
        try:
            forms.append(_form_of(path))
        except DataRefused as refusal:
            raise named(refusal, path) from refusal
    if any(type(form) is not type(forms[0]) for form in forms):
        raise _differ(paths, "one is delimited text, and one is not")
    texts = [form for form in forms if isinstance(form, TextForm)]
    if texts:
        _text_feed(feed, texts)
    else:
        _record_feed(feed, [form for form in forms if not isinstance(form, TextForm)])
    if not feed.columns:
        raise ConfigurationError(f"{paths[0].name} has no column that can be read", hint="give its columns names")
    return feed


def named(refusal: DataRefused, path: Path) -> DataRefused:
    """A refusal that names the file."""
    return DataRefused(refusal.rule, f"{path.name}: {refusal.what}", hint=refusal.hint, detail=refusal.detail)


def _differ(paths: Sequence[Path], why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{' and '.join(dict.fromkeys(path.name for path in paths))} have names of one feed, and differ",
        why=why,
        hint="rename those that are something else, or make a pipeline of each",
    )


Records = tuple[str, list[Found], dict[str, str]]
"""The format of a file of records, the places in it, and names that are passed over."""


def _form_of(path: Path) -> TextForm | Records:
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    if beginning.startswith(b"PAR1"):
        return "parquet", *parquet_places(path)
    compression = compression_of(beginning)
    _refuse_other_format(beginning, compression)
    form = json_form(_start(path, compression)) if beginning else None
    if form is not None:
        return form, *json_places(path, compression, form)
    return text_form(path, compression)


def _start(path: Path, compression: Compression | None) -> str:
    """How the text begins, if it is UTF-8."""
    return next(iter(text_in(path, compression, "utf-8")), b"")[:_BEGINNING].decode("utf-8", "ignore")


def _refuse_other_format(beginning: bytes, compression: Compression | None) -> None:
    found = format_of(beginning)
    if found is not None and compression is None:
        what, hint = found
        raise DataRefused("other_format", f"the file is {what}", hint=hint)


def _text_feed(feed: FeedDraft, forms: Sequence[TextForm]) -> None:
    first = forms[0]
    for form in forms[1:]:
        for what, one, other in (
            ("separated by", first.delimiter, form.delimiter),
            ("quoted by", first.quote, form.quote),
            ("in", first.encoding, form.encoding),
        ):
            if one != other and not (what == "in" and {one, other} == {"utf-8", "windows-1252"}):
                raise _differ(feed.files, f"one is {what} {one!r}, and one {what} {other!r}")
    _say_form(feed, forms)
    if first.names is None:
        width = min(form.width for form in forms)
        names = [f"column_{place + 1}" for place in range(width)]
        feed.columns = [ColumnDraft(name, type_why="no header names it") for name in names]
        return
    _name_columns(feed, forms)


def _name_columns(feed: FeedDraft, forms: Sequence[TextForm]) -> None:
    headers = [[name for name in form.names or () if normalise_header(name)] for form in forms]
    of_each = [{normalise_header(name) for name in names} for names in headers]
    shared = set.intersection(*of_each)
    if len(shared) * 2 < max(map(len, of_each)):
        raise _differ(feed.files, "their headers have less than half of their names in common")
    taken: set[str] = set()
    seen: set[str] = set()
    for name in (name for names in headers for name in names):
        plain = normalise_header(name)
        if any([normalise_header(other) for other in names].count(plain) > 1 for names in headers):
            feed.passed_over[name] = "it stands twice in the header, so no column can be told by it"
        elif plain not in seen:
            lacks = sum(plain not in names for names in of_each)
            optional = f"{lacks} of {len(forms)} files lack it" if lacks else ""
            column = column_name(name, feed.feed, taken, len(taken) + 1)
            taken.add(column)
            feed.columns.append(ColumnDraft(column, header=name, optional=optional))
        seen.add(plain)


def _say_form(feed: FeedDraft, forms: Sequence[TextForm]) -> None:
    first = forms[0]
    encoded = next((form for form in forms if form.encoding != "utf-8"), None)
    if encoded is not None:
        feed.form["encoding"] = Said(encoded.encoding, encoded.encoding_why)
    feed.form["delimiters"] = Said([first.delimiter], f"cells are parted by {_DELIMITERS[first.delimiter]}")
    if first.quote != '"':
        why = "cells stand in apostrophes" if first.quote else "quotes are ordinary characters"
        feed.form["quote"] = Said(first.quote or "none", why)
    if any(form.escape for form in forms):
        feed.form["escape"] = Said("\\", "a backslash stands before quotes within cells")
    if first.names is None:
        feed.form["header"] = Said("none", "the first line has numbers or dates, so it is taken for a row")
    before = {form.preamble for form in forms}
    if before != {0}:
        lines: dict[str, int | bool] = {"lines": min(before)}
        if len(before) > 1:
            lines = {"until_header": True}
        feed.form["preamble"] = Said(lines, "lines stand before the first that has all cells")
    trailers = {form.trailer[0] for form in forms if form.trailer is not None}
    if len(trailers) == 1 and all(form.trailer is not None for form in forms):
        feed.form["trailer"] = Said({"pattern": trailers.pop()}, "the last line is no row")
        feed.totals = first.trailer[1] if first.trailer is not None and len(forms) == 1 else None


def _record_feed(feed: FeedDraft, forms: Sequence[Records]) -> None:
    if len({form for form, _, _ in forms}) > 1:
        raise _differ(feed.files, "they are of different formats")
    form, *_ = forms[0]
    feed.form["format"] = Said(form, "by the first bytes")
    taken: set[str] = set()
    drafts: dict[tuple[str, ...], ColumnDraft] = {}
    for _, places, passed_over in forms:
        feed.passed_over |= passed_over
        for found in places:
            if found.path not in drafts:
                name = column_name("_".join(found.path), feed.feed, taken, len(taken) + 1)
                taken.add(name)
                drafts[found.path] = ColumnDraft(name, path=found.path)
            draft = drafts[found.path]
            draft.optional = draft.optional or found.optional
            draft.fixed = draft.fixed or bool(found.fixed)
            draft.type, draft.type_why = ("json" if found.is_json else draft.type), draft.type_why or found.fixed
    for path, draft in drafts.items():
        lacks = sum(all(found.path != path for found in places) for _, places, _ in forms)
        if lacks:
            draft.optional = f"{lacks} of {len(forms)} files lack it"
    feed.columns = list(drafts.values())
