"""Messages to whatever Apprise knows: Slack, Teams, PagerDuty and a hundred others."""

import logging

from dropledger.core.errors import ConfigurationError, NotInstalled, Unavailable
from dropledger.core.ports.notifier import Message


class Service:
    """Sends to any address of Apprise, which the extra `dropledger[alerts]` installs."""

    def __init__(self, address: str) -> None:
        self._address = address

    def send(self, message: Message) -> None:
        """Let Apprise send it, and believe what it says of that."""
        try:
            import apprise
        except ImportError as error:
            raise NotInstalled(
                "the address is none of https, sns and mailto, and Apprise is not installed", "alerts"
            ) from error
        # What it logs may have the address, or what it has sent.
        for name in ("apprise", "requests", "urllib3"):
            logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger("apprise").propagate = False
        service = apprise.Apprise()
        if not service.add(self._address):
            hint = "its documentation lists how addresses are written"
            raise ConfigurationError("Apprise does not know such an address", hint=hint)
        if not service.notify(title=message.title, body=message.text):
            raise Unavailable("Apprise could not deliver the message", hint="look at what receives it")
