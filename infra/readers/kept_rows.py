"""Rows that are shown as the newest ones of a feed once their file is no longer read."""

from collections.abc import Sequence

from dropledger.core.sql.text import literal, quoted
from dropledger.infra.readers.scratchpad import Scratchpad


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
        pad.engine(f"INSERT INTO {received} SELECT _line, {cells}, {accepted} FROM {quoted(source)} ORDER BY _line")
    pad.engine(f"CREATE OR REPLACE VIEW {quoted(name)} AS SELECT {literal(drop_id)} AS _drop_id, * FROM {received}")
