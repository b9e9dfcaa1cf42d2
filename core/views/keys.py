"""Keys as people write them: read as the cells of a line of CSV, and held against those of a feed's history."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.drop import iso
from dropledger.core.errors import ConfigurationError
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import TEXT_TYPES, engine_type, listed, quoted


@dataclass(frozen=True, slots=True)
class Key:
    """A key that somebody asks for: its columns, each with the engine's type, and the text of each part.

    The parts are to be bound by the names that `condition` has.
    """

    columns: Mapping[str, str]
    parts: tuple[str, ...]

    @property
    def bound(self) -> Mapping[str, str]:
        return {f"part_{place}": part for place, part in enumerate(self.parts)}

    @property
    def condition(self) -> str:
        """Whether a version `h` is of this key, compared in the spelling of its type: 10000 finds 10000.00."""
        return self.found_in("h", tuple(self.columns))

    def found_in(self, alias: str, columns: Sequence[str]) -> str:
        """Whether a row has this key in its columns, as many as the key has."""
        return " AND ".join(
            f"CAST({alias}.{quoted(name)} AS STRING) = CAST({typed} AS STRING)"
            for name, typed in zip(columns, self.typed, strict=True)
        )

    def beside(self, sign: str) -> str:
        """Whether a version `h` is of a key before (`<`) or behind (`>`) this one, by its columns in their order."""
        alternatives, same = [], list[str]()
        for name, typed in zip(self.columns, self.typed, strict=True):
            alternatives.append(" AND ".join([*same, f"h.{quoted(name)} {sign} {typed}"]))
            same.append(f"h.{quoted(name)} = {typed}")
        return " OR ".join(f"({alternative})" for alternative in alternatives)

    @property
    def typed(self) -> tuple[str, ...]:
        """Each part as a value of its column; NULL where its text is none."""
        return tuple(
            f":part_{place}" if kind in TEXT_TYPES else f"try_cast(:part_{place} AS {kind})"
            for place, kind in enumerate(self.columns.values())
        )


def read_key(text: str, contract: Contract) -> Key:
    """The parts of a key of a feed that people wrote, as `parts_of` reads them.

    Raises:
        ConfigurationError: it has not as many parts as the feed's key.
    """
    columns = {name: engine_type(contract.column(name).type) for name in contract.key}
    return Key(columns, parts_of(text, contract.key, f"the feed {contract.feed}"))


def parts_of(text: str, columns: Sequence[str], whose: str) -> tuple[str, ...]:
    """The parts of a key, as the cells of a line of CSV; a key of one column may hold bare commas.

    Raises:
        ConfigurationError: it has not as many parts as columns; `whose` key it is, is told then.
    """
    try:
        parts = [part.strip() for part in next(csv.reader([text], skipinitialspace=True, strict=True), [""])]
    except csv.Error:
        parts = []
    if len(parts) != len(columns) == 1:
        return (text.strip(),)
    if len(parts) != len(columns):
        has = f"has {len(parts)} part{'s' if len(parts) != 1 else ''}" if parts else "has a quote that is not closed"
        raise ConfigurationError(
            f"the key '{text}' {has}, and that of {whose} has {len(columns)}",
            hint=f"give {', '.join(columns)}, separated by commas; quote a part that holds one, as in CSV: "
            """'"Lee, Ann",7'""",
        )
    return tuple(parts)


def count_keys(session: Session, contract: Contract) -> int:
    """How many keys a feed has in its history."""
    keys = f"SELECT DISTINCT {listed(contract.key)} FROM {feed_fragments(contract)['history']}"
    return int(session.query(f"SELECT count(*) AS row_count FROM ({keys}) AS k")[0]["row_count"])


def nearest(session: Session, contract: Contract, key: Key) -> list[str]:
    """The keys in a feed's history that come right before and right behind one, as people write them.

    Fewer where there are none, or where a part of the key is no value of its column.
    """
    columns = contract.key
    history = feed_fragments(contract)["history"]
    found = []
    for sign, order in (("<", "DESC"), (">", "ASC")):
        in_order = ", ".join(f"h.{quoted(name)} {order}" for name in columns)
        found += session.query(
            f"""SELECT {listed(columns, "h")}
            FROM {history} AS h
            WHERE {key.beside(sign)}
            ORDER BY {in_order}
            LIMIT 1""",
            key.bound,
        )
    return [write_key([row[name] for name in columns]) for row in found]


def write_key(parts: Sequence[Any]) -> str:
    """A key as people write it, and `read_key` reads it."""
    texts = [iso(part) if isinstance(part, datetime) else str(part) for part in parts]
    if len(texts) == 1:
        return texts[0]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()


def hint_of_nearest(session: Session, contract: Contract, key: Key, otherwise: str) -> str:
    """What to try where a key is not there: `the nearest are 1001 and 1003; ` and what else there is to try."""
    keys = nearest(session, contract, key)
    return f"the nearest {'is' if len(keys) == 1 else 'are'} {' and '.join(keys)}; {otherwise}" if keys else otherwise
