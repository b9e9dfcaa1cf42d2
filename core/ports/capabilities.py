"""What engines differ in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, or costs, that core goes by; each adapter declares it once.

    `reads_in_place` is whether rows are read where their file lies, so that what is not read costs nothing; else all
    are moved. `keeps_order` is whether the rows of a table have an order, which `insert_in_order` gives them, `rises`
    sees and `export` keeps. `cheap_statements` is whether a statement costs what it does; else it costs by itself, so
    that fewer of them are worth more work in each.
    """

    reads_in_place: bool
    keeps_order: bool
    cheap_statements: bool
