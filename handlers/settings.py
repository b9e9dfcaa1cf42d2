"""Settings from flags, environment and `dropledger.toml`, in this order of precedence."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dropledger.core.contracts.pipeline_spec import BUILT_IN
from dropledger.core.errors import ConfigurationError
from dropledger.handlers.setting_values import any_text, from_environment, number, number_of_bytes, some_text, text_like

if TYPE_CHECKING:
    from dropledger.core.ports.notifier import Target

TOML = "dropledger.toml"
_PIPELINE_FILE = "pipeline.yaml"


@dataclass(frozen=True, slots=True)
class File:
    """A file of settings: `where` it is, as people write it, what is in it, and the folder its paths are relative to.

    One in a bucket has no such folder.
    """

    where: str
    content: bytes
    folder: Path | None = None


FileOf = Callable[[str], File | None]
"""Gives the file of settings in a root that is in a bucket, if it has one."""


def _cache_of_the_user() -> Path:
    """Where the XDG Base Directory Specification wants what can be made anew."""
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else Path("~/.cache")) / "dropledger"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set; docs/operating.md describes each."""

    root: str = "ledger"
    warehouse: str = ""
    pipeline: str = "lending"
    log: Literal["auto", "console", "json"] = "auto"
    wait_seconds: float = 30.0
    memory_limit: str = ""
    outputs: Literal["always", "on_demand"] | float = "always"
    upload_limit: int = 1 << 30
    cache: Path = field(default_factory=_cache_of_the_user)
    alerts: "tuple[Target, ...]" = ()


def _log(value: object) -> str:
    if value not in ("auto", "console", "json"):
        raise ValueError("Input should be 'auto', 'console' or 'json'")
    return str(value)


def _wait_seconds(value: object) -> float:
    seconds = number(value)
    if not seconds >= 0:
        raise ValueError("Input should be greater than or equal to 0")
    return seconds


def _outputs(value: object) -> str | float:
    if value in ("always", "on_demand"):
        return str(value)
    try:
        seconds = number(value)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError("Input should be 'always', 'on_demand' or a number greater than 0")
    return seconds


def _alerts(value: object) -> "tuple[Target, ...]":
    from dropledger.handlers.notifiers import targets_of

    return targets_of(value)


_VALUES: Mapping[str, Callable[[object], object]] = {
    "root": some_text,
    "warehouse": any_text,
    "pipeline": any_text,
    "log": _log,
    "wait_seconds": _wait_seconds,
    "memory_limit": text_like(r"^(\d+ ?[KMGT]i?B)?$"),
    "outputs": _outputs,
    "upload_limit": number_of_bytes,
    "cache": lambda value: Path(any_text(value)),
    "alerts": _alerts,
}
"""What makes of a value, as it was given, that of a setting; a ValueError says why it cannot."""


def _in_file(file: File) -> Mapping[str, Any]:
    """The settings in a file, in lower case; an entry that is no setting stays as it is written."""
    import tomllib

    found = {
        name.lower() if name.lower() in _VALUES else name: value
        for name, value in tomllib.loads(file.content.decode()).items()
    }
    return {name: _resolved(file, name, value) for name, value in found.items()}


def _resolved(file: File, name: str, value: Any) -> Any:
    """A setting of a file; a path in it is relative to the folder of the file."""
    if name not in {"root", "warehouse", "pipeline", "cache"} or not isinstance(value, str) or not value:
        return value
    built_in = name == "pipeline" and (BUILT_IN / value / _PIPELINE_FILE).is_file()
    if file.folder is None:
        if name == "root" or built_in or (name == "warehouse" and value == "databricks"):
            return value
        raise ConfigurationError(
            f"the setting {name} in {file.where} cannot be used",
            why="it is a path, and a file in a bucket says nothing of the machines that read it",
            hint=f"take it out, and set DROPLEDGER_{name.upper()} on the machine",
        )
    path = file.folder / value
    is_a_name = {
        "root": is_in_bucket(value),
        "warehouse": value == "databricks",
        "pipeline": built_in or not (path / _PIPELINE_FILE).is_file(),
        "cache": value.startswith("~"),
    }
    return value if is_a_name[name] else str(path)


def is_in_bucket(address: str) -> bool:
    """Whether an address is one of a bucket or what lies in it, and not a path."""
    return "://" in address


def _beside(root: str) -> Path | None:
    """The file of settings in a root that is a folder, if it has one."""
    file = Path(root) / TOML
    return file if file.is_file() else None


def _above() -> Path | None:
    """The nearest file of settings, from the current folder upwards.

    In the folders above, one that belongs to somebody else is no file of this user's settings: in a folder that all
    may write to it would name another pipeline, whose SQL is run.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / TOML
        if file.is_file() and (folder == here or file.stat().st_uid in {0, os.geteuid()}):
            return file
    return None


def read_settings(
    *,
    root: str | None = None,
    warehouse: str | None = None,
    pipeline: str | None = None,
    in_bucket: FileOf = lambda _: None,
) -> Settings:
    """The settings in force; a flag that was not given is None.

    `in_bucket` is asked for the file of a root that is in a bucket, and of no other.

    Raises:
        ConfigurationError: a setting is unknown or out of range.
    """
    given = (("root", root), ("warehouse", warehouse), ("pipeline", pipeline))
    flags = {name: value for name, value in given if value is not None}
    above = _above()
    general = [] if above is None else [_in_folder(above)]
    found = _read(flags, general)
    if is_in_bucket(found.root):
        own = in_bucket(found.root)
    else:
        beside = _beside(found.root)
        own = None if beside is None or (above and beside.samefile(above)) else _in_folder(beside)
    if own is None:
        return found
    # What the root itself says of it goes before what is said of it elsewhere, but for where it is.
    return _read({**flags, "root": found.root}, [own, *general])


def _in_folder(path: Path) -> File:
    return File(str(path), path.read_bytes(), path.parent)


def _read(flags: Mapping[str, str], files: Sequence[File]) -> Settings:
    where = " or ".join(file.where for file in files) or TOML
    given: dict[str, Any] = {}
    try:
        for file in reversed(files):
            given.update(_in_file(file))
    except ValueError as error:  # what the TOML parser raises
        raise ConfigurationError(f"{where} cannot be read", why=str(error), hint="correct the file") from error
    given.update(from_environment("DROPLEDGER_", _VALUES))
    given.update(flags)
    found = {}
    for name, value_of in _VALUES.items():
        if name in given:
            try:
                found[name] = value_of(given[name])
            except ValueError as error:
                raise ConfigurationError(
                    f"the setting {name} cannot be used",
                    why=str(error),
                    hint=f"correct DROPLEDGER_{name.upper()} or the entry in {where}; "
                    "docs/operating.md lists the settings",
                ) from error
    unknown = [name for name in given if name not in _VALUES]
    if unknown:
        from difflib import get_close_matches

        near = get_close_matches(unknown[0].lower(), _VALUES, 1)
        raise ConfigurationError(
            f"there is no setting {unknown[0]}" + (f"; did you mean {near[0]}?" if near else ""),
            hint=f"correct the entry in {where}; the settings are: {', '.join(_VALUES)}",
        )
    return Settings(**found)  # type: ignore[arg-type]
