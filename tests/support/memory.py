"""A control group of Linux that ends who takes more memory than it has, as Lambda does."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

_V1, _V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@contextmanager
def group_of(mebibytes: int) -> Iterator[Path]:
    """The file that takes a process's number into the group; where none can be made the test is skipped."""
    v1 = _V1.is_dir()
    group = (_V1 if v1 else _V2) / f"dropledger-{uuid4().hex}"
    limit = "memory.limit_in_bytes" if v1 else "memory.max"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        try:
            (group / limit).write_text(str(mebibytes << 20))
        except OSError as error:
            pytest.skip(f"no memory can be limited here: {error}")
        with suppress(OSError):  # a system without swap has no such file
            (group / ("memory.memsw.limit_in_bytes" if v1 else "memory.swap.max")).write_text(
                str(mebibytes << 20) if v1 else "0"
            )
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
