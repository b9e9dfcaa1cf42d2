"""Messages are sent beside other work, so that no drop waits for whoever receives them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from dropledger.core.errors import DropledgerError, Unavailable
from dropledger.core.ports.notifier import Message, Notifier, Target


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message; `error` is why it was not taken."""

    message: Message
    error: DropledgerError | None


class Beside:
    """Sends each message in a thread of its own, which the end of the process does not wait for.

    `on_sent` is called by such a thread when there is something to collect.
    """

    def __init__(self, notifier_of: Callable[[Target], Notifier], on_sent: Callable[[], None]) -> None:
        self._notifier_of = notifier_of
        self._on_sent = on_sent
        self._threads: list[threading.Thread] = []
        self._sent: list[Sent] = []
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether something is being sent."""
        return any(thread.is_alive() for thread in self._threads)

    def send(self, messages: Sequence[Message]) -> None:
        """Begin to send messages: one to each target, so there are never many."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for message in messages:
            thread = threading.Thread(target=self._send, args=(message,), name="alert", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until all is sent, for so long at most."""
        until = monotonic() + seconds
        for thread in self._threads:
            thread.join(max(until - monotonic(), 0.0))

    def collect(self) -> list[Sent]:
        """What became of the messages since the last call."""
        with self._lock:
            found, self._sent = self._sent, []
        return found

    def _send(self, message: Message) -> None:
        error: DropledgerError | None = None
        try:
            self._notifier_of(message.target).send(message)
        except DropledgerError as failure:
            error = failure
        except Exception as bug:  # noqa: BLE001 - of a library; its words may have the address
            error = Unavailable("the message could not be sent", why=type(bug).__name__)
        with self._lock:
            self._sent.append(Sent(message, error))
        self._on_sent()
