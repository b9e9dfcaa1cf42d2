"""Hold an artifact of several tools against each other, as CSV and as Parquet; account_summary unless named.

python benchmarks/summaries.py [--of ARTIFACT] FOLDER FOLDER...
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import duckdb


def same_summaries(artifact: str, folders: Sequence[Path]) -> None:
    """See that the artifacts in all folders hold what the CSV in the first does, to the byte.

    A Parquet file is compared as the CSV that the engine makes of it, so that order, names and decimals count.

    Raises:
        ValueError: one holds something else; it says which, and from which line on.
    """
    expected = folders[0] / f"{artifact}.csv"
    with tempfile.TemporaryDirectory() as scratch:
        spelled = Path(scratch) / "spelled.csv"
        for folder in folders:
            parquet = folder / f"{artifact}.parquet"
            duckdb.execute(f"COPY (FROM '{parquet}') TO '{spelled}' (HEADER)")
            _same_lines(expected, folder / f"{artifact}.csv", folder / f"{artifact}.csv")
            _same_lines(expected, spelled, parquet)


def _same_lines(expected: Path, found: Path, what: Path) -> None:
    with expected.open("rb") as ours, found.open("rb") as theirs:
        for number, (one, other) in enumerate(zip_longest(ours, theirs), start=1):
            if one != other:
                raise ValueError(f"{what} differs from {expected} from line {number} on: {other!r}, not {one!r}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--of", default="account_summary")
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    try:
        same_summaries(given.of, given.folders)
    except ValueError as error:
        sys.exit(str(error))
