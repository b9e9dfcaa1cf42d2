"""What a console does beside showing: it plans files, and if it may, lands them and takes drops back."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.types import Message

from dropledger.core.errors import Busy, ConfigurationError
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.operations.plan import plan
from dropledger.core.operations.retract import restore, retract
from dropledger.core.retry import retry_while_busy
from dropledger.core.views.drops import find_drop
from dropledger.handlers.console.access import is_from_form
from dropledger.handlers.console.bounds import shortened
from dropledger.handlers.console.page import Answer
from dropledger.handlers.console.reader import WAIT_SECONDS, Reader
from dropledger.handlers.console.uploads import Uploads, no_room
from dropledger.infra.local.inbox import dropped_file

LONGEST_REASON = 500

_FIELDS_BYTES = 64 * 1024

T = TypeVar("T")


class Refused(Exception):
    """A request that is not answered, with its status."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


@dataclass(frozen=True)
class Changes:
    """Changes of a root by way of the console; `runtime` waits for others as commands do.

    `who` is what the ledger keeps of who took a drop back. `most_bytes` is how large an upload may be.
    """

    runtime: Runtime
    reader: Reader
    uploads: Uploads
    token: str
    who: str
    most_bytes: int
    _one: Lock = field(default_factory=Lock)

    async def form(self, request: Request, most_bytes: int = _FIELDS_BYTES, *, files: int = 0) -> FormData:
        """The fields of a form that a page of this console has sent, with at most so many files.

        Raises:
            Refused: it is larger, or of no such form.
            Unavailable: there is no room for its files.
        """
        try:
            form = await Request(request.scope, _bounded(request, most_bytes)).form(max_files=files, max_fields=10)
        except OSError as error:
            raise no_room(error) from error
        if not is_from_form(form.get("form_token"), self.token):
            await form.close()
            raise Refused(403, "This form is not one of this console. Try: load the page again.")
        return form

    async def plan(self, request: Request) -> Callable[[Request], Answer]:
        """What plans the file that a request has; to be called in a thread."""
        form = await self.form(request, self.most_bytes, files=1)
        try:
            file = form.get("file")
            if not isinstance(file, UploadFile) or not file.filename:
                raise ConfigurationError("no file was sent", hint="choose one")
            feed = str(form.get("feed") or "") or None
            upload_id, path = await run_in_threadpool(self.uploads.keep, file.filename, file.file)
        finally:
            await form.close()

        def run(_: Request) -> Answer:
            if feed is not None:
                self.runtime.pipeline.contract(feed)
            dropped = dropped_file(path, feed=feed, keep_original=True)
            planned = self._in_turn(lambda runtime: plan(runtime, dropped))
            masking = self.reader.masking
            document = {
                "outcome": planned.outcome.as_json(),
                "rejects": masking.rejects(planned.outcome.drop.feed, shortened(planned.rejects)),
                "effects": masking.effects(planned.effects),
                "upload": upload_id,
            }
            return Answer(document)

        return run

    def land(self, form: FormData) -> str:
        """Put a planned file in the inbox, in a folder of its own below that of its feed; its name there.

        So it takes no other file's place, whoever delivers one of this name.
        """
        upload_id, feed = str(form.get("upload") or ""), str(form.get("feed") or "")
        if self.runtime.pipeline.contract(feed).control_file is not None:
            raise ConfigurationError(
                f"files of {feed} come with control files, and one file is sent here",
                hint="drop both into the inbox, or name the file: dropledger process FILE",
            )
        path = self.uploads.take(upload_id)
        name = f"inbox/{feed}/console-{upload_id}/{path.name}"
        self.runtime.store.put({name: path})
        return name

    def retract(self, form: FormData, drop_id: str) -> str:
        """Take a drop back; its id."""
        return self._change(form, drop_id, retract)

    def restore(self, form: FormData, drop_id: str) -> str:
        """Take a drop in again; its id."""
        return self._change(form, drop_id, restore)

    def _change(self, form: FormData, drop_id: str, change: Callable[[Runtime, str, str, str], object]) -> str:
        reason, typed = str(form.get("reason") or "").strip(), str(form.get("typed") or "").strip()
        if not reason or not reason.isprintable() or len(reason) > LONGEST_REASON:
            raise ConfigurationError(
                "no reason was given" if not reason else "the reason is not one line of text",
                hint=f"say why in at most {LONGEST_REASON} letters: the ledger keeps it",
            )

        def work(runtime: Runtime) -> str:
            with runtime.reading() as session:
                whole: str = find_drop(session, drop_id)["drop_id"]
            if typed != whole:
                raise ConfigurationError(
                    "the id that was typed is not that of this drop", hint=f"type {whole}, if this is the one"
                )
            change(runtime, whole, reason, f"{self.who}, in the console")
            return whole

        return self._in_turn(work)

    def _in_turn(self, work: Callable[[Runtime], T]) -> T:
        """What `work` gives, one change at a time. While others hold the root, pages are read in between.

        Raises:
            Busy: they hold it for longer than commands wait, or this console makes another change.
        """
        if not self._one.acquire(blocking=False):
            raise Busy("this console is making another change", hint="wait until it is made, and try again")
        quickly = replace(self.runtime, wait_seconds=0.0)

        def attempt() -> T:
            with self.reader.alone(WAIT_SECONDS):
                return work(quickly)

        try:
            return retry_while_busy(attempt, self.runtime.wait_seconds)
        finally:
            self._one.release()


def _bounded(request: Request, most_bytes: int) -> Callable[[], Any]:
    """Receives a request's body, up to so many bytes."""
    told = request.headers.get("content-length", "")
    too_large = Refused(413, f"this is larger than {most_bytes:,} bytes; DROPLEDGER_UPLOAD_LIMIT bounds files")
    if told.isdecimal() and int(told) > most_bytes:
        raise too_large
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most_bytes:
            raise too_large
        return message

    return receive
