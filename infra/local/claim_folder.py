"""How claims lie in the `work/` of a local root.

A file that was claimed by itself has a folder of its own; files that were claimed together share one, and are numbered.
In the folder lie `claim.json`, which says in a line of JSON for each claim what was claimed; the bytes of each, as
`content` or `0001-content`; and whatever was staged for it, named by the same rule.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

JOURNAL = "claim.json"
CONTENT = "content"

_ID = re.compile(r"(.+)\.([0-9]{4})")
_NUMBERED = re.compile(r"([0-9]{4})-(.+)", re.DOTALL)


def claim_ids(folder: Path) -> list[str]:
    """The claims whose bytes lie in a folder, in order.

    Raises:
        OSError: it cannot be listed. What cannot be seen may be the only copy of a file, so it is not taken for gone.
    """
    return [_claim_id(folder, number) for number in _numbers(folder)]


def new_claim_ids(folder: Path, count: int) -> list[str]:
    """The claim_ids of so many files that are claimed together."""
    return [_claim_id(folder, f"{number:04}" if count > 1 else "") for number in range(1, count + 1)]


def place(work: Path, claim_id: str, name: str) -> Path:
    """Where a claim has its file of this name."""
    folder, number = _folder_and_number(claim_id)
    return work.joinpath(folder, f"{number}-{name}" if number else name)


def line(journal: bytes, claim_id: str) -> bytes:
    """What a folder's `claim.json` says of a claim; nothing where it ends before."""
    number = _folder_and_number(claim_id)[1]
    return b"".join(journal.split(b"\n")[int(number) - 1 :][:1]) if number else journal


def folders(work: Path) -> list[Path]:
    """The folders in `work/`, oldest first."""
    with suppress(FileNotFoundError):
        return sorted(path for path in work.iterdir() if path.is_dir())
    return []


def claims_in(work: Path) -> Iterator[tuple[str, Path]]:
    """The claims that lie in `work/`, each with its bytes; what cannot be listed counts as a claim by itself."""
    for folder in folders(work):
        try:
            found = claim_ids(folder)
        except OSError:
            found = [folder.name]
        yield from ((claim_id, place(work, claim_id, CONTENT)) for claim_id in found)


def staged(work: Path, claim_ids: Iterable[str]) -> tuple[list[Path], list[Path]]:
    """What was staged for claims, and the folders that it lies in."""
    among: dict[str, set[str]] = {}
    for folder, number in map(_folder_and_number, claim_ids):
        among.setdefault(folder, set()).add(number)
    found = [
        path
        for folder, numbers in among.items()
        for number, name, path in _files(work / folder)
        if number in numbers and name not in {CONTENT, JOURNAL}
    ]
    return found, [work / folder for folder in among]


def tidy(folder: Path) -> None:
    """Remove what is left of claims whose bytes are gone; with the last of them goes the folder."""
    numbers = _numbers(folder)
    if not numbers:
        shutil.rmtree(folder)
        return
    for number, name, path in _files(folder):
        if number not in numbers and name != JOURNAL:
            path.unlink()


def _numbers(folder: Path) -> list[str]:
    return sorted(number for number, name, _ in _files(folder) if name == CONTENT)


def _files(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """What lies in a folder, each with the number of its claim and its name without it."""
    for path in folder.iterdir():
        match = _NUMBERED.fullmatch(path.name)
        yield (match[1], match[2], path) if match else ("", path.name, path)


def _claim_id(folder: Path, number: str) -> str:
    return f"{folder.name}.{number}" if number else folder.name


def _folder_and_number(claim_id: str) -> tuple[str, str]:
    match = _ID.fullmatch(claim_id)
    return (match[1], match[2]) if match else (claim_id, "")
