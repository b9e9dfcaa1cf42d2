"""Control files: which file that landed belongs beside which, so that a drop waits for the one that its contract wants.

A control file is named like the data file and the suffix that the contract says, and lies in the same folder.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.errors import DataRefused, Postponed
from dropledger.core.ports.store import Store
from dropledger.core.steps.address import feed_of


@dataclass(frozen=True, slots=True)
class Awaited:
    """A data file that waits; `control_file` is the name of what it waits for."""

    dropped: FileDropped
    feed: str
    control_file: str

    @property
    def since(self) -> datetime:
        """When the file was last changed."""
        return self.dropped.modified_at


@dataclass(frozen=True, slots=True)
class Paired:
    """What landed: `ready` to be taken, each with its control file where its contract wants one; data files without it;
    and control files `alone`, without their data file.
    """

    ready: list[FileDropped]
    awaited: list[Awaited]
    alone: list[FileDropped]

    def refusal(self) -> Postponed | None:
        """What to say where what waits was asked for by name, or was to be taken now."""
        texts = [f"{one.dropped.name} waits for its control file {one.control_file}" for one in self.awaited]
        texts += [f"{one.name} is a control file, and its data file is not with it" for one in self.alone]
        if not texts:
            return None
        more = f", and {len(texts) - 1:,} more files wait" if len(texts) > 1 else ""
        return Postponed(
            f"{texts[0]}{more}", hint="put both into one folder, and try again; dropledger status tells what waits"
        )

    def as_json(self) -> dict[str, Any]:
        """The entry `control_files` of `status --json`, see docs/json.md."""
        return {
            "awaited": [
                {"name": one.dropped.name, "feed": one.feed, "control_file": one.control_file, "since": one.since}
                for one in self.awaited
            ],
            "alone": [{"name": one.name, "since": one.modified_at} for one in self.alone],
        }


def left_waiting(store: Store, pipeline: Pipeline) -> Paired:
    """What waits in the inbox for its other half; nothing is looked at where no contract wants control files."""
    if not suffixes(pipeline):
        return Paired([], [], [])
    paired = pair(store.arrivals(), pipeline)
    return Paired([], paired.awaited, paired.alone)


def suffixes(pipeline: Pipeline) -> tuple[str, ...]:
    """What control files end in; nothing where no contract wants any."""
    found = (contract.control_file for contract in pipeline.contracts.values())
    return tuple(dict.fromkeys(said.suffix for said in found if said is not None))


def data_name(name: str, suffix: str) -> str | None:
    """What a name has before a suffix, in whatever case that is written; None if it does not end so."""
    begin, end = name[: -len(suffix)], name[-len(suffix) :]
    return begin if end.casefold() == suffix.casefold() else None


def pair(dropped: Iterable[FileDropped], pipeline: Pipeline) -> Paired:
    """Tell control files from data files, and give each data file its own.

    Of several contents of one name, as a bucket may keep them, the newest gets the newest control file, the one before
    it the one before that, and so on; those for which none is left share the oldest.
    """
    if not suffixes(pipeline):
        return Paired(list(dropped), [], [])
    controls: dict[str, list[FileDropped]] = {}
    wanting: dict[str, list[tuple[FileDropped, Contract]]] = {}
    ready: list[FileDropped] = []
    for fact in dropped:
        of = _controlled(fact, pipeline)
        if of is not None:
            controls.setdefault(of, []).append(fact)
            continue
        contract = _contract(fact, pipeline)
        if contract is None or contract.control_file is None or fact.control is not None:
            ready.append(fact)
        else:
            wanting.setdefault(fact.uri, []).append((fact, contract))
    awaited = []
    for uri, contents in wanting.items():
        found = controls.pop(uri, [])
        if found:
            ready += _with_controls([fact for fact, _ in contents], found)
        awaited += [] if found else [_awaited(fact, contract) for fact, contract in contents]
    return Paired(ready, awaited, [fact for found in controls.values() for fact in found])


def _with_controls(contents: Sequence[FileDropped], controls: Sequence[FileDropped]) -> Iterator[FileDropped]:
    for place, fact in enumerate(contents, len(controls) - len(contents)):
        # What is shared stays where it is until the content that it belongs to is taken.
        control = controls[place] if place >= 0 else replace(controls[0], keep_original=True)
        yield replace(fact, control=control)


def _awaited(fact: FileDropped, contract: Contract) -> Awaited:
    said = contract.control_file
    return Awaited(fact, contract.feed, f"{fact.name}{said.suffix if said else ''}")


def _controlled(fact: FileDropped, pipeline: Pipeline) -> str | None:
    """The address of the data file that a file is the control file of; None if it is a data file itself."""
    for contract in pipeline.contracts.values():
        said = contract.control_file
        name = None if said is None else data_name(fact.name, said.suffix)
        if name:
            data = replace(fact, name=name, uri=fact.uri[: len(name) - len(fact.name)])
            if _contract(data, pipeline) is contract:
                return data.uri
    return None


def _contract(fact: FileDropped, pipeline: Pipeline) -> Contract | None:
    try:
        return feed_of(fact, pipeline)
    except DataRefused:  # which is told of when it is claimed
        return None
