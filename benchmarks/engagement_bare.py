"""The bare pass of the engine over the files of the engagement benchmark, all in memory.

    python benchmarks/engagement_bare.py FOLDER DATA...

Users and activities lie in the first of the folders with data, events in all of them. It keeps no event and no history,
checks nothing, would count an event twice that came twice, and takes users as they are in the one extract.
"""

import sys
from pathlib import Path

import duckdb


def main() -> None:
    folder, first, *more = map(Path, sys.argv[1:])
    connection = duckdb.connect()
    for feed, folders in (("users", [first]), ("activities", [first]), ("events", [first, *more])):
        paths = [str(path) for data in folders for path in sorted(data.glob(f"{feed}*"))]
        connection.execute(f"SET VARIABLE {feed} = ?", [paths])
    connection.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    connection.execute(f"COPY (FROM engagement_daily ORDER BY ALL) TO '{folder}/engagement_daily.csv' (HEADER)")
    connection.execute(f"COPY (FROM engagement_daily ORDER BY ALL) TO '{folder}/engagement_daily.parquet'")


if __name__ == "__main__":
    main()
