"""The timeline of a key."""

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed
from dropledger.core.views.drops import Records
from dropledger.core.views.keys import Key, hint_of_nearest, read_key


def read_timeline(session: Session, contract: Contract, asked: Key) -> Records:
    """Every version of a key in order of time, with the file and line behind each."""
    fragments = feed_fragments(contract)
    return session.query(
        f"""SELECT {fragments["h_columns"]}, h.valid_from, h.valid_to, h.is_current, h.drop_id, h.line, l.name AS file
        FROM {fragments["history"]} AS h
        LEFT JOIN drop_ledger AS l
            ON l.drop_id = h.drop_id
        WHERE {asked.condition}
        ORDER BY {listed(contract.key, "h")}, h.valid_from""",
        asked.bound,
    )


def find_timeline(session: Session, pipeline: Pipeline, feed: str, key: str) -> Records:
    """The timeline of a key as people write it, which must have been there.

    Raises:
        ConfigurationError: there is no such feed, the key cannot be one of its keys, or it never was; the hint names
            the nearest keys that were.
    """
    contract = pipeline.contract(feed)
    asked = read_key(key, contract)
    found = read_timeline(session, contract, asked)
    if not found:
        raise ConfigurationError(
            f"the feed {feed} never had the key {key}",
            hint=hint_of_nearest(session, contract, asked, "dropledger drops lists what was dropped"),
        )
    return found
