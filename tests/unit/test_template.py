"""What template.yaml makes of its parameters, where no emulator of AWS does as AWS."""

import pytest
from support.template import resource, template


def test_function_reserves_nothing_unless_it_is_asked_to():
    """A new account has 10 executions at once, all of which must stay unreserved."""
    assert "ReservedConcurrentExecutions" not in resource("Function")
    assert resource("Function", ReserveConcurrency="yes")["ReservedConcurrentExecutions"] == 1


@pytest.mark.parametrize("name", ["Root", "Logs"])
def test_what_holds_data_stays_but_for_a_deployment_that_fails(name: str):
    assert template()["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert template()["Resources"][name]["UpdateReplacePolicy"] == "Retain"
