"""Control totals: does a file hold what it says of itself."""

from decimal import Decimal

from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import ControlTotals, Extract
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.steps.validate import Validated


def refuse_other_totals(session: Session, extract: Extract, validated: Validated) -> None:
    """Hold the rows that were read, refused ones included, against all control totals that there are.

    Reads scratch `_dl_parsed`, as `validate` leaves it.

    Raises:
        DataRefused: they differ; with both.
    """
    for control in extract.controls:
        _refuse_another(session, control, validated)


def _refuse_another(session: Session, control: ControlTotals, validated: Validated) -> None:
    who = "the file" if control.entry == "trailer" else "the control file"
    if control.rows is not None and control.rows != validated.rows_read:
        it_has = "that it has" if control.entry == "trailer" else "that there are"
        raise _refused(control, f"{who} says {it_has} {control.rows:,} rows, and {validated.rows_read:,} were read")
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
                control, f"{who} says that {name} sums up to {stated:,}, and what was read to {read:,}{without}"
            )


def _refused(control: ControlTotals, what: str) -> DataRefused:
    return DataRefused(
        "control_total",
        what,
        hint=f"transfer the file again; or correct the entry {control.entry} of the contract, if it means something "
        "else",
    )
