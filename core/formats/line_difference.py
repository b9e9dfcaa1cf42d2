"""The lines in which two texts differ, found in one pass over both, in a bounded amount of memory.

For texts that are mostly alike and in the same order, such as the extracts of two days: what they share is passed over
by comparing bytes, so that only the lines that differ cost anything worth counting.
"""

from collections.abc import Iterable, Iterator

_BLOCK = 1 << 20
_LOOKED_AHEAD = 1 << 13
_FIRST_STEP, _LONGEST_STEP = 1 << 9, 1 << 16


def differing_lines(older: Iterable[bytes], newer: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines, line ends included, that only one of two texts has, in their order; the texts come in chunks.

    Each with its 1-based place in the newer text, or, negative, in the older one. All other lines stand in both texts
    in the same order: a line that has moved is given for each.
    """
    old, new = _Text(older), _Text(newer)
    old_place = new_place = 1
    while True:
        old.fill(_BLOCK)
        new.fill(_BLOCK)
        alike = _alike(old.block, old.at, new.block, new.at)
        end = new.block.rfind(b"\n", new.at, new.at + alike) + 1
        if end:
            passed = new.block.count(b"\n", new.at, end)
            old_place += passed
            new_place += passed
            old.at += end - new.at
            new.at = end
            continue
        old_line, new_line = old.line(), new.line()
        if not (old_line or new_line):
            return
        gone, came = _which(old, old_line, new, new_line)
        if gone:
            yield -old_place, old_line
        if came:
            yield new_place, new_line
        if gone or not came:
            old.at += len(old_line)
            old_place += 1
        if came or not gone:
            new.at += len(new_line)
            new_place += 1


def _which(old: "_Text", old_line: bytes, new: "_Text", new_line: bytes) -> tuple[bool, bool]:
    """Whether the line of the older text has gone, and whether that of the newer one has come; neither if alike."""
    if old_line == new_line:
        return False, False
    if not (old_line and new_line):
        return bool(old_line), bool(new_line)
    old_end, new_end = old.at + len(old_line), new.at + len(new_line)
    if old.block[old_end : old_end + len(old_line)] == new.block[new_end : new_end + len(old_line)]:
        return True, True  # one in place of the other: what follows is alike
    if new.block.find(b"\n" + old_line, new_end - 1, new_end + _LOOKED_AHEAD) >= 0:
        return False, True
    if old.block.find(b"\n" + new_line, old_end - 1, old_end + _LOOKED_AHEAD) >= 0:
        return True, False
    return True, True


class _Text:
    """A text that comes in chunks, a block of it at hand; `at` is the place in the block up to which it is done."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.block = b""
        self.at = 0

    def fill(self, size: int) -> None:
        """Have so many bytes at hand, if there are as many left."""
        while len(self.block) - self.at < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                return
            self.block = self.block[self.at :] + chunk
            self.at = 0

    def line(self) -> bytes:
        """The line that begins here, however long it is; empty at the end of the text."""
        size = _BLOCK
        while (end := self.block.find(b"\n", self.at)) < 0 and len(self.block) - self.at >= size:
            size *= 2
            self.fill(size)
        return self.block[self.at : end + 1 if end >= 0 else len(self.block)]


def _alike(old: bytes, old_at: int, new: bytes, new_at: int) -> int:
    """How many bytes are the same from there on."""
    length, step = 0, _FIRST_STEP
    while part := old[old_at + length : old_at + length + step]:
        other = new[new_at + length : new_at + length + step]
        if part != other:
            shared = min(len(part), len(other))
            differs = int.from_bytes(part[:shared]) ^ int.from_bytes(other[:shared])
            return length + shared - (differs.bit_length() + 7) // 8
        length += len(part)
        step = min(2 * step, _LONGEST_STEP)
    return length
