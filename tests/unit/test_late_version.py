"""Which versions of a table are a dead writer's, by its history."""

from typing import Any

import pytest

from dropledger.infra.databricks.history import FENCE, late_version

Entry = dict[str, Any]


def history(*operations: tuple[str, int | None, dict[str, str | None]]) -> list[Entry]:
    """What DESCRIBE HISTORY gives, the newest first: each an operation, the version that it read, its parameters."""
    entries = [
        {"version": version, "operation": name, "readVersion": read, "operationParameters": list(parameters.items())}
        for version, (name, read, parameters) in enumerate(operations)
    ]
    return entries[::-1]


def write(read: int | None) -> tuple[str, int | None, dict[str, str | None]]:
    return "WRITE", read, {"mode": "Append"}


def fence(read: int, writer: str = "me") -> tuple[str, int | None, dict[str, str | None]]:
    return "SET TBLPROPERTIES", read, {"properties": f'{{"{FENCE}":"{writer}"}}'}


def restore(read: int, to: int) -> tuple[str, int | None, dict[str, str | None]]:
    return "RESTORE", read, {"version": str(to), "timestamp": None}


CREATED, PARTLY = ("CREATE TABLE", None, {}), write(0)
BEFORE = (CREATED, PARTLY)  # what the dead one wrote stands in version 1


@pytest.mark.parametrize(
    ("operations", "late"),
    [
        ([*BEFORE, fence(1), restore(2, 0)], None),
        ([*BEFORE, fence(1), restore(2, 0), write(3), write(4)], None),
        ([*BEFORE, fence(1), restore(2, 0), write(1)], 4),
        ([*BEFORE, fence(1), restore(2, 0), write(3), write(1), write(1), write(6)], 5),
        ([*BEFORE, fence(1), restore(2, 0), ("OPTIMIZE", 1, {}), ("VACUUM START", 1, {})], None),
        ([*BEFORE, fence(1, "another"), restore(2, 0), write(1)], None),
    ],
    ids=["undone", "written to since", "late", "late twice", "by the platform", "fenced by another"],
)
def test_write_that_had_begun_before_the_fence_is_late(operations: list[Any], late: int | None):
    assert late_version(history(*operations), "me") == late


def test_late_write_that_was_restored_away_is_none():
    """Or the table would be put back to what the dead one had written in part."""
    assert late_version(history(*BEFORE, fence(1), write(1), restore(3, 0)), "me") is None
    assert late_version(history(*BEFORE, fence(1), write(1), restore(3, 0), write(1)), "me") == 5


def test_late_write_is_found_behind_a_later_fence_of_the_same_writer():
    """What he had begun himself and undone was to be put back to what had that write in it."""
    of_his_own = (write(4), fence(5), restore(6, 4))
    assert late_version(history(*BEFORE, fence(1), restore(2, 0), write(1), *of_his_own), "me") == 4
    assert (
        late_version(history(*BEFORE, fence(1), restore(2, 0), write(3), write(1), fence(5), restore(6, 3)), "me")
        is None
    )
