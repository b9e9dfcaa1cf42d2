"""What the columns of a query are made of, and what decides about them; what is not sure is said."""

import random
import re

import pytest

from dropledger.core.contracts.pipeline_spec import BUILT_IN
from dropledger.core.lineage.made import Made, Rows, rows_of
from dropledger.core.lineage.query import read_query
from dropledger.core.sql.text import full_refresh

KNOWN = {
    "t": rows_of("t", ["a", "b", "c", "d", "e"]),
    "u": rows_of("u", ["a", "x", "y", "z"]),
    "v": rows_of("v", ["b", "k"]),
    "odd": rows_of("odd", ["a"], "odd has columns that nobody knows"),
}


def read(sql: str, dialect: str = "duckdb") -> Rows:
    return read_query(sql, KNOWN, schema="s", dialect=dialect)


def direct(made: Made) -> str:
    return " ".join(sorted(".".join(ref) for ref in made.direct))


def indirect(made: Made) -> str:
    return " ".join(sorted(f"{'.'.join(ref)}:{how}" for ref, how in made.indirect))


def made_of(sql: str, dialect: str = "duckdb") -> dict[str, str]:
    """What the columns are made of directly; of a query that is sure."""
    rows = read(sql, dialect)
    assert not rows.hidden
    assert not rows.everything.unsure
    return {name: direct(made) for name, made in rows.columns.items()}


@pytest.mark.parametrize(
    ("sql", "made"),
    [
        ("SELECT a, b AS q FROM t", {"a": "t.a", "q": "t.b"}),
        ("SELECT T.A, w.B FROM s.t AS T JOIN V AS w ON T.b = w.b", {"a": "t.a", "b": "v.b"}),
        ("SELECT a + b AS n, n + c AS m FROM t", {"n": "t.a t.b", "m": "t.a t.b t.c"}),
        ("SELECT * FROM v", {"b": "v.b", "k": "v.k"}),
        ("FROM v", {"b": "v.b", "k": "v.k"}),
        ("SELECT v.*, c FROM t, v", {"b": "v.b", "k": "v.k", "c": "t.c"}),
        ("SELECT * EXCLUDE (a) REPLACE (b + c AS d) FROM t", {"b": "t.b", "c": "t.c", "d": "t.b t.c", "e": "t.e"}),
        ("SELECT * RENAME (k AS q) FROM v", {"b": "v.b", "q": "v.k"}),
        ("SELECT b, k, a FROM v JOIN t USING (b)", {"b": "t.b v.b", "k": "v.k", "a": "t.a"}),
        ("SELECT * FROM v NATURAL JOIN (SELECT b, c FROM t)", {"b": "t.b v.b", "k": "v.k", "c": "t.c"}),
        ("SELECT a FROM (t JOIN v ON t.b = v.k)", {"a": "t.a"}),
        ("SELECT * FROM (t JOIN v USING (b)) AS q(b, l)", {"b": "t.a", "l": "t.b v.b", "c": "t.c"}),
        ("SELECT * FROM v SEMI JOIN u ON u.x = v.k", {"b": "v.b", "k": "v.k"}),
        ("WITH w AS (SELECT a AS p FROM t), z AS (SELECT p AS q FROM w) SELECT q FROM z", {"q": "t.a"}),
        ("WITH w(p) AS (SELECT a FROM t) SELECT p FROM w", {"p": "t.a"}),
        ("WITH t AS (SELECT k FROM v) SELECT * FROM t", {"k": "v.k"}),
        ("SELECT * FROM (SELECT a FROM t) AS q(p)", {"p": "t.a"}),
        ("SELECT a AS p FROM t UNION ALL SELECT k FROM v", {"p": "t.a v.k"}),
        ("(SELECT a FROM t) UNION (SELECT x FROM u)", {"a": "t.a u.x"}),
        ("SELECT a FROM t UNION ALL BY NAME SELECT k, b AS a FROM v", {"a": "t.a v.b", "k": "v.k"}),
        ("SELECT a FROM t EXCEPT SELECT x FROM u", {"a": "t.a"}),
        ("SELECT (SELECT max(k) FROM v WHERE v.b = t.b) AS m FROM t", {"m": "v.k"}),
        ("SELECT EXISTS (SELECT k FROM v) AS m, a IN (SELECT x FROM u) AS n FROM t", {"m": "", "n": "t.a u.x"}),
        ("SELECT count(*) AS n, sum(a) AS s, count(DISTINCT b) AS d FROM t", {"n": "", "s": "t.a", "d": "t.b"}),
        ("SELECT array_agg(a ORDER BY b) AS l FROM t", {"l": "t.a"}),
        ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) AS m FROM t", {"m": "t.a"}),
        ("SELECT sum(a) FILTER (WHERE b > 1) OVER (PARTITION BY c ORDER BY d) AS s FROM t", {"s": "t.a"}),
        ("SELECT CASE WHEN a > 0 THEN b ELSE c END AS s, if(d, e, 0) AS i FROM t", {"s": "t.b t.c", "i": "t.e"}),
        ("SELECT list_transform([a], i -> i + b) AS l FROM t", {"l": "t.a t.b"}),
        ("SELECT a.f AS p, t.b.g AS q FROM t", {"p": "t.a", "q": "t.b"}),
        ("SELECT l.m FROM t, LATERAL (SELECT t.a + u.x AS m FROM u) AS l", {"m": "t.a u.x"}),
        ("SELECT n FROM t, unnest([a, b]) AS q(n)", {"n": "t.a t.b"}),
        ("SELECT p FROM t, (VALUES (a, 1)) AS q(p, r)", {"p": "t.a"}),
        ("SELECT v FROM v", {"v": "v.b v.k"}),
        ("SELECT struct_pack(m := a, n := b) AS s FROM t", {"s": "t.a t.b"}),
        ("SELECT hash(v.*) AS h, count(v.*) AS n FROM v", {"h": "v.b v.k", "n": ""}),
        ("SELECT l.k FROM v, LATERAL (SELECT v.*) AS l", {"k": "v.k"}),
        ("SELECT CAST(:moment AS TIMESTAMP) AS m, 1 AS n, CAST(NULL AS STRING) AS o", {"m": "", "n": "", "o": ""}),
        ("SELECT a FROM (SELECT a FROM t ORDER BY b LIMIT 1) AS q", {"a": "t.a"}),
    ],
)
def test_columns_are_made_of_those_that_are_read(sql: str, made: dict[str, str]):
    found = made_of(sql)
    assert {name: found[name] for name in made} == made
    assert len(found) == len(made) or "q(b, l)" in sql


