"""The server of the console: uvicorn on one socket, until it is told to stop."""

import secrets
import signal
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import uvicorn

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.console.app import console_app
from dropledger.handlers.console.changes import Changes
from dropledger.handlers.console.masking import Masking
from dropledger.handlers.console.reader import WAIT_SECONDS, Reader
from dropledger.handlers.console.uploads import Uploads
from dropledger.handlers.settings import Settings
from dropledger.handlers.user import user
from dropledger.handlers.wiring import cache_folder, wire, wire_existing

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_LEAST_LETTERS = 20


def token_in(file: Path | None) -> str:
    """The token in a file, or a new one.

    Raises:
        ConfigurationError: the file cannot be read, or what it holds can be guessed.
    """
    if file is None:
        return secrets.token_urlsafe(32)
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or "" if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"the token file {file} cannot be read", why=why, hint="name another file") from error
    if len(token) < _LEAST_LETTERS or not token.isascii() or any(letter.isspace() for letter in token):
        raise ConfigurationError(
            f"the token in {file} is not a token",
            why=f"it wants at least {_LEAST_LETTERS} letters and digits, without spaces",
            hint="make one: openssl rand -hex 32",
        )
    return token


@dataclass(frozen=True, slots=True)
class Options:
    """How a console is served: where it listens, the `token` that opens it, whether it may `write`, and whether it
    shows columns that are restricted.
    """

    address: str
    port: int
    token: str
    write: bool
    show_restricted: bool


def serve(settings: Settings, options: Options, on_ready: Callable[[str], None]) -> None:
    """Serve the console of a root that is there until the process is told to end; `on_ready` gets its address.

    Raises:
        ConfigurationError: there is no root, or nothing can listen there.
    """
    address, token = options.address, options.token
    reading = wire_existing(settings=replace(settings, wait_seconds=WAIT_SECONDS))
    with _listening(address, options.port) as listening, closing(Uploads()) as uploads:
        port = listening.getsockname()[1]
        cache = cache_folder(settings)
        reader = Reader(reading, Masking(reading.pipeline, cache, show_restricted=options.show_restricted), cache)
        changes = Changes(wire(settings=settings), reader, uploads, token, user(), settings.upload_limit)
        config = uvicorn.Config(
            console_app(reader, changes, port, write=options.write),
            http="h11",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=100,
            timeout_graceful_shutdown=5,
        )
        on_ready(f"http://{f'[{address}]' if ':' in address else address}:{port}/")
        signal.signal(signal.SIGTERM, _end)
        with suppress(KeyboardInterrupt):  # what the server was told by a signal it raises again when it has ended
            uvicorn.Server(config).run(sockets=[listening])


def _end(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise KeyboardInterrupt


def _listening(address: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"the console cannot listen on {address}, port {port}",
            why=error.strerror or str(error),
            hint="choose another --port, or an address of this machine with --listen",
        ) from error
