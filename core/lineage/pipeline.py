"""The lineage of a whole pipeline, column by column: from its feeds to its artifacts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from dropledger.core.contracts.contract import Column, Contract, Severity
from dropledger.core.contracts.pipeline_spec import Mart, Pipeline
from dropledger.core.errors import NotInstalled
from dropledger.core.ledger.migrations import table_columns
from dropledger.core.lineage.made import NOTHING, Made, Ref, Rows, computed, copy_of, rows_of
from dropledger.core.lineage.relations import Layer, reads, relations
from dropledger.core.sql.text import full_refresh, listed, quoted

Place = Layer | Literal["feed", "artifact"]


@dataclass(frozen=True, slots=True)
class Decider:
    """A column that decides about another; `by` are the ways in which it does, see `Made`."""

    table: str
    column: str
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnLineage:
    """What one column comes from: what it is made of, and what decides about it.

    `copied` is whether it is an unchanged copy of the one column in `direct`. Each of `unsure` is a reason why there
    may be more.
    """

    direct: tuple[Ref, ...]
    indirect: tuple[Decider, ...]
    copied: bool
    unsure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableLineage:
    """A feed, table, view or artifact with its columns in order, and the names of what it `reads`.

    Each of `unsure` is a reason why it may have more columns, or come from more.
    """

    layer: Place
    reads: tuple[str, ...]
    columns: Mapping[str, ColumnLineage]
    unsure: tuple[str, ...]


Lineage = Mapping[str, TableLineage]
"""By name, each behind what it reads. The name of a feed is `feed:<feed>`, and of an artifact `outputs/<file>`."""


def read_lineage(pipeline: Pipeline, *, dialect: str = "duckdb") -> Lineage:
    """What each column of a pipeline is made of, and what decides about it, by its contracts and its SQL.

    `dialect` is what its SQL is taken to be written in, as sqlglot calls it. What keeps a mart to the touched rows is
    left out.

    Raises:
        ConfigurationError: sqlglot is not installed.
    """
    layers: dict[str, Place] = {name: relation.layer for name, relation in relations(pipeline).items()}
    read_by = {name: list(found) for name, found in reads(pipeline).items()}
    feeds = {name: rows for feed in pipeline.feed_order for name, rows in _feed(pipeline.contracts[feed]).items()}
    made = {**feeds, **_ledger()}
    made |= _models(pipeline, made, dialect)
    for feed in pipeline.contracts:
        layers[f"feed:{feed}"], read_by[f"feed:{feed}"], read_by[f"src_{feed}"] = "feed", [], [f"feed:{feed}"]
    for mart in pipeline.marts:
        for kind in mart.file.artifacts:
            name = f"outputs/{mart.name}.{kind}"
            layers[name], read_by[name] = "artifact", [mart.name]
            made[name] = rows_of(mart.name, mart.file.columns)
    in_order = [
        *(name for name in made if layers[name] == "feed"),
        *(name for name in layers if layers[name] != "feed"),
    ]
    return {name: _table(name, layers[name], read_by[name], made[name]) for name in in_order}


def _table(name: str, layer: Place, read: Iterable[str], rows: Rows) -> TableLineage:
    unsure = {*rows.decided.unsure, *([rows.hidden] if rows.hidden else [])}
    return TableLineage(
        layer,
        tuple(read),
        {column: _column(name, rows.whole(column)) for column in rows.columns},
        tuple(sorted(unsure)),
    )


def _column(table: str, made: Made) -> ColumnLineage:
    """Of what a table says of its own rows as they were before, nothing is told."""
    ways: dict[Ref, set[str]] = {}
    for ref, how in made.indirect:
        ways.setdefault(ref, set()).add(how)
    return ColumnLineage(
        direct=tuple(sorted(ref for ref in made.direct if ref.table != table)),
        indirect=tuple(Decider(*ref, tuple(sorted(ways[ref]))) for ref in sorted(ways) if ref.table != table),
        copied=made.same_as is not None,
        unsure=tuple(sorted(made.unsure)),
    )


# What dropledger makes


def _ledger() -> dict[str, Rows]:
    tables = {name: Rows(dict.fromkeys(columns, NOTHING)) for name, columns in table_columns().items()}
    where = computed([copy_of("drop_ledger", "feed"), copy_of("drop_ledger", "status")]).deciding("where")
    moment = computed([copy_of("drop_ledger", "last_effective")])
    return {**tables, "mart_moment": Rows({"moment": moment}, where)}


def _feed(contract: Contract) -> dict[str, Rows]:
    """A feed and its three layers, as they are whatever a contract says but for what it does say."""
    feed, src, stg = f"feed:{contract.feed}", f"src_{contract.feed}", f"stg_{contract.feed}"
    names = [column.name for column in contract.columns]
    checked = [copy_of(feed, column.name) for column in contract.columns if _may_refuse(column)]
    accepted = computed(checked).deciding("rule")
    typed = {column.name: copy_of(src, column.name) for column in contract.columns}
    typed |= {column.name: computed([typed[column.name]]) for column in contract.columns if _is_converted(column)}
    return {
        feed: Rows(dict.fromkeys(names, NOTHING)),
        src: Rows(
            {
                "_drop_id": NOTHING,
                "_line": NOTHING,
                **{name: copy_of(feed, name) for name in names},
                "_accepted": accepted,
            }
        ),
        stg: Rows(
            {"_drop_id": copy_of(src, "_drop_id"), "_line": copy_of(src, "_line"), **typed},
            copy_of(src, "_accepted").deciding("where"),
        ),
        f"history_{contract.feed}": _facts(contract, stg) if contract.brings_facts else _history(contract, stg),
    }


def _may_refuse(column: Column) -> bool:
    return column.type != "text" or any(rule.severity == Severity.ERROR for rule in column.rules)


def _is_converted(column: Column) -> bool:
    return column.type != "text" or column.default is not None or column.accepted_values is not None


def _history(contract: Contract, stg: str) -> Rows:
    """Versions: whether one is opened or closed is decided by key and values, in order of time and of receipt.

    Which of a key's is current is decided by that order alone: it has the values that were observed last.
    """
    stored = [column.name for column in (*contract.key_columns, *contract.values)]
    times = [copy_of("drop_ledger", "as_of")]
    if contract.effective_column is not None:
        times.append(copy_of(stg, contract.effective_column))
    time = computed(times)
    order = computed([*(copy_of(stg, name) for name in contract.key), copy_of("drop_ledger", "sequence"), time])
    version = computed([order, *(copy_of(stg, name) for name in stored)]).deciding("version")
    deleted = NOTHING
    if contract.operation is not None:
        deleted = copy_of(stg, contract.operation.column).deciding("version")
    of_versions = {
        "valid_from": time,
        "valid_to": time,
        "is_current": order.deciding("version"),
        "drop_id": copy_of(stg, "_drop_id"),
        "line": copy_of(stg, "_line"),
    }
    of_versions |= {name: of_versions[name].decided_by(version) for name in of_versions if name != "is_current"}
    return Rows({**{name: copy_of(stg, name) for name in stored}, **of_versions}, deleted)


def _facts(contract: Contract, stg: str) -> Rows:
    """Facts: of each key the row received first, as it is, from its own time on."""
    stored = [column.name for column in (*contract.key_columns, *contract.values)]
    received = computed([*(copy_of(stg, name) for name in contract.key), copy_of("drop_ledger", "sequence")])
    of_facts = {
        **{name: copy_of(stg, name) for name in stored},
        "valid_from": computed([copy_of(stg, contract.effective_column or "")]),
        "valid_to": NOTHING,
        "is_current": NOTHING,
        "drop_id": copy_of(stg, "_drop_id"),
        "line": copy_of(stg, "_line"),
    }
    return Rows(of_facts, received.deciding("version"))


# What the pipeline's SQL makes


def _models(pipeline: Pipeline, made: Mapping[str, Rows], dialect: str) -> dict[str, Rows]:
    """The views and marts, each by its SQL and by what was found of those before it."""
    try:
        from dropledger.core.lineage.query import read_query
    except ModuleNotFoundError as error:
        raise NotInstalled("the lineage of columns needs sqlglot, which reads the SQL", "lineage") from error

    known = {name: rows_of(name, rows.columns) for name, rows in made.items() if not name.startswith("feed:")}
    known |= {f"changed_{feed}": _changed(contract) for feed, contract in pipeline.contracts.items()}
    known |= {f"before_{feed}": known[f"history_{feed}"] for feed in pipeline.contracts}
    found: dict[str, Rows] = {}

    def read(name: str, sql: str) -> None:
        rows = read_query(full_refresh(sql), known, schema=pipeline.file.db_schema, dialect=dialect)
        found[name], known[name.casefold()] = rows, rows_of(name, rows.columns, rows.hidden)

    for model in pipeline.views_for_marts:
        read(model.name, model.sql)
    for mart in pipeline.marts:
        _know_touched(mart, known)
        read(f"touched_{mart.name}", mart.touched_sql or f"SELECT {listed(mart.file.key)} FROM {quoted(mart.name)}")
        known[f"touched_{mart.name}".casefold()] = found.pop(f"touched_{mart.name}")  # nothing that stays
        read(mart.name, mart.sql)
        known[f"before_{mart.name}".casefold()] = known[mart.name.casefold()]
    for model in pipeline.views_of_marts:
        read(model.name, model.sql)
    return found


def _know_touched(mart: Mart, known: dict[str, Rows]) -> None:
    """Let the SQL of a mart's touched keys name the mart itself, whose own SQL comes later."""
    itself = rows_of(mart.name, mart.file.columns)
    known[mart.name.casefold()] = known[f"before_{mart.name}".casefold()] = itself


def _changed(contract: Contract) -> Rows:
    """The keys that a drop changed, and since when."""
    history = f"history_{contract.feed}"
    columns = {name: copy_of(history, name) for name in contract.key}
    return Rows({**columns, "changed_from": computed([copy_of(history, "valid_from")])})
