"""How long a message is out of sight, by what kept it and how often it was tried."""

import pytest

from dropledger.core.errors import (
    Busy,
    ConfigurationError,
    Conflict,
    OutOfTime,
    PipelineError,
    Postponed,
    Unavailable,
    Unforeseen,
)
from dropledger.core.ledger.outcome import PartialFailure
from dropledger.handlers.aws_lambda.message_visibility import seconds_until_visible, widest_error


@pytest.mark.parametrize(
    "outage", [Unavailable("no answer"), Busy("held"), ConfigurationError("no such bucket"), ConnectionError()]
)
def test_outage_is_waited_for_longer_each_time(outage: Exception):
    assert [seconds_until_visible(outage, tries) for tries in range(1, 8)] == [30, 60, 120, 300, 900, 900, 900]


@pytest.mark.parametrize(
    "error",
    [
        Postponed("memory"),
        Unforeseen("bug"),
        PipelineError("SQL"),
        PartialFailure(ConfigurationError("cold"), ()),
        KeyError(),
    ],
)
def test_what_keeps_one_file_keeps_the_queue_no_longer_than_before(error: Exception):
    assert [seconds_until_visible(error, tries) for tries in (1, 5, 100)] == [30, 30, 30]


def test_hold_is_waited_for_as_long_as_it_lasts():
    held = [Busy("held", seconds=seconds) for seconds in (0, 0.2, 1199.3, -5, 1e9)]
    assert [seconds_until_visible(busy, 3) for busy in held] == [0, 1, 1200, 0, 42_000]
    assert seconds_until_visible(Conflict("by another"), 1) == 30


def test_what_time_ran_out_for_is_handed_over_at_once():
    assert seconds_until_visible(OutOfTime("no time"), 4) == 0


def test_tries_of_the_template_last_longer_than_a_hold():
    """The hold of a process that died ends after 20 minutes; nothing may be a dead letter by then."""
    from support.template import parameter

    tries = int(parameter("MaxReceiveCount")["Default"])
    lasts = sum(seconds_until_visible(Busy("held"), number) for number in range(1, tries))
    assert lasts == pytest.approx(50 * 60, rel=0.1)  # as docs/aws.md has it


def test_outage_goes_before_what_keeps_one_file():
    outage, bug = Unavailable("no answer"), Unforeseen("bug")
    assert widest_error([bug, outage]) is outage
    assert widest_error([bug]) is bug
