"""The environment variables that are settings, and those that are misspelt."""

import os
from collections.abc import Iterator

VARIABLES = {
    "DROPLEDGER_ROOT": "the root, where --root is left out",
    "DROPLEDGER_WAREHOUSE": "the DuckDB file, or 'databricks', where --warehouse is left out",
    "DROPLEDGER_PIPELINE": "a built-in pipeline, or a folder with a pipeline.yaml",
    "DROPLEDGER_WAIT_SECONDS": "how long to wait for root or warehouse before reporting busy",
    "DROPLEDGER_MEMORY_LIMIT": "what DuckDB may keep in memory, such as 500MB",
    "DROPLEDGER_CACHE": "where files of a root in S3 are at hand",
    "DROPLEDGER_OUTPUTS": "when whole artifacts are written: always, on_demand, or a number of seconds",
    "DROPLEDGER_UPLOAD_LIMIT": "how large a file may be that the console plans, such as 500MB",
    "DROPLEDGER_ALERTS": "who is told of trouble, as JSON",
    "DROPLEDGER_LOG": "how to log: console, json or auto",
    "AWS_*": "as boto3 reads them, where the root is in S3",
    "DATABRICKS_*": "the connection, where the warehouse is in Databricks",
}
_OURS = "DROPLEDGER_"
_OF_TESTS = "DROPLEDGER_TEST_"


def misspelt() -> Iterator[tuple[str, str]]:
    """The variables that are named like ours and are no setting, and what to try instead; values stay untold."""
    known = [name.removeprefix(_OURS) for name in VARIABLES if name.startswith(_OURS)]
    for name in sorted(os.environ):
        upper = name.upper()  # in any case a name is read
        if upper.startswith(_OURS) and not upper.startswith(_OF_TESTS) and upper.removeprefix(_OURS) not in known:
            from difflib import get_close_matches

            near = get_close_matches(upper.removeprefix(_OURS), known, 1)
            yield name, f"did you mean {_OURS}{near[0]}?" if near else "docs/operating.md lists the settings"
