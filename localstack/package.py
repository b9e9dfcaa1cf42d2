"""Fill a folder with what the Lambda function runs; `sam build` calls it by the target build-Function of the Makefile.

    python3 localstack/package.py FOLDER --architecture arm64 --warehouse duckdb

It needs nothing but pip and Python 3.11, as it is run by the python3 of whoever calls `sam build`. What the function
never imports is left out. Where a library no longer holds what is left out of it, the build stops and says so.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LOCKS = {"duckdb": "requirements/aws.txt", "databricks": "requirements/databricks.txt"}
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux2014")

NEVER_RUN = ("__pycache__", "tests", "bin")
"""Folders at any depth."""
FOR_PEOPLE = ("rich", "pygments", "markdown_it_py", "markdown_it", "mdurl")
"""structlog imports rich where it finds it, and the function prints nothing for people."""

# With all that the Databricks connector brings the package has 384 MiB or more, and Lambda takes 250. What goes is what
# the function never imports; tests/databricks/test_databricks_package.py runs what is left.
UNUSED_PACKAGES = ("pandas", "numpy", "openpyxl", "et_xmlfile")
PANDAS_IMPORTED_BY = ("databricks/sql/client.py", "databricks/sql/result_set.py")
"""For rows that are not Arrow, which are never asked for."""
IMPORT_OF_PANDAS = "import pandas\n"
SDK_SERVICES = ("__init__.py", "_internal.py", "provisioning.py")
"""What the SDK's sign-in needs of its clients; its `__init__.py` imports that of each service of Databricks."""
AWS_SERVICES = ("s3", "sqs", "secretsmanager", "sts")
UNUSED_IN_PYARROW = ("include", "includes", "src", "libarrow_flight.*", "libarrow_python_flight.*", "libarrow_s3.*")
UNUSED_FILES_IN_PYARROW = ("*.px[di]", "*.pyx", "_*.so", "lib*.so.*.*", "libarrow*.so")
"""At any depth. Its core and compute stay, and what these two are linked to: a library under one of its three names."""
USED_FILES_IN_PYARROW = ("_compute.*.so",)


class Changed(Exception):
    """A library is not what this script was written for."""

    def __init__(self, what: str) -> None:
        """Say what was looked for and not found."""
        super().__init__(f"{what}. Try: see what the function imports of that library now, and change {__file__}")


