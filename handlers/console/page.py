"""What a page is, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from dropledger.handlers.console.reader import Reader, Reading

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page has: the `document` is its JSON, `more` is for the template alone."""

    document: Document
    reading: Reading | None = None
    more: Document | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its address, its template, what it is in words, what finds it, and what can be asked of it.

    `path` is as the router has it; with `.json` behind it, it is the address of the JSON.
    """

    path: str
    template: str
    says: str
    find: Callable[[Reader, Request], Answer]
    asks: Mapping[str, str] | None = None
