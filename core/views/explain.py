"""One figure, taken apart as its pipeline says: files, lines, versions, rule and arithmetic."""

import re
import string
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Explanation, Mart, Pipeline, Section, names
from dropledger.core.errors import ConfigurationError, Different
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.views.drops import Records
from dropledger.core.views.keys import Key, count_keys, hint_of_nearest, parts_of, read_key
from dropledger.core.views.timeline import read_timeline

_WITH = re.compile(r"(?:\s|--[^\n]*\n)*WITH\s", re.IGNORECASE)


def explain(
    session: Session, pipeline: Pipeline, mart_name: str | None, key: str, as_of: datetime | None = None
) -> dict[str, Any]:
    """How a row of a mart came about, computed anew step by step, beside what the mart says.

    Args:
        mart_name: None for the first mart that the pipeline explains.
        key: as people write it; see `parts_of`.
        as_of: the moment (UTC) of the question; None for the mart's own moment.

    Returns:
        The columns of the key; `moment`; `verdict`; an entry for each section: a row or, where it is `many`, a list;
        `figure` with its parts and `arithmetic`, None if there is none; `mart`, the mart's row; `agrees`, whether that
        says the same. The last two are None with `as_of`.

    Raises:
        ConfigurationError: the pipeline explains no such mart, a mart was named in place of a key, or no version of the
            key is true at the moment; where no feed has the key, that there is no figure of it.
        Different: and yet the mart has a figure.
    """
    mart, explanation = explanation_of(pipeline, mart_name)
    moment = as_of or session.query("SELECT moment FROM mart_moment")[0]["moment"]
    asked = _read_key(session, key, pipeline, mart, mart_name)
    parts = _typed_parts(session, mart, asked)
    found = session.query(
        f"SELECT * FROM {quoted(mart.name)} AS m WHERE {asked.found_in('m', mart.file.key)}", asked.bound
    )
    published = found[0] if found and as_of is None else None
    if explanation.of is None:
        _refuse_what_is_no_value(mart, asked, parts)
    else:
        contract = pipeline.contract(explanation.of)
        versions = read_timeline(session, contract, asked)
        if not _is_true_at(versions, moment):
            if published:
                raise Different(
                    f"the mart has a figure for {contract.feed} {key}, and no version of it is true",
                    hint="dropledger verify shows all differences; then dropledger replay",
                )
            if not versions and _is_mart_alone(pipeline, mart_name, key):
                raise _key_missing(pipeline, key)
            if versions:
                raise _not_true(contract, key, moment)
            raise _not_known(session, mart, contract, asked, key)
    bound = {**dict(zip(mart.file.key, asked.parts, strict=True)), "moment": moment}
    rows = _rows(session, explanation, bound)
    figure = _figure(explanation, rows)
    if explanation.of is None and figure is None and published is None:
        raise _no_row(mart, key, rows["figure"][0]["no_figure"])
    return {
        **parts,
        "moment": moment,
        "verdict": rows["figure"][0]["no_figure"] or "computed",
        **{section.name: _shown(section, rows) for section in explanation.sections},
        "figure": figure,
        "mart": published,
        "agrees": _agrees(figure, published) if as_of is None else None,
    }


def sentence(template: str, values: Mapping[str, Any], text: Callable[[Any], str] = str) -> str:
    """A template with the values whose names stand in it in braces; `{name:short}` leaves zeros behind a point out."""
    return _Sentence(text).vformat(template, (), values)


class _Sentence(string.Formatter):
    def __init__(self, text: Callable[[Any], str]) -> None:
        self._text = text

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "short" and isinstance(value, Decimal):
            return f"{value.normalize():f}"
        return self._text(value)


def explanation_of(pipeline: Pipeline, mart_name: str | None) -> tuple[Mart, Explanation]:
    """The mart of this name, or the first that the pipeline explains, with its explanation.

    Raises:
        ConfigurationError: there is no such mart, or nothing explains it.
    """
    if mart_name is not None:
        pipeline.mart(mart_name)
    for mart in pipeline.marts:
        if mart.name in pipeline.explanations and mart_name in {None, mart.name}:
            return mart, pipeline.explanations[mart.name]
    what = f"no explanation of {mart_name}" if mart_name else "nothing to explain"
    raise ConfigurationError(
        f"the pipeline {pipeline.name} has {what}",
        hint=f"add explain/{mart_name or '<mart>'}.yaml to it; docs/contracts.md tells how",
    )


def _read_key(session: Session, key: str, pipeline: Pipeline, mart: Mart, mart_name: str | None) -> Key:
    of = pipeline.explanations[mart.name].of
    try:
        if of is not None:
            return read_key(key, pipeline.contract(of))
        parts = parts_of(key, mart.file.key, f"the mart {mart.name}")
    except ConfigurationError as error:
        if _is_mart_alone(pipeline, mart_name, key):
            raise _key_missing(pipeline, key) from error
        raise
    types = session.columns(mart.name)
    return Key({name: types[name] for name in mart.file.key}, parts)


def _typed_parts(session: Session, mart: Mart, asked: Key) -> Mapping[str, Any]:
    """The columns of the mart's key, with the values that were asked for."""
    typed = ", ".join(f"{part} AS {quoted(name)}" for part, name in zip(asked.typed, mart.file.key, strict=True))
    return session.query(f"SELECT {typed}", asked.bound)[0]


