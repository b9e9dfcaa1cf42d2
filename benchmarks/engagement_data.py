"""Deterministic files for the benchmark of the engagement pipeline: a first load, a day with late events, small files.

    python benchmarks/engagement_data.py FOLDER EVENTS [SMALL_FILES]

Below FOLDER are `first`, with an extract of users, one of activities and the events of a hundred days in ten files;
`day`, with a file of a hundredth as many events on the day after, of which one in a hundred is late, on any day before;
`late`, with a file of one event of the first of these days; and `small`, with so many files of 10 events.
"""

import sys
from pathlib import Path

import duckdb

DAYS, FILES = 100, 10
FIRST_DAY = "DATE '2021-01-01'"
USERS = """SELECT format('u{{:07}}', i) AS user_id, [format('c{{:07}}', i)] AS children_ids,
    ['PT', 'ES', 'FR', 'BR', 'MX', 'US', 'DE', 'PL'][1 + i * 7 % 8] AS country_code,
    {moment} AS registration_at, {moment} AS trial_start_at, {moment} + INTERVAL 7 DAY AS trial_end_at,
    CASE WHEN i % 3 = 0 THEN {moment} + INTERVAL 10 DAY END AS subscription_start_at,
    CASE WHEN i % 6 = 0 THEN {moment} + INTERVAL 40 DAY END AS subscription_expire_at
FROM range({users}) AS t(i)"""
ACTIVITIES = """SELECT 'a' || i AS activity_id, 'Activity ' || i AS name,
    ['game', 'video', 'story', 'song'][1 + i % 4] AS type, 'subtype ' || i % 20 AS subtype
FROM range(500) AS t(i)"""
EVENTS = """SELECT md5('event ' || i) AS event_id,
    CASE WHEN i % 10 < 6 THEN 'activity_exit' WHEN i % 10 < 9 THEN 'activity_enter' ELSE 'app_open' END AS name,
    strftime(CAST({day} AS TIMESTAMP) + INTERVAL 1 MILLISECOND * (i * 7919 % 86400000), '%Y-%m-%d %H:%M:%S.%g')
        AS occurred_at,
    format('u{{:07}}', i * 104729 % {users}) AS user_id,
    format('c{{:07}}', i * 104729 % {users}) AS child_id,
    CASE WHEN i % 10 = 9 THEN NULL ELSE {{
        'activity_id': 'a' || i * 31 % 500,
        'source': ['collection', 'search', 'home'][1 + i % 3],
        'duration': CASE WHEN i % 10 < 6 THEN CAST(i * 13 % 600000 / 1000 AS DECIMAL(12, 3)) END,
        'completed': CASE WHEN i % 10 < 6 THEN i % 4 > 0 END,
        'collection_id': CASE WHEN i % 3 = 0 THEN 'k' || i % 5 END,
        'loading_time': CASE WHEN i % 10 >= 6 THEN CAST(i % 5000 / 1000 AS DECIMAL(9, 3)) END
    }} END AS data,
    {{
        'device': {{'id': 'd' || i * 104729 % {users}, 'brand': 'Brand ' || i % 7, 'model': 'Model ' || i % 40}},
        'os': {{'name': ['iOS', 'Android'][1 + i % 2], 'version': CAST(10 + i % 4 AS VARCHAR)}},
        'app': {{'version': '7.' || i // 2 % 3, 'build': CAST(700 + i // 2 % 3 AS VARCHAR)}}
    }} AS context
FROM range({first}, {last}) AS t(i)"""


def make(folder: Path, events: int, small_files: int) -> None:
    """The files of all loads."""
    users, of_day = max(events // 100, 10), max(events // DAYS, 100)
    for load in ("first", "day", "late", "small"):
        (folder / load).mkdir(parents=True)
    moment = f"{FIRST_DAY} + INTERVAL 1 HOUR * CAST(i * 11 % 2400 - 400 AS INTEGER)"
    _write(USERS.format(moment=moment, users=users), folder / "first" / "users_2021-01-01.json")
    _write(ACTIVITIES, folder / "first" / "activities_2021-01-01.json")

    def write_events(path: Path, first: int, last: int, day: str) -> None:
        _write(EVENTS.format(first=first, last=last, day=f"{FIRST_DAY} + CAST({day} AS INTEGER)", users=users), path)

    for number in range(FILES):
        first, last = events * number // FILES, events * (number + 1) // FILES
        write_events(folder / "first" / f"events_{number:02}.jsonl", first, last, f"i * {DAYS} // {events}")
    late = f"CASE WHEN i % 100 = 0 THEN i // 100 % {DAYS} ELSE {DAYS} END"
    write_events(folder / "day" / "events_day.jsonl", events, events + of_day, late)
    write_events(folder / "late" / "events_late.jsonl", events + of_day, events + of_day + 1, "0")
    for number in range(small_files):
        first = events + of_day + 1 + 10 * number
        write_events(folder / "small" / f"events_{number:05}.jsonl", first, first + 10, f"{DAYS + 1}")


def _write(select: str, path: Path) -> None:
    duckdb.execute(f"COPY ({select}) TO '{path}' (FORMAT json, TIMESTAMPFORMAT '%Y-%m-%d %H:%M:%S.%g')")


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else 0)
