"""Drop a file, get an auditable ledger of what was true when, and figures that explain themselves."""

__version__ = "0.1.0"
