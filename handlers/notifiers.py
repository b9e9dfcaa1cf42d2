"""Who is told of trouble, as settings say, and what tells them: picked by the scheme of the address."""

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from dropledger.core.contracts.freshness_file import seconds_of
from dropledger.core.errors import ConfigurationError
from dropledger.core.ports.notifier import AlertState, Notifier, Target

_PLACE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|secret:arn:[^\s]+")
_ENTRIES = ("to", "on", "feeds", "at_most_every", "signed_by", "smtp")


def targets_of(value: object) -> tuple[Target, ...]:
    """The setting `alerts`: a list of tables, or JSON that is one.

    Raises:
        ValueError: it says what is wrong; an address that stands in it is not repeated.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value or "[]")
        except ValueError:
            raise ValueError('it is no JSON; write it like [{"to": "env:NAME", "on": ["late"]}]') from None
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError('it should be a list of tables, like [{to = "env:NAME", on = ["late"]}]')
    targets = tuple(_target(entry) for entry in value)
    names = [target.to for target in targets]
    if len(set(names)) < len(names):
        raise ValueError("two entries have the same `to`; name one variable for each")
    return targets


def _target(entry: Mapping[str, Any]) -> Target:
    for name in entry:
        if name not in _ENTRIES:
            from difflib import get_close_matches

            near = get_close_matches(str(name), _ENTRIES, 1)
            raise ValueError(
                f"there is no entry `{name}`" + (f"; did you mean `{near[0]}`?" if near else f"; there are {_ENTRIES}")
            )
    if not entry.get("on"):
        raise ValueError(f"`on` lists what to tell, of {', '.join(AlertState)}")
    states = _texts(entry, "on")
    unknown = sorted(states - set(AlertState))
    if unknown:
        raise ValueError(f"`on` has '{unknown[0]}', which is none of {', '.join(AlertState)}")
    every = entry.get("at_most_every")
    return Target(
        to=_place(entry, "to") or _place({"to": ""}, "to") or "",
        on=frozenset(map(AlertState, states)),
        feeds=_texts(entry, "feeds"),
        at_most_every=0 if every is None else seconds_of(every),
        signed_by=_place(entry, "signed_by"),
        smtp=_place(entry, "smtp"),
    )


def refuse_unknown_feeds(targets: Iterable[Target], feeds: Collection[str]) -> None:
    """Stop where somebody would never be told of a feed, as it is called otherwise.

    Raises:
        ConfigurationError: it names the feed.
    """
    for target in targets:
        for feed in sorted(target.feeds - set(feeds)):
            raise ConfigurationError(
                f"alerts to {target.to} name the feed {feed}, which the pipeline has not",
                hint=f"name feeds of it: {', '.join(sorted(feeds))}",
            )


def _texts(entry: Mapping[str, Any], name: str) -> frozenset[str]:
    value = entry.get(name, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"`{name}` should be a list of texts")
    return frozenset(value)


def _place(entry: Mapping[str, Any], name: str) -> str | None:
    value = entry.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _PLACE.fullmatch(value):
        raise ValueError(
            f"`{name}` should say where the address or secret is, as env:NAME or secret:ARN, and not what it is"
        )
    return value


def _text_at(place: str) -> str:
    """The address or secret at a place.

    Raises:
        ConfigurationError: there is none.
    """
    kind, _, name = place.partition(":")
    if kind == "secret":
        from dropledger.infra.aws.secrets import text_of_secret

        return text_of_secret(name).strip()
    text = os.environ.get(name, "").strip()
    if not text:
        raise ConfigurationError(f"the variable {name} is not set", hint=f"set {name} to the address or secret")
    return text


def _webhook(address: str, target: Target) -> Notifier:
    from dropledger.infra.notify.webhook import Webhook

    return Webhook(address, _text_at(target.signed_by) if target.signed_by else None)


def _topic(address: str, _: Target) -> Notifier:
    from dropledger.infra.notify.sns import Topic

    return Topic(address)


def _mail(address: str, target: Target) -> Notifier:
    from dropledger.infra.notify.smtp import Mail

    if target.smtp is None:
        hint = 'add smtp = "env:NAME" to the entry of alerts, and set NAME to smtps://user:password@host:465'
        raise ConfigurationError("there is no server for mail", hint=hint)
    return Mail(address, _text_at(target.smtp))


def _service(address: str, _: Target) -> Notifier:
    from dropledger.infra.notify.services import Service

    return Service(address)


_NOTIFIERS: Mapping[str, Callable[[str, Target], Notifier]] = MappingProxyType(
    {"https": _webhook, "http": _webhook, "sns": _topic, "mailto": _mail}
)
"""What sends, by the scheme of an address; Apprise is asked for all others."""


def notifier_of(target: Target) -> Notifier:
    """What sends messages to a target.

    Raises:
        ConfigurationError: its address or secret is not there, or is none.
        Unavailable: the secret could not be read now.
    """
    address = _text_at(target.to)
    return _NOTIFIERS.get(address.partition(":")[0].lower(), _service)(address, target)
