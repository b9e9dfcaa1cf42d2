"""A stand-in for a Databricks SQL warehouse: what databricks-sql-connector speaks, with Spark and Delta behind it.

    .venv-spark/bin/python localstack/databricks/server.py --folder DIR

prints one line of JSON when it is ready: {"port": ..., "http_path": ..., "token": ...}. It listens on 127.0.0.1 alone.
"""

import argparse
import contextlib
import json
import os
import secrets
import signal
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from databricks.sql.thrift_api.TCLIService import TCLIService
from engine import Engine
from protocol import RESULTS, VOLUMES, Answered, Calls, StandIn
from sql import Refused
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

HTTP_PATH = "/sql/1.0/warehouses/stand-in"
OUT_OF_MEMORY = 3  # exit code of a JVM


class Requests(BaseHTTPRequestHandler):
    """HTTP: Thrift calls, files of volumes, faults and counts."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "Listening"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def handle_request(self) -> None:
        stand_in = self.server.stand_in
        stand_in.asked = time.monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        try:
            if path.startswith(VOLUMES):
                self._file(path, body)
            elif path.startswith(RESULTS):
                self.answer(200, stand_in.links.fetched(path.removeprefix(RESULTS)))
            elif path in ("/_faults", "/_statements"):
                self._order(path, body)
            elif path != HTTP_PATH or self.command != "POST":
                raise Answered(404, f"ENDPOINT_NOT_FOUND: {path}")
            else:
                self._thrift(body, self._principal())
        except Answered as answered:
            told = {"x-thriftserver-error-message": str(answered), **answered.headers}
            self.answer(answered.code, str(answered).encode(), **told)

    do_GET = do_POST = do_PUT = do_DELETE = handle_request  # noqa: N815

    def _principal(self) -> str:
        """Who asks: the token may be followed by a colon and a name."""
        token, _, name = (self.headers.get("Authorization") or "").removeprefix("Bearer ").partition(":")
        if token != self.server.stand_in.token:
            raise Answered(403, "Invalid access token.")
        return name

    def _thrift(self, body: bytes, principal: str) -> None:
        calls, answer = Calls(self.server.stand_in, principal), TMemoryBuffer()
        TCLIService.Processor(calls).process(TBinaryProtocol(TMemoryBuffer(body)), TBinaryProtocol(answer))
        if calls.http:
            raise calls.http
        if calls.lost:
            self.close_connection = True
            return
        self.answer(200, answer.getvalue(), Content_Type="application/x-thrift")

    def _file(self, path: str, body: bytes) -> None:
        """PUT, GET or DELETE of a volume's file, by the address that a statement gave out."""
        signature, _, rest = path.removeprefix(VOLUMES).partition("/")
        if not secrets.compare_digest(signature, self.server.stand_in.signature):
            raise Answered(403, "The address is not one that a statement gave out.")
        try:
            file = self.server.stand_in.engine.volumes.where(f"/{rest}")
        except Refused as refused:
            raise Answered(404, str(refused)) from refused
        if self.command == "PUT":
            slow, self.server.stand_in.slow_upload = self.server.stand_in.slow_upload, None
            self.server.stand_in.linger(slow)
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
            beside.write_bytes(body)
            beside.replace(file)
            self.answer(200)
        elif not file.is_file():
            raise Answered(404, f"no file: /{rest}")
        elif self.command == "DELETE":
            file.unlink()
            self.answer(200)
        else:
            self.answer(200, file.read_bytes())

    def _order(self, path: str, body: bytes) -> None:
        """Order faults, and look at the statements that ran."""
        stand_in = self.server.stand_in
        if self.command == "DELETE":
            stand_in.faults.clear() if path == "/_faults" else stand_in.statements.clear()
            self.answer(200)
        elif path == "/_statements" or self.command == "GET":
            told = stand_in.counted() if path == "/_statements" else {"waiting": stand_in.faults.waiting()}
            self.answer(200, json.dumps(told).encode(), Content_Type="application/json")
        else:
            try:
                stand_in.faults.order(json.loads(body))
            except (TypeError, ValueError) as error:
                raise Answered(400, str(error)) from error
            self.answer(200)


class Listening(ThreadingHTTPServer):
    """The server, on 127.0.0.1."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", port), Requests)
        self.stand_in = stand_in
        stand_in.url = f"http://127.0.0.1:{self.server_port}"
        stand_in.links.storage = f"http://localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def end_when_unused(self, parent: int, idle_seconds: float) -> None:
        """Ends the server once its parent process is gone or nothing was asked for so long."""
        while os.getppid() == parent and time.monotonic() - self.stand_in.asked < idle_seconds:
            time.sleep(0.5)
        self.shutdown()

    def end_with_spark(self) -> None:
        """Ends the process if Spark's JVM ends, and tells how."""
        code = self.stand_in.engine.ended()
        why = " (out of memory)" if code == OUT_OF_MEMORY else ""
        print(f"Spark's JVM has ended with exit code {code}{why}", file=sys.stderr)
        self.stand_in.engine.close()
        os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--folder", type=Path, required=True, help="where tables and volumes are kept")
    parser.add_argument("--jars", type=Path, default=Path(sys.prefix) / "jars", help="Delta's jars")
    parser.add_argument("--token", default="stand-in", help="what clients must bring")
    parser.add_argument("--idle-seconds", type=float, default=900.0, help="end after so long without a request")
    options = parser.parse_args()
    parent = os.getppid()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    engine = Engine(folder, options.jars)
    server = Listening(options.port, StandIn(engine, options.token))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    threading.Thread(target=server.end_when_unused, args=(parent, options.idle_seconds), daemon=True).start()
    threading.Thread(target=server.end_with_spark, daemon=True).start()
    print(json.dumps({"port": server.server_port, "http_path": HTTP_PATH, "token": options.token}), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.2)
    engine.close()
    os._exit(0)  # Spark's JVM ends with this process; to stop it in order takes longer and saves nothing


if __name__ == "__main__":
    main()