def test_lateral_view_of_spark_is_made_of_what_it_explodes():
    sql = "SELECT p FROM t LATERAL VIEW explode(b) AS p"
    assert made_of(sql, "databricks") == {"p": "t.b"}
    assert made_of("SELECT * EXCEPT (k) FROM v", "databricks") == {"b": "v.b"}


def test_query_that_names_itself_is_followed_round():
    sql = """WITH RECURSIVE w(p, q, r) AS (
        SELECT a, b, c FROM t
        UNION ALL
        SELECT w.q, w.r, u.x FROM w JOIN u ON u.a = w.p
    )
    SELECT * FROM w"""
    assert made_of(sql) == {"p": "t.a t.b t.c u.x", "q": "t.b t.c u.x", "r": "t.c u.x"}
    assert indirect(read(sql).decided) == "t.a:join t.b:join t.c:join u.a:join u.x:join"


@pytest.mark.parametrize(
    ("sql", "decided"),
    [
        ("SELECT a FROM t WHERE b > 1 AND EXISTS (SELECT 1 FROM u WHERE u.x = t.c)", "t.b:where t.c:where u.x:where"),
        ("SELECT a FROM t WHERE b IN (SELECT k FROM v)", "t.b:where v.k:where"),
        ("SELECT c FROM t LEFT JOIN v ON v.b = t.b", "t.b:join v.b:join"),
        ("SELECT c FROM t JOIN v USING (b)", "t.b:join v.b:join"),
        ("SELECT a FROM t ANTI JOIN v ON v.k = t.a", "t.a:join v.k:join"),
        ("SELECT a FROM t GROUP BY a, b HAVING max(c) > 1", "t.a:group t.b:group t.c:having"),
        ("SELECT a AS q, max(b) FROM t GROUP BY 1", "t.a:group"),
        ("SELECT a AS q, max(b) FROM t GROUP BY q", "t.a:group"),
        ("SELECT a, b + c AS m, max(d) AS n FROM t GROUP BY ALL", "t.a:group t.b:group t.c:group"),
        ("SELECT a FROM t GROUP BY ROLLUP (a, b)", "t.a:group t.b:group"),
        ("SELECT a FROM t QUALIFY row_number() OVER (PARTITION BY b ORDER BY c) = 1", "t.b:window t.c:window"),
        ("SELECT DISTINCT a, b FROM t", "t.a:distinct t.b:distinct"),
        ("SELECT DISTINCT ON (a) b FROM t ORDER BY c", "t.a:distinct t.c:order"),
        ("SELECT a FROM t ORDER BY b", ""),
        ("SELECT a AS q FROM t ORDER BY q, c LIMIT 3", "t.a:order t.c:order"),
        ("SELECT a AS q, b FROM t ORDER BY 2 LIMIT 3", "t.b:order"),
        ("SELECT a, b FROM t ORDER BY ALL LIMIT 3", "t.a:order t.b:order"),
        ("SELECT a FROM t UNION ALL SELECT x FROM u ORDER BY a LIMIT 3", "t.a:order u.x:order"),
        ("SELECT a FROM t UNION SELECT x FROM u", "t.a:set u.x:set"),
        ("SELECT a FROM t UNION ALL SELECT x FROM u WHERE y = 1", "u.y:where"),
        ("SELECT a FROM t INTERSECT SELECT x FROM u", "t.a:set u.x:set"),
        ("WITH w AS (SELECT a, c FROM t WHERE b = 1) SELECT a FROM w WHERE c = 2", "t.b:where t.c:where"),
        ("SELECT count(*) AS n FROM (SELECT DISTINCT a FROM t)", "t.a:distinct"),
    ],
)
def test_rows_are_decided_by_what_chooses_them(sql: str, decided: str):
    rows = read(sql)
    assert not rows.everything.unsure
    assert indirect(rows.decided) == decided


