"""What template.yaml makes of its parameters, where no emulator of AWS does as AWS."""

import pytest
from support.template import resource, template

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
