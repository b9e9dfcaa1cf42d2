"""What can go wrong, divided by what to do next.

DropledgerError
├── ConfigurationError      stop and mend the settings or the contract          exit 2
│   ├── ContractError       names file, line and fix
│   ├── NotInstalled        needs an extra of dropledger
│   ├── NoLedger            nothing was dropped yet, or another warehouse is meant
│   └── PipelineError       SQL of the pipeline that does not work with a file; others may be taken
├── DataRefused             quarantine the file, go on with the next            exit 3
│   └── checks.CheckFailed  an `error` check failed: roll back, then quarantine
└── Unavailable             nothing was harmed; try again later                 exit 4
    ├── Postponed           this file cannot be taken for now; others may be
    ├── OutOfTime           what was not begun yet is left for another time
    └── Busy                somebody else holds the root or the warehouse
        └── Conflict       somebody else was first: do it again on what is there now
Two more are DropledgerErrors: Unforeseen, where one file met a bug and the others are taken (exit 1), and Different,
where what is there is not what it should be (exit 5).
"""

from pathlib import Path


class DropledgerError(Exception):
    """An error that people can act on: what happened, why, and what to try."""

    exit_code: int = 1

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class ConfigurationError(DropledgerError):
    """Settings, a pipeline or a command line that cannot work as they stand."""

    exit_code = 2


class ContractError(ConfigurationError):
    """A pipeline file that is wrong; `file` and `line` (1-based) say where."""

    def __init__(self, file: Path, line: int, what: str, *, hint: str = "") -> None:
        super().__init__(f"{file}:{line}: {what}", hint=hint)
        self.file = file
        self.line = line


class NoLedger(ConfigurationError):
    """A warehouse, where there is one, that no drop was ever taken into."""


class NotInstalled(ConfigurationError):
    """Something that just an extra of dropledger installs."""

    def __init__(self, what: str, extra: str, *, why: str = "") -> None:
        super().__init__(what, why=why, hint=f"install it: pip install 'dropledger[{extra}]'")


class PipelineError(ConfigurationError):
    """A statement of the pipeline that does not work; what does not need it goes on.

    `line` is the line of it that the engine points at, as text; empty where it names none.
    """

    def __init__(self, what: str, *, why: str = "", hint: str = "", line: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.line = line


class DataRefused(DropledgerError):
    """A file that cannot go in.

    `rule` is a short stable word such as `missing_column`. `detail` may quote what the file holds, so it goes into the
    reason beside the file and nowhere else.
    """

    exit_code = 3

    def __init__(self, rule: str, what: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(what, hint=hint)
        self.rule = rule
        self.detail = detail


class Unavailable(DropledgerError):
    """Something needed is out of reach for now."""

    exit_code = 4


class Postponed(Unavailable):
    """What is needed for one file is out of reach for now, such as memory, or another file in the archive."""


class OutOfTime(Unavailable):
    """There was no time left to begin with another file; what was begun is complete."""


class Busy(Unavailable):
    """Another process holds the root or the warehouse.

    `holder` names it where it is known; `seconds` is how long its hold still lasts at most, where that is known.
    """

    def __init__(self, what: str, *, holder: str = "", hint: str = "", seconds: float | None = None) -> None:
        super().__init__(what, why=f"held by {holder}" if holder else "", hint=hint)
        self.holder = holder
        self.seconds = seconds


class Conflict(Busy):
    """Another process has written what this one was about to write; nothing of this one's work counts."""


class Unforeseen(DropledgerError):
    """One file met an error that nobody foresaw, which is its cause; the others are taken."""


class Different(DropledgerError):
    """What is there contradicts what it was made of."""

    exit_code = 5
