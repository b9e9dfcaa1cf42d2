"""The five loads, the table they are shown in, and the options of the four scripts. Standard library alone."""

import argparse
from collections.abc import Sequence
from datetime import date
from typing import Any

Load = list[tuple[str, int]]


def ask(description: str | None, **flags: str) -> tuple[list[Load], argparse.Namespace]:
    """The loads that the command line wants, each a list of (value, day of October 2025), and all that it said.

    `flags` are a script's own, with their help.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    variant = parser.add_mutually_exclusive_group()
    variant.add_argument("--newest-first", action="store_true", help="turn round the rows of the last batch")
    variant.add_argument("--split", action="store_true", help="make two loads of the last batch")
    for flag, text in flags.items():
        parser.add_argument(f"--{flag}", action="store_true", help=text)
    chosen = parser.parse_args()
    last: list[Load] = [[("D", 25), ("E", 30)]]
    if chosen.newest_first:
        last = [[("E", 30), ("D", 25)]]
    elif chosen.split:
        last = [[("D", 25)], [("E", 30)]]
    return [[("A", 10)], [("B", 20)], [("C", 15)], *last], chosen


def show(load: Load, history: Sequence[tuple[Any, ...]]) -> None:
    """Print the history, rows of (value, valid_from, valid_to), as it is after a load."""
    print("after " + ", ".join(value for value, _ in load))
    for value, valid_from, valid_to in sorted(history, key=lambda row: (row[1], row[0])):
        print(f"  {value}  {_day(valid_from)}  {'open        current' if valid_to is None else _day(valid_to)}")


def _day(moment: date) -> str:
    return moment.strftime("%Y-%m-%d")
