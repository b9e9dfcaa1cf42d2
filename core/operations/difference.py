"""What one select gives and another does not."""

from typing import Any

from dropledger.core.ports.session import Session


def difference(session: Session, select: str, most: int) -> tuple[int, list[dict[str, Any]]]:
    """How many rows an EXCEPT of two selects gives, and the first few of them, in order."""
    session.scratch("_dl_difference", select)
    count = session.count("_dl_difference")
    return count, session.query(f"SELECT * FROM _dl_difference ORDER BY ALL LIMIT {int(most)}") if count else []
