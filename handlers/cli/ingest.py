"""`dropledger handle`: the function of AWS Lambda, in this process, on an event file."""

import json as json_format
import math
from pathlib import Path

from dropledger.core.errors import ConfigurationError, DropledgerError
from dropledger.core.ledger.fault import as_refusal
from dropledger.handlers import render
from dropledger.handlers.aws_lambda.function import handle as run_handle
from dropledger.handlers.logs import configure_logs
from dropledger.handlers.outcomes import exit_code, most_urgent, show
from dropledger.handlers.wiring import settings_in_force, wire


def handle(*, event: Path, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Handle the event; the exit code, the most urgent of all failures and refusals."""
    settings = settings_in_force(root=root, warehouse=warehouse)
    configure_logs(settings.log)
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
    runtime = wire(settings=settings, on_wait=render.on_wait(quiet=quiet))
    if not runtime.store.atomic_uploads:
        raise ConfigurationError(
            f"the root {runtime.store.root} is a folder, of which no event of AWS tells",
            hint="name the bucket that the event tells of, like --root s3://bucket/prefix",
        )
    handled = run_handle(runtime, content, lambda: math.inf)
    failed = [message.queued and message.queued.message_id for message in handled.failed]
    failures = [_told(error) for error in handled.failed.values()]
    if json:
        outcomes = [outcome.as_json() for outcome in handled.outcomes]
        first = {"error": render.failure_entry(failures[0])} if failures else {}
        render.as_json({"command": "handle", "outcomes": outcomes, "failed": failed, **first})
    elif not quiet:
        show(handled.outcomes)
    for failure in failures[:1]:
        render.error(failure)
    for bug in failures:
        render.bug(bug)
        render.bug(bug.__cause__)
    codes = [failure.exit_code for failure in failures]
    return most_urgent([*codes, exit_code(handled.outcomes)])


def _told(error: Exception) -> DropledgerError:
    return error if isinstance(error, DropledgerError) else as_refusal("the event was not worked off", error)
