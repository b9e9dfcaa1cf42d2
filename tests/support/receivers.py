"""Receivers of alerts on loopback: they keep what they got, and answer as they are told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """A web address that takes messages; `status` is what it answers, once `open_` is set.

    `asked` counts those who came."""

    port: int = 0
    status: int = 200
    open_: threading.Event = field(default_factory=threading.Event)
    asked: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hidden-path?token=hidden-token"

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]

    @property
    def told(self) -> list[tuple[str, str | None, bool]]:
        """The notices of all messages: state, feed, and whether it is over."""
        return [(one["state"], one["feed"], one["recovered"]) for found in self.messages for one in found["alerts"]]


@contextmanager
def receiving(*, answers: bool = True) -> Iterator[Receiver]:
    """A receiver, until the block ends; one that does not answer at first keeps who asks waiting."""
    receiver = Receiver()
    if answers:
        receiver.open_.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.asked += 1
            receiver.open_.wait(30)
            receiver.bodies.append(body)
            receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(receiver.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # who asked has gone away
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.open_.set()
        server.shutdown()
        server.server_close()
        thread.join()
