"""`dropledger docs`: pages of a pipeline that open from a disk, with a ledger and without."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.ledger import Ledger
from support.parcels import dropped_parcels, parcels_pipeline

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.handlers.console.site import write_site
from dropledger.infra.duckdb.session import DuckDBSession


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value or "" for name, value in attrs if name in {"href", "src", "action", "hx-get"}}


def links(text: str) -> set[str]:
    parser = _Links()
    parser.feed(text)
    return {unquote(link) for link in parser.found if not link.startswith(("#", "data:"))}


def site(folder: Path, pipeline: Pipeline, ledger: Ledger | None = None) -> dict[str, str]:
    """The text of each file."""
    folder.mkdir()
    if ledger is None:
        write_site(folder, pipeline, None, root="", clock=_never, cache=None)
    else:
        with ledger.runtime.reading() as session:
            assert isinstance(session, DuckDBSession)
            write_site(folder, pipeline, session, root="root", clock=ledger.clock, cache=None)
    return {path.name: path.read_text() for path in folder.iterdir()}


def _never():
    raise AssertionError("no page of a pipeline alone asks for the time")


@pytest.mark.slow
def test_every_link_leads_to_a_file(tmp_path: Path):
    pipeline = parcels_pipeline(tmp_path / "parcels")
    ledger = Ledger(tmp_path / "root", pipeline)
    dropped_parcels(ledger)
    for pages in (site(tmp_path / "alone", pipeline), site(tmp_path / "of_root", pipeline, ledger)):
        for name, text in pages.items():
            assert links(text) <= pages.keys(), name


def test_pages_say_what_the_pipeline_says(tmp_path: Path, lending: Pipeline):
    pages = site(tmp_path / "site", lending)
    mart = pages["model-account_summary.html"]
    for text in ("Balance times rate, rounded half up to the cent.", "WITH savings AS", "account_summary.parquet"):
        assert text in mart
    assert "not run" in mart
    column = pages["lineage-account_summary.annual_interest.html"]
    assert "lineage-history_account.balance.html" in column
    assert "accounts*.csv" in pages["feed-account.html"]
    assert {f"model-{mart.name}.html" for mart in lending.marts} <= pages.keys()
    for name in ("index.html", "lineage.html", "model-account_summary.html"):  # which need nothing but the folder
        assert "<script" not in pages[name]
        assert "<form" not in pages[name]
        assert not re.search(r'(href|src)="(https?:|/)', pages[name])


def test_pages_of_a_root_have_rows_and_results(tmp_path: Path):
    pipeline = parcels_pipeline(tmp_path / "parcels")
    ledger = Ledger(tmp_path / "root", pipeline)
    dropped_parcels(ledger)
    pages = site(tmp_path / "site", pipeline, ledger)
    assert re.search(r"<dt>rows</dt><dd[^>]*>2<", pages["model-history_depot.html"])
    assert "a depot carries more than a ton" in pages["model-depot_load.html"]
