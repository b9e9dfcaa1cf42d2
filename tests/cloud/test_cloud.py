"""template.yaml deployed to an emulator of AWS by the SAM CLI: what becomes of files that are uploaded."""

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.buckets import Objects
from support.comparison import WITHOUT_URI, differences, files_of, tables_of
from support.console import SCRIPT, environment, until
from support.engines import CLOUD, PROJECT

SAMPLES = PROJECT / "samples"
CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("cloud"),
    pytest.mark.cloud,
]


@dataclass
class Cloud:
    """A deployed stack, seen from a laptop."""

    outputs: dict[str, str]
    folder: Path
    pid: int

    def client(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(service, config=Config(s3={"addressing_style": "path"}))

    @property
    def root(self) -> str:
        return self.outputs["RootUri"]

    def upload(self, name: str, text: str) -> None:
        self.client("s3").put_object(Bucket=self.outputs["RootBucket"], Key=f"inbox/{name}", Body=text.encode())

    @property
    def objects(self) -> Objects:
        return Objects(self.client("s3"), self.outputs["RootBucket"])

    def run_pending(self, seconds: float = 60) -> None:
        """Wait until the inbox and the queue are empty."""
        until(lambda: not self.objects.names("inbox/") and not self.queued("DropsQueue"), seconds)

    def queued(self, queue: str) -> int:
        kinds = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.outputs[queue]
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=kinds)["Attributes"]
        return sum(int(found[kind]) for kind in kinds)

    def dropledger(self, *arguments: str, machine: str = "laptop") -> dict[str, Any]:
        command = [SCRIPT, *arguments, "--root", self.root, "--json"]
        variables = environment(cache=self.folder / machine)
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode in {0, 3}, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def drops(self) -> dict[str, str]:
        return {drop["name"]: drop["status"] for drop in self.dropledger("drops", "--limit", "1000")["drops"]}

    def workers(self) -> list[int]:
        """The processes that the emulator runs functions in."""
        return [worker for emulator in children(self.pid) for worker in children(emulator)]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    port = free_port()
    parameters = ["--parameter", "MaxReceiveCount=2", "--parameter", "Timeout=60"]
    command = [CLOUD / "bin" / "python", "localstack/cloud.py", "--port", str(port), "--folder", folder, *parameters]
    with (folder / "told").open("w") as told:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=told, stderr=subprocess.STDOUT)
    try:
        told_so_far = folder / "told"
        until(lambda: "dropledger status" in told_so_far.read_text() or process.poll() is not None, 300)
        text = told_so_far.read_text()
        assert process.poll() is None, text
        outputs = dict(line.split() for line in text.splitlines() if line.startswith("  ") and len(line.split()) == 2)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (
                ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_DEFAULT_REGION", "eu-west-1"),
            ):
                patch.setenv(name, value)
            patch.setattr("boto3.DEFAULT_SESSION", None)
            yield Cloud(outputs, folder, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def test_samples_give_what_a_folder_gives(cloud: Cloud, tmp_path: Path):
    """The first test: the samples are what was dropped so far."""
    cloud.run_pending()
    names = [drop["name"] for drop in reversed(cloud.dropledger("drops")["drops"])]
    local = tmp_path / "local"
    for name in names:  # in the order in which the events came
        [path] = SAMPLES.glob(f"day*/{name}")
        subprocess.run([SCRIPT, "process", path, "--root", local, "--quiet"], env=environment(), check=True)
    found = cloud.objects.download(tmp_path / "download")
    expected = {**tables_of(local, WITHOUT_URI), **files_of(local)}
    different = differences({**tables_of(found, WITHOUT_URI), **files_of(found)}, expected)
    # What lists or counts the files that were taken together depends on how many messages the queue handed out.
    assert {name for name in different if not name.startswith("outputs/quality_reports/")} <= {
        "outputs/manifest.json",
        "check_result",
        "src_account",
        "src_customer",
    }
    assert cloud.dropledger("verify")["differences"] == []


def test_package_leaves_room_below_the_limit_of_lambda(cloud: Cloud):
    sizes = [path.stat().st_size for path in (cloud.folder / "build" / "Function").rglob("*") if path.is_file()]
    assert sum(sizes) < 150 << 20  # of 250 MiB


def test_package_says_which_processor_it_is_for(cloud: Cloud):
    machine = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    assert (cloud.folder / "build" / "Function" / "built_for").read_text() == f"{machine}\n"


def test_upload_is_published_within_seconds(cloud: Cloud):
    began = time.monotonic()
    cloud.upload("accounts_2026-01-01.csv", ACCOUNTS)
    until(lambda: b"\n2,12,20000.00," in cloud.objects.read("outputs/account_summary.csv"), 30)
    assert time.monotonic() - began < 10


def test_duplicates_and_late_files(cloud: Cloud):
    cloud.upload("accounts_2026-01-01.csv", ACCOUNTS)
    for name in ("accounts_2026-01-03.csv", "accounts_2026-01-03.csv", "accounts_2026-01-03 again.csv"):
        cloud.upload(name, ACCOUNTS.replace("100.00", "300.00"))
        cloud.run_pending()
    cloud.upload("accounts_2026-01-02.csv", ACCOUNTS.replace("100.00", "200.00"))
    cloud.run_pending()
    versions = cloud.dropledger("history", "account", "11")["versions"]
    assert [version["balance"] for version in versions] == ["100.00", "200.00", "300.00"]
    assert cloud.dropledger("verify")["differences"] == []


def test_file_that_is_refused_is_in_quarantine_and_off_the_queue(cloud: Cloud):
    cloud.upload("accounts_2026-01-04 bad.csv", "AccountID\n1\n")
    cloud.upload("odd ü + & name.csv", "x\n1\n")
    cloud.run_pending()
    reasons = {
        name: json.loads(cloud.objects.read(name))
        for name in cloud.objects.names("quarantine/")
        if name.endswith(".json")
    }
    assert {reason["rule"] for reason in reasons.values()} == {"missing_column", "unknown_feed"}
    assert "quarantine/odd ü + & name.csv" in cloud.objects.names("quarantine/")
    assert cloud.queued("DeadLetterQueue") == 0


def test_two_hundred_at_once(cloud: Cloud):
    before = cloud.dropledger("status")["deliveries"]
    names = [f"customers_2026-02-01T{number // 60:02}{number % 60:02}00Z.csv" for number in range(200)]
    for number, name in enumerate(names):
        cloud.upload(name, CUSTOMERS.replace("Ann", f"Ann {number}"))
    cloud.run_pending(240)
    drops = cloud.drops()
    assert {drops[name] for name in names} == {"published"}
    assert cloud.dropledger("status")["deliveries"] == before + 200
    assert len(cloud.dropledger("history", "customer", "1")["versions"]) >= 200
    assert cloud.dropledger("verify")["differences"] == []


def test_laptop_that_sweeps_beside_the_function_loses_and_doubles_nothing(cloud: Cloud):
    before = cloud.dropledger("status")["deliveries"]
    names = [f"customers_2026-02-02T00{number:02}00Z.csv" for number in range(12)]
    for number, name in enumerate(names):
        cloud.upload(name, CUSTOMERS.replace("Bo", f"Bo {number}"))
        if number % 4 == 0:
            cloud.dropledger("watch", "--once", machine="another laptop")
    cloud.run_pending(120)
    drops = cloud.drops()
    assert {drops[name] for name in names} == {"published"}
    assert cloud.dropledger("status")["deliveries"] == before + 12
    assert cloud.dropledger("verify")["differences"] == []


def test_function_that_is_killed_is_completed_when_the_message_comes_again(cloud: Cloud):
    queue = {"QueueUrl": cloud.outputs["DropsQueue"]}
    cloud.client("sqs").set_queue_attributes(**queue, Attributes={"VisibilityTimeout": "5"})
    rows = "".join(f"{key},{1 + key % 2},{key}.25,Savings\n" for key in range(100_000))
    cloud.upload("accounts_2026-03-01.csv", f"AccountID,CustomerID,Balance,AccountType\n{rows}")
    until(lambda: cloud.objects.names("work/"), 30)  # it is about to commit
    for worker in cloud.workers():
        os.kill(worker, signal.SIGKILL)
    cloud.run_pending(120)
    assert cloud.drops()["accounts_2026-03-01.csv"] == "published"
    assert cloud.dropledger("verify")["differences"] == []
    cloud.client("sqs").set_queue_attributes(**queue, Attributes={"VisibilityTimeout": "120"})


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_what_keeps_failing_becomes_a_dead_letter_and_can_be_tried_again(cloud: Cloud):
    """A damaged warehouse keeps a file from being taken; when it is restored the message is moved back."""
    s3, sqs = cloud.client("s3"), cloud.client("sqs")
    letters = {"QueueUrl": cloud.outputs["DeadLetterQueue"], "AttributeNames": ["QueueArn"]}
    arn = sqs.get_queue_attributes(**letters)["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})  # each try takes half a minute
    sqs.set_queue_attributes(QueueUrl=cloud.outputs["DropsQueue"], Attributes={"RedrivePolicy": policy})
    bucket, name = cloud.outputs["RootBucket"], "warehouse/ledger.duckdb"
    [good, *_] = s3.list_object_versions(Bucket=bucket, Prefix=name)["Versions"]
    s3.put_object(Bucket=bucket, Key=name, Body=b"no database")
    cloud.upload("customers_2026-04-01.csv", CUSTOMERS)
    until(lambda: cloud.queued("DeadLetterQueue") == 1, 120)
    assert cloud.queued("DropsQueue") == 0
    s3.copy_object(Bucket=bucket, Key=name, CopySource={"Bucket": bucket, "Key": name, "VersionId": good["VersionId"]})
    [letter] = sqs.receive_message(QueueUrl=cloud.outputs["DeadLetterQueue"])["Messages"]
    sqs.send_message(QueueUrl=cloud.outputs["DropsQueue"], MessageBody=letter["Body"], MessageGroupId="lending")
    cloud.run_pending()
    assert cloud.drops()["customers_2026-04-01.csv"] == "published"
    assert cloud.dropledger("verify")["differences"] == []


def template_of(cloud: Cloud) -> str:
    """What was deployed, as text."""
    formation = cloud.client("cloudformation")
    text: str = formation.get_template(StackName="dropledger", TemplateStage="Original")["TemplateBody"]
    return text


def plan_stack(cloud: Cloud, stack: str, parameters: dict[str, str], template: str | None = None) -> None:
    cloud.client("cloudformation").create_change_set(
        StackName=stack,
        ChangeSetName="made",
        ChangeSetType="CREATE",
        TemplateBody=template or template_of(cloud),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )


def make_stack(cloud: Cloud, stack: str) -> str:
    """Carry out what was planned; how it ended."""
    formation = cloud.client("cloudformation")
    formation.execute_change_set(StackName=stack, ChangeSetName="made")

    def ended() -> str | None:
        status: str = formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        return status if status != "REVIEW_IN_PROGRESS" and not status.endswith("IN_PROGRESS") else None

    return str(until(ended, 60))


def resources_of(cloud: Cloud, stack: str) -> dict[str, str]:
    """The physical names of a stack's resources."""
    found = cloud.client("cloudformation").list_stack_resources(StackName=stack)["StackResourceSummaries"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}


def statements_of(cloud: Cloud, stack: str, service: str) -> list[tuple[Any, Any]]:
    """What a stack's function may do with a service, and on what."""
    role = resources_of(cloud, stack)["FunctionRole"]
    policy = cloud.client("iam").get_role_policy(RoleName=role, PolicyName="dropledger")
    return [
        (statement["Action"], statement["Resource"])
        for statement in policy["PolicyDocument"]["Statement"]
        if service in str(statement["Action"])
    ]


def test_stack_with_databricks_names_all_that_it_needs_and_reads_one_secret(cloud: Cloud):
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:some-AbCdEf"
    databricks = {"Warehouse": "databricks"}
    full = {
        "DatabricksHost": "h.example.com",
        "DatabricksHttpPath": "/sql/1.0/warehouses/1",
        "DatabricksCatalog": "loans",
        "DatabricksSecret": arn,
    }
    for missing in full:
        with pytest.raises(ClientError, match=f"needs {missing}"):
            plan_stack(cloud, "databricks", databricks | {name: full[name] for name in full if name != missing})
    plan_stack(cloud, "databricks", databricks | full)
    assert make_stack(cloud, "databricks") == "CREATE_COMPLETE"
    assert databricks_of(cloud, "databricks") == {
        "DROPLEDGER_WAREHOUSE": "databricks",
        "DATABRICKS_HOST": "h.example.com",
        "DATABRICKS_HTTP_PATH": "/sql/1.0/warehouses/1",
        "DATABRICKS_CATALOG": "loans",
        "DATABRICKS_SCHEMA": "",
        "DATABRICKS_SECRET_ARN": arn,
    }
    assert statements_of(cloud, "databricks", "secretsmanager") == [("secretsmanager:GetSecretValue", arn)]
    assert times_of(cloud, "databricks") == {"call": 900, "out of sight": 960, "messages": 1}
    assert times_of(cloud, "dropledger") == {"call": 60, "out of sight": 120, "messages": 10}
    assert databricks_of(cloud, "dropledger") == {}
    assert statements_of(cloud, "dropledger", "secretsmanager") == []
    cloud.client("cloudformation").delete_stack(StackName="databricks")


def databricks_of(cloud: Cloud, stack: str) -> dict[str, str]:
    """What a stack's function is told of a warehouse."""
    function = resources_of(cloud, stack)["Function"]
    told = cloud.client("lambda").get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    return {name: told[name] for name in told if name.startswith("DATABRICKS_") or name == "DROPLEDGER_WAREHOUSE"}


def times_of(cloud: Cloud, stack: str) -> dict[str, int]:
    """Seconds that a call of a stack's function may take and its messages are out of sight, and how many it gets."""
    names, functions = resources_of(cloud, stack), cloud.client("lambda")
    queue = cloud.client("sqs").get_queue_attributes(QueueUrl=names["Drops"], AttributeNames=["VisibilityTimeout"])
    [source] = functions.list_event_source_mappings(FunctionName=names["Function"])["EventSourceMappings"]
    return {
        "call": functions.get_function_configuration(FunctionName=names["Function"])["Timeout"],
        "out of sight": int(queue["Attributes"]["VisibilityTimeout"]),
        "messages": source["BatchSize"],
    }


def test_stack_fits_into_a_new_account_and_leaves_nothing_when_it_fails(cloud: Cloud):
    """A new account has 10 executions at once, all of which must stay unreserved."""
    function = resources_of(cloud, "dropledger")["Function"]
    concurrency = cloud.client("lambda").get_function_concurrency(FunctionName=function)
    assert "ReservedConcurrentExecutions" not in concurrency

    def made() -> list[str]:
        buckets = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
        groups = [group["logGroupName"] for group in cloud.client("logs").describe_log_groups()["logGroups"]]
        return [name for name in (*buckets, *groups) if "failing" in name]

    broken = """
Resources:
  Broken:
    Type: AWS::SQS::Queue
    DependsOn: [Root, Logs]
    Properties: {VisibilityTimeout: 100000}
"""
    plan_stack(cloud, "failing", {}, template_of(cloud).replace("\nResources:\n", broken, 1))
    assert make_stack(cloud, "failing") == "ROLLBACK_COMPLETE"
    assert made() == []
    plan_stack(cloud, "failing-not", {})
    assert make_stack(cloud, "failing-not") == "CREATE_COMPLETE"
    cloud.client("cloudformation").delete_stack(StackName="failing-not")
    assert len(made()) == 2


def test_stack_in_a_vpc_and_with_a_key_of_ones_own(cloud: Cloud):
    """But for what the emulator passes over, which tests/unit/test_template.py looks at."""
    network = cloud.client("ec2")
    vpc = network.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnets = [network.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{n}.0/24")["Subnet"]["SubnetId"] for n in (0, 1)]
    group = network.create_security_group(GroupName="some", Description="some", VpcId=vpc)["GroupId"]
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    within = {"SubnetIds": ",".join(subnets)}
    with pytest.raises(ClientError, match="SubnetIds needs SecurityGroupIds"):
        plan_stack(cloud, "within", within)
    plan_stack(cloud, "within", within | {"SecurityGroupIds": group, "KmsKey": key})
    assert make_stack(cloud, "within") == "CREATE_COMPLETE"
    names, everything = resources_of(cloud, "within"), ["All"]
    assert [resource for _, resource in statements_of(cloud, "within", "ec2:")] == ["*"]
    assert statements_of(cloud, "within", "kms:") == [(["kms:Decrypt", "kms:GenerateDataKey"], key)]
    for queue in ("Drops", "DeadLetters"):
        told = cloud.client("sqs").get_queue_attributes(QueueUrl=names[queue], AttributeNames=everything)["Attributes"]
        assert told["KmsMasterKeyId"] == key
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=names["Logs"])["logGroups"]
    assert [one["kmsKeyId"] for one in groups] == [key]
    objects = Objects(cloud.client("s3"), names["Root"])
    objects.client.put_object(Bucket=names["Root"], Key="inbox/customers_2026-01-01.csv", Body=CUSTOMERS.encode())
    until(lambda: "outputs/manifest.json" in objects.names() and not objects.names("inbox/"), 60)
    assert statements_of(cloud, "dropledger", "ec2:") == statements_of(cloud, "dropledger", "kms:") == []
    cloud.client("cloudformation").delete_stack(StackName="within")


@contextmanager
def runtime_interface(cloud: Cloud, root: str, folder: Path) -> Iterator[str]:
    """The function as Lambda's own runtime starts it, and the address to call it by."""
    build = cloud.folder / "build" / "Function"
    [rapid] = CLOUD.glob("lib/python*/site-packages/samcli/local/rapid")
    machine = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    emulator = shutil.copy(rapid / f"aws-lambda-rie-{machine}", folder / "aws-lambda-rie")
    Path(emulator).chmod(0o700)
    port = free_port()
    command = [
        *(emulator, "--log-level", "error", "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *(
            "--runtime-api-address",
            f"127.0.0.1:{free_port()}",
            CLOUD.absolute() / "bin" / "python",
            "-m",
            "awslambdaric",
        ),
        "dropledger.handlers.aws_lambda.start.handler",
    ]
    variables = environment(root=root, cache=folder / "cache") | {"PYTHONPATH": str(build), "PYTHONWARNINGS": "ignore"}
    with (folder / "told").open("wb") as told:
        process = subprocess.Popen(command, cwd=build, env=variables, stdout=told, stderr=subprocess.STDOUT)
    try:
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    finally:
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def test_function_under_the_runtime_of_lambda(cloud: Cloud, tmp_path: Path):
    """Below a prefix that the stack's rule does not tell of; the samples' event is sent by hand."""
    bucket, event = cloud.outputs["RootBucket"], json.loads((SAMPLES / "events" / "sqs_eventbridge.json").read_text())
    text = json.dumps(event).replace("dropledger-root", bucket).replace("inbox/", "elsewhere/inbox/")
    for path in (SAMPLES / "day1").glob("*.csv"):
        cloud.client("s3").upload_file(str(path), bucket, f"elsewhere/inbox/{path.name}")
    with runtime_interface(cloud, f"s3://{bucket}/elsewhere", tmp_path) as address:
        seconds = []
        for _ in range(3):
            began = time.monotonic()
            assert json.loads(until(lambda: call(address, text), 30)) == {"batchItemFailures": []}
            seconds.append(time.monotonic() - began)
        refused = json.loads(call(address, json.dumps({"Records": [{**event["Records"][0], "body": "no event"}]})))
        assert [item["itemIdentifier"] for item in refused["batchItemFailures"]] == [event["Records"][0]["messageId"]]
    print(f"\ncold {seconds[0]:.2f} s, warm with nothing to do {seconds[-1]:.3f} s")  # seen with -s
    assert cloud.objects.names("elsewhere/inbox/") == []
    assert cloud.objects.read("elsewhere/outputs/account_summary.csv").count(b"\n") == 7


def call(address: str, event: str) -> str:
    """What the function answers; nothing while it does not listen yet."""
    request = urllib.request.Request(address, data=event.encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError:
        return ""
