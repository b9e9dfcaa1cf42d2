"""Statements with the names that they read, as a session in Databricks sends them."""

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
HELD = "WHERE (SELECT _held FROM held)"
INSERTED = "SELECT * FROM ( SELECT * FROM _dl_parsed )"
MERGED = "SELECT a FROM (SELECT * FROM _dl_parsed) AS n"
THEN = "ON m.a = n.a WHEN NOT MATCHED AND n.b THEN INSERT (a) VALUES (n.a)"


@pytest.mark.parametrize(
    ("statement", "sent"),
    [
        ("SELECT 1 AS observations", "SELECT 1 AS observations"),
        ("DELETE FROM _dl_parsed WHERE id = 1", "DELETE FROM _dl_parsed WHERE id = 1"),
        ("-- why\nSELECT * FROM `Observation`", f"WITH {OBSERVATION} ( -- why SELECT * FROM `Observation` )"),
        (
            "WITH a AS (SELECT 1) SELECT * FROM a, _DL_PARSED",
            f"WITH {PARSED} ( WITH a AS (SELECT 1) SELECT * FROM a, _DL_PARSED )",
        ),
        (f"INSERT INTO `t` (`a`)\n{INSERTED}\n{HELD}", f"INSERT INTO `t` (`a`) WITH {PARSED} ( {INSERTED} {HELD} )"),
        (
            "CREATE OR REPLACE TABLE t AS SELECT id FROM changed_account",
            (
                f"CREATE OR REPLACE TABLE t AS WITH {OBSERVATION}, "
                "`changed_account` AS ( SELECT `id` FROM observation ) ( SELECT id FROM changed_account )"
            ),
        ),
        (
            "MERGE INTO `h` AS m\nUSING _dl_parsed AS n\n    ON m.a = n.a\nWHEN MATCHED THEN DELETE",
            (
                f"MERGE INTO `h` AS m USING ( WITH {PARSED} ( SELECT * FROM _dl_parsed ) ) AS n "
                "ON m.a = n.a WHEN MATCHED THEN DELETE"
            ),
        ),
        (
            f"-- why\nMERGE INTO h AS m\nUSING (\n{MERGED}\n) AS n\n{THEN}",
            f"-- why MERGE INTO h AS m USING ( WITH {PARSED} ( {MERGED} ) ) AS n {THEN}",
        ),
    ],
)
def test_statement_brings_along_what_it_reads_each_name_behind_those_that_it_reads(
    names: Names, statement: str, sent: str
):
    assert names.brought(statement).split() == sent.split()


def test_name_stands_for_what_it_was_given_last(names: Names):
    names.give("_dl_parsed", "SELECT 7 AS id")
    sent = """WITH `_dl_parsed` AS ( SELECT 7 AS id ), `observation` AS ( SELECT * FROM _dl_parsed )
        ( SELECT id FROM observation )"""
    assert names.brought("SELECT id FROM observation").split() == sent.split()
    assert "Observation" in names
    assert "other" not in names


def test_statement_that_could_not_bring_them_along_is_not_sent(names: Names):
    with pytest.raises(ValueError, match="cannot bring _dl_parsed along"):
        names.brought("DELETE FROM t WHERE id IN (SELECT id FROM _dl_parsed)")
