"""What the history of a Delta table tells of who wrote to it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

FENCE = "dropledger.restored_by"
"""The property of a table that a writer sets, to his own name, before he restores it."""

_KEEPS_ROWS = ("OPTIMIZE", "VACUUM START", "VACUUM END", "ANALYZE", "COMPUTE STATS", "SET TBLPROPERTIES")
"""What the history calls operations, of the platform's too, that change no row."""

_RESTORED_TO = re.compile(r"\bversion\W+(\d+)")


def late_version(history: Sequence[Mapping[str, Any]], writer: str) -> int | None:
    """The first version that a statement wrote which had begun before a writer first fenced the table.

    None if there is none, or if what it wrote is gone again: what is restored after it to a version before it has
    nothing of it. `history` is what DESCRIBE HISTORY gives.
    """
    began: int | None = None
    late: int | None = None
    for entry in sorted(history, key=lambda entry: int(entry["version"])):
        version, operation = int(entry["version"]), entry["operation"]
        parameters = str(entry["operationParameters"])
        if began is None:
            if operation == "SET TBLPROPERTIES" and writer in parameters:
                began = version
        elif operation == "RESTORE":
            to = _RESTORED_TO.search(parameters)
            if late is not None and to and int(to[1]) < late:
                late = None
        elif late is None and operation not in _KEEPS_ROWS and (entry["readVersion"] or 0) < began:
            late = version
    return late
