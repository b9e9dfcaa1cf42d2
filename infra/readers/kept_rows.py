"""Rows that are shown as the newest ones of a feed once their file is no longer read."""

from collections.abc import Sequence

from dropledger.core.sql.text import literal, quoted
from dropledger.infra.readers.scratchpad import Scratchpad


def show_rows(pad: Scratchpad, name: str, drop_id: str, rows: str) -> None:
    """Show what a select reads from the archived file, in place of rows that are kept; none of them is refused."""
    pad.engine(
        f"""CREATE OR REPLACE VIEW {quoted(name)} AS
        SELECT {literal(drop_id)} AS _drop_id, *, TRUE AS _accepted FROM ({rows}) AS archived"""
    )
    pad.engine(f"DROP TABLE IF EXISTS {quoted(f'received_{name}')}")


def keep_rows(
    pad: Scratchpad, source: str, name: str, left_out: str | None, drop_id: str, columns: Sequence[str]
) -> None:
    """Keep the rows of the relation `source` in the table `received_<name>`, and show them as the view `name`."""
    received, cells = quoted(f"received_{name}"), ", ".join(map(quoted, columns))
    accepted = f"_line NOT IN (SELECT _line FROM {quoted(left_out)})" if left_out is not None else "TRUE"
    # These rows are replaced by the feed's next drop: looking for their best compression costs more than it saves.
    typed = ", ".join(f"{quoted(column)} VARCHAR USING COMPRESSION uncompressed" for column in columns)
    pad.engine(f"CREATE OR REPLACE TABLE {received} (_line BIGINT, {typed}, _accepted BOOLEAN)")
    with pad.in_order_of_the_file():
        pad.engine(f"INSERT INTO {received} SELECT _line, {cells}, {accepted} FROM {quoted(source)}")
    pad.engine(f"CREATE OR REPLACE VIEW {quoted(name)} AS SELECT {literal(drop_id)} AS _drop_id, * FROM {received}")
