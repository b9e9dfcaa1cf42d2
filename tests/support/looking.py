"""Warehouse files opened to read by engines that are kept, as to start one takes ten times as long as to look."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import duckdb

from dropledger.core.sql.text import literal, quoted


class Engines:
    """Those that look at nothing now; a look within a look, or in another thread, gets one of its own."""

    idle: ClassVar[list[duckdb.DuckDBPyConnection]] = []

    @classmethod
    def take(cls) -> duckdb.DuckDBPyConnection:
        # What a file held at the last look is not what it holds now, though its size and time may be the same.
        config = {"threads": "1", "enable_external_file_cache": "false"}
        return cls.idle.pop() if cls.idle else duckdb.connect(config=config)


@contextmanager
def looking_at(database: Path, schema: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The closed warehouse file, opened to read as people would; bare names are tables of the schema."""
    engine = Engines.take()
    try:
        engine.execute(f"ATTACH {literal(str(database))} AS {quoted(database.stem)} (READ_ONLY)")
        engine.execute(f"USE {quoted(database.stem)}.{quoted(schema)}")
        yield engine
        engine.execute("USE memory")
        engine.execute(f"DETACH {quoted(database.stem)}")
    except BaseException:
        engine.close()
        raise
    Engines.idle.append(engine)
