"""The Makefile has the targets that pages and continuous integration name, and a lock file has its line there."""

import re
import subprocess

from support.engines import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
LOCK_FILES = {path.name for path in (PROJECT / "requirements").iterdir()}
TARGETS = {
    *re.findall(r"^([a-zA-Z-]+):", MAKEFILE, re.MULTILINE),
    *(f"lock-{name.removesuffix('.txt')}" for name in LOCK_FILES),
}
_IN_PAGE = re.compile(r"(?:`|^\$ )make ([a-z][a-z-]*)\b", re.MULTILINE)
_IN_SCRIPT = re.compile(r"(?:^ *|run: |\d )make (?:-s )?([a-z][a-z-]*)\b", re.MULTILINE)


def named() -> set[str]:
    """The targets that people are shown, and those that continuous integration calls."""
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("*/README.md")]
    scripts = [PROJECT / ".ci" / "run", *PROJECT.glob(".github/workflows/*.yml")]
    return {
        target
        for files, call in ((pages, _IN_PAGE), (scripts, _IN_SCRIPT))
        for file in files
        for target in call.findall(file.read_text(encoding="utf-8"))
    }


def test_targets_that_are_named_are_there():
    assert {"demo", "test-fast", "lint", "audit", "cloud", "bench"} <= named()
    assert named() <= TARGETS


def test_every_lock_file_is_renewed_by_make_lock():
    done = subprocess.run(["make", "-n", "lock"], cwd=PROJECT, capture_output=True, text=True, check=True)
    renewed = set(re.findall(r"-o requirements/(\S+)$", done.stdout, re.MULTILINE))
    assert renewed == LOCK_FILES


def test_lock_files_have_hashes_and_name_no_index():
    """An index of one who renewed them would be asked by everybody."""
    for name in sorted(LOCK_FILES):
        text = (PROJECT / "requirements" / name).read_text(encoding="utf-8")
        requirements = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
        assert [found for found in requirements if "--hash=sha256:" not in found] == []
        assert requirements
        assert not re.search(r"://|^--|^-", text, re.MULTILINE), name
