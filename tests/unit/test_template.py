"""What template.yaml makes of its parameters, where no emulator of AWS does as AWS."""

import json
import re
from typing import Any

import pytest
from support.template import resource, template

from dropledger.core.ledger.ledger import Delivered
from dropledger.handlers.aws_lambda.embedded_metrics import NAMESPACE, EmbeddedMetrics

KEY = "arn:aws:kms:eu-west-1:123456789012:key/0123"


def encryption(**given: str) -> object:
    return resource("Root", **given)["BucketEncryption"]["ServerSideEncryptionConfiguration"]


def test_bucket_is_encrypted_by_an_own_key_where_there_is_one():
    assert encryption() == [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    by_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert encryption(KmsKey=KEY) == [{"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": by_key}]


def test_alarms_and_logs_are_encrypted_by_an_own_key_where_there_is_one():
    assert "KmsMasterKeyId" not in resource("Alarms")
    assert "KmsKeyId" not in resource("Logs")
    assert resource("Alarms", KmsKey=KEY)["KmsMasterKeyId"] == KEY
    assert resource("Logs", KmsKey=KEY)["KmsKeyId"] == KEY


@pytest.mark.parametrize("name", ["Drops", "DeadLetters"])
def test_queue_is_encrypted_in_one_way(name: str):
    """A queue that is given both ways is refused."""
    ways = {"SqsManagedSseEnabled", "KmsMasterKeyId"}
    assert ways & resource(name).keys() == {"SqsManagedSseEnabled"}
    assert ways & resource(name, KmsKey=KEY).keys() == {"KmsMasterKeyId"}


def test_function_is_in_a_vpc_where_there_is_one():
    assert "VpcConfig" not in resource("Function")
    given = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1"}
    assert resource("Function", **given)["VpcConfig"] == {
        "SubnetIds": ["subnet-1", "subnet-2"],
        "SecurityGroupIds": ["sg-1"],
    }


def test_function_reserves_nothing_unless_it_is_asked_to():
    """A new account has 10 executions at once, all of which must stay unreserved."""
    assert "ReservedConcurrentExecutions" not in resource("Function")
    assert resource("Function", ReserveConcurrency="yes")["ReservedConcurrentExecutions"] == 1


def test_delete_markers_that_hide_nothing_go():
    rules = {rule["Id"]: rule for rule in resource("Root")["LifecycleConfiguration"]["Rules"]}
    assert rules["old-versions"]["ExpiredObjectDeleteMarker"] is True
    assert "Prefix" not in rules["old-versions"]
    assert "ExpirationInDays" not in rules["old-versions"]  # beside which S3 refuses it


@pytest.mark.parametrize("name", ["Root", "Logs"])
def test_what_holds_data_stays_but_for_a_deployment_that_fails(name: str):
    assert template()["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert template()["Resources"][name]["UpdateReplacePolicy"] == "Retain"


def metrics_told() -> set[str]:
    """The names of the metrics that the function's log has."""
    metrics, rows = EmbeddedMetrics("s"), {"rows_read": 1, "rows_rejected": 0}
    lines = [metrics(None, "", {"event": str(one), **rows}) for one in Delivered]
    return {metric["Name"] for line in lines for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}


def test_alarms_are_of_metrics_that_the_function_tells():
    """No filter of the log makes metrics, so that each of ours is by stack and feed, as the log says."""
    kinds = {name: resource["Type"] for name, resource in template()["Resources"].items()}
    assert "AWS::Logs::MetricFilter" not in kinds.values()
    alarms = [template()["Resources"][name]["Properties"] for name, kind in kinds.items() if kind.endswith("::Alarm")]
    ours = [alarm for alarm in alarms if alarm.get("Namespace") == NAMESPACE]
    assert [[one["Name"] for one in alarm["Dimensions"]] for alarm in ours] == [["stack", "feed"]] * 2
    assert {alarm["MetricName"] for alarm in ours} <= metrics_told()
    queried = [queried_metric(alarm["Metrics"][0]["Expression"]["Fn::Sub"]) for alarm in alarms if "Metrics" in alarm]
    assert queried == ["quarantined", "failed"]
    assert set(queried) <= metrics_told()
    variables: dict[str, Any] = template()["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    assert variables["METRICS_STACK"] == {"Ref": "AWS::StackName"}


def queried_metric(query: str) -> str:
    """The metric of a query that has a series for each feed of the stack."""
    found = re.fullmatch(
        r'SELECT SUM\((\w+)\) FROM SCHEMA\("(\w+)", feed, stack\) WHERE stack = \'\$\{AWS::StackName\}\' GROUP BY feed'
        r"( ORDER BY SUM\(\) DESC)?",
        query,
    )
    assert found is not None, query
    assert found[2] == NAMESPACE
    return found[1]


def test_dashboard_is_json_of_metrics_that_the_function_tells():
    body = json.loads(template()["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    metrics = [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]
    queries = [metric[0]["expression"] for metric in metrics if isinstance(metric[0], dict)]
    assert [queried_metric(query) for query in queries] == ["accepted"]
