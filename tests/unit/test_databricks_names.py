"""Queries with the names that they read, as a session in Databricks sends them."""

import pytest

from dropledger.infra.databricks.names import Names


@pytest.fixture
def names() -> Names:
    """A table of the session's own, and two queries over it, one by the other."""
    found = Names()
    found.give("observation", "SELECT * FROM _dl_parsed")
    found.give("_dl_parsed", "SELECT * FROM `work`.`_dl_parsed`")
    found.give("changed_account", "SELECT `id` FROM observation")
    return found


PARSED = "`_dl_parsed` AS ( SELECT * FROM `work`.`_dl_parsed` )"
OBSERVATION = f"{PARSED}, `observation` AS ( SELECT * FROM _dl_parsed )"


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("SELECT 1 AS observations", "SELECT 1 AS observations"),
        ("-- why\nSELECT * FROM `Observation`", f"WITH {OBSERVATION} ( -- why SELECT * FROM `Observation` )"),
        (
            "WITH a AS (SELECT 1) SELECT * FROM a, _DL_PARSED",
            f"WITH {PARSED} ( WITH a AS (SELECT 1) SELECT * FROM a, _DL_PARSED )",
        ),
        (
            "SELECT id FROM changed_account",
            (
                f"WITH {OBSERVATION}, `changed_account` AS ( SELECT `id` FROM observation ) "
                "( SELECT id FROM changed_account )"
            ),
        ),
    ],
)
def test_query_brings_along_what_it_reads_each_name_behind_those_that_it_reads(names: Names, query: str, sent: str):
    assert names.brought(query).split() == sent.split()


def test_name_stands_for_what_it_was_given_last(names: Names):
    names.give("_dl_parsed", "SELECT 7 AS id")
    sent = """WITH `_dl_parsed` AS ( SELECT 7 AS id ), `observation` AS ( SELECT * FROM _dl_parsed )
        ( SELECT id FROM observation )"""
    assert names.brought("SELECT id FROM observation").split() == sent.split()
    assert "Observation" in names
    assert "other" not in names
