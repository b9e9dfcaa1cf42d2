"""Settings of a SQL warehouse in Databricks, by the names that Databricks' own programs read from the environment."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.setting_values import any_text, from_environment, some_text, text_like, yes_or_no

_ON_THIS_MACHINE = ("http://127.0.0.1:", "http://localhost:")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, or the id of a client and its secret; their texts are in no representation."""

    token: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)

    def is_complete(self) -> bool:
        """Whether this is enough to sign in with."""
        return bool(self.token or (self.client_id and self.client_secret))


@dataclass(frozen=True, slots=True)
class DatabricksSettings:
    """Where a SQL warehouse is, and what to sign in with."""

    host: str
    http_path: str
    catalog: str
    schema: str
    cloud_fetch: bool
    credentials: Credentials


_VALUES: Mapping[str, Callable[[object], object]] = {
    "host": any_text,
    "http_path": any_text,
    "catalog": some_text,
    "schema": text_like(r"^\w*$"),
    "cloud_fetch": yes_or_no,
}
_DEFAULTS = {"schema": "", "cloud_fetch": "true"}
"""The values where the environment says nothing."""


def read_databricks_settings(text_of_secret: Callable[[str], str]) -> DatabricksSettings:
    """The settings of Databricks in force.

    Where they name a secret by its ARN, token or client are what `text_of_secret` gives for that.

    Raises:
        ConfigurationError: one that is needed is missing, or out of range.
    """
    given = from_environment("DATABRICKS_", [*_VALUES, "token", "client_id", "client_secret", "secret_arn"])
    found = {name: _value(name, {**_DEFAULTS, **given}) for name in _VALUES}
    arn = given.get("secret_arn", "")
    credentials = _in_secret(arn, text_of_secret(arn)) if arn else _credentials(given)
    if not credentials.is_complete():
        raise ConfigurationError(
            "the warehouse databricks needs DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
            hint="set them as docs/databricks.md says",
        )
    settings = DatabricksSettings(**found, credentials=credentials)  # type: ignore[arg-type]
    if settings.host.startswith("http://") and not settings.host.startswith(_ON_THIS_MACHINE):
        raise ConfigurationError(
            f"DATABRICKS_HOST is {settings.host}, which would send the token in plain text",
            hint="name the host alone, or with https://",
        )
    return settings


def _value(name: str, given: Mapping[str, str]) -> object:
    try:
        if name not in given:
            raise ValueError("Field required")  # noqa: TRY301 - refused like a value that cannot be used
        return _VALUES[name](given[name])
    except ValueError as error:
        raise ConfigurationError(
            f"the warehouse databricks needs DATABRICKS_{name.upper()}",
            why=str(error),
            hint="set it as docs/databricks.md says",
        ) from error


def _credentials(entries: Mapping[str, str]) -> Credentials:
    return Credentials(entries.get("token", ""), entries.get("client_id", ""), entries.get("client_secret", ""))


def _in_secret(arn: str, text: str) -> Credentials:
    """The credentials in a secret, whose text is in no error: JSON with token or client, or else the token itself."""
    found = Credentials(token=text.strip())
    if text.lstrip().startswith("{"):
        try:
            entries = json.loads(text)
        except ValueError:  # which quotes it
            entries = {}
        found = _credentials({name: value for name, value in entries.items() if isinstance(value, str)})
    if not found.is_complete():
        raise ConfigurationError(
            f"the secret {arn} has neither token, nor client_id and client_secret",
            hint='store JSON like {"token": "..."} or {"client_id": "...", "client_secret": "..."}, or the bare token',
        )
    return found