@pytest.mark.parametrize(
    ("expression", "decided"),
    [
        ("CASE WHEN a > 0 THEN b END", "t.a:case"),
        ("CASE a WHEN c THEN b END", "t.a:case t.c:case"),
        ("if(a, b, c)", "t.a:case"),
        ("sum(b) OVER (PARTITION BY c ORDER BY d)", "t.c:window t.d:window"),
        ("sum(b) OVER w", "t.e:window"),
        ("sum(b) FILTER (WHERE c > 1)", "t.c:where"),
        ("array_agg(b ORDER BY c)", "t.c:order"),
        ("(SELECT max(k) FROM v WHERE v.b = t.b)", "t.b:where v.b:where"),
        ("EXISTS (SELECT k FROM v WHERE v.b = t.b)", "t.b:where v.b:where v.k:exists"),
    ],
)
def test_one_column_is_decided_by_what_chooses_its_value(expression: str, decided: str):
    rows = read(f"SELECT a, {expression} AS q FROM t WINDOW w AS (PARTITION BY e)")
    assert indirect(rows.columns["q"]) == decided
    assert indirect(rows.columns["a"]) == indirect(rows.decided) == ""


def test_deciders_go_with_the_column_through_queries():
    rows = read("WITH w AS (SELECT a, CASE WHEN b THEN c END AS q FROM t) SELECT a, q FROM w WHERE q > 1")
    assert (indirect(rows.columns["q"]), indirect(rows.decided)) == ("t.b:case", "t.b:case t.c:where")
    assert indirect(rows.whole("a")) == "t.b:case t.c:where"


