"""A `dropledger console` that runs, and a client that asks it as plainly as HTTP can be asked."""

import http.client
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

from support.console import Console, environment, until
from support.forks import Child, run_script


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Served:
    """A console that runs: the `link` that it printed, and the process."""

    link: str
    process: Child

    @property
    def port(self) -> int:
        return urlsplit(self.link).port or 0

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.link).query)["token"][0]

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answered:
        """Send one request with just these headers, whose names have underscores for hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=100)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
            return Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answered:
        """Ask as one who has the token."""
        return self.ask(path, Authorization=f"Bearer {self.token}", **headers)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Answered:
        """Send a form as a page of the console does."""
        sent = {"Sec_Fetch_Site": "same-origin", "Content_Type": "application/x-www-form-urlencoded", **headers}
        return self.ask(path, "POST", urlencode(fields).encode(), Authorization=f"Bearer {self.token}", **sent)

    def upload(self, path: str, name: str, content: bytes, fields: Mapping[str, str], **headers: str) -> Answered:
        """Send a form with a file."""
        mark = uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
            for field, value in fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        body = b"".join([*parts, head, content, f"\r\n--{mark}--\r\n".encode()])
        sent = {"Sec_Fetch_Site": "same-origin", "Content_Type": f"multipart/form-data; boundary={mark}", **headers}
        return self.ask(path, "POST", body, Authorization=f"Bearer {self.token}", **sent)

    def form_token(self) -> str:
        """What the forms of this console have."""
        return self.get("/plan").text.partition('name="form_token" value="')[2].partition('"')[0]


@contextmanager
def serving(console: Console, *options: str, **settings: object) -> Iterator[Served]:
    """`dropledger console` on a free port, until the block ends; it must end by itself then."""
    out = console.folder / f"served-{uuid4().hex}.json"
    out.touch()
    log = out.with_suffix(".log")
    arguments = ["console", "--port", "0", "--json", *options]
    process = Child(run_script, arguments, console.folder, environment(**settings) | console.variables, -1, out, log)
    try:
        until(lambda: out.read_text().rstrip().endswith("}") or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield Served(json.loads(out.read_text())["url"], process)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(15) == 0
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.kill()
