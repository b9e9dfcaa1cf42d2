"""The tables and views of a pipeline, brought in line with its files whenever those have changed."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from hashlib import sha256

from dropledger.core.contracts.column_changes import column_changes, told
from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.meaning import meaning_sha256
from dropledger.core.contracts.pipeline_spec import Model, Pipeline
from dropledger.core.contracts.sql_file import faults_by_line
from dropledger.core.errors import ConfigurationError, ContractError, Unavailable
from dropledger.core.formats.extract import Extract
from dropledger.core.ingest.make_marts import make_marts
from dropledger.core.ledger import descriptions, migrations
from dropledger.core.ledger.ledger import INITIAL_SEQUENCE
from dropledger.core.ports.session import Session
from dropledger.core.rules.cells import source_of, typed_cell
from dropledger.core.sql.text import engine_type, literal, quoted
from dropledger.core.steps.checks import check_staging, refuse_failed
from dropledger.core.steps.history import fold, free_texts, history_columns
from dropledger.core.steps.intake import initial_extract
from dropledger.core.steps.totals import keep_rebuilt_totals
from dropledger.core.steps.validate import refuse_beyond_limit, validate


def is_up_to_date(session: Session, pipeline: Pipeline) -> bool:
    """Whether the warehouse was last brought in line with these very files."""
    return session.has_table("pipeline_state") and [
        row["definition_sha256"] for row in session.query("SELECT definition_sha256 FROM pipeline_state")
    ] == [definition_sha256(pipeline)]


def definition_sha256(pipeline: Pipeline) -> str:
    """Of all that tables and views are made by: the pipeline's files, the ledger's DDL, and what is said of them."""
    return sha256(f"{pipeline.sha256}\0{migrations.definition()}\0{descriptions.text()}".encode()).hexdigest()


def prepare(session: Session, pipeline: Pipeline, now: datetime | None) -> None:
    """Make or renew tables, views and marts, and the initial rows of new feeds, if the pipeline's files changed.

    Marts stay as they are where just what is said to people has changed. `now` (UTC) is when they are made, if that
    is to be told of their totals.

    Raises:
        ConfigurationError: a contract's columns no longer fit its history table; or the ledger is one of another
            pipeline, or of a newer dropledger.
        CheckFailed: the initial rows of a feed break its own checks.
    """
    if not is_up_to_date(session, pipeline):
        shown = _shown(session, pipeline)
        with session.transaction():
            migrate(session, pipeline)
            _bring_up_to_date(session, pipeline, shown)
            keep_rebuilt_totals(session, pipeline, now)


def migrate(session: Session, pipeline: Pipeline) -> None:
    """Bring the ledger's own tables to this version, in the transaction at hand, whatever the pipeline's files say.

    Raises:
        ConfigurationError: it is a ledger of another pipeline, or of a newer dropledger.
    """
    migrations.run_migrations(session)
    refuse_other_pipeline(session, pipeline)
    session.update_where("pipeline_state", {"pipeline": ":name"}, "pipeline IS NULL", {"name": pipeline.name})


def needs_migration(session: Session, pipeline: Pipeline) -> bool:
    """Whether a ledger that was opened for reading has tables of an older version.

    Raises:
        ConfigurationError: there is none in what was opened, or one of another pipeline, or of a newer dropledger.
    """
    if is_up_to_date(session, pipeline):
        return False
    found = migrations.version(session)
    if not found:
        raise ConfigurationError("the warehouse holds no ledger", hint="drop a file first: dropledger process FILE")
    migrations.refuse_newer(found)
    if found < migrations.newest():
        return True
    refuse_other_pipeline(session, pipeline)
    return False


def refuse_other_pipeline(session: Session, pipeline: Pipeline) -> None:
    """Keep a ledger to the pipeline that made it, whose tables and artifacts another one would replace.

    Raises:
        ConfigurationError: it says which pipeline to set.
    """
    for row in session.query("SELECT pipeline FROM pipeline_state"):
        name = row["pipeline"]
        if name is None:  # versions before this one did not keep it
            feeds = {kept["feed"] for kept in session.query("SELECT DISTINCT feed FROM contract_text")}
            if feeds and feeds.isdisjoint(pipeline.contracts):
                name = f"that has the feeds {', '.join(sorted(feeds))}"
        if name not in {None, pipeline.name}:
            raise other_pipeline(name, pipeline)


def other_pipeline(name: str, pipeline: Pipeline) -> ConfigurationError:
    """What to say where something belongs to the pipeline of that name."""
    return ConfigurationError(
        f"this root belongs to the pipeline {name}, and the pipeline that is set is {pipeline.name}",
        hint=f"set DROPLEDGER_PIPELINE={name} (or its folder), or --pipeline; or name another --root",
    )


def _shown(session: Session, pipeline: Pipeline) -> dict[str, frozenset[str]]:
    """The columns of each feed's `src_` that can be read. Not asked within a transaction, which would be over then."""
    found = {}
    for feed in pipeline.contracts:
        source = f"src_{feed}"
        with suppress(Unavailable):  # it reads an archived file that is gone
            if session.has_table(source):
                found[feed] = frozenset(session.columns(source))
    return found