@pytest.mark.parametrize(
    ("sql", "same"),
    [
        ("SELECT a AS q FROM t", "t.a"),
        ("SELECT (q) AS q FROM (SELECT a AS q FROM t)", "t.a"),
        ("SELECT a AS q FROM t WHERE b = 1 UNION ALL SELECT a FROM t WHERE b = 2", "t.a"),
        ("SELECT a AS q FROM t UNION ALL SELECT b FROM t", None),
        ("SELECT a + 0 AS q FROM t", None),
        ("SELECT CAST(a AS INTEGER) AS q FROM t", None),
        ("SELECT max(a) AS q FROM t", None),
    ],
)
def test_copy_is_told_from_what_is_computed(sql: str, same: str | None):
    found = read(sql).columns["q"].same_as
    assert (found and ".".join(found)) == same


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT a FROM t, u", "a may be of t or u"),
        ("SELECT t.c FROM t JOIN t USING (a)", "two things that are read are called t"),
        ("SELECT q FROM t", "q is no column of what is read"),
        ("SELECT t.q FROM t", "q is no column of t"),
        ("SELECT w.a FROM t", "w.a is no column of what is read"),
        ("SELECT a FROM nowhere", "the table nowhere is not known"),
        ("SELECT a FROM other.t", "the table t is not known"),
        ("SELECT c FROM t JOIN nowhere ON TRUE", "the table nowhere is not known"),
        ("SELECT b FROM odd", "odd has columns that nobody knows"),
        ("SELECT k FROM (SELECT * FROM odd) AS q(k)", "odd has columns that nobody knows"),
        ("SELECT c FROM t, odd", "odd has columns that nobody knows"),
        ("SELECT a FROM read_csv('x.csv') AS r(a)", "just the engine knows"),
        ("SELECT a, a FROM t", "two columns are called a"),
        ("SELECT sum(a) OVER w AS s FROM t", "the window w is not known"),
        ("SELECT a FROM t NATURAL JOIN odd", "NATURAL JOIN goes by columns that are not known"),
        ("SELECT min(COLUMNS('a')) + b AS m FROM t", "just the engine knows"),
    ],
)
def test_what_is_not_sure_is_said(sql: str, reason: str):
    rows = read(sql)
    told = {*rows.everything.unsure, *rows.decided.unsure}
    assert any(reason in one for one in told), told


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT FROM WHERE", "the SQL could not be read"),
        ("SELECT 'a", "the SQL could not be read"),
        ("SELECT a FROM t; SELECT b FROM t", "the SQL has 2 statements"),
        ("", "the SQL has 0 statements"),
        ("DELETE FROM t", "DELETE is no query"),
        ("SELECT * FROM odd", "odd has columns that nobody knows"),
        ("SELECT * FROM nowhere", "the table nowhere is not known"),
        ("SELECT w.* FROM t", "w is nothing that is read"),
        ("SELECT COLUMNS('a.*') FROM t", "just the engine knows"),
        ("SELECT * FROM t PIVOT (sum(a) FOR b IN (1, 2))", "PIVOT makes columns of values"),
        ("SELECT * FROM unnest([1, 2])", "has columns without names"),
        ("SELECT a, b FROM t UNION ALL SELECT k FROM v", "2 columns are put beside 1"),
        ("SELECT * FROM t UNION ALL SELECT * FROM odd", "odd has columns that nobody knows"),
    ],
)
def test_columns_that_may_be_missing_are_told(sql: str, reason: str):
    assert reason in read(sql).hidden


WORDS = re.compile(r"<=|>=|<>|->|::|:\w+|\w+|'[^']*'|\S")
ALL_KINDS = """SELECT * EXCLUDE (a), t.*, CASE a WHEN b THEN c ELSE d END, if(a, b, c), list_transform(e, x -> x + 1),
    sum(a) FILTER (WHERE b) OVER (PARTITION BY c ORDER BY d), a IN (SELECT k FROM v), EXISTS (SELECT 1 FROM u)
    FROM t LEFT JOIN u USING (a) CROSS JOIN LATERAL (SELECT t.b) AS l, unnest([1, 2]) AS n(i),
    (VALUES (1, 2)) AS w(p, q)
    GROUP BY ALL HAVING max(b) > 1 QUALIFY row_number() OVER z = 1 WINDOW z AS (PARTITION BY a) ORDER BY 1 LIMIT 2
    UNION ALL SELECT DISTINCT ON (a, 2) * FROM t NATURAL JOIN v GROUP BY ROLLUP (a, b), 1 ORDER BY ALL LIMIT 1"""


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_text_says_it_is_read_or_what_is_wrong_is_told(seed: int):
    draw = random.Random(seed)
    texts = [path.read_text("utf-8") for path in sorted((BUILT_IN / "lending").rglob("*.sql"))]
    words = [WORDS.findall(re.sub("--.*", "", full_refresh(text))) for text in [*texts, *[ALL_KINDS] * 5]]
    understood = 0
    for _ in range(200):
        text = [*draw.choice(words)]
        for _ in range(draw.randint(1, 2)):
            one, other = draw.randrange(len(text)), draw.randrange(len(text))
            text[one], text[other] = draw.choice([(text[other], text[one]), ("", text[other]), (text[other], "NULL")])
        understood += not read(" ".join(text), draw.choice(["duckdb", "databricks"])).hidden
    assert understood > 10


def test_many_conditions_and_terms_in_a_row_are_read():
    conditions = " OR ".join(f"b = {number}" for number in range(3000))
    rows = read(f"SELECT {' + '.join(['a'] * 3000)} AS q FROM t WHERE {conditions} AND c > 1")
    assert (direct(rows.columns["q"]), indirect(rows.decided)) == ("t.a", "t.b:where t.c:where")


def test_what_is_nested_too_deeply_is_told():
    assert read(f"SELECT {'(' * 3000}a{')' * 3000} AS q FROM t").hidden == (
        "the SQL could not be read: it is nested too deeply"
    )
    unions = " UNION ALL ".join(["SELECT a FROM t"] * 3000)
    assert read(f"SELECT a FROM ({unions})").hidden == "the SQL could not be read: it is nested too deeply"
