"""A file that was identified, and how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from dropledger.core.contracts.contract import Contract, brings_times
from dropledger.core.drop import AsOf, Claim
from dropledger.core.errors import DataRefused
from dropledger.core.ledger.files import archive_name
from dropledger.core.ports.session import AnyLayout


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """What a file is said to hold: how many rows, and the sums of columns; `entry` of the contract names where."""

    entry: str
    rows: int | None
    sums: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Extract:
    """A file that can be read under a contract: a new drop, an archived one, or a feed's initial rows.

    `text_bytes` is the size of its text, which is more than that of the file where it is packed. `latest` is the last
    moment that rows which bring their own times may be true from, if there is one. `controls` is what the file, or one
    beside it, says that it holds.
    """

    drop_id: str
    contract: Contract
    path: Path
    layout: AnyLayout
    as_of: AsOf
    text_bytes: int
    unexpected_columns: tuple[str, ...] = ()
    latest: datetime | None = None
    controls: tuple[ControlTotals, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """A drop with its identity; `extract` is there if it can be read, else `refusal` says why not.

    `feed` is empty for a file that belongs to no feed; `control_sha256` is that of its control file, if it has one.
    """

    claim: Claim
    drop_id: str
    feed: str
    contract: Contract | None
    as_of: AsOf
    size_bytes: int
    sha256: str
    extract: Extract | None = None
    refusal: DataRefused | None = None
    control_sha256: str | None = None

    @property
    def name(self) -> str:
        return self.claim.dropped.name

    @property
    def text_bytes(self) -> int:
        """How much there is to read."""
        return self.extract.text_bytes if self.extract else 0

    @property
    def brings_times(self) -> bool:
        """Whether its rows say themselves from when they are true."""
        return brings_times(self.contract, self.as_of)

    def known_as(self, drop_id: str) -> "Drop":
        """The same drop, by the drop_id that a ledger has for it."""
        extract = self.extract and replace(self.extract, drop_id=drop_id)
        return replace(self, drop_id=drop_id, extract=extract)

    @property
    def archive_name(self) -> str:
        """Where the drop is kept, under the root."""
        return archive_name(self.feed, self.as_of.moment, self.drop_id, self.name)
