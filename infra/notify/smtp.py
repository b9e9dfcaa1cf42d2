"""Messages as mail."""

import smtplib
import ssl
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import parse_qs, unquote, urlsplit

from dropledger.core.errors import ConfigurationError, Unavailable
from dropledger.core.ports.notifier import Message

TIMEOUT_SECONDS = 4.0
"""How long to wait for each answer of the server."""

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_PORTS = {"smtp": 587, "smtps": 465}


class Mail:
    """Sends to `mailto:a@example.org,b@example.org` by a server.

    That is told as `smtps://user:password@host:port?from=sender@example.org`, or as `smtp://...`, which goes on by TLS
    (STARTTLS) unless it is on this machine. Mail is from the first recipient where no sender is told.
    """

    def __init__(self, address: str, server: str) -> None:
        self._recipients = [unquote(one).strip() for one in urlsplit(address).path.split(",") if one.strip()]
        self._server = urlsplit(server)
        if not self._recipients:
            raise ConfigurationError("the address names no recipient", hint="write it like mailto:ops@example.org")
        try:
            self._port = self._server.port or _PORTS[self._server.scheme]
        except (KeyError, ValueError):
            raise _no_server() from None
        if not self._server.hostname:
            raise _no_server()
        self._sender = parse_qs(self._server.query).get("from", self._recipients)[0]

    def send(self, message: Message) -> None:
        """Hand it to the server; all recipients must be taken."""
        try:
            mail = self._mail(message)
            with self._connected() as server:
                if self._server.username:
                    server.login(unquote(self._server.username), unquote(self._server.password or ""))
                refused = server.send_message(mail, self._sender, self._recipients)
        except smtplib.SMTPResponseException as error:  # its text may name addresses
            raise _not_taken(f"it answered {error.smtp_code}") from None
        except (OSError, ValueError, MessageError) as error:  # smtplib's other errors are OSErrors
            raise _not_taken(type(error).__name__) from None
        if refused:
            raise _not_taken(f"it refused {len(refused)} of {len(self._recipients)} recipients")

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.title
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._recipients)
        mail["Date"] = formatdate(message.sent_at.timestamp())
        mail["Message-ID"] = f"<{message.notices[0].alert_id}.{message.sent_at.timestamp():.0f}@dropledger.invalid>"
        mail.set_content(message.text)
        return mail

    def _connected(self) -> smtplib.SMTP:
        host = str(self._server.hostname)
        if self._server.scheme == "smtps":
            return smtplib.SMTP_SSL(host, self._port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        server = smtplib.SMTP(host, self._port, timeout=TIMEOUT_SECONDS)
        if host not in _LOOPBACK:
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server


def _no_server() -> ConfigurationError:
    hint = "write it like smtps://user:password@host:465?from=dropledger@example.org"
    return ConfigurationError("the setting smtp names no server for mail", hint=hint)


def _not_taken(why: str) -> Unavailable:
    return Unavailable("the mail server did not take the message", why=why, hint="look at its log")
