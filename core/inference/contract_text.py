"""A contract as the YAML file that says it, with what speaks for each line in a comment beside it."""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from dropledger.core.contracts.contract import Contract, normalise_header
from dropledger.core.inference.draft import ColumnDraft, Entry, FeedDraft, Said

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[-.][A-Za-z0-9_]+)*")
_OF_YAML = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan"})
_COMMENTS_AT = 48


def contract_of_draft(draft: FeedDraft, *, typed: bool = True) -> Contract:
    """The contract that a draft says; not `typed`, with all columns as text, to read what its files hold."""
    from dropledger.core.contracts.contract_file import contract_of

    text = contract_yaml(draft, typed=typed)
    return contract_of(text, sha256(text.encode()).hexdigest())


def contract_yaml(draft: FeedDraft, *, typed: bool = True) -> str:
    """The text of `<feed>.yaml`."""
    lines = [_line(entry, said.value, said.why) for entry, said in _entries(draft, typed=typed)]
    lines += [_line("key", list(_key(draft)), draft.key_why), "columns:"]
    for column in draft.columns:
        lines += _column(draft, column, typed=typed)
    for name, why in draft.passed_over.items():
        lines.append(f"  # {_one_line(name)} is left out: {why}")
    return "\n".join([*_head(draft), *lines, ""])


def _head(draft: FeedDraft) -> list[str]:
    names = ", ".join(_one_line(path.name) for path in draft.files[:3])
    more = f" and {len(draft.files) - 3} more" if len(draft.files) > 3 else ""
    looked = f"{draft.looked_at:,} of {draft.rows:,} rows" if draft.looked_at < draft.rows else f"{draft.rows:,} rows"
    head = [
        f"# Inferred by dropledger init from {names}{more}, by {looked}.",
        "# What speaks for a line stands beside it: correct what is wrong, then delete these comments.",
    ]
    if draft.rejected:
        head.append(f"# {draft.rejected:,} of these rows are refused as it stands.")
    if not draft.rows:
        head.append("# There were no rows, so that all columns are text; the key is a guess by its name.")
    return head


def _entries(draft: FeedDraft, *, typed: bool) -> Iterator[tuple[str, Said]]:
    yield "feed", Said(draft.feed)
    yield "description", Said(f"Rows like those of {draft.files[0].name}.", "say what a row is")
    yield "files", Said([draft.pattern])
    if draft.as_of is not None and draft.as_of.value:
        yield "as_of", draft.as_of
    if typed:
        yield "mode", Said(draft.mode, draft.mode_why)
        if draft.effective:
            yield "effective_column", Said(draft.effective, "when each row happened")
        if draft.operation:
            yield "operation", Said({"column": draft.operation}, "what happened to the key")
        if draft.future:
            yield "future", Said("allowed", draft.future)
    yield from draft.form.items()
    ignored = [name for name in draft.passed_over if name.strip()]
    if ignored and draft.form.get("header", Said("")).value != "none":
        yield "ignore", Said(ignored, "see below the columns")
    if not typed or draft.as_of is None or draft.as_of.value:
        return
    yield "# as_of", Said("", draft.as_of.why)


def _key(draft: FeedDraft) -> tuple[str, ...]:
    return draft.key or (draft.columns[0].name,)


def _column(draft: FeedDraft, column: ColumnDraft, *, typed: bool) -> Iterator[str]:
    yield f"  - name: {scalar(column.name)}"
    if column.header is not None and normalise_header(column.header) != normalise_header(column.name):
        yield _line("    aliases", [column.header])
    if column.path and ".".join(column.path) != column.name:
        yield _line("    path", ".".join(column.path))
    if column.optional:
        yield _line("    optional", True, column.optional)
    kind = column.type if typed or column.type == "json" else "text"
    yield _line("    type", kind, column.type_why if typed else "")
    for entry, value in column.entries.items() if typed else ():
        yield _line(f"    {entry}", value[0] if isinstance(value, tuple) and len(value) == 1 else value)
    rules = list(_rules(draft, column, typed=typed))
    if rules:
        yield "    rules:"
        yield from rules


def _rules(draft: FeedDraft, column: ColumnDraft, *, typed: bool) -> Iterator[str]:
    is_key = column.name in _key(draft)
    if not typed:
        if is_key or not column.optional:  # where the last cell is filled, rows may have empty ones behind it
            yield "      - not_null"
        return
    if is_key or column.filled:
        why = column.filled_why if column.filled else "columns of the key must be filled"
        yield _commented("      - not_null", why)
    if column.values:
        severity = "" if isinstance(column.values, Mapping) else ", severity: warn"
        rule = f"{{rule: accepted_values, values: {_flow(column.values)}{severity}}}"
        yield _commented(f"      - {rule}", column.values_why)
    if column.to:
        yield _commented(f"      - {{rule: relationship, to: {column.to}, severity: warn}}", column.to_why)


def _line(entry: str, value: Entry, why: str = "") -> str:
    if entry.startswith("#"):
        return f"{entry}: {why}"
    return _commented(f"{entry}: {_flow(value)}", why)


def _commented(line: str, why: str) -> str:
    return f"{line:<{_COMMENTS_AT}}  # {_one_line(why)}" if why else line


def _one_line(text: str) -> str:
    return re.sub(r"[^\x20-\x7e\xa0-\ud7ff]", " ", text)


def _flow(value: Any) -> str:
    match value:
        case bool() | int():
            return str(value).lower()
        case str():
            return scalar(value)
        case Mapping():
            return "{" + ", ".join(f"{scalar(name)}: {_flow(part)}" for name, part in value.items()) + "}"
        case _:
            return "[" + ", ".join(map(_flow, value)) + "]"


def scalar(text: str) -> str:
    """A text as YAML reads it back, in quotes where it would be something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in _OF_YAML:
        return text
    if re.fullmatch(r"decimal\([0-9]+,[0-9]+\)|[A-Za-z0-9_]+(?: [A-Za-z]+)*", text) and not text[0].isdigit():
        return text if text.lower() not in _OF_YAML else _in_quotes(text)
    return _in_quotes(text)


def _in_quotes(text: str) -> str:
    # YAML knows no pairs of surrogates, which JSON writes for letters beyond the first plane.
    return "".join(
        f"\\U{ord(letter):08x}" if ord(letter) > 0x7E and not letter.isprintable() else letter
        for letter in json.dumps(text, ensure_ascii=False)
    )


_DOUBTS = re.compile(r"#.*\b(AMBIGUOUS|REFUSED|NO KEY WAS FOUND|FLOATING POINT)\b|is left out|^# .* are refused")


def doubts(text: str) -> list[tuple[int, str]]:
    """The lines of a contract's text that a person has to look at first: 1-based, and what they say."""
    lines = enumerate(text.splitlines(), 1)
    return [(number, line.partition("#")[2].strip()) for number, line in lines if _DOUBTS.search(line)]
