"""The OpenAPI description of the console's JSON."""

import re
from collections.abc import Mapping
from typing import Any

from dropledger.core import __version__
from dropledger.handlers.console.page import Page
from dropledger.handlers.console.pages import PAGES

_PLACES = re.compile(r"{(\w+)(?::\w+)?}")


def description() -> Mapping[str, Any]:
    """What can be asked for as JSON, and how, in OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dropledger console",
            "version": __version__,
            "description": "Each page as JSON. docs/json.md describes the entries. Money is text, times are UTC.",
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
        "security": [{"token": []}],
        "paths": {_address(page): {"get": _operation(page)} for page in PAGES},
    }


_TEXT = {"type": "string"}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["what", "why", "try", "exit_code"],
            "properties": {"what": _TEXT, "why": _TEXT, "try": _TEXT, "exit_code": {"type": "integer"}},
        }
    },
}


def _address(page: Page) -> str:
    return "/index.json" if page.path == "/" else _PLACES.sub(r"{\1}", page.path) + ".json"


def _operation(page: Page) -> Mapping[str, Any]:
    in_path = _PLACES.findall(page.path)
    asks = page.asks or {}
    parameters = [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path,
            "description": says,
            "schema": _TEXT,
        }
        for name, says in asks.items()
    ]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "summary": page.says,
        "parameters": parameters,
        "responses": {
            "200": {"description": "What was found.", "content": {"application/json": {"schema": {"type": "object"}}}},
            "403": {"description": "The token is missing."},
            "404": {"description": "There is no such thing.", "content": error},
            "503": {"description": "The warehouse is busy. Try again.", "content": error},
        },
    }
