"""Drop a file, get an auditable ledger of what was true when, and figures that explain themselves.

What programs may use is named here; docs/python.md shows it. All else may change between two versions.
"""

from typing import TYPE_CHECKING, Any

from dropledger.core import __version__

if TYPE_CHECKING:
    from dropledger.core.errors import Busy, ConfigurationError, DataRefused, DropledgerError, Unavailable
    from dropledger.core.ledger.outcome import Outcome, PartialFailure
    from dropledger.handlers.program import Ledger, open_ledger

__all__ = [
    "Busy",
    "ConfigurationError",
    "DataRefused",
    "DropledgerError",
    "Ledger",
    "Outcome",
    "PartialFailure",
    "Unavailable",
    "__version__",
    "open_ledger",
]

_HOMES = {
    "Ledger": "dropledger.handlers.program",
    "open_ledger": "dropledger.handlers.program",
    "Outcome": "dropledger.core.ledger.outcome",
    "PartialFailure": "dropledger.core.ledger.outcome",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, and nothing before: the command line and a cold start pay for every import."""
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module 'dropledger' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "dropledger.core.errors")), name)
