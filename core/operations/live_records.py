"""What a replay takes over from the live ledger, as no archived file holds it."""

from datetime import datetime

from dropledger.core.ports.session import Parameters, Session
from dropledger.core.rules.fragments import IN_FUTURE
from dropledger.core.sql.text import listed
from dropledger.core.steps.facts import CONTRADICTS


def copy_rows(
    session: Session, live: str, table: str, condition: str = "TRUE", parameters: Parameters | None = None
) -> None:
    """Copy rows `t` of a table of the live ledger, column by column, since a migration may have put these in another
    order there.
    """
    names = list(session.columns(table))
    session.insert_select(
        table, names, f"SELECT {listed(names, 't')} FROM {live}{table} AS t WHERE {condition}", parameters
    )


def judged_at(session: Session, live: str) -> dict[str, datetime]:
    """When the drops were received of which rows were refused as too far ahead; of others, no row is held to that.

    Versions before that rule took such rows in, so a replay must not refuse them.
    """
    found = session.query(
        f"""SELECT l.drop_id, l.received_at
        FROM {live}drop_ledger AS l
        INNER JOIN {live}rejected_row AS r
            ON r.drop_id = l.drop_id
            AND r.sequence = l.sequence
        WHERE r.rule = :rule""",
        {"rule": IN_FUTURE},
    )
    return {row["drop_id"]: row["received_at"] for row in found}


def keep_apart(session: Session, live: str) -> None:
    """What is in no history: the refused rows of refused deliveries, and the drops that were quarantined or taken
    back.
    """
    copy_rows(
        session,
        live,
        "rejected_row",
        """NOT EXISTS (
            SELECT 1
            FROM drop_ledger AS l
            WHERE l.drop_id = t.drop_id
                AND l.sequence = t.sequence
        )""",
    )
    # Facts that an earlier file contradicted when they came: that they were refused stays told if it is taken back.
    copy_rows(
        session,
        live,
        "rejected_row",
        f"""{CONTRADICTS}
            AND EXISTS (
                SELECT 1
                FROM drop_ledger AS l
                WHERE l.drop_id = t.drop_id
                    AND l.sequence = t.sequence
            )
            AND NOT EXISTS (
                SELECT 1
                FROM rejected_row AS r
                WHERE r.drop_id = t.drop_id
                    AND r.sequence = t.sequence
                    AND r.line = t.line
            )""",
    )
    copy_rows(session, live, "drop_ledger", "NOT EXISTS (SELECT 1 FROM drop_ledger AS l WHERE l.drop_id = t.drop_id)")