def _bring_up_to_date(session: Session, pipeline: Pipeline, shown: Mapping[str, frozenset[str]]) -> None:
    fresh = []
    for contract in _changed_in_place(session, pipeline):
        _remake_history(session, contract)
    for contract in pipeline.contracts.values():
        history = f"history_{contract.feed}"
        if session.has_table(history):
            _refuse_other_columns(session, contract)
        _keep(session, contract)
        session.create_table(history, history_columns(contract), contract.key)
        if not session.count(history):
            fresh.append(contract)
        _layer_relations(session, contract, shown.get(contract.feed, frozenset()))
    folded = False
    for contract, path, as_of in pipeline.initial_rows():
        if contract in fresh:
            folded = True
            _fold_initial_rows(session, initial_extract(contract, path, as_of), pipeline)
    feeds = ", ".join(literal(feed) for feed in pipeline.file.moment)
    session.create_view(
        "mart_moment",
        f"""SELECT max(last_effective) AS moment
        FROM drop_ledger
        WHERE feed IN ({feeds})
            AND status IN ('committed', 'published')""",
    )
    _make_views(session, pipeline, pipeline.views_for_marts)
    definition, meaning = definition_sha256(pipeline), _meaning_sha256(pipeline)
    stand = not folded and _marts_stand(session, pipeline, meaning)
    if not stand:
        make_marts(session, pipeline)
    _make_views(session, pipeline, pipeline.views_of_marts)
    descriptions.describe_all(session, pipeline)
    if stand:
        bound = {"definition": definition}
        session.update_where("pipeline_state", {"definition_sha256": ":definition"}, "TRUE", bound)
        return
    session.delete_where("pipeline_state", "TRUE")
    # The artifacts are those of the marts as they were; whoever publishes next brings them in line.
    made = {"definition_sha256": definition, "meaning_sha256": meaning}
    session.insert("pipeline_state", [{**made, "artifacts_current": False, "pipeline": pipeline.name}])


def _meaning_sha256(pipeline: Pipeline) -> str:
    """Of all that the contents of marts depend on: what the pipeline means, and the ledger's DDL."""
    return sha256(f"{meaning_sha256(pipeline)}\0{migrations.definition()}".encode()).hexdigest()


def _marts_stand(session: Session, pipeline: Pipeline, meaning: str) -> bool:
    """Whether the marts are there, and were made by what the pipeline means now."""
    state = session.query("SELECT meaning_sha256 FROM pipeline_state")
    return [row["meaning_sha256"] for row in state] == [meaning] and all(
        session.has_table(mart.name) for mart in pipeline.marts
    )


def _fold_initial_rows(session: Session, extract: Extract, pipeline: Pipeline) -> None:
    session.load(extract.path, extract.layout, "_dl_initial", drop_id=extract.drop_id)
    validated = validate(session, extract, "_dl_initial")
    refuse_beyond_limit(extract.contract, validated)
    refuse_failed(
        check_staging(session, extract, validated, pipeline.feed_checks[extract.contract.feed], extract.as_of.moment)
    )
    fold(session, extract, validated, INITIAL_SEQUENCE)


def _changed_in_place(session: Session, pipeline: Pipeline) -> list[Contract]:
    """The contracts whose histories go on with columns that were added or widened.

    Raises:
        ConfigurationError: a history does not go on under its contract; with what changed, before anything is touched.
    """
    found = []
    for contract in pipeline.contracts.values():
        history = f"history_{contract.feed}"
        if not session.has_table(history):
            continue
        before = _contract_before(session, contract)
        if before is None or not session.count(history):
            if before is not None and column_changes(before, contract):
                found.append(contract)
            continue
        changes = column_changes(before, contract)
        if refused := told(changes):
            raise _no_longer_fits(contract, refused)
        if changes:
            found.append(contract)
    return found


