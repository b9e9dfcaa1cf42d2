"""Pages as HTML: the templates, and how they write values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from dropledger.core import __version__
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import DropledgerError
from dropledger.core.ports import Clock
from dropledger.core.views import explain
from dropledger.core.views.keys import write_key
from dropledger.handlers import render
from dropledger.handlers.console import pictures
from dropledger.handlers.console.graph import label
from dropledger.handlers.console.page import Answer

_NOTHING: Mapping[str, str] = MappingProxyType({})
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def address_of(*parts: str, **asked: Any) -> str:
    """An address of this console: the parts of its path, and what it asks, without what is None."""
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return "/" + "/".join(quote(str(part), safe="") for part in parts) + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Setting:
    """What all pages know: the pipeline and its root (empty for none), whether they may write, and the token of forms.

    `site` is whether they lie in files, which lead to one another by `address`, in place of a console's own.
    """

    pipeline: Pipeline
    root: str
    clock: Clock
    write: bool = False
    form_token: str = ""
    site: bool = False
    address: Callable[..., str] = address_of


class Templates:
    """The templates of the pages."""

    def __init__(self, setting: Setting) -> None:
        self._environment = Environment(
            loader=PackageLoader("dropledger.handlers.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            cell=render.cell,
            plain=lambda value: "" if value is None else str(value),
            time=_time,
            second=lambda moment: _time(moment and moment.replace(microsecond=0)),
            day=lambda moment: "" if moment is None else f"{moment:%Y-%m-%d}",
            number=lambda value: f"{value:,}",
            bytes=_bytes,
            says=lambda section, row: explain.sentence(section.says, row, render.cell),
            values_of=lambda row: list(row.values()),
            label=label,
            words=lambda name: str(name).replace("_", " "),
        )
        self._environment.globals.update(
            version=__version__,
            pipeline=setting.pipeline,
            root=setting.root,
            write=setting.write,
            form_token=setting.form_token,
            site=setting.site,
            link=setting.address,
            key_of=lambda row, columns: write_key([row[name] for name in columns]),
            counted=render.counted,
            dict_of=lambda names, values: dict(zip(names, values, strict=True)),
            spark=pictures.spark,
            line=pictures.line,
            with_totals=pictures.with_totals,
            lanes=pictures.lanes,
            age=render.age,
            ago=lambda moment: _ago(setting.clock() - moment),
        )

    def page(
        self, name: str, answer: Answer, *, path: str = "", asked: Mapping[str, str] = _NOTHING, mark: str = ""
    ) -> str:
        """A page as HTML; `path` and what was `asked` are its address, `mark` what it has seen."""
        values = {**(answer.more or {}), "doc": answer.document, "reading": answer.reading, "mark": mark}
        return self._rendered(name, path, asked, values)

    def error(self, error: DropledgerError, status: int, *, path: str, asked: Mapping[str, str]) -> str:
        """An error as a page: what happened, why, and what to try."""
        values = {"error": error, "status": status, "reading": None, "mark": ""}
        return self._rendered("error.html", path, asked, values)

    def _rendered(self, name: str, path: str, asked: Mapping[str, str], values: Mapping[str, Any]) -> str:
        here = path + (f"?{urlencode(asked)}" if asked else "")
        return self._environment.get_template(name).render(here=here, path=path, **values)


def _time(moment: datetime | None) -> str:
    """A moment as people read it, in UTC: `2025-10-31`, or `2025-10-31 10:30:00`."""
    return "" if not moment else render.cell(moment).replace("T", " ").removesuffix("Z")


def _ago(length: timedelta) -> str:
    """How long ago: `3 hours`."""
    seconds = int(length.total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            return render.counted(seconds // size, unit)
    return "less than a minute"


def _bytes(size: int) -> str:
    """A number of bytes as people read it: `1.2 MB`."""
    value = size * 10
    for unit in ("B", "kB", "MB", "GB"):
        if value < 10_000:
            return f"{value / 10:.1f} {unit}" if unit != "B" else f"{size} B"
        value //= 1000
    return f"{value / 10:,.1f} TB"
