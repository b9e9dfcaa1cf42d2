"""The examples of docs/deploy.md agree with one another, with Dockerfile and compose.yaml, and with what there is."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.deploy_page import PAGE, example
from support.engines import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (PROJECT / "compose.yaml").read_text(encoding="utf-8")


def test_manifest_runs_one_replica_as_the_image_does():
    text = example("Kubernetes", "yaml")
    assert len(text.splitlines()) <= 40
    claim, deployment = yaml.safe_load_all(text)
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    [watch] = pod["containers"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    mounted = {mount["mountPath"]: mount["name"] for mount in watch["volumeMounts"]}
    assert mounted == {"/data": "ledger", "/tmp": "tmp"}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounted.values())
    assert watch["securityContext"]["readOnlyRootFilesystem"]
    [user] = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == int(user)


def test_every_health_check_is_the_same():
    *_, deployment = yaml.safe_load_all(example("Kubernetes", "yaml"))
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    shell, option, probe = container["livenessProbe"]["exec"]["command"]
    assert (shell, option) == ("sh", "-c")
    assert f"    CMD {probe}\n" in DOCKERFILE


def test_table_has_the_variables_of_compose():
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE))
    shown = dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))
    of_the_cloud = {"EMULATOR", "CLOUD_PORT", "BUCKET", "AWS_DEFAULT_REGION"}
    assert shown == {name: default for name, default in defaults.items() if name not in of_the_cloud}
    assert f"ARG BASE={shown['BASE']}\n" in DOCKERFILE


def test_images_are_named_plainly():
    """No address of a registry: where images come from is for the machine to say."""
    named = re.findall(r"image: (?:\$\{[A-Z]+:-)?([^}\s]+)", COMPOSE + PAGE) + re.findall(r"ARG BASE=(\S+)", DOCKERFILE)
    assert {"dropledger", "python:3.13-slim"} <= set(named)
    assert [name for name in named if "." in name.partition("/")[0] and "/" in name] == []


def test_context_of_the_build_holds_what_is_copied():
    kept = (PROJECT / ".dockerignore").read_text(encoding="utf-8")
    names = re.findall(r"^!(\S+)$", kept, re.MULTILINE)
    assert [name for name in names if not (PROJECT / name).exists()] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_unit(tmp_path: Path):
    unit = tmp_path / "dropledger.service"
    unit.write_text(example("systemd", "ini").replace("/usr/local/bin/dropledger", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_examples_are_python_and_shell():
    for heading in ("Airflow", "Dagster"):
        compile(example(heading, "python"), heading, "exec")
    *_, line = example("cron", "sh").splitlines()
    minutes, hours, *_, command = line.split(" ", 5)
    assert (minutes, hours) == ("*/5", "*")
    assert {"watch", "--once", "doctor"} <= set(shlex.split(command))
