"""The console as an ASGI app: addresses, pages as HTML or JSON, and errors as pages."""

import sys
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dropledger.core.errors import ConfigurationError, DropledgerError, Unavailable
from dropledger.core.views.metrics import read_metrics
from dropledger.handlers.console.access import Access, form_token, raw_path, wants_json
from dropledger.handlers.console.changes import Changes, Refused
from dropledger.handlers.console.openapi import description
from dropledger.handlers.console.page import Answer, Page
from dropledger.handlers.console.pages import PAGES
from dropledger.handlers.console.reader import Reader
from dropledger.handlers.console.rendering import Setting, Templates, address_of
from dropledger.handlers.excepthook import traceback_of
from dropledger.handlers.metrics import found, metrics_text
from dropledger.handlers.render import failure_entry, json_text

MARK = "Console-Mark"
"""The header in which a page that is open says what it has seen."""


def console_app(reader: Reader, changes: Changes, port: int, *, write: bool) -> Access:
    """The console of a root, as an ASGI app that is asked at a port.

    It plans files; with `write` it lands them too, and takes drops back.
    """
    runtime = reader.runtime
    setting = Setting(
        runtime.pipeline, runtime.store.root, runtime.clock, write=write, form_token=form_token(changes.token)
    )
    templates = Templates(setting)
    routes: list[BaseRoute] = []
    for page in PAGES:
        endpoint = partial(_answered, templates, partial(_rendered, page, reader, templates))
        as_json = "/index.json" if page.path == "/" else f"{page.path}.json"
        routes += [Route(path, endpoint, methods=["GET"]) for path in (as_json, page.path)]
    routes += [
        Route("/openapi.json", _openapi, methods=["GET"]),
        Route("/healthz", _healthy, methods=["GET"]),
        Route("/metrics", partial(_answered, templates, partial(_scraped, reader)), methods=["GET"]),
        Route("/plan", partial(_planned, changes, templates), methods=["POST"]),
        Route("/plan.json", partial(_planned, changes, templates), methods=["POST"]),
        Mount("/static", StaticFiles(directory=str(files("dropledger.handlers.console").joinpath("static")))),
    ]
    if write:
        routes += [
            Route("/drops", partial(_changed, changes, templates, _land), methods=["POST"]),
            Route("/drops/{drop_id}/retract", partial(_changed, changes, templates, _retract), methods=["POST"]),
            Route("/drops/{drop_id}/restore", partial(_changed, changes, templates, _restore), methods=["POST"]),
        ]
    app = Starlette(routes=routes, exception_handlers={404: partial(_not_found, templates)})
    app.router.redirect_slashes = False  # it would lead to an address without TLS
    return Access(app, changes.token, port)


def _answered(templates: Templates, find: Callable[[Request], Response], request: Request) -> Response:
    """What was found, or the error that it met, as a page; in a thread, as all that waits."""
    try:
        return find(request)
    except DropledgerError as error:
        status = 503 if isinstance(error, Unavailable) else 404 if isinstance(error, ConfigurationError) else 409
        return _told(templates, request, error, status)
    except Exception as error:  # noqa: BLE001 - what is printed of it holds no values
        sys.stderr.write(traceback_of(error))
        bug = DropledgerError("this page met a bug", why=type(error).__name__, hint="report it with the traceback")
        return _told(templates, request, bug, 500)


def _rendered(page: Page, reader: Reader, templates: Templates, request: Request) -> Response:
    mark = reader.mark()  # not later: what changes meanwhile is to be shown at the next look
    if request.headers.get(MARK) == mark:
        return Response(status_code=204)
    answer = page.find(reader, request)
    if wants_json(request):
        return _json(answer)
    return HTMLResponse(templates.page(page.template, answer, **_address(request), mark=mark))


def _address(request: Request) -> dict[str, Any]:
    return {"path": raw_path(request.scope), "asked": dict(request.query_params)}


def _json(answer: Answer) -> Response:
    headers = {}
    if answer.reading is not None and answer.reading.stale:
        headers["Warning"] = '110 - "the warehouse is busy; this is of an earlier time"'
    return Response(json_text(answer.document), media_type="application/json", headers=headers)


def _scraped(reader: Reader, request: Request) -> Response:
    del request
    runtime = reader.runtime
    read = reader.read("metrics", lambda session: {"metrics": read_metrics(session, runtime.pipeline)}).found
    text = metrics_text(found(runtime, read["metrics"], reader.backlog()))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


async def _planned(changes: Changes, templates: Templates, request: Request) -> Response:
    try:
        run = await changes.plan(request)
    except Refused as refused:
        return _told(templates, request, ConfigurationError(str(refused)), refused.status)
    except DropledgerError as error:
        return _told(templates, request, error, 503 if isinstance(error, Unavailable) else 422)
    return await run_in_threadpool(_answered, templates, partial(_shown, "planned.html", templates, run), request)


def _shown(template: str, templates: Templates, find: Callable[[Request], Answer], request: Request) -> Response:
    answer = find(request)
    if wants_json(request):
        return _json(answer)
    return HTMLResponse(templates.page(template, answer, **_address(request)))


Change = Callable[[Changes, FormData, Request], str]
"""A change that a form asks for; it gives the address of the page to look at next."""


def _land(changes: Changes, form: FormData, request: Request) -> str:
    del request
    return address_of("plan", landed=changes.land(form))


def _retract(changes: Changes, form: FormData, request: Request) -> str:
    return address_of("drops", changes.retract(form, request.path_params["drop_id"]))


def _restore(changes: Changes, form: FormData, request: Request) -> str:
    return address_of("drops", changes.restore(form, request.path_params["drop_id"]))


async def _changed(changes: Changes, templates: Templates, change: Change, request: Request) -> Response:
    try:
        form = await changes.form(request)
    except Refused as refused:
        return _told(templates, request, ConfigurationError(str(refused)), refused.status)

    def run(asked: Request) -> Response:
        return RedirectResponse(change(changes, form, asked), status_code=303)

    return await run_in_threadpool(_answered, templates, run, request)


async def _openapi(request: Request) -> Response:
    del request
    return JSONResponse(description())


async def _healthy(request: Request) -> Response:
    del request
    return PlainTextResponse("ok\n")


async def _not_found(templates: Templates, request: Request, error: Exception) -> Response:
    del error
    hint = "the pages are listed at the top"
    return _told(templates, request, ConfigurationError("there is no such page", hint=hint), 404)


def _told(templates: Templates, request: Request, error: DropledgerError, status: int) -> Response:
    headers = {"Retry-After": "2"} if status == 503 else {}
    if wants_json(request):
        return Response(json_text({"error": failure_entry(error)}), status, headers, media_type="application/json")
    return HTMLResponse(templates.error(error, status, **_address(request)), status, headers)
