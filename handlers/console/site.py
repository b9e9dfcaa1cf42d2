"""The pages of models, feeds and lineage as files that open from a disk: what a dbt docs site is."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.lineage.kept import lineage_of
from dropledger.core.ports import Clock
from dropledger.core.ports.session import Session
from dropledger.core.views.feeds import show_feed
from dropledger.core.views.lineage import Asked, graph, show_lineage
from dropledger.core.views.models import list_models, show_model
from dropledger.handlers.console.lineage import lit, picture
from dropledger.handlers.console.page import Answer
from dropledger.handlers.console.rendering import Setting, Templates

_NAMES = {"models": "model", "feeds": "feed", "lineage": "lineage"}
_OTHER = str.maketrans({"/": "-", ":": "-"})


def write_site(
    folder: Path, pipeline: Pipeline, session: Session | None, *, root: str, clock: Clock, cache: Path | None
) -> list[str]:
    """Write the site into a folder; the names of its files, `index.html` first.

    With a `session` it has the rows of tables, the last results of checks, and the rows of each feed's newest drops.
    """
    templates = Templates(Setting(pipeline, root, clock, site=True, address=_file_of))
    names = []
    for name, template, answer in _pages(pipeline, session, clock, cache):
        (folder / name).write_text(templates.page(template, answer), encoding="utf-8")
        names.append(name)
    style = files("dropledger.handlers.console").joinpath("static", "console.css").read_bytes()
    (folder / "console.css").write_bytes(style)
    return [*names, "console.css"]


def _pages(
    pipeline: Pipeline, session: Session | None, clock: Clock, cache: Path | None
) -> Iterator[tuple[str, str, Answer]]:
    """The pages, each with its name and its template."""
    listed = list_models(session, pipeline)
    yield _file_of("models"), "models.html", Answer({"models": listed})
    for found in listed:
        shown = show_model(session, pipeline, found["name"], cache=cache)
        yield _file_of("models", found["name"]), "model.html", Answer(shown)
    for feed in pipeline.feed_order:
        yield _file_of("feeds", feed), "feed.html", Answer(show_feed(session, pipeline, feed, clock))
    lineage = lineage_of(pipeline, cache)
    drawn = picture(lineage)
    yield _file_of("lineage"), "lineage.html", Answer(graph(lineage), more={"picture": drawn, "lit": {}})
    for name, table in lineage.items():
        for column in (None, *table.columns):
            document: Mapping[str, Any] = show_lineage(lineage, Asked(name, column))
            parts = (name,) if column is None else (name, column)
            more = {"picture": drawn, "lit": lit(document)}
            yield _file_of("lineage", *parts), "lineage_of_one.html", Answer(document, more=more)


def _file_of(kind: str, *parts: str) -> str:
    """The file of a page."""
    if not parts:
        return "index.html" if kind == "models" else f"{kind}.html"
    return f"{_NAMES[kind]}-{'.'.join(parts).translate(_OTHER)}.html"
