"""The local cloud: an emulator of AWS on port 4566, with template.yaml deployed to it and the samples dropped.

    python localstack/cloud.py            start, deploy, drop, show; then stay until Ctrl-C
    python localstack/cloud.py --once     the same, and stop; --pipeline engagement drops that one's
    python localstack/cloud.py --external use an emulator that runs already, such as LocalStack

It runs in the environment of requirements/cloud.txt (`make cloud` makes it), whose Python also runs the function.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PORT = 4566
STACK = "dropledger"
ARTIFACTS = "sam-artifacts"
REGION = "eu-west-1"
MACHINE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
SECONDS = 60.0
SAMPLES = {"lending": ("samples", "account_summary"), "engagement": ("samples/engagement", "q1_completion_rate")}
"""By pipeline: the folder of its sample days, and the artifact that is shown."""


def variables(port: int) -> dict[str, str]:
    """What AWS's own programs need to find the emulator."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "SAM_CLI_TELEMETRY": "0",
    }


def script(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).with_name(name))


def own_programs_first() -> str:
    """A search path that begins with this environment."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def until(found: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """What `found` gives once it gives something."""
    end = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > end:
            sys.exit(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(0.05)
    return result


@contextmanager
def emulator(port: int, log: Path, **settings: str) -> Iterator[int]:
    """An emulator (ministack) on loopback, gone when the block ends; its process id."""
    environment = {
        **os.environ,
        "PATH": own_programs_first(),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
        **settings,
    }
    with log.open("wb") as output:
        process = subprocess.Popen([script("ministack")], env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(lambda: answers() or process.poll() is not None, "the emulator starts")
        if process.poll() is not None:
            sys.exit(f"the emulator ended at once; is port {port} taken? See {log}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def answers() -> bool:
    """Whether an emulator answers."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client("s3").list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def client(service: str) -> Any:
    """A client of the emulator; the environment tells where it is."""
    import boto3
    from botocore.config import Config

    return boto3.client(service, config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))


def sam(*arguments: str | Path, folder: Path) -> tuple[str, str]:
    """What the SAM CLI puts out, and what it tells beside; the end of this program if it fails."""
    environment = {
        **os.environ,
        "PATH": own_programs_first(),  # the build asks for python3 and its pip
        "ARCHITECTURE": MACHINE,
        "LAMBDA_PYTHON": f"{sys.version_info.major}.{sys.version_info.minor}",  # functions are run by this very one
    }
    command = [script("sam"), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout, done.stderr


def build(folder: Path) -> Path:
    """Build template.yaml in a folder; the built template, which lies beside the function's own folder."""
    built = folder / "build"
    template = PROJECT / "template.yaml"
    sam("build", "--build-in-source", "--template", template, "--build-dir", built, folder=folder)
    return built / "template.yaml"


def leave_out_queries(template: Path) -> None:
    """Take the alarms out of a built template that ask by a query: the emulator refuses a stack that has any."""
    content = yaml.safe_load(template.read_text(encoding="utf-8"))
    resources = content["Resources"]
    content["Resources"] = {
        name: made for name, made in resources.items() if not made.get("Properties", {}).get("Metrics")
    }
    template.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def deploy(folder: Path, **parameters: str) -> dict[str, str]:
    """Build and deploy template.yaml; the stack's outputs."""
    given = [f"{name}={value}" for name, value in {"Architecture": MACHINE, **parameters}.items()]
    client("s3").create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
    template = build(folder)
    leave_out_queries(template)
    sam(
        *("deploy", "--template", template, "--stack-name", STACK, "--s3-bucket", ARTIFACTS),
        *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--parameter-overrides", *given),
        folder=folder,
    )
    [stack] = client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def names(bucket: str, beginning: str = "") -> list[str]:
    """The objects of a bucket."""
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=beginning)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def read(bucket: str, name: str) -> str:
    """An object's text."""
    text: str = client("s3").get_object(Bucket=bucket, Key=name)["Body"].read().decode()
    return text


def drop_the_samples(bucket: str, pipeline: str) -> None:
    """Upload the days of sample files of a pipeline, and show what came of them."""
    folder, artifact = SAMPLES[pipeline]
    for day in sorted((PROJECT / folder).glob("day*")):
        files = sorted(day.iterdir())
        for path in files:
            client("s3").upload_file(str(path), bucket, f"inbox/{path.name}")
        began = time.monotonic()
        until(lambda: not names(bucket, "inbox/"), f"{day.name} is taken")
        print(f"{day.name}: {', '.join(path.name for path in files)} taken in {time.monotonic() - began:.1f} s")
    print(f"\noutputs/{artifact}.csv")
    print(read(bucket, f"outputs/{artifact}.csv"))
    manifest = json.loads(read(bucket, "outputs/manifest.json"))
    print(f"{len(names(bucket))} objects; outputs/manifest.json lists {len(manifest['artifacts'])} artifacts")


def main() -> None:
    """Start, deploy, drop, show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="stop when the outputs are shown")
    parser.add_argument("--external", action="store_true", help="use the emulator that runs already")
    parser.add_argument("--pipeline", choices=SAMPLES, default="lending", help="the one to deploy, with its samples")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="of template.yaml")
    parser.add_argument("--folder", type=Path, default=PROJECT / ".aws-sam", help="where builds and logs go")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the emulator ends with this program
    parameters = {"Pipeline": options.pipeline} | dict(given.split("=", 1) for given in options.parameter)
    os.environ.update(variables(options.port))
    options.folder.mkdir(exist_ok=True)
    with suppress(KeyboardInterrupt):
        if options.external:
            show(options.folder, parameters)
            return
        with emulator(options.port, options.folder / "emulator.log"):
            show(options.folder, parameters)
            if not options.once:
                stay(options.port)


def show(folder: Path, parameters: dict[str, str]) -> None:
    """Deploy to the emulator that runs, and drop the samples."""
    print("Building and deploying template.yaml, which takes half a minute", flush=True)
    outputs = deploy(folder, **parameters)
    for name, value in outputs.items():
        print(f"  {name:16}{value}")
    drop_the_samples(outputs["RootBucket"], parameters["Pipeline"])


def stay(port: int) -> None:
    """Keep the cloud up, and say how to look into it."""
    print("The cloud stays up until Ctrl-C. To look into it from another shell:")
    print("".join(f"  export {name}={value}\n" for name, value in variables(port).items() if "SAM" not in name))
    print("  .venv/bin/dropledger status --root RootUri", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
