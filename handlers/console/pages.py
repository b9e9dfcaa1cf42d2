"""The pages that show something: what each is made of, from the same functions as the command line's --json."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from starlette.requests import Request

from dropledger.core import __version__
from dropledger.core.drop import parse_moment
from dropledger.core.errors import ConfigurationError, NoLedger
from dropledger.core.ingest.control_files import left_waiting
from dropledger.core.ports.session import Session
from dropledger.core.views import explain as explanations
from dropledger.core.views.checks import check_matrix, check_timeline
from dropledger.core.views.drops import (
    Wanted,
    count_uncorrected,
    list_drops,
    list_rejects,
    read_changes,
    read_fix,
    rows_by_drop,
)
from dropledger.core.views.feeds import show_feed
from dropledger.core.views.models import list_models, show_model
from dropledger.core.views.search import search
from dropledger.core.views.show import show
from dropledger.core.views.status import read_status
from dropledger.core.views.timeline import find_timeline
from dropledger.core.views.totals import mart_totals, totals_over_time
from dropledger.handlers.console.bounds import MOST_VERSIONS, shortened, shortened_changes
from dropledger.handlers.console.lineage import lineage, lineage_of_one
from dropledger.handlers.console.page import Answer, Document, Page
from dropledger.handlers.console.reader import Reader, Reading

PAGE = 100
"""Rows of a list on one page."""

NEWEST = 20
_SPARK = 30
_STATUSES = ("committed", "published", "quarantined", "retracted")


def home(reader: Reader, request: Request) -> Answer:
    """The state of all: feeds, marts, what waits, the newest drops."""
    del request
    runtime = reader.runtime

    def find(session: Session) -> Document:
        points = totals_over_time(session, runtime.pipeline)
        return {
            **read_status(session, runtime.pipeline, runtime.clock),
            "recent": list_drops(session, None, NEWEST, runtime.pipeline),
            "rows": rows_by_drop(session, _SPARK),
            "totals": mart_totals(session, runtime.pipeline, points),
            "totals_over_time": points,
            "uncorrected": count_uncorrected(session),
        }

    nothing = {"drops": {}, "deliveries": 0, "moment": None, "feeds": {}, "marts": {}, "warnings": []}
    lists = {"recent": [], "rows": {}, "totals": {}, "totals_over_time": {}, "uncorrected": 0}
    reading = _or_without(reader, "home", lambda session: find(session) if session else {**nothing, **lists})
    problems = [{"problem": problem, "try": hint} for problem, hint in runtime.store.stuck()]
    document = {
        "dropledger": __version__,
        "root": runtime.store.root,
        "warehouse": runtime.warehouse.location,
        "pipeline": runtime.pipeline.name,
        **reading.found,
        "waiting": reader.backlog(),
        "control_files": left_waiting(runtime.store, runtime.pipeline).as_json(),
        "problems": problems,
    }
    return Answer(document, reading)


def drops(reader: Reader, request: Request) -> Answer:
    """The drops that are asked for, newest first."""
    asked = request.query_params
    given = {name: value for name in ("feed", "status", "name") if (value := asked.get(name))}
    if "status" in given and given["status"] not in _STATUSES:
        raise ConfigurationError(f"there is no outcome '{given['status']}'", hint=f"use one of: {', '.join(_STATUSES)}")
    if "feed" in given:
        reader.runtime.pipeline.contract(given["feed"])
    until = _until(asked.get("until"))
    wanted = Wanted(
        **given,
        since=_moment(asked.get("since")),
        until=until,
        before=_number(asked.get("before")),
    )

    def find(session: Session | None) -> Document:
        found = list_drops(session, wanted.feed, PAGE + 1, reader.runtime.pipeline, wanted) if session else []
        return {"drops": found[:PAGE], "before": found[PAGE - 1]["sequence"] if len(found) > PAGE else None}

    reading = _or_without(reader, f"drops {wanted}", find)
    fields = {name: asked.get(name, "") for name in ("feed", "status", "name", "since", "until", "before")}
    return Answer(reading.found, reading, {"asked": fields, "statuses": _STATUSES})


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return parse_moment(text)
    except ValueError:
        raise ConfigurationError(f"'{text}' is not a valid date", hint="write it like 2025-10-31") from None


def _until(text: str | None) -> datetime | None:
    """The moment before which something was: the end of a day, where just that is given."""
    moment = _moment(text)
    if moment is None or "T" in (text or ""):
        return moment
    return None if moment.date() == date.max else moment + timedelta(days=1)


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isdecimal() and len(text) < 19):
        raise ConfigurationError(f"'{text}' is not a number of a drop", hint="leave `before` out for the newest")
    return int(text)


def drop(reader: Reader, request: Request) -> Answer:
    """All about one drop."""
    drop_id = request.path_params["drop_id"]
    store, pipeline, masking = reader.runtime.store, reader.runtime.pipeline, reader.masking
    changed = next((mart for mart in pipeline.marts if mart.file.changes), None)

    def find(session: Session) -> Document:
        found = show(session, store, pipeline, drop_id)
        whole_id = found["drop"]["drop_id"]
        rejects = shortened(list_rejects(session, whole_id, PAGE))
        changes = shortened_changes(read_changes(store, whole_id, PAGE))
        return {
            **found,
            "rejects": masking.rejects(found["drop"]["feed"], rejects),
            "changes": masking.changes(changed.name if changed else None, changes),
            "fix": read_fix(store, found["files"]["quarantine"]),
        }

    reading = reader.read(f"drop {drop_id}", find)
    return Answer(reading.found, reading, {"changed_mart": changed})


def history(reader: Reader, request: Request) -> Answer:
    """The versions of one key."""
    feed, key = request.path_params["feed"], request.path_params["key"]
    contract = reader.runtime.pipeline.contract(feed)
    reader.masking.refuse_restricted_key(contract)

    def find(session: Session) -> Document:
        versions = find_timeline(session, reader.runtime.pipeline, feed, key)
        shown = shortened(versions[-MOST_VERSIONS:])
        return reader.masking.timeline(
            {"feed": feed, "key": key, "versions": shown, "left_out": len(versions) - len(shown)}
        )

    reading = reader.read(f"history {feed} {key}", find)
    return Answer(reading.found, reading, {"contract": contract})


def explain(reader: Reader, request: Request) -> Answer:
    """One figure, taken apart."""
    mart, key = request.path_params["mart"], request.path_params["key"]
    pipeline = reader.runtime.pipeline
    as_of = _moment(request.query_params.get("as_of"))
    _, explanation = explanations.explanation_of(pipeline, mart)
    reader.masking.refuse_restricted_key_of(mart)

    def find(session: Session) -> Document:
        return reader.masking.explanation(mart, explanations.explain(session, pipeline, mart, key, as_of))

    reading = reader.read(f"explain {mart} {key} {as_of}", find)
    return Answer(reading.found, reading, {"explanation": explanation, "mart": mart, "key": key, "as_of": as_of})


def models(reader: Reader, request: Request) -> Answer:
    """The tables and views, in the order in which data goes through them."""
    del request
    pipeline = reader.runtime.pipeline
    reading = _or_without(reader, "models", lambda session: {"models": list_models(session, pipeline)})
    return Answer(reading.found, reading)


def model(reader: Reader, request: Request) -> Answer:
    """One table or view: columns, SQL, checks."""
    name, pipeline = request.path_params["name"], reader.runtime.pipeline
    reading = _or_without(
        reader, f"model {name}", lambda session: show_model(session, pipeline, name, cache=reader.cache)
    )
    return Answer(reading.found, reading)


def feed(reader: Reader, request: Request) -> Answer:
    """One feed: its contract, and its drops over time."""
    name, pipeline, clock = request.path_params["feed"], reader.runtime.pipeline, reader.runtime.clock
    reading = _or_without(reader, f"feed {name}", lambda session: show_feed(session, pipeline, name, clock, PAGE))
    return Answer(reading.found, reading)


def _or_without(reader: Reader, address: str, find: Callable[[Session | None], Document]) -> Reading:
    """What was found, or what is known without a ledger."""
    try:
        return reader.read(address, find)
    except NoLedger:
        return Reading(find(None), reader.runtime.clock())


def checks(reader: Reader, request: Request) -> Answer:
    """Each check by the newest drops."""
    del request
    pipeline = reader.runtime.pipeline
    nothing: Document = {"drops": [], "checks": []}
    reading = _or_without(reader, "checks", lambda session: check_matrix(session, pipeline) if session else nothing)
    return Answer(reading.found, reading)


def check(reader: Reader, request: Request) -> Answer:
    """One check over time."""
    model, name = request.path_params["model"], request.path_params["name"]

    def find(session: Session) -> Document:
        found = check_timeline(session, model, name, PAGE)
        if not found:
            raise ConfigurationError(f"no drop ran a check {name} of {model}", hint="the page of checks lists them")
        return {"model": model, "check_name": name, "results": found}

    reading = reader.read(f"check {model} {name}", find)
    return Answer(reading.found, reading)


def look_up(reader: Reader, request: Request) -> Answer:
    """What is found of a word: drops, keys, texts."""
    words = request.query_params.get("q", "").strip()[:200]

    def find(session: Session | None) -> Document:
        return {"q": words, **search(session, reader.runtime.pipeline, words, reader.masking.columns)}

    reading = _or_without(reader, f"search {words}", find)
    return Answer(reading.found, reading)


def ask_for_file(reader: Reader, request: Request) -> Answer:
    """The form that asks for a file to plan."""
    del reader
    return Answer({}, more={"landed": request.query_params.get("landed", "")[:300]})


_DROP = {"drop_id": "The id of a drop, or the beginning of one."}
PAGES = (
    Page("/", "home.html", "Feeds, marts, what waits, what needs a person, and the newest drops.", home),
    Page(
        "/drops",
        "drops.html",
        "Drops, newest first, 100 a page.",
        drops,
        {
            "feed": "Only this feed.",
            "status": f"Only this outcome: {', '.join(_STATUSES)}.",
            "name": "A part of the file's name.",
            "since": "Received at or after this date or time, UTC.",
            "until": "Received on or before this date, or before this time.",
            "before": "The sequence that the page before ended with.",
        },
    ),
    Page("/drops/{drop_id}", "drop.html", "All about one drop.", drop, _DROP),
    Page(
        "/history/{feed}/{key:path}",
        "history.html",
        "The versions of one key.",
        history,
        {"feed": "A feed.", "key": "A key; its parts separated by commas, quoted as in CSV where they hold one."},
    ),
    Page(
        "/explain/{mart}/{key:path}",
        "explain.html",
        "How one figure came about.",
        explain,
        {"mart": "A mart that the pipeline explains.", "key": "A key.", "as_of": "The time of the question, UTC."},
    ),
    Page("/feeds/{feed}", "feed.html", "A feed: its contract, and its drops over time.", feed, {"feed": "A feed."}),
    Page("/models", "models.html", "The tables and views, and what they are.", models),
    Page("/models/{name}", "model.html", "One table or view: columns, SQL, checks.", model, {"name": "Its name."}),
    Page("/checks", "checks.html", "Each check by the newest 50 drops.", checks),
    Page(
        "/checks/{model}/{name:path}",
        "check.html",
        "One check over time.",
        check,
        {"model": "The table or view that it checks.", "name": "The check's name."},
    ),
    Page("/lineage", "lineage.html", "How tables are made of one another.", lineage),
    Page(
        "/lineage/{name:path}",
        "lineage_of_one.html",
        "What a table or column comes from, and what it goes into.",
        lineage_of_one,
        {"name": "A table, or a table and a column with a slash between."},
    ),
    Page("/plan", "plan.html", "A form for a file to plan; POST it to the same address.", ask_for_file),
    Page("/search", "search.html", "Drops, keys and texts.", look_up, {"q": "What to look for."}),
)
