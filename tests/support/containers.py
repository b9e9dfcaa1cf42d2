"""Images and containers, by the command line of Docker: nothing is pulled, and what runs has no way to a network."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.console import until
from support.engines import PROJECT

IMAGE = "dropledger:tested"
BUILDER = "dropledger-builder:tested"
USER = 10001
HARDENED = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
"""How docs/deploy.md has it run, and without a network."""

_HAS = "python3,python3-venv"


def docker(*command: object, check: bool = True, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """What a command of docker came to."""
    done = subprocess.run(
        ["docker", *map(str, command)],
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, "DOCKER_CLI_HINTS": "false"},
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert not check or done.returncode == 0, out + err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def base() -> str:
    """The image that tests build on: BASE, else one of this machine's own Debian, which is made if there is none."""
    if given := os.environ.get("BASE"):
        return given
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = release["VERSION_CODENAME"].strip('"')
    name = f"dropledger-base:{suite}"
    if docker("image", "inspect", name, check=False).returncode:
        listed = Path("/etc/apt/sources.list.d").glob("*.sources")
        sources = [path for path in (Path("/etc/apt/sources.list"), *listed) if path.is_file()]
        with TemporaryDirectory() as folder:
            tar = Path(folder, "base.tar")
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_HAS}", suite, tar, *sources], check=True
            )
            docker("import", tar, name)
    return name


def build() -> None:
    """Build the image of the Dockerfile on it, offline: from wheels that the lock file names, fetched beforehand."""
    on = base()
    version = docker("run", "--rm", *HARDENED, on, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    with TemporaryDirectory() as folder:
        fetch = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
        wheels = ("--only-binary=:all:", "--python-version", version.stdout.strip(), "--dest", f"{folder}/wheels")
        subprocess.run([*fetch, *wheels, "--requirement", PROJECT / "requirements" / "image.txt"], check=True)
        text = f"FROM {on}\nCOPY wheels /wheels\nENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels\n"
        Path(folder, "Dockerfile").write_text(text)
        docker("build", "--quiet", "--tag", BUILDER, folder)
    bases = ("--build-arg", f"BASE={on}", "--build-arg", f"BUILDER={BUILDER}")
    docker("build", "--quiet", "--network", "none", *bases, "--tag", IMAGE, PROJECT)


class Container:
    """A container that may run."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def state(self) -> dict[str, Any]:
        [found] = json.loads(docker("inspect", self.name).stdout)
        return dict(found["State"])

    @property
    def log(self) -> list[dict[str, Any]]:
        """The events in its log."""
        lines = docker("logs", self.name).stderr.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def told(self, event: str) -> int:
        """How often its log has an event."""
        return sum(entry["event"] == event for entry in self.log)

    def run(self, *command: str) -> str:
        """What a command of dropledger prints in it."""
        return docker("exec", self.name, "dropledger", *command).stdout

    def drop(self, file: Path) -> None:
        """Copy a file into its inbox."""
        docker("cp", "--quiet", file, f"{self.name}:/data/inbox/")

    def is_healthy_by(self, status: str) -> None:
        """Wait until its health is so."""
        until(lambda: self.state["Health"]["Status"] == status, 60)


@contextmanager
def container(*options: object) -> Iterator[Container]:
    """A container of the image with a volume of its own, which follows its inbox; both are gone with the block."""
    name = docker("run", "--detach", *HARDENED, *options, IMAGE).stdout.strip()
    try:
        yield Container(name)
    finally:
        docker("rm", "--force", "--volumes", name)


@dataclass(frozen=True)
class Project:
    """What compose.yaml starts, with settings as docs/deploy.md has them, and what `files` beside it say."""

    settings: Mapping[str, str]
    files: Sequence[Path] = ()

    def compose(self, *command: str) -> str:
        """What a command of Compose prints."""
        plugin = docker("compose", "version", check=False).returncode == 0
        program = ["docker", "compose"] if plugin else ["docker-compose"]
        named = [word for path in (PROJECT / "compose.yaml", *self.files) for word in ("--file", str(path))]
        env = {**os.environ, **self.settings}
        done = subprocess.run([*program, *named, *command], cwd=PROJECT, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()

    def container(self, service: str) -> Container:
        """The container of a service that was started."""
        return Container(self.compose("ps", "--quiet", service).strip())


@contextmanager
def project(files: Sequence[Path] = (), **settings: object) -> Iterator[Project]:
    """Nothing started yet; all that was is gone with the block, volumes included."""
    name = f"dropledger-{os.getpid()}"
    found = Project(
        {"IMAGE": IMAGE, "COMPOSE_PROJECT_NAME": name, **{key: str(of) for key, of in settings.items()}}, files
    )
    try:
        yield found
    finally:
        found.compose("--profile", "cloud", "down", "--volumes", "--remove-orphans", "--timeout", "10")
