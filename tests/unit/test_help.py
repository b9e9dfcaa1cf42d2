"""Every command has its help: what it does, its options, and the environment variables that it reads."""

import re

import click
import pytest
from click.testing import CliRunner

from dropledger.handlers.cli.main import cli
from dropledger.handlers.settings import Settings
from dropledger.handlers.variables import VARIABLES

COMMON = ("--root", "--warehouse", "--json", "--quiet", "--help")
EVERYWHERE = {"DROPLEDGER_ROOT", "DROPLEDGER_WAREHOUSE", "DROPLEDGER_PIPELINE", "DROPLEDGER_WAIT_SECONDS"}


def help_of(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, terminal_width=100)
    assert (done.exit_code, done.exception) == (0, None)
    return done.output


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_of_each_command_says_what_it_does_and_names_its_options(name: str):
    shown = help_of(name, "--help")
    command = cli.commands[name]
    assert command.help
    assert command.help.splitlines()[0] in re.sub(r"\s+", " ", shown)
    for parameter in command.params:
        option = isinstance(parameter, click.Option)
        for spelling in parameter.opts if option else [parameter.make_metavar(click.Context(cli))]:
            assert spelling in shown
    assert all(option in shown for option in COMMON)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_help_of_each_command_names_its_environment_variables(name: str):
    named = set(re.findall(r"DROPLEDGER_\w+", help_of(name, "--help").partition("\nEnvironment:\n")[2]))
    assert named >= EVERYWHERE
    assert ("DROPLEDGER_LOG" in named) == (name in {"watch", "handle"})
    assert name not in {"watch", "process"} or "DROPLEDGER_OUTPUTS" in named


def test_variables_are_those_of_the_settings():
    settings = {f"DROPLEDGER_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert {name for name in VARIABLES if name.startswith("DROPLEDGER_")} == settings


def test_no_command_at_all_shows_the_help():
    shown = help_of()
    assert shown == help_of("--help")
    for name in cli.commands:
        assert re.search(rf"^  {name} +\w", shown, re.MULTILINE)
