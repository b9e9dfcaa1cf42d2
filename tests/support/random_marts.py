"""Small pipelines at random: three feeds, and marts that join, filter, group and rank them in any way that SQL has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

NUMBER, TEXT, DAY = "number", "text", "day"
_NOTHING = {NUMBER: "0", TEXT: "'none'", DAY: "DATE '1900-01-01'"}

CONTRACTS = {
    "sale": {
        "mode": "event",
        "key": ["sale_id"],
        "effective_column": "sold_at",
        "columns": {"sale_id": "bigint", "sold_at": "timestamp", "shop": "bigint", "item": "text", "amount": "bigint"},
    },
    "shop": {
        "mode": "full",
        "missing_keys": "close",
        "key": ["shop"],
        "columns": {"shop": "bigint", "region": "text", "opened": "date"},
    },
    "item": {"mode": "delta", "key": ["item"], "columns": {"item": "text", "kind": "text", "price": "bigint"}},
}
"""The feeds, each with its columns."""


@dataclass(frozen=True)
class Part:
    """A query with its columns, each with its kind."""

    sql: str
    columns: dict[str, str]


def write_contracts(folder: Path) -> None:
    """The files of a pipeline without marts."""
    folder.mkdir(parents=True)
    pipeline = {"pipeline": "random", "schema": "random", "moment": [*CONTRACTS]}
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(pipeline))
    for feed, contract in CONTRACTS.items():
        columns = [{"name": name, "type": kind} for name, kind in contract["columns"].items()]
        for column in columns:
            if column["name"] in {*contract["key"], contract.get("effective_column")}:
                column["rules"] = ["not_null"]
        file = {"feed": feed, "files": [f"{feed}*.csv"], "max_rejected": 1}
        (folder / f"{feed}.yaml").write_text(yaml.safe_dump({**file, **contract, "columns": columns}))


def write_mart(folder: Path, name: str, part: Part, key: list[str]) -> None:
    """A mart without SQL for its touched keys."""
    marts = folder / "marts"
    marts.mkdir(exist_ok=True)
    (marts / f"{name}.yaml").write_text(yaml.safe_dump({"mart": name, "key": key, "columns": [*part.columns]}))
    (marts / f"{name}.sql").write_text(part.sql)


def draw_mart(draw: Draw, others: dict[str, dict[str, str]]) -> tuple[Part, list[str]]:
    """A mart, and its key; `others` are marts that it may read, with their columns."""
    part = _relation(draw, others, draw(st.integers(1, 3)))
    names = list(part.columns)
    key = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    rest = [name for name in names if name not in key]
    keys = [f"coalesce(q.{name}, {_NOTHING[part.columns[name]]}) AS k{place}" for place, name in enumerate(key)]
    if draw(st.booleans()):
        numbers = [name for name in rest if part.columns[name] == NUMBER]
        sums = [f"sum(q.{name}) AS s_{name}" for name in numbers[:2]]
        sql = f"SELECT {', '.join([*keys, 'count(*) AS n', *sums])} FROM ({part.sql}) AS q GROUP BY "
        sql += ", ".join(one.rpartition(" AS ")[0] for one in keys) if draw(st.booleans()) else _places(key)
        if draw(st.booleans()):
            sql += " HAVING count(*) > 1"
        columns = dict.fromkeys(["n", *(f"s_{name}" for name in numbers[:2])], NUMBER)
    else:
        order = ", ".join(f"q.{name} NULLS LAST" for name in rest) or "1"
        by = ", ".join(one.rpartition(" AS ")[0] for one in keys)
        results = [f"q.{name} AS r{place}" for place, name in enumerate(rest)]
        sql = f"SELECT {', '.join([*keys, *results])} FROM ({part.sql}) AS q"
        sql += f" QUALIFY row_number() OVER (PARTITION BY {by} ORDER BY {order}) = 1"
        columns = {f"r{place}": part.columns[name] for place, name in enumerate(rest)}
    kinds = {f"k{place}": part.columns[name] for place, name in enumerate(key)}
    return Part(sql, kinds | columns), [*kinds]


def _places(key: list[str]) -> str:
    return ", ".join(str(place + 1) for place in range(len(key)))


def _relation(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    if depth == 0:
        return _base(draw, others)
    ways = (
        _joined,
        _joined,
        _bridged,
        _filtered,
        _grouped,
        _distinct,
        _ranked,
        _side_by_side,
        _with_day,
        _within,
        _common,
    )
    return draw(st.sampled_from(ways))(draw, others, depth - 1)


def _base(draw: Draw, others: dict[str, dict[str, str]]) -> Part:
    feed = draw(st.sampled_from(["sale", "shop", "item", *others]))
    if feed in others:
        return Part(f"SELECT * FROM {feed}", others[feed])
    kinds = {"bigint": NUMBER, "text": TEXT, "date": DAY}
    columns = {name: kinds[kind] for name, kind in CONTRACTS[feed]["columns"].items() if kind in kinds}
    day = ", CAST(h.valid_from AS DATE) AS sold_on" if feed == "sale" else ""
    columns |= {"sold_on": DAY} if day else {}
    where = " WHERE h.is_current" if draw(st.integers(0, 3)) else ""
    named = [f"h.{name}" for name in columns if name != "sold_on"]
    return Part(f"SELECT {', '.join(named)}{day} FROM history_{feed} AS h{where}", columns)


def _condition(draw: Draw, columns: dict[str, str], alias: str) -> str:
    name = draw(st.sampled_from([*columns]))
    value = {NUMBER: "2", TEXT: "'a'", DAY: "DATE '2026-01-02'"}[columns[name]]
    conditions = (f"{alias}.{name} = {value}", f"{alias}.{name} > {value}", f"{alias}.{name} IS NULL")
    return str(draw(st.sampled_from(conditions)))


def _filtered(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    part = _relation(draw, others, depth)
    return Part(f"SELECT f.* FROM ({part.sql}) AS f WHERE {_condition(draw, part.columns, 'f')}", part.columns)


def _joined(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    left, right = _relation(draw, others, depth), _relation(draw, others, draw(st.integers(0, depth)))
    pairs = [(a, b) for a, kind in left.columns.items() for b, other in right.columns.items() if kind == other]
    on = [f"l.{a} = r.{b}" for a, b in draw(st.lists(st.sampled_from(pairs), max_size=2, unique=True))] if pairs else []
    if not on or draw(st.integers(0, 3)) == 0:
        on.append(_condition(draw, right.columns, "r"))
    how = draw(st.sampled_from(["INNER", "INNER", "LEFT", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"]))
    if how in {"RIGHT", "FULL"}:
        on = [one for one in on if " = r." in one] or ["1 = 0"]  # an engine may take no other conditions
    chosen = {f"l.{name} AS a{place}": kind for place, (name, kind) in enumerate(left.columns.items())}
    if how not in {"SEMI", "ANTI"}:
        chosen |= {f"r.{name} AS b{place}": kind for place, (name, kind) in enumerate(right.columns.items())}
    if how in {"LEFT", "FULL"} and pairs and draw(st.booleans()):
        a, b = draw(st.sampled_from(pairs))
        chosen[f"coalesce(l.{a}, r.{b}) AS c0"] = left.columns[a]
    columns = {one.rpartition(" AS ")[2]: kind for one, kind in chosen.items()}
    sql = f"SELECT {', '.join(chosen)} FROM ({left.sql}) AS l {how} JOIN ({right.sql}) AS r ON {' AND '.join(on)}"
    return Part(sql, columns)


def _bridged(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    """Two relations that nothing or little joins, and a third that an outer join has to both."""
    left, right = _relation(draw, others, depth), _relation(draw, others, 0)
    third = _relation(draw, others, 0)
    sides = {"l": left.columns, "m": right.columns}
    pairs = [
        (s, a, b) for s, of in sides.items() for a, k in of.items() for b, kind in third.columns.items() if k == kind
    ]
    if not pairs:
        return left
    on = [f"{s}.{a} = r.{b}" for s, a, b in draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=3, unique=True))]
    both = [(a, b) for a, k in left.columns.items() for b, kind in right.columns.items() if k == kind]
    if both and draw(st.booleans()):
        on.append("l.{} = m.{}".format(*draw(st.sampled_from(both))))
    how = draw(st.sampled_from(["LEFT", "LEFT", "ANTI", "SEMI", "INNER"]))
    chosen = {f"l.{name} AS a{place}": kind for place, (name, kind) in enumerate(left.columns.items())}
    chosen |= {f"m.{name} AS m{place}": kind for place, (name, kind) in enumerate(right.columns.items())}
    if how in {"LEFT", "INNER"}:
        chosen |= {f"r.{name} AS b{place}": kind for place, (name, kind) in enumerate(third.columns.items())}
    columns = {one.rpartition(" AS ")[2]: kind for one, kind in chosen.items()}
    sql = f"SELECT {', '.join(chosen)} FROM ({left.sql}) AS l CROSS JOIN ({right.sql}) AS m "
    return Part(f"{sql}{how} JOIN ({third.sql}) AS r ON {' AND '.join(on)}", columns)


def _grouped(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    part = _relation(draw, others, depth)
    by = draw(st.lists(st.sampled_from([*part.columns]), min_size=1, max_size=2, unique=True))
    results = {
        **{f"g.{name} AS g{place}": part.columns[name] for place, name in enumerate(by)},
        "count(*) AS m": NUMBER,
    }
    biggest = draw(st.sampled_from([*part.columns]))
    results[f"max(g.{biggest}) AS biggest"] = part.columns[biggest]
    columns = {one.rpartition(" AS ")[2]: kind for one, kind in results.items()}
    grouped = ", ".join(f"g.{name}" for name in by)
    return Part(f"SELECT {', '.join(results)} FROM ({part.sql}) AS g GROUP BY {grouped}", columns)


def _distinct(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    part = _relation(draw, others, depth)
    names = draw(st.lists(st.sampled_from([*part.columns]), min_size=1, max_size=3, unique=True))
    columns = {name: part.columns[name] for name in names}
    return Part(f"SELECT DISTINCT {', '.join(f'd.{name}' for name in names)} FROM ({part.sql}) AS d", columns)


def _ranked(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    part = _relation(draw, others, depth)
    by = draw(st.lists(st.sampled_from([*part.columns]), max_size=2, unique=True))
    partition = f"PARTITION BY {', '.join(f'w.{name}' for name in by)} " if by else ""
    order = ", ".join(f"w.{name} NULLS LAST" for name in part.columns)
    name = f"place{len(part.columns)}"
    sql = f"SELECT w.*, rank() OVER ({partition}ORDER BY {order}) AS {name} FROM ({part.sql}) AS w"
    return Part(sql, {**part.columns, name: NUMBER})


def _side_by_side(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    left, right = _relation(draw, others, depth), _relation(draw, others, depth)
    how = draw(st.sampled_from(["UNION ALL", "UNION", "EXCEPT", "INTERSECT"]))
    by_kind = [(a, b) for a, kind in left.columns.items() for b, other in right.columns.items() if kind == other]
    if not by_kind:
        return left
    pairs = draw(st.lists(st.sampled_from(by_kind), min_size=1, max_size=3, unique_by=lambda pair: pair[0]))
    one = f"SELECT {', '.join(f'x.{a}' for a, _ in pairs)} FROM ({left.sql}) AS x"
    other = f"SELECT {', '.join(f'y.{b}' for _, b in pairs)} FROM ({right.sql}) AS y"
    return Part(f"{one} {how} {other}", {a: left.columns[a] for a, _ in pairs})


def _with_day(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    part = _relation(draw, others, depth)
    days = [name for name, kind in part.columns.items() if kind == DAY]
    if not days:
        return part
    day = draw(st.sampled_from(days))
    name = f"dom{len(part.columns)}"
    return Part(
        f"SELECT t.*, extract(day FROM t.{day}) AS {name} FROM ({part.sql}) AS t", {**part.columns, name: NUMBER}
    )


def _within(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    part, other = _relation(draw, others, depth), _relation(draw, others, 0)
    pairs = [(a, b) for a, kind in part.columns.items() for b, second in other.columns.items() if kind == second]
    if not pairs:
        return part
    a, b = draw(st.sampled_from(pairs))
    condition = draw(
        st.sampled_from(
            [
                f"i.{a} IN (SELECT j.{b} FROM ({other.sql}) AS j)",
                f"EXISTS (SELECT 1 FROM ({other.sql}) AS j WHERE j.{b} = i.{a})",
                f"i.{a} = (SELECT max(j.{b}) FROM ({other.sql}) AS j)",
            ]
        )
    )
    return Part(f"SELECT i.* FROM ({part.sql}) AS i WHERE {condition}", part.columns)


def _common(draw: Draw, others: dict[str, dict[str, str]], depth: int) -> Part:
    part = _relation(draw, others, depth)
    return Part(f"WITH part AS ({part.sql}) SELECT p.* FROM part AS p", part.columns)
