"""Control totals: does a file hold what it says of itself."""

from decimal import Decimal

from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import Extract
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.steps.validate import Validated


def refuse_other_totals(session: Session, extract: Extract, validated: Validated) -> None:
    """Hold the rows that were read, refused ones included, against the control totals, if there are any.

    Reads scratch `_dl_parsed`, as `validate` leaves it.

    Raises:
        DataRefused: they differ; with both.
    """
    control = extract.control
    if control is None:
        return
    if control.rows is not None and control.rows != validated.rows_read:
        raise _refused(
            extract, f"the file says that it has {control.rows:,} rows, and {validated.rows_read:,} were read"
        )
    if not control.sums:
        return
    sums = ", ".join(f"sum({quoted(name)}) AS {quoted(name)}" for name in control.sums)
    found = session.query(f"SELECT {sums} FROM _dl_parsed")[0]
    for name, stated in control.sums.items():
        read = Decimal(found[name] or 0)
        if read != stated:
            unread = validated.rows_rejected
            without = f" ({unread:,} rows were refused; what cannot be read is in no sum)" if unread else ""
            raise _refused(
                extract, f"the file says that {name} sums up to {stated:,}, and what was read to {read:,}{without}"
            )


def _refused(extract: Extract, what: str) -> DataRefused:
    entry = "trailer" if extract.contract.trailer else "control_file"
    return DataRefused(
        "control_total",
        what,
        hint=f"transfer the file again; or correct the entry {entry} of the contract, if it means something else",
    )
