"""The totals of marts that a ledger has kept, beside what their rows come to."""

from decimal import Decimal

from support.ledger import Ledger, Record

Totals = dict[tuple[str, str], tuple[int, Decimal]]
"""By mart and measure: how many rows it has, and what the measure sums up to."""


def kept_last(ledger: Ledger) -> Totals:
    """The last total of each mart; of one that never had a row there may be none."""
    found = ledger.rows("SELECT mart, measure, row_count, total FROM mart_total ORDER BY place")
    return {(mart, measure): (rows, total) for mart, measure, rows, total in found}


def of_rows(ledger: Ledger) -> Totals:
    """What the rows of each mart with a measure come to now."""
    measures = {mart.name: mart.file.measure for mart in ledger.runtime.pipeline.marts if mart.file.measure}
    return {
        (mart, measure): ledger.rows(f'SELECT count(*), coalesce(sum("{measure}"), 0) FROM "{mart}"')[0]
        for mart, measure in measures.items()
    }


def assert_totals_are_those_of_the_rows(ledger: Ledger) -> None:
    """Of each mart the last total that was kept is the sum of its rows."""
    kept = kept_last(ledger)
    assert {mart: kept.get(mart, (0, 0)) for mart in of_rows(ledger)} == of_rows(ledger)


def points(ledger: Ledger, mart: str = "account_summary") -> list[Record]:
    """What was kept of a mart, in order: cause, drop_id, rows and total."""
    columns = "cause, drop_id, row_count, total"
    return ledger.rows(f"SELECT {columns} FROM mart_total WHERE mart = ? ORDER BY place", [mart])