def _contract_before(session: Session, contract: Contract) -> Contract | None:
    """The contract that a feed's history is under, if it is known and another."""
    from dropledger.core.contracts.contract_file import contract_of

    newest = session.query(
        "SELECT sha256, yaml FROM contract_text WHERE feed = :feed ORDER BY place DESC LIMIT 1", {"feed": contract.feed}
    )
    if not newest or newest[0]["sha256"] == contract.sha256:
        return None
    try:
        return contract_of(newest[0]["yaml"], "")
    except ContractError as error:
        raise _no_longer_fits(contract, "the contract before it is none for this version of dropledger") from error


def _no_longer_fits(contract: Contract, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the contract of the feed {contract.feed} no longer fits the table history_{contract.feed}",
        why=why,
        hint="rebuild the warehouse from the archive under the new contract: dropledger replay",
    )


def _remake_history(session: Session, contract: Contract) -> None:
    """Give a history the columns of its contract: those that it has not are empty, and others as wide as they are."""
    history = f"history_{contract.feed}"
    there = session.columns(history)
    cells = ", ".join(
        f"CAST({quoted(column.name) if column.name in there else 'NULL'} AS {engine_type(column.type)}) "
        f"AS {quoted(column.name)}"
        for column in (*contract.key_columns, *contract.values)
    )
    session.scratch("_dl_history_before", f"SELECT * FROM {quoted(history)}")
    columns = [column.name for column in history_columns(contract)]
    select = f"SELECT {cells}, valid_from, valid_to, is_current, drop_id, line FROM _dl_history_before"
    session.create_table_like(history, select, contract.key, free_texts(contract))
    session.insert_in_order(history, columns, select)


def _refuse_other_columns(session: Session, contract: Contract) -> None:
    there = [*session.columns(f"history_{contract.feed}")]
    wanted = [column.name for column in history_columns(contract)]
    if there != wanted:
        raise _no_longer_fits(
            contract, f"the contract wants the columns {', '.join(wanted)}; the table has {', '.join(there)}"
        )


def _keep(session: Session, contract: Contract) -> None:
    """Keep the contract's text, for whoever reads again what was accepted under it.

    Raises:
        ConfigurationError: the feed's history cannot go on under it.
    """
    newest = session.query(
        "SELECT sha256, yaml, initial, place FROM contract_text WHERE feed = :feed ORDER BY place DESC LIMIT 1",
        {"feed": contract.feed},
    )
    if newest and newest[0]["sha256"] == contract.sha256:
        return
    if newest and newest[0]["initial"] != contract.initial_text and session.count(f"history_{contract.feed}"):
        raise _no_longer_fits(contract, "its initial rows are others")
    this = {"feed": contract.feed, "sha256": contract.sha256}
    session.delete_where("contract_text", "feed = :feed AND sha256 = :sha256", this)  # it was in force before
    place = newest[0]["place"] + 1 if newest else 1
    session.insert("contract_text", [{**this, "yaml": contract.yaml, "initial": contract.initial_text, "place": place}])


def _layer_relations(session: Session, contract: Contract, shown: frozenset[str]) -> None:
    """`src_<feed>`: the newest drop's rows as text, which has the columns `shown`. `stg_<feed>`: the accepted ones of
    them, typed.
    """
    if not {column.name for column in contract.columns} <= shown:
        empty_source(session, contract)
    typed = ",\n    ".join(f"{typed_cell(column)} AS {quoted(column.name)}" for column in contract.columns)
    session.create_view(
        f"stg_{contract.feed}",
        f"""SELECT s._drop_id, s._line, {typed}
        FROM {source_of(contract, quoted("src_" + contract.feed))} AS s
        WHERE s._accepted""",
    )


def empty_source(session: Session, contract: Contract) -> None:
    """Let `src_<feed>` show no rows."""
    cells = ", ".join(f"CAST(NULL AS STRING) AS {quoted(column.name)}" for column in contract.columns)
    session.create_view(
        f"src_{contract.feed}",
        f"""SELECT CAST(NULL AS STRING) AS _drop_id, CAST(NULL AS BIGINT) AS _line, {cells}, FALSE AS _accepted
        WHERE FALSE""",
    )


def _make_views(session: Session, pipeline: Pipeline, models: Iterable[Model]) -> None:
    for model in models:
        with faults_by_line(pipeline.folder / "intermediate" / f"{model.name}.sql"):
            session.create_view(model.name, model.sql)
