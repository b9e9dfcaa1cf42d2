"""Messages as JSON by POST to a web address."""

import hashlib
import hmac
import http.client
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from dropledger.core.errors import ConfigurationError, Unavailable
from dropledger.core.ports.notifier import Message

TIMEOUT_SECONDS = 4.0
"""How long to wait for a connection, and then for an answer."""

SIGNATURE = "X-Dropledger-Signature"
"""The header that has `sha256=` and the HMAC of the body, in hex digits."""

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class _NotFollowed(urllib.request.HTTPRedirectHandler):
    """What is told to one address is told to no other."""

    def redirect_request(self, *_: object) -> None:
        return None


class Webhook:
    """Posts to an `https` address, or an `http` one of this machine; signs with a secret, if there is one."""

    def __init__(self, address: str, secret: str | None = None) -> None:
        parts = urlsplit(address)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigurationError(
                "the address is http, which anybody on the way can read",
                hint="name an https address, or one of this machine",
            )
        if not parts.hostname:
            raise ConfigurationError("the address names no machine", hint="write it like https://example.org/path")
        self._address = address
        self._secret = secret
        self._opener = urllib.request.build_opener(_NotFollowed)

    def send(self, message: Message) -> None:
        """Post it; any answer from 200 to 299 says that it was taken."""
        body = message.document
        headers = {"Content-Type": "application/json", "User-Agent": "dropledger"}
        if self._secret is not None:
            digest = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={digest}"
        try:
            request = urllib.request.Request(self._address, body, headers)  # noqa: S310 - http or https by scheme
            self._opener.open(request, timeout=TIMEOUT_SECONDS).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise _not_taken(f"it answered {error.code}") from None
        except urllib.error.URLError as error:  # its words may name the machine
            reason = error.reason
            raise _not_taken(type(reason).__name__ if isinstance(reason, Exception) else "no connection") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _not_taken(type(error).__name__) from None


def _not_taken(why: str) -> Unavailable:
    return Unavailable("the web address did not take the message", why=why, hint="look at what receives it")
