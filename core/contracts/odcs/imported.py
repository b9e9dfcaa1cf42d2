"""Documents of the standard as contracts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import dropledger.core.contracts.contract as plain
from dropledger.core.contracts.contract_file import Contract
from dropledger.core.contracts.odcs.document import Document
from dropledger.core.contracts.odcs.feed import Names, feed_of
from dropledger.core.contracts.odcs.notes import Note, Notes
from dropledger.core.contracts.yaml_file import entries_of, parse_yaml
from dropledger.core.contracts.yaml_text import yaml_text
from dropledger.core.errors import ConfigurationError, ContractError
from dropledger.core.ports.session import Matches

_NOT_PRINTED = re.compile("[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Imported:
    """A contract that a document has: the feed, the contract as YAML with the notes as comments, and these."""

    feed: str
    yaml: str
    notes: tuple[Note, ...]

    @cached_property
    def contract(self) -> plain.Contract:
        """The contract that is meant, without initial rows.

        Raises:
            ContractError: something is missing, or says what it may not.
        """
        file = Path(f"{self.feed}.yaml")
        digest = sha256(self.yaml.encode()).hexdigest()
        return parse_yaml(self.yaml, file, Contract).checked(file, self.yaml, None, digest)


def is_document(text: str, path: Path) -> bool:
    """Whether the YAML of a file is a document of the standard.

    Raises:
        ContractError: it is not YAML, or no mapping.
    """
    return bool({"apiVersion", "kind"} & entries_of(text, path).keys())


def imported(text: str, path: Path, matches: Matches) -> list[Imported]:
    """The contracts in a document, in its order; `matches` compiles patterns.

    Raises:
        ContractError: it is no document of the standard, or of a version that is not read.
    """
    if not is_document(text, path):
        what = "is no document of the Open Data Contract Standard, as it has no apiVersion"
        raise ContractError(path, 1, what, hint="name a document of the standard")
    document = parse_yaml(text, path, Document)
    names = Names.of(document)
    if len(names.feeds) < len(document.objects):
        what = f"two objects of {path} have the same name"
        raise ConfigurationError(what, hint="rename one of the two in the document")
    of_document = Notes("document")
    of_document.unread([document, document.description, document.team, *document.team.members])
    found = []
    for object_ in document.objects:
        notes = Notes(names.feeds[object_.name], list(of_document.found))
        entries = feed_of(object_, document, names, matches, notes)
        head = _comments(f"From {path.name}, a document of the Open Data Contract Standard.", notes.found)
        found.append(Imported(names.feeds[object_.name], head + yaml_text(entries), tuple(notes.found)))
    return found


def _comments(first: str, notes: Sequence[Note]) -> str:
    told = [f"- {note}" for note in notes]
    lines = [line for text in (first, *(["To look at:"] if told else []), *told) for line in text.splitlines()]
    return "".join(f"# {_NOT_PRINTED.sub('?', line)}".rstrip() + "\n" for line in lines)
