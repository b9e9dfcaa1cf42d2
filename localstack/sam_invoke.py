"""One event through the function in a container, as `sam local invoke` runs it: with the template's limit of memory.

    python localstack/sam_invoke.py                                         the samples' own event
    python localstack/sam_invoke.py --event samples/events/schedule.json    any other one

It needs a Docker engine, and pulls nothing: the image is made on the spot of this environment's own Python. An
emulator of AWS runs in a second container, with the bucket and the files that the sample events tell of.
"""

import argparse
import io
import json
import os
import stat
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloud import MACHINE, PROJECT, REGION, answers, build, client, names, read, sam, script, until, variables

IMAGE = "dropledger-lambda"
NETWORK = "dropledger"
EMULATOR = "dropledger-emulator"
BUCKET = "dropledger-root"  # what samples/events tell of
RUNTIME_CLIENT = ("awslambdaric", "runtime_client*.so", "snapshot_restore_py.py", "simplejson")
BOOTSTRAP = f"""#!/bin/sh
export PYTHONPATH=/var/task:/opt/python:/var/runtime
exec {Path(sys.executable).resolve()} -m awslambdaric "$_HANDLER"
"""


def libraries(programs: list[Path]) -> set[Path]:
    """The shared libraries that programs and extension modules of this machine load."""
    found = set()
    for program in programs:
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        found |= {Path(word) for line in told.splitlines() for word in line.split() if word.startswith("/")}
    return found


def image_files(function: Path) -> Iterator[tuple[Path, str]]:
    """What the image is made of, and where it lies there: Python, a shell, what they load, the runtime's client."""
    python = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_paths()["stdlib"])
    left_out = {"site-packages", "dist-packages", "test", "idlelib", "ensurepip", "tkinter"}
    modules = [
        path
        for path in standard.rglob("*")
        if path.is_file() and path.suffix != ".a" and not left_out & set(path.relative_to(standard).parts)
    ]
    shell = [Path("/bin/sh"), Path("/bin/mv"), Path("/bin/chmod")]  # SAM puts its own file in place by them
    site = Path(sysconfig.get_paths()["purelib"])
    runtime = [path for name in RUNTIME_CLIENT for start in site.glob(name) for path in (start, *start.rglob("*"))]
    extensions = [path for path in (*modules, *runtime, *function.rglob("*")) if ".so" in path.suffixes]
    for path in {python, *modules, *shell, *libraries([python, *shell, *extensions])}:
        yield path, str(path)
    for path in runtime:
        if path.is_file():
            yield path, f"/var/runtime/{path.relative_to(site)}"


def make_image(docker: Any, function: Path) -> None:
    """Make the image that functions run in, of what this machine has."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            for path, name in image_files(function):
                tar.add(path.resolve(), name)
            for name, text in (("/var/runtime/bootstrap", BOOTSTRAP), ("/var/task/.keep", ""), ("/tmp/.keep", "")):  # noqa: S108
                entry = tarfile.TarInfo(name)
                entry.mode = stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        file.seek(0)
        endpoint = f"ENV AWS_ENDPOINT_URL=http://{EMULATOR}:4566"  # SAM passes on no variable that it doesn't know
        docker.api.import_image_from_data(file, repository=IMAGE, tag="latest", changes=[endpoint])


@contextmanager
def emulator(docker: Any, port: int) -> Iterator[None]:
    """An emulator of AWS in a container of the image, seen from this machine on loopback; gone when the block ends."""
    for old in docker.containers.list(all=True, filters={"name": f"^{EMULATOR}$"}):
        old.remove(force=True)
    if not docker.networks.list(names=[f"^{NETWORK}$"]):
        docker.networks.create(NETWORK)
    environment = Path(sys.prefix)
    container = docker.containers.run(
        IMAGE,
        [script("python"), "-m", "ministack"],
        name=EMULATOR,
        network=NETWORK,
        ports={"4566/tcp": ("127.0.0.1", port)},
        volumes={str(environment): {"bind": str(environment), "mode": "ro"}},
        environment={"GATEWAY_PORT": "4566", "BIND_HOST": "0.0.0.0"},  # noqa: S104 - in a network of its own
        detach=True,
    )
    try:
        until(answers, "the emulator starts")
        yield
    finally:
        container.remove(force=True)
        for network in docker.networks.list(names=[f"^{NETWORK}$"]):
            network.remove()


def invoke(event: Path, template: Path, folder: Path) -> None:
    """Call the function once, and show what it answers."""
    settings = folder / "variables.json"
    settings.write_text(json.dumps({"Function": {"DROPLEDGER_ROOT": f"s3://{BUCKET}"}}))
    answer, told = sam(
        *("local", "invoke", "Function", "--template", template, "--event", event, "--env-vars", settings),
        *("--parameter-overrides", f"Architecture={MACHINE}", "--docker-network", NETWORK),
        *("--invoke-image", f"{IMAGE}:latest", "--skip-pull-image", "--force-image-build"),
        folder=folder,
    )
    print(*(line for line in told.splitlines() if line.startswith("REPORT")), answer, sep="\n")
    if "errorMessage" in answer:  # SAM itself ends well then
        sys.exit(1)


def main() -> None:
    """Build, start, invoke, show."""
    import docker

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--event", type=Path, default=PROJECT / "samples" / "events" / "sqs_eventbridge.json")
    parser.add_argument("--port", type=int, default=4567)
    parser.add_argument("--folder", type=Path, default=PROJECT / ".aws-sam", help="where builds go")
    options = parser.parse_args()
    os.environ.update(variables(options.port))
    options.folder.mkdir(exist_ok=True)
    try:
        engine = docker.from_env()
        engine.ping()
    except docker.errors.DockerException as error:
        sys.exit(f"no Docker engine answers ({error}). Try: start one, or make cloud, which needs none")
    template = build(options.folder)
    print(f"Making the image {IMAGE}", flush=True)
    make_image(engine, template.with_name("Function"))
    with emulator(engine, options.port):
        client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for path in sorted((PROJECT / "samples" / "day1").glob("*.csv")):
            client("s3").upload_file(str(path), BUCKET, f"inbox/{path.name}")
        invoke(options.event.resolve(), template, options.folder)
        print(f"Left in the inbox: {names(BUCKET, 'inbox/') or 'nothing'}")
        if "outputs/account_summary.csv" in names(BUCKET):
            print(f"\noutputs/account_summary.csv\n{read(BUCKET, 'outputs/account_summary.csv')}")


if __name__ == "__main__":
    main()
