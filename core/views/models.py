"""Tables and views as a page of documentation shows them: columns, SQL, what they read, checks and size."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError, Unavailable
from dropledger.core.lineage.kept import lineage_if_installed
from dropledger.core.lineage.relations import Relation, reads, relations
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.views.checks import newest_results, own_checks, worst
from dropledger.core.views.classification import Classified
from dropledger.core.views.drops import Records

_TABLES = ("ledger", "history", "marts")
"""The layers whose rows an engine knows the number of; `mart_moment` is a view."""


def list_models(session: Session | None, pipeline: Pipeline) -> Records:
    """The tables and views of a pipeline and of its ledger, in the order in which data goes through them.

    Returns:
        `name`, `layer`, `feed`, `description`; `reads` and `read_by`, lists of names; `artifacts`; `rows`, None for
        views and without a session; `checks`, how many there are of each state, and `state`, the worst of them.
    """
    found, made_of = relations(pipeline), reads(pipeline)
    rows = _counted(session, found) if session else {}
    results = newest_results(session) if session else []
    listed = []
    for name, relation in found.items():
        states = [check["state"] for check in _checks(pipeline, relation, results)]
        listed.append(
            {
                **_named(relation, made_of),
                "artifacts": _artifacts(pipeline, name),
                "rows": rows.get(name),
                "checks": {state: states.count(state) for state in dict.fromkeys(states)},
                "state": worst(states),
            }
        )
    return listed


def show_model(session: Session | None, pipeline: Pipeline, name: str, *, cache: Path | None = None) -> dict[str, Any]:
    """One of them; `cache` is the folder that `lineage_of` may keep what it reads in.

    Returns:
        As in `list_models`: `name`, `layer`, `feed`, `description`, `reads`, `read_by`, `artifacts`, `rows`, here of
        views too, but for `src_` and `stg_` those of the newest drop in history as the ledger counted them. `owner` of
        its feed. `key`, a list; `columns`, each with `name`, `type`, `description`, `classification`, `in_key`; `sql`
        and `touched_sql`, None for what dropledger makes; `file`, below the pipeline's folder, None for the ledger's
        own; `measure`, the column that a mart is summed up by; `changes`, whether drops have a file of its changes;
        `checks`, each with `layer`, `model`, `check_name`, `severity`, `message` of a failure, `state` (passed, warn,
        error or not run), and `failing_rows`, `drop_id`, `received_at` of the newest drop that ran it.

        A column of a view or mart has the classification of the columns that it is made of, see `Classified`.
        Types are the engine's with a session, else those of the contract, and None where just an engine knows them.
        Without a session the columns of a view or mart are those that its lineage has, or that its file names.
        What is new in the pipeline since the last drop is shown as without a session.

    Raises:
        ConfigurationError: there is none of this name; the hint names the nearest.
    """
    found, made_of = relations(pipeline), reads(pipeline)
    relation = found.get(name) or next((one for one in found.values() if one.name == name.casefold()), None)
    if relation is None:
        near = get_close_matches(name.casefold(), found, 3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(found)}"
        raise ConfigurationError(f"the pipeline {pipeline.name} has no table or view '{name}'", hint=hint)
    results = newest_results(session, _models_of_checks(relation)) if session else []
    asked = session if session and relation.name.casefold() in _there(session) else None
    return {
        **_named(relation, made_of),
        **_defined(pipeline, relation),
        "columns": _columns(asked, pipeline, relation, cache),
        "artifacts": _artifacts(pipeline, relation.name),
        "rows": _rows(asked, relation) if asked else None,
        "checks": _checks(pipeline, relation, results),
    }


def _named(relation: Relation, made_of: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        "name": relation.name,
        "layer": relation.layer,
        "feed": relation.feed,
        "description": relation.words,
        "reads": list(made_of[relation.name]),
        "read_by": [other for other, of in made_of.items() if relation.name in of],
    }


def _defined(pipeline: Pipeline, relation: Relation) -> dict[str, Any]:
    """Where it comes from, and what its files say of it."""
    nothing: dict[str, Any] = {
        "owner": "",
        "key": [],
        "sql": None,
        "touched_sql": None,
        "file": None,
        "measure": None,
        "changes": False,
    }
    if relation.feed is not None:
        contract = pipeline.contracts[relation.feed]
        return {**nothing, "owner": contract.owner, "key": list(contract.key), "file": contract.file.name}
    for model in pipeline.intermediate:
        if model.name == relation.name:
            return {**nothing, "sql": model.sql, "file": f"intermediate/{model.name}.sql"}
    for mart in pipeline.marts:
        if mart.name == relation.name:
            file = mart.file
            return {
                **nothing,
                "key": list(file.key),
                "sql": mart.sql,
                "touched_sql": mart.touched_sql,
                "file": f"marts/{mart.name}.sql",
                "measure": file.measure,
                "changes": file.changes,
            }
    return nothing


def _columns(session: Session | None, pipeline: Pipeline, relation: Relation, cache: Path | None) -> Records:
    types: Mapping[str, str | None] = relation.columns
    if session is None and relation.layer in {"intermediate", "marts"}:
        lineage = lineage_if_installed(pipeline, cache)
        if lineage is not None and not lineage[relation.name].unsure:
            types = dict.fromkeys(lineage[relation.name].columns)
    if session is not None:
        try:
            types = session.columns(relation.name)
        except Unavailable:  # the view reads an archived file that is gone, of which doctor tells
            types = relation.columns
    classified = Classified(pipeline, cache)
    key: Sequence[str] = ()
    if relation.feed is not None:
        key = pipeline.contracts[relation.feed].key
    elif relation.layer == "marts":
        key = pipeline.mart(relation.name).file.key
    return [
        {
            "name": name,
            "type": kind,
            "description": relation.column_words.get(name, ""),
            "classification": classified.of(relation.name, name),
            "in_key": name in key,
        }
        for name, kind in types.items()
    ]


def _artifacts(pipeline: Pipeline, name: str) -> list[str]:
    """The names below outputs/ of what is published of a mart."""
    return [f"{mart.name}.{kind}" for mart in pipeline.marts if mart.name == name for kind in mart.file.artifacts]


def _models_of_checks(relation: Relation) -> list[str]:
    """The names that results of its checks go by: those of a feed's own checks have the feed's."""
    return [relation.name, *([relation.feed] if relation.feed and relation.layer == "staging" else [])]


def _checks(pipeline: Pipeline, relation: Relation, results: Records) -> Records:
    """The checks of a table or view: those that have run, and those that the files define."""
    models = _models_of_checks(relation)
    by_name: dict[tuple[str, str], dict[str, Any]] = {
        (check.model, check.definition.name): {
            "layer": layer,
            "model": check.model,
            "check_name": check.definition.name,
            "severity": str(check.definition.severity),
            "message": "",
            "state": "not run",
            "failing_rows": None,
            "drop_id": None,
            "received_at": None,
        }
        for layer, check in own_checks(pipeline)
        if check.model in models
    }
    for result in results:
        name = result["model"], result["check_name"]
        if result["model"] in models:
            before = by_name.get(name)
            if before is None or worst((before["state"], result["state"])) != before["state"]:
                by_name[name] = {entry: result[entry] for entry in _ENTRIES}
    return [by_name[name] for name in sorted(by_name)]


_ENTRIES = (
    "layer",
    "model",
    "check_name",
    "severity",
    "message",
    "state",
    "failing_rows",
    "drop_id",
    "received_at",
)


def _there(session: Session) -> set[str]:
    """The tables and views of the warehouse, in lower case: what is new in the pipeline is made by the next drop."""
    return {str(row["name"] if "name" in row else row["tableName"]).casefold() for row in session.query("SHOW TABLES")}


def _counted(session: Session, found: Mapping[str, Relation]) -> dict[str, int]:
    """The rows of tables, by one statement."""
    there = _there(session)
    tables = [one.name for one in found.values() if one.layer in _TABLES and one.name.casefold() in there]
    tables.remove("mart_moment")
    counts = "\nUNION ALL\n".join(
        f"SELECT {place} AS place, count(*) AS row_count FROM {quoted(name)}" for place, name in enumerate(tables)
    )
    return {tables[row["place"]]: int(row["row_count"]) for row in session.query(counts)}


def _rows(session: Session, relation: Relation) -> int | None:
    if relation.layer not in {"source", "staging"}:
        try:
            return session.count(relation.name)
        except Unavailable:  # as above
            return None
    # They read a file of any size, whose rows the ledger has counted.
    newest = session.query(
        """SELECT l.rows_read, l.rows_accepted
        FROM drop_ledger AS l
        WHERE l.feed = :feed AND l.status IN ('committed', 'published')
        ORDER BY l.sequence DESC
        LIMIT 1""",
        {"feed": relation.feed},
    )
    return int(newest[0]["rows_read" if relation.layer == "source" else "rows_accepted"]) if newest else 0
