"""``airflow agentic …``: the same commands, as Airflow's command line takes them from a provider."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airflow_agentic.cli.commands import COMMANDS, Argument, Command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def get_agentic_cli_commands() -> list[Any]:
    """The group ``agentic`` with all commands, in Airflow's own classes."""
    from airflow.cli.cli_config import ActionCommand, GroupCommand

    actions = [
        ActionCommand(
            name=command.name,
            help=command.help,
            func=_function(command),
            args=[_argument(argument) for argument in command.arguments],
        )
        for command in COMMANDS
    ]
    return [GroupCommand(name="agentic", help="Agentic workflows in YAML", subcommands=actions)]


def _argument(argument: Argument) -> Any:
    from airflow.cli.cli_config import Arg

    return Arg(flags=argument.flags, **argument.settings)  # type: ignore[no-untyped-call]


def _function(command: Command) -> Callable[[argparse.Namespace], None]:
    def run(arguments: argparse.Namespace) -> None:
        from airflow_agentic.cli.main import call

        arguments.inside_airflow = True
        code = call(command, arguments)
        if code:
            sys.exit(code)

    return run
