"""What processes that were killed have left beside a warehouse file."""

import shutil
from glob import escape
from pathlib import Path

from dropledger.infra.local.process_name import may_run

_LABELS = ("planning", "exporting", "verifying", "rebuilding", "rewriting", "migrating", "previous")
"""What staging copies are called; any of them may be another process's, which is at work on it."""


def left_beside(path: Path) -> list[Path]:
    """The staging copies of a warehouse file, and what belongs to them."""
    beginnings = [f"{path.stem}.{label}{path.suffix}" for label in _LABELS]
    return sorted(found for name in beginnings for found in path.parent.glob(f"{escape(name)}*"))


def remove_spilled(path: Path) -> None:
    """Remove what such processes had moved out of memory, or unpacked or rewrote to read it.

    Who calls it is alone with the file.
    """
    for folder in path.parent.glob(f"{escape(path.name)}.tmp-*"):
        name = folder.name.removeprefix(f"{path.name}.tmp-").removeprefix("lines-")
        if name.replace("-", "").isdecimal() and not may_run(name):
            remove_tree(folder)


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with all in it as far as that can be."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
