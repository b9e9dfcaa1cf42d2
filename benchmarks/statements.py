"""Where the time of one command goes: its statements in the engine, and what lies between them.

    python benchmarks/statements.py COMMAND [ARGUMENT...]

The arguments are those of `dropledger`. What took less than the 200th part of the whole is summed up in the last lines.
"""

import sys
import time
from contextlib import suppress
from typing import Any

BEGAN = time.perf_counter()


def main() -> None:
    from dropledger.handlers.cli.main import main as command
    from dropledger.infra.duckdb.session import DuckDBSession

    run = DuckDBSession._engine
    statements: list[tuple[float, float, float, str]] = []

    def timed(session: DuckDBSession, sql: str, parameters: Any = None) -> Any:
        began, worked = time.perf_counter(), time.process_time()
        try:
            return run(session, sql, parameters)
        finally:
            ended = time.perf_counter()
            statements.append((began - BEGAN, ended - began, time.process_time() - worked, " ".join(sql.split())))

    DuckDBSession._engine = timed  # type: ignore[method-assign]
    sys.argv[0] = "dropledger"
    with suppress(SystemExit):
        command()
    whole = time.perf_counter() - BEGAN
    print(f"{'at':>7}{'ms':>7}{'CPU':>7}")
    ended = small = 0.0
    for began, seconds, worked, sql in [*statements, (whole, 0.0, 0.0, "")]:
        if began - ended > whole / 200:
            print(f"{ended * 1000:7.0f}{(began - ended) * 1000:7.0f}{'':7}  outside the engine")
        if seconds > whole / 200:
            print(f"{began * 1000:7.0f}{seconds * 1000:7.0f}{worked * 1000:7.0f}  {sql[:90]}")
        else:
            small += seconds
        ended = began + seconds
    inside = sum(seconds for _, seconds, _, _ in statements)
    print(f"{len(statements)} statements: {inside * 1000:.0f} ms, {small * 1000:.0f} ms of it in short ones")
    print(f"the whole: {whole * 1000:.0f} ms, CPU {time.process_time() * 1000:.0f} ms")


if __name__ == "__main__":
    main()
