"""What programs call: a ledger that is opened, files that are loaded into it, and what it says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

from dropledger.core.ingest.run import process as run
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.core.ports.session import Session
from dropledger.handlers.originals import named_files
from dropledger.handlers.wiring import wire


class Ledger:
    """A root with its warehouse and pipeline; `open_ledger` gives one. Nothing stays open between two calls."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def process(
        self, files: Iterable[str | PathLike[str]], *, feed: str | None = None, as_of: datetime | None = None
    ) -> Sequence[Outcome]:
        """Load files in place; the originals stay where they are. Files that were loaded before change nothing.

        Args:
            feed: the feed of all of them; by default each file's name tells.
            as_of: the time (aware) from which their rows are true; by default the date in each file's name.

        Returns:
            What became of each file, and of those that an earlier process left unfinished. A file that is refused is
            no error: its outcome says so (`refused`, `rule`, `error`, `hint`).

        Raises:
            FileNotFoundError: a file is not there; none was loaded.
            Busy: another process held the root for `DROPLEDGER_WAIT_SECONDS`; try again later, no file is lost.
            PartialFailure: some files could not be taken, or wait for their control files; its `outcomes` are those of
                the others.
            ConfigurationError: the root, the warehouse or the pipeline cannot work.
        """
        paired = named_files(map(Path, files), self.runtime.pipeline, feed=feed, as_of=as_of)
        outcomes = run(self.runtime, paired.ready, lambda _: None)
        waits = paired.refusal()
        if waits is not None:
            raise PartialFailure(waits, outcomes)
        return outcomes

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """The tables, for reading, as long as the block lasts; its `query` gives rows.

        Raises:
            ConfigurationError: there is no ledger yet, or one of another pipeline.
        """
        with self.runtime.reading() as session:
            yield session

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a select, by the names of columns. `:name` in the text is bound to the parameter of that name."""
        with self.reading() as session:
            return session.query(sql, parameters)


def open_ledger(root: str | PathLike[str], *, pipeline: str | None = None, warehouse: str | None = None) -> Ledger:
    """The ledger of a root, which is made by the first drop if it is not there.

    Args:
        root: a folder, or an address like `s3://bucket/prefix`.
        pipeline: a built-in pipeline, or the folder of one. By default as the settings say; see docs/operating.md.
        warehouse: the DuckDB file, or `databricks`. By default in the root.

    Raises:
        ConfigurationError: a setting or a file of the pipeline cannot work.
    """
    return Ledger(wire(root=str(root), warehouse=warehouse, pipeline=pipeline))
