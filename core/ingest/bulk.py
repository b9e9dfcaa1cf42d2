"""Drops folded one behind the other, with the marts computed once for all of them."""

from dataclasses import dataclass, field
from datetime import datetime

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.ports.session import Session
from dropledger.core.steps.history import Folded, changed


@dataclass
class Bulk:
    """What a run of folds has changed so far.

    `observed_until` says how far each feed's history has been folded, where the ledger is ahead of it.
    """

    observed_until: dict[str, datetime | None] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)

    def note(self, session: Session, contract: Contract, folded: Folded) -> None:
        """Remember what a fold changed."""
        if folded.last_effective is None:  # it observed nothing, and `changed_<feed>` is that of a fold before
            return
        feed = contract.feed
        times = [time for time in (self.observed_until.get(feed), folded.last_effective) if time is not None]
        if feed in self.observed_until:
            self.observed_until[feed] = max(times, default=None)
        self.add_changes(session, contract, f"SELECT * FROM changed_{feed}")

    def add_changes(self, session: Session, contract: Contract, select: str) -> None:
        """Add keys, each with the time from which it changed."""
        name = f"_dl_all_changed_{contract.feed}"
        if contract.feed in self._changed:
            session.execute(f"INSERT INTO {name} {select}")
        else:
            session.scratch(name, select)
            self._changed.add(contract.feed)

    def restore_changes(self, session: Session, contract: Contract) -> None:
        """Make `changed_<feed>` hold what all the folds changed."""
        if contract.feed in self._changed:
            key = feed_fragments(contract)["key"]
            changed(
                session,
                contract,
                f"SELECT {key}, min(changed_from) AS changed_from FROM _dl_all_changed_{contract.feed} GROUP BY {key}",
            )
