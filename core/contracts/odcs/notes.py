"""What of a document does not go into contracts, each with what to do."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dropledger.core.contracts.odcs.document import Element


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that a contract does not say, or says otherwise: where it stands, what it is, and what to do."""

    where: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.hint}" if self.hint else f"{self.where}: {self.what}"


@dataclass
class Notes:
    """The notes of a place in a document, and of all places in it."""

    where: str
    found: list[Note] = field(default_factory=list)

    def add(self, what: str, hint: str = "") -> None:
        self.found.append(Note(self.where, what, hint))

    def within(self, name: str) -> "Notes":
        """Notes of a place in this one; they stand among these."""
        return Notes(f"{self.where}.{name}", self.found)

    def unread(self, elements: Iterable[Element]) -> None:
        """Note the entries of elements that nothing reads."""
        names = dict.fromkeys(name for element in elements for name in element.unread)
        if names:
            self.add(f"no contract says {', '.join(names)}", "keep it in the document")
