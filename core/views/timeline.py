"""The timeline of a key."""

from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed
from dropledger.core.views.drops import Records
from dropledger.core.views.keys import hint_of_nearest, read_key


def read_timeline(session: Session, pipeline: Pipeline, feed: str, key: str) -> Records:
    """Every version of a key in order of time, with the file and line behind each.

    Raises:
        ConfigurationError: there is no such feed, or the key cannot be one of its keys.
    """
    contract = pipeline.contract(feed)
    asked = read_key(key, contract)
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
    """What `read_timeline` gives, of a key that must have been there.

    Raises:
        ConfigurationError: it never was, or as `read_timeline`; the hint names the nearest keys that were.
    """
    found = read_timeline(session, pipeline, feed, key)
    if not found:
        asked = read_key(key, pipeline.contract(feed))
        raise ConfigurationError(
            f"the feed {feed} never had the key {key}",
            hint=hint_of_nearest(session, asked, "dropledger drops lists what was dropped"),
        )
    return found
