"""`dropledger handle`: the function of AWS Lambda, in this process, on an event file."""

import json as json_format
import math
from pathlib import Path

from core.errors import ConfigurationError, DropledgerError
from handlers import render
from handlers.function import handle as run_handle
from handlers.logs import configure_logs
from handlers.process import exit_code, show
from handlers.settings import read_settings
from handlers.wiring import wire


def handle(*, event: Path, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Handle the event; the exit code, which is that of the first failure where files could not be taken."""
    configure_logs(read_settings(root=root, warehouse=warehouse).log)
    try:
        content = json_format.loads(event.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(f"{event} is not there", hint="name a file that holds one event of AWS") from error
    except ValueError as error:
        raise ConfigurationError(
            f"{event} is not JSON", why=str(error), hint="name a file that holds an event"
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{event} is not an event", why="it holds no JSON object", hint="name a file that holds one"
        )
    runtime = wire(root=root, warehouse=warehouse, waiting=render.waiting(quiet=quiet))
    if not runtime.store.lands_whole:
        raise ConfigurationError(
            f"the root {runtime.store.root} is a folder, of which no event of AWS tells",
            hint="name the bucket that the event tells of, like --root s3://bucket/prefix",
        )
    handled = run_handle(runtime, content, lambda: math.inf)
    failed = [message.queued and message.queued.message_id for message in handled.failed]
    if json:
        outcomes = [outcome.as_json() for outcome in handled.outcomes]
        render.as_json({"command": "handle", "outcomes": outcomes, "failed": failed})
    elif not quiet:
        show(handled.outcomes)
    for failure in handled.failed.values():
        if not isinstance(failure, DropledgerError):
            raise failure
        render.error(failure)
        return failure.exit_code
    return exit_code(handled.outcomes)
