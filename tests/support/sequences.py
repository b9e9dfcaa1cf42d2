"""Random sequences of drops: late, repeated, corrected, taken back, with bad rows and rate cards."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from dropledger.core.drop import FileDropped
from dropledger.core.errors import ConfigurationError
from dropledger.core.operations.retract import retract
from support.ledger import Ledger

_HEADERS = {
    "customer": "CustomerID,Name,HasLoan",
    "account": "AccountID,CustomerID,Balance,AccountType",
    "rate": "MinBalance,Rate,LoanBonus,Method",
}
_BALANCES = ("0.00", "9999.99", "10000.00", "19999.99", "20000.00", "123456789012.34", "-1.00", "1e3", "")
_NAMES = ("Ann", "Bo", "Çelik, Ümit", '"Say ""hi"""', "=1+1", "O'Neil", "back\\slash", "")


@dataclass(frozen=True)
class Step:
    """Files that wait together, each by its name; or, without any, the nth drop in history is taken back."""

    files: tuple[tuple[str, str], ...] = ()
    nth: int = 0

    def take(self, ledger: Ledger) -> list[str]:
        """Do it; what became of each file."""
        if self.files:
            facts: list[FileDropped] = [ledger.put(name, text) for name, text in self.files]
            return sorted(f"{outcome.drop.name} {outcome.delivered}" for outcome in ledger.process(*facts))
        with ledger.runtime.warehouse.session(read_only=True) as session:
            found = session.query(
                "SELECT drop_id FROM drop_ledger WHERE status = :status ORDER BY sequence", {"status": "published"}
            )
        if not found:
            return []
        drop_id = found[self.nth % len(found)]["drop_id"]
        try:
            return [f"{retract(ledger.runtime, drop_id, 'sent by mistake', 'the tests').drop.name} retracted"]
        except ConfigurationError as error:
            return [str(error)]


def sequence(seed: int, length: int) -> Iterator[Step]:
    """A sequence that is the same for a seed."""
    chance = random.Random(seed)
    sent: list[tuple[str, str]] = []
    for number in range(length):
        kind = chance.random()
        if number > 1 and kind < 0.15:
            yield Step(nth=chance.randrange(5))
            continue
        files = []
        for place in range(chance.choice((1, 1, 2, 3))):
            if sent and chance.random() < 0.15:
                name, text = chance.choice(sent)
                again = name.replace(".csv", f" again {number}-{place}.csv") if chance.random() < 0.3 else name
                files.append((again, text))
            else:
                files.append(_file(chance, f"{number}-{place}"))
        sent += files
        yield Step(tuple(dict(files).items()))


def _file(chance: random.Random, label: str) -> tuple[str, str]:
    feed = chance.choice(("customer", "customer", "account", "account", "account", "rate"))
    day = chance.randrange(1, 20)
    lines = [line for key in range(1, 8) if chance.random() < 0.6 for line in _lines(chance, feed, key)]
    chance.shuffle(lines)
    if feed == "rate":
        lines = ["0,0.01,0.005,marginal" if chance.random() < 0.5 else "0,0.012500,0.0025,whole_balance"]
    text = "".join(f"{line}\n" for line in (_HEADERS[feed], *lines))
    return f"{feed}s-{label}-2026-01-{day:02}.csv", text


def _lines(chance: random.Random, feed: str, key: int) -> list[str]:
    if feed == "customer":
        line = f"{key},{chance.choice(_NAMES)},{chance.choice(('Yes', 'No', 'None', ' yes ', 'maybe'))}"
    else:
        kind = chance.choice(("Savings", "Savings", "checking", "Gold"))
        line = f"{key},{chance.randrange(1, 9)},{chance.choice(_BALANCES)},{kind}"
    if chance.random() < 0.05:
        return [line, f"{line},surplus"]
    return [line, line] if chance.random() < 0.1 else [line]
