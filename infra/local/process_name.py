"""Names of processes that may have the same root: containers number theirs each for itself, from 1."""

import os
from pathlib import Path

from dropledger.infra.local.file_lock import is_alive


def process_name(process: int) -> str:
    """What no other process of this machine is called, in any container: `NUMBERING-PROCESS`, two numbers."""
    return f"{_numbering()}-{process}"


def this_process() -> str:
    """The name of this process."""
    return process_name(os.getpid())


def may_run(name: str) -> bool:
    """Whether a process of this name may be at work; of another container nobody here can tell.

    Who calls it holds what that process would have to hold: so one of another container counts as ended.
    """
    numbering, _, process = name.rpartition("-")
    return numbering == _numbering() and process.isdecimal() and is_alive(int(process))


def _numbering() -> str:
    """The number of what Linux calls the PID namespace of this process."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:  # a system without containers
        return "0"
