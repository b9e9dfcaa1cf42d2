"""The files in the shapes of real exports: each folder of samples/contracts with its contract and a good file."""

from pathlib import Path

from support.engines import PROJECT

SAMPLES = PROJECT / "samples" / "contracts"
NAMES = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())


def contract_file(name: str) -> Path:
    """The contract of a sample."""
    [path] = (SAMPLES / name).glob("*.yaml")
    return path


def good_file(name: str) -> Path:
    """The file of a sample that goes in; its control file, where it has one, lies beside it."""
    [path] = [
        path
        for path in (SAMPLES / name).iterdir()
        if path.is_file() and path.suffix not in {".yaml", ".ctl"} and path.stem != "expected"
    ]
    return path