def install(folder: Path, lock_file: Path, architecture: str, python: str) -> None:
    """Install what a lock file names, for that processor and the Python of the function."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-conflicts"]
    command += ["--root-user-action=ignore", "--require-hashes", "--only-binary", ":all:", "--no-compile"]
    command += ["--implementation", "cp", "--python-version", python]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_{MACHINES[architecture]}"]
    subprocess.run([*command, "--target", str(folder), "-r", str(lock_file)], check=True)


def add_dropledger(folder: Path, architecture: str) -> None:
    """Copy our own code, and note for whom the package is built: a start elsewhere says so."""
    shutil.copytree(PROJECT / "dropledger", folder / "dropledger", dirs_exist_ok=True)
    (folder / "built_for").write_text(f"{architecture}\n", encoding="utf-8")


def prune(folder: Path) -> None:
    """Take out what no function needs."""
    for parent, names, _ in os.walk(folder):
        for name in set(names) & set(NEVER_RUN):
            shutil.rmtree(Path(parent, name))
            names.remove(name)
    remove_distributions(folder, FOR_PEOPLE)


def prune_for_databricks(folder: Path) -> None:
    """Take out what the Databricks connector brings and the function never imports."""
    remove_distributions(folder, UNUSED_PACKAGES)
    for module in PANDAS_IMPORTED_BY:
        cut_out(folder / module, IMPORT_OF_PANDAS)
    sdk = folder / "databricks" / "sdk"
    keep_only(sdk / "service", SDK_SERVICES)
    (sdk / "__init__.py").write_text("", encoding="utf-8")
    keep_only(folder / "botocore" / "data", AWS_SERVICES, also="*.json")
    remove(folder / "lz4", ["block"])
    remove(folder / "pyarrow", UNUSED_IN_PYARROW)
    remove_files(folder / "pyarrow", UNUSED_FILES_IN_PYARROW, USED_FILES_IN_PYARROW)


def remove_distributions(folder: Path, names: Iterable[str]) -> None:
    """Remove packages, with their own libraries and what pip wrote about them."""
    for name in names:
        found = [path for end in ("", ".libs", "-*.dist-info") for path in folder.glob(f"{name}{end}")]
        if not found:
            raise Changed(f"{folder} holds no {name}")
        for path in found:
            shutil.rmtree(path)


def remove(folder: Path, patterns: Iterable[str]) -> None:
    """Remove the entries of a folder that fit one of the patterns, each of which must fit some."""
    for pattern in patterns:
        found = list(folder.glob(pattern))
        if not found:
            raise Changed(f"{folder} holds no {pattern}")
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def remove_files(folder: Path, patterns: Iterable[str], used: Iterable[str]) -> None:
    """Remove the files at any depth that fit one of the patterns, each of which must fit some, and none of `used`."""
    for pattern in patterns:
        found = [path for path in folder.rglob(pattern) if not any(fnmatchcase(path.name, kept) for kept in used)]
        if not found:
            raise Changed(f"{folder} holds no {pattern}")
        for path in found:
            path.unlink()


def keep_only(folder: Path, names: Iterable[str], also: str = "") -> None:
    """Remove all entries of a folder but these, which must be there, and but those that fit `also`."""
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise Changed(f"{folder} holds no {missing[0]}")
    for path in folder.iterdir():
        if path.name not in names and not fnmatchcase(path.name, also):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut_out(module: Path, line: str) -> None:
    """Remove a line of a module."""
    lines = module.read_text(encoding="utf-8").splitlines(keepends=True) if module.exists() else []
    if line not in lines:
        raise Changed(f"{module} has no line `{line.strip()}`")
    module.write_text("".join(kept for kept in lines if kept != line), encoding="utf-8")


def check_pipelines(folder: Path, pythons: Iterable[tuple[str, Path]]) -> None:
    """Keep what the built-in pipelines' files say, checked: else each cold start would read and check them."""
    kept = folder / "dropledger" / "core" / "kept"
    for python, path in pythons:
        command = [python, "-m", "dropledger.core.contracts.kept_pipeline", str(kept)]
        environment = {**os.environ, "PYTHONPATH": str(path)}
        if runs(command, cwd=PROJECT, env=environment):
            break
    else:
        tell(
            "There is no Python with pydantic and PyYAML here to check the pipelines: the function's cold starts take "
            "longer. Try: make demo"
        )
    for path in [kept, *kept.rglob("*")] if kept.exists() else []:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def strip(folder: Path, architecture: str) -> None:
    """Take the names for debuggers out of pyarrow's libraries."""
    for program in (f"{MACHINES[architecture]}-linux-gnu-strip", "llvm-strip"):
        if shutil.which(program):
            libraries = [str(path) for path in sorted((folder / "pyarrow").glob("*.so*"))]
            subprocess.run([program, "--strip-unneeded", *libraries], check=True)
            return
    tell(f"There is no strip for {architecture}: the package is 20 MiB larger. Try: apt-get install llvm")


def compile_modules(folder: Path, version: str) -> None:
    """Compile all modules, if the function's Python is here: another's compiled modules are no use to it."""
    is_it = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for python in (f"python{version}", "python3"):
        if runs([python, "-c", is_it]):
            command = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder)]
            subprocess.run(command, check=True)
            return
    tell(f"Python {version} is not here to compile the function's modules: its cold starts take longer")


def runs(command: list[str], **how: object) -> bool:
    """Whether a command is there and succeeds."""
    try:
        return not subprocess.run(command, capture_output=True, check=False, **how).returncode
    except OSError:
        return False


def tell(what: str) -> None:
    """Say something beside the output."""
    sys.stderr.write(f"{what}\n")


def main() -> None:
    """Build the package."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the package goes; made if it is not there")
    parser.add_argument("--architecture", choices=MACHINES, default="arm64", help="the function's processor")
    parser.add_argument("--warehouse", choices=LOCKS, default="duckdb", help="what the function keeps its tables in")
    parser.add_argument("--python", default="3.13", metavar="VERSION", help="the function's Python")
    parser.add_argument("--checker", default=sys.executable, metavar="PYTHON", help="a Python with what we run on")
    options = parser.parse_args()
    install(options.folder, PROJECT / LOCKS[options.warehouse], options.architecture, options.python)
    add_dropledger(options.folder, options.architecture)
    prune(options.folder)
    check_pipelines(options.folder, [(options.checker, PROJECT), (f"python{options.python}", options.folder)])
    if options.warehouse == "databricks":
        prune_for_databricks(options.folder)
        strip(options.folder, options.architecture)
    compile_modules(options.folder, options.python)


if __name__ == "__main__":
    try:
        main()
    except (Changed, subprocess.CalledProcessError) as error:
        sys.exit(f"the package is not built: {error}")
