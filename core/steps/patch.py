"""A mart's CSV brought up to date by its changed lines: the others stay as they were written.

To write all of a large one takes the engine far longer than the change did. It is done where it is certain that the
file is the one that this ledger published last, and which keys of the mart were computed since. The engine is asked for
the changed lines alone; the rest needs no session, and can be done beside what one does.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dropledger.core.contracts.pipeline_spec import Mart
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted, same

SMALLEST_BYTES = 1 << 20
"""Smaller files are written anew at once."""

_MOST_KEYS, _SHARE = 50_000, 20
"""At most so many keys, and one in so many of the rows."""

_BLOCK = 1 << 20
_LOOKED_AHEAD = 1 << 16


class _NotPlain(Exception):
    """A line cannot be told apart by its bytes."""


@dataclass(frozen=True, slots=True)
class Patch:
    """The `lines` of a CSV that changed, below its header, each behind its key and whether it is there.

    `published` is the file before, `sha256` what its bytes must have; `place` is that of the key among its cells.
    """

    lines: Path
    published: Path
    sha256: str
    place: int

    def write(self, path: Path) -> str | None:
        """Write the file of now to `path`; its SHA-256, or None where it must be written whole."""
        header, *lines = self.lines.read_bytes().splitlines(keepends=True)
        self.lines.unlink()
        before, after = hashlib.sha256(), hashlib.sha256()
        try:
            wanted = [_wanted(line) for line in lines]
            with self.published.open("rb") as old, path.open("wb") as new:
                blocks = _whole_lines(old, before)
                for part in _merged(blocks, header.split(b",", 2)[2], self.place, wanted):
                    after.update(part)
                    new.write(part)
        except (_NotPlain, ValueError, IndexError, OSError):
            # Such as a key that is no number, in a file that was changed; or what was published cannot be read.
            return None
        return after.hexdigest() if before.hexdigest() == self.sha256 else None


def patch_of(
    session: Session, mart: Mart, columns: str, touched: str, published: Path, sha256: str, lines: Path
) -> Patch | None:
    """What brings a mart's CSV up to date, with the changed lines written to `lines`; None where they are too many.

    `columns` are those of the file in SQL, of the mart as `m`; the relation `touched` has the keys that were computed
    since, and `sha256` is that of what was published.
    """
    key = mart.file.key[0]
    if len(mart.file.key) > 1 or session.columns(mart.name)[key] != "BIGINT":
        return None
    counts = session.query(
        f"SELECT (SELECT count(*) FROM {touched}) AS touched, (SELECT count(*) FROM {quoted(mart.name)}) AS all_rows"
    )[0]
    if counts["touched"] > _MOST_KEYS or counts["touched"] * _SHARE > counts["all_rows"]:
        return None
    session.export(
        f"""SELECT t.{quoted(key)} AS _key, m.{quoted(key)} IS NOT NULL AS _there, {columns}
        FROM (SELECT DISTINCT {quoted(key)} FROM {touched}) AS t
        LEFT JOIN {quoted(mart.name)} AS m
            ON {same((key,), "m", "t")}
        ORDER BY t.{quoted(key)}""",
        lines,
    )
    return Patch(lines, published, sha256, mart.file.columns.index(key))


def _wanted(line: bytes) -> tuple[int, bytes]:
    """A key, and its line in the file; an empty one if it has none any more."""
    if b'"' in line:
        raise _NotPlain
    key, there, text = line.split(b",", 2)
    return int(key), text if there == b"true" else b""


def _whole_lines(file: BinaryIO, digest: "hashlib._Hash") -> Iterator[bytes]:
    """The text of a file in blocks of whole lines; its bytes go into the digest."""
    rest = b""
    while chunk := file.read(_BLOCK):
        digest.update(chunk)
        block, line_feed, rest_of_chunk = (rest + chunk).rpartition(b"\n")
        rest = rest_of_chunk
        if line_feed:
            yield block + line_feed
    if rest:
        raise _NotPlain


def _merged(
    blocks: Iterator[bytes], header: bytes, place: int, wanted: Sequence[tuple[int, bytes]]
) -> Iterator[bytes | memoryview]:
    """The text with the lines of the wanted keys in place of those that it has; keys rise in both.

    `place` is that of the key among the cells of a line.
    """
    following = iter([*wanted, (None, b"")])
    key, line = next(following)
    for number, block in enumerate(blocks):
        if b'"' in block or (number == 0 and not block.startswith(header)):
            raise _NotPlain
        view = memoryview(block)
        done, at = 0, len(header) if number == 0 else 0
        last = _key(block, block.rfind(b"\n", 0, -1) + 1, place) if at < len(block) else None
        while key is not None and last is not None and key <= last:
            start, end = _place_of(block, at, place, key)
            yield view[done:start]
            yield line
            done = at = end
            key, line = next(following)
        yield view[done:]
    while key is not None:
        yield line
        key, line = next(following)


def _place_of(block: bytes, at: int, place: int, key: int) -> tuple[int, int]:
    """Where the line of a key begins and ends, from a line's beginning on; where it would stand if there is none."""
    mark = b"%b%d," % (b"," if place else b"\n", key)
    found = block.find(mark, max(at - 1, 0), at + _LOOKED_AHEAD)
    while found >= 0:
        start = block.rfind(b"\n", 0, found + 1) + 1
        if start >= at and _key(block, start, place) == key:
            return start, block.index(b"\n", start) + 1
        found = block.find(mark, found + 1, at + _LOOKED_AHEAD)
    low, high = at, len(block)
    while low < high:
        middle = max(block.rfind(b"\n", low, (low + high) // 2) + 1, low)
        if _key(block, middle, place) < key:
            low = block.index(b"\n", middle) + 1
        else:
            high = middle
    return low, block.index(b"\n", low) + 1 if low < len(block) and _key(block, low, place) == key else low


def _key(block: bytes, start: int, place: int) -> int:
    return int(block[start : block.index(b"\n", start)].split(b",", place + 1)[place])
