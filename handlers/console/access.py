"""Who may use the console, and from where: a token, a cookie, the name of the host, and what a page may load."""

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OPEN = frozenset({"/healthz"})
"""What anybody may ask, as it tells nothing."""


class Access:
    """Lets a request through to the app that comes by a name of this machine, and has the token or its cookie.

    A link with the token sets the cookie, and leads to the same page without the token. A request that changes
    something must come from a page of the console, by a form that has `form_token`.
    """

    def __init__(self, app: ASGIApp, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"dropledger_console_{port}"  # cookies are those of a host, whatever the port
        self._session = _derived(token, "session")
        self._names = {"localhost", socket.gethostname().casefold(), socket.getfqdn().casefold()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._answer(Headers(scope=scope), scope)
        await (answer or self._app)(scope, receive, with_headers)

    def _answer(self, headers: Headers, scope: Scope) -> ASGIApp | None:
        """What a request gets that does not reach the app."""
        if not self._is_ours(headers.get("host", "")):
            return _refused(400, "The host of this address is not this machine. Try: open the link that was printed.")
        if scope["path"] in OPEN:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if any(_same(one, self._token) for one in given) and scope["method"] == "GET":
            return self._without_token(raw_path(scope), ((name, value) for name, value in query if name != "token"))
        if not (_same(self._session, self._cookie_of(headers)) or self._has_bearer(headers)):
            return _refused(403, "This console wants a token. Try: open the link that dropledger console printed.")
        if scope["method"] not in {"GET", "HEAD"} and not _is_of_same_origin(headers):
            return _refused(403, "This was not sent by a page of the console.")
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a host is an address or a name of this machine: no other site can have made it its own name."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
        name = name.removeprefix("[").removesuffix("]").casefold()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def _without_token(self, path: str, query: Iterable[tuple[str, str]]) -> RedirectResponse:
        rest = urlencode(list(query))
        # A path of two slashes would lead to another host.
        answer = RedirectResponse("/" + path.lstrip("/") + (f"?{rest}" if rest else ""), status_code=303)
        answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return answer

    def _cookie_of(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    def _has_bearer(self, headers: Headers) -> bool:
        kind, _, text = headers.get("authorization", "").partition(" ")
        return kind.casefold() == "bearer" and _same(text.strip(), self._token)


def _is_of_same_origin(headers: Headers) -> bool:
    """Whether a page of this console has sent a request, as its browser says.

    One that reaches another machine without TLS says it by the origin alone.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin", "").partition("://")[2] == headers.get("host")


def raw_path(scope: Scope) -> str:
    """The path of a request as it was sent: what is escaped in it stays so."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path.decode("latin-1")


def form_token(token: str) -> str:
    """What a form of the console has in its field `form_token`."""
    return _derived(token, "form")


def is_from_form(given: Any, token: str) -> bool:
    """Whether the field `form_token` is that of a form of this console."""
    return isinstance(given, str) and _same(given, form_token(token))


def wants_json(request: Request) -> bool:
    """Whether the answer is to be JSON: the address ends in .json, or that is accepted and no page is."""
    accepted = request.headers.get("accept", "")
    return request.url.path.endswith(".json") or ("application/json" in accepted and "text/html" not in accepted)


def _derived(token: str, use: str) -> str:
    return hmac.new(token.encode(), use.encode(), hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refused(status: int, says: str) -> ASGIApp:
    return PlainTextResponse(says + "\n", status_code=status)
