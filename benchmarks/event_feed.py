"""What files of events cost whose times overlap, first to last; then `verify`, and small files that wait together.

    python benchmarks/event_feed.py [--mode event|delta] [--files N] [--rows N] [--verify FILES ...] [--together N]

In one process, as in a warm `watch`. A `delta` feed with an `effective_column` is what one had to take before there was
`mode: event`; its late files have the archived ones read again. `--verify` tells after how many files `verify` is run.
"""

import argparse
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.operations.verify import verify
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.local.inbox import dropped_file
from dropledger.infra.local.store import LocalStore

CONTRACT = """feed: event
files: ["events*.csv"]
mode: {mode}
effective_column: happened_at
key: [event_id]
columns:
  - {{name: event_id, rules: [not_null]}}
  - {{name: user_id, type: bigint, rules: [not_null]}}
  - {{name: kind, rules: [not_null]}}
  - {{name: amount, type: "decimal(18,2)", rules: [not_null]}}
  - {{name: happened_at, type: timestamp}}
"""
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def runtime(folder: Path, mode: str) -> Runtime:
    """A new root of a pipeline with this feed alone."""
    pipeline = folder / "pipeline"
    (pipeline / "marts").mkdir(parents=True)
    (pipeline / "event.yaml").write_text(CONTRACT.format(mode=mode))
    (pipeline / "pipeline.yaml").write_text("pipeline: events\nschema: events\nmoment: [event]\n")
    root = folder / "root"
    store = LocalStore(root, lambda: datetime.now(UTC))
    store.prepare()
    warehouse = DuckDBWarehouse(root / "warehouse" / "ledger.duckdb", "events", wait_seconds=5.0, root=root.resolve())
    return Runtime(load_pipeline(str(pipeline)), store, warehouse, lambda: datetime.now(UTC), wait_seconds=5.0)


def file_of_events(chance: random.Random, rows: int) -> str:
    """Events at any time of ten days."""
    lines = (
        f"{chance.getrandbits(64):016x},{chance.randrange(1000)},click,{chance.randrange(10_000)}.00,"
        f"{FIRST + timedelta(seconds=chance.randrange(864_000)):%Y-%m-%dT%H:%M:%S}"
        for _ in range(rows)
    )
    return "event_id,user_id,kind,amount,happened_at\n" + "".join(f"{line}\n" for line in lines)


def landed(folder: Path, name: str, text: str) -> Path:
    path = folder / "root" / "inbox" / name
    path.write_text(text)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=["event", "delta"], default="event")
    parser.add_argument("--files", type=int, default=150)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--verify", type=int, nargs="*", default=[50, 100, 150])
    parser.add_argument("--together", type=int, default=0, help="files of 10 events that wait together, afterwards")
    options = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="dropledger-bench-") as name:
        folder = Path(name)
        running = runtime(folder, options.mode)
        milliseconds = []
        for place in range(options.files):
            path = landed(folder, f"events-{place}.csv", file_of_events(chance, options.rows))
            began = time.perf_counter()
            process(running, [dropped_file(path)], lambda _: None)
            milliseconds.append(1000 * (time.perf_counter() - began))
            if place + 1 in options.verify:
                began = time.perf_counter()
                assert verify(running, lambda *_: None).sound
                print(f"verify of {place + 1} files: {time.perf_counter() - began:.2f} s", flush=True)
        fifth = max(1, options.files // 5)
        for first in range(0, options.files, fifth):
            part = milliseconds[first : first + fifth]
            print(f"files {first + 1} to {first + len(part)}: median {statistics.median(part):.0f} ms")
        if options.together:
            paths = [
                landed(folder, f"events-t{place}.csv", file_of_events(chance, 10)) for place in range(options.together)
            ]
            began = time.perf_counter()
            outcomes = process(running, [dropped_file(path) for path in paths], lambda _: None)
            taken = time.perf_counter() - began
            assert all(outcome.rows_accepted == 10 for outcome in outcomes)
            print(f"{len(paths)} files of 10 events together: {len(paths) / taken:.0f} a second")


if __name__ == "__main__":
    main()
