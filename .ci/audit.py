"""Ask for known vulnerabilities of what the lock files name, and say what was really asked.

pip-audit alone reports "no known vulnerabilities" of packages that the service told nothing about. Here a package
counts as asked only where the service knew it.

Exit codes: 0 all were asked and none is known to be vulnerable, 1 at least one is, 75 not all could be asked.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SERVICES = ("pypi", "osv")
VULNERABLE, NOT_ASKED = 1, 75
# Vulnerabilities that do not concern us: the id of each, and why.
IGNORED: dict[str, str] = {}


def ask(service: str, lock_file: str) -> list[dict[str, Any]]:
    """What the service says of each package; nothing if it cannot be reached."""
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
        command += [f"--ignore-vuln={known}" for known in IGNORED]
        command += [f"--vulnerability-service={service}", "--format=json", f"--output={answer}", "-r", lock_file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if not answer.exists():
            sys.stderr.write(f"{service}: {done.stderr.strip().rpartition(chr(10))[2][:200]}\n")
            return []
        packages: list[dict[str, Any]] = json.loads(answer.read_text(encoding="utf-8"))["dependencies"]
        return packages


def judge(service: str, packages: list[dict[str, Any]]) -> tuple[int, str]:
    """The exit code for what a service said, and what to tell people."""
    vulnerable = [package for package in packages if package.get("vulns")]
    if vulnerable:
        known = "; ".join(
            f"{package['name']} {package['version']} ({', '.join(found['id'] for found in package['vulns'])})"
            for package in vulnerable
        )
        return VULNERABLE, f"known to be vulnerable: {known}"
    asked = [package for package in packages if "vulns" in package]
    if packages and len(asked) == len(packages):
        return 0, f"{service} was asked about {len(packages)} packages and knows of no vulnerability"
    return NOT_ASKED, f"NOT AUDITED: {service} told of {len(asked)} of {len(packages) or 'all the'} packages"


def audit(lock_file: str) -> int:
    """Ask the services one after the other, until one knows all packages."""
    code = NOT_ASKED
    for service in SERVICES:
        code, told = judge(service, ask(service, lock_file))
        sys.stdout.write(f"{lock_file}: {told}\n")
        if code != NOT_ASKED:
            break
    return code


if __name__ == "__main__":
    codes = {audit(lock_file) for lock_file in sys.argv[1:]}
    sys.exit(VULNERABLE if VULNERABLE in codes else max(codes))