def _refuse_what_is_no_value(mart: Mart, asked: Key, parts: Mapping[str, Any]) -> None:
    """A part that cannot be a value of its column; of a feed's key that is just a key which never was."""
    for text, (name, value) in zip(asked.parts, parts.items(), strict=True):
        if value is None:
            raise ConfigurationError(f"'{text}' is no {name} of {mart.name}", hint=_where_keys_are(mart))


def _is_mart_alone(pipeline: Pipeline, mart_name: str | None, key: str) -> bool:
    """Whether what stands for a key is the name of a mart. It may be a key all the same."""
    return mart_name is None and any(mart.name == key for mart in pipeline.marts)


def _key_missing(pipeline: Pipeline, name: str) -> ConfigurationError:
    mart, _ = explanation_of(pipeline, name)
    return ConfigurationError(
        f"a key is missing: {name} is a mart",
        hint=f"dropledger explain {name} {','.join(mart.file.key).upper()}; {_where_keys_are(mart)}",
    )


def _where_keys_are(mart: Mart) -> str:
    if "csv" in mart.file.artifacts:
        return f"outputs/{mart.name}.csv in the root lists all that have a figure"
    return "see dropledger drops"


def _is_true_at(versions: Records, moment: datetime | None) -> bool:
    return moment is not None and any(
        version["valid_from"] <= moment and (version["valid_to"] is None or version["valid_to"] > moment)
        for version in versions
    )


def _rows(session: Session, explanation: Explanation, bound: Mapping[str, Any]) -> dict[str, Records]:
    return {name: session.query(select, bound) for name, select in selects_of(explanation)}


def selects_of(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """All selects by name; those that a select names stand before it as common table expressions."""
    before: dict[str, str] = {}
    for section in (*explanation.sections, *explanation.parts, explanation.figure):
        yield section.name, _with(_named(section.sql, before), before, section.sql)
        before[section.name] = section.sql


def _named(select: str, before: dict[str, str]) -> set[str]:
    """Which of the selects before one it names, and those that these name, each of which stands before them."""
    found: set[str] = set()
    texts = select
    for name in reversed(before):
        if names(texts, name):
            found.add(name)
            texts += f"\n{before[name]}"
    return found


def _with(needed: set[str], before: Mapping[str, str], select: str) -> str:
    if not needed:
        return select
    expressions = ",\n".join(f"{name} AS (\n{text}\n)" for name, text in before.items() if name in needed)
    own = _WITH.match(select)
    return f"WITH {expressions},\n{select[own.end() :]}" if own else f"WITH {expressions}\n{select}"


def _shown(section: Section, rows: Mapping[str, Records]) -> Any:
    found = rows[section.name]
    return found if section.many else next(iter(found), None)


def _figure(explanation: Explanation, rows: Mapping[str, Records]) -> dict[str, Any] | None:
    figure = {name: value for name, value in rows["figure"][0].items() if name != "no_figure"}
    if rows["figure"][0]["no_figure"] is not None:
        return None
    texts = {part.name: " + ".join(sentence(part.says, row) for row in rows[part.name]) for part in explanation.parts}
    return {
        **figure,
        **{part.name: _shown(part, rows) for part in explanation.parts},
        "arithmetic": sentence(explanation.arithmetic, {**texts, **figure}),
    }


def _agrees(figure: Mapping[str, Any] | None, published: Mapping[str, Any] | None) -> bool:
    if figure is None or published is None:
        return figure is None and published is None
    return all(figure[name] == published[name] for name in published if name in figure)


def _not_true(contract: Contract, key: str, moment: datetime | None) -> ConfigurationError:
    """What to say of a key that is known, but not at the moment."""
    feed = contract.feed
    return ConfigurationError(
        f"no version of {feed} {key} is true{f' at {moment:%Y-%m-%d %H:%M:%S}Z' if moment else ''}",
        hint=f"dropledger history {feed} {'-- ' if key.startswith('-') else ''}{key} shows when it was",
    )


def _not_known(session: Session, mart: Mart, contract: Contract, asked: Key, key: str) -> ConfigurationError:
    """What to say of a key that never was."""
    feed, many, keys = contract.feed, _plural(contract.feed), count_keys(session, contract)
    if not keys:
        return ConfigurationError(
            f"there is no {feed} {key}",
            why=f"no {feed} was ever dropped",
            hint=f"drop a file of {many} first: dropledger process FILE",
        )
    return ConfigurationError(
        f"there is no {feed} {key}",
        why=f"the ledger has {keys:,} {feed if keys == 1 else many}",
        hint=hint_of_nearest(session, contract, asked, _where_keys_are(mart)),
    )


def _no_row(mart: Mart, key: str, why: str) -> ConfigurationError:
    """What to say of a key of which neither the mart nor its explanation has anything."""
    return ConfigurationError(
        f"{mart.name} has nothing of {key}",
        why=why,
        hint=f"give {', '.join(mart.file.key)}; {_where_keys_are(mart)}",
    )


def _plural(noun: str) -> str:
    if noun.endswith("y") and not noun.endswith(("ay", "ey", "oy", "uy")):
        return f"{noun[:-1]}ies"
    return noun if noun.endswith("s") else f"{noun}s"
