"""Settings from flags, environment and `dropledger.toml`, in this order of precedence."""

import json
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from core.definition import BUILT_IN
from core.errors import ConfigurationError

TOML = "dropledger.toml"
_PIPELINE_FILE = "pipeline.yaml"
_ON_THIS_MACHINE = ("http://127.0.0.1:", "http://localhost:")


_pipeline: ContextVar[str | None] = ContextVar("pipeline", default=None)


@dataclass(frozen=True, slots=True)
class File:
    """A file of settings: `where` it is, as people write it, what is in it, and the folder its paths are told from.

    One in a bucket has no such folder.
    """

    where: str
    content: bytes
    folder: Path | None = None


FileOf = Callable[[str], File | None]
"""Gives the file of settings in a root that is in a bucket, if it has one."""


_files: ContextVar[tuple[File, ...]] = ContextVar("files", default=())


@contextmanager
def pipeline_named(name: str | None) -> Iterator[None]:
    """Let the settings that are read in the block name this pipeline, as a flag does; None where there was no flag."""
    token = _pipeline.set(name)
    try:
        yield
    finally:
        _pipeline.reset(token)


class Settings(BaseSettings):
    """What can be set; docs/operating.md describes each."""

    model_config = SettingsConfigDict(env_prefix="DROPLEDGER_", extra="forbid")

    root: str = Field(default="ledger", min_length=1)
    warehouse: str = ""
    pipeline: str = "lending"
    log: Literal["auto", "console", "json"] = "auto"
    wait_seconds: float = Field(default=30.0, ge=0)
    memory_limit: str = Field(default="", pattern=r"^(\d+ ?[KMGT]i?B)?$")
    outputs: Literal["always", "on_demand"] | Annotated[float, Field(gt=0)] = "always"
    cache: Path = Path("~/.cache/dropledger")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, *(_InFile(settings_cls, file) for file in _files.get())


class _InFile(InitSettingsSource):
    """The settings in a file."""

    def __init__(self, settings_cls: type[BaseSettings], file: File) -> None:
        found = tomllib.loads(file.content.decode())
        super().__init__(settings_cls, {name: _told_from(file, name, value) for name, value in found.items()})


def _told_from(file: File, name: str, value: Any) -> Any:
    """A setting of a file; a path is told from where the file lies."""
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
        "root": value.startswith("s3://"),
        "warehouse": value == "databricks",
        "pipeline": built_in or not (path / _PIPELINE_FILE).is_file(),
        "cache": value.startswith("~"),
    }
    return value if is_a_name[name] else str(path)


class DatabricksSettings(BaseSettings):
    """Where a SQL warehouse is and who asks, by the names that Databricks' own programs read from the environment."""

    model_config = SettingsConfigDict(env_prefix="DATABRICKS_", extra="ignore")

    host: str
    http_path: str
    catalog: str = Field(min_length=1)
    db_schema: str = Field(default="", validation_alias="DATABRICKS_SCHEMA", pattern=r"^\w*$")
    token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    secret_arn: str = ""
    cloud_fetch: bool = True


class DatabricksSecret(BaseModel):
    """What a secret says of who asks; what else is in it is for others."""

    token: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")


def read_databricks_settings(text_of_secret: Callable[[str], str]) -> DatabricksSettings:
    """The settings of Databricks in force.

    Where they name a secret by its ARN, token or client are what `text_of_secret` gives for that.

    Raises:
        ConfigurationError: one that is needed is missing, or out of range.
    """
    try:
        settings = DatabricksSettings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).upper().removeprefix("DATABRICKS_")
        raise ConfigurationError(
            f"the warehouse databricks needs DATABRICKS_{name}",
            why=first["msg"],
            hint="set it as docs/databricks.md says",
        ) from error
    if settings.secret_arn:
        found = _read_secret(settings.secret_arn, text_of_secret(settings.secret_arn))
        settings = settings.model_copy(update=dict(found))
    elif not _says_who_asks(settings):
        raise ConfigurationError(
            "the warehouse databricks needs DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET",
            hint="set them as docs/databricks.md says",
        )
    if settings.host.startswith("http://") and not settings.host.startswith(_ON_THIS_MACHINE):
        raise ConfigurationError(
            f"DATABRICKS_HOST is {settings.host}, which would send the token in plain text",
            hint="name the host alone, or with https://",
        )
    return settings


def _says_who_asks(given: DatabricksSettings | DatabricksSecret) -> bool:
    return bool(given.token.get_secret_value() or (given.client_id and given.client_secret.get_secret_value()))


def _read_secret(arn: str, text: str) -> DatabricksSecret:
    """A secret, whose text is in no error: JSON with token or client, or else the token itself."""
    if text.lstrip().startswith("{"):
        try:
            found = DatabricksSecret.model_validate(json.loads(text))
        except ValueError:  # which quotes it
            found = DatabricksSecret()
    else:
        found = DatabricksSecret(token=SecretStr(text.strip()))
    if not _says_who_asks(found):
        raise ConfigurationError(
            f"the secret {arn} has neither token, nor client_id and client_secret",
            hint='store JSON like {"token": "..."} or {"client_id": "...", "client_secret": "..."}, or the bare token',
        )
    return found


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
    *, root: str | None = None, warehouse: str | None = None, in_bucket: FileOf = lambda _: None
) -> Settings:
    """The settings in force; a flag that was not given is None.

    `in_bucket` is asked for the file of a root that is in a bucket, and of no other.

    Raises:
        ConfigurationError: a setting is unknown or out of range.
    """
    given = (("root", root), ("warehouse", warehouse), ("pipeline", _pipeline.get()))
    flags = {name: value for name, value in given if value is not None}
    above = _above()
    general = [] if above is None else [_in_folder(above)]
    found = _read(flags, general)
    if found.root.startswith("s3://"):
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
    token = _files.set(tuple(files))
    where = " or ".join(file.where for file in files) or TOML
    try:
        return Settings(**flags)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            near = get_close_matches(name.lower(), Settings.model_fields, 1)
            raise ConfigurationError(
                f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else ""),
                hint=f"correct the entry in {where}; the settings are: {', '.join(Settings.model_fields)}",
            ) from error
        raise ConfigurationError(
            f"the setting {name} cannot be used",
            why=first["msg"],
            hint=f"correct DROPLEDGER_{name.upper()} or the entry in {where}; docs/operating.md lists the settings",
        ) from error
    except ValueError as error:  # what the TOML parser raises
        raise ConfigurationError(f"{where} cannot be read", why=str(error), hint="correct the file") from error
    finally:
        _files.reset(token)
