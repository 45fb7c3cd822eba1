"""``airflow-agentic``: parse the arguments, call the command, say what went wrong in one message."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from airflow_agentic import __version__
from airflow_agentic.cli.commands import COMMANDS
from airflow_agentic.errors import AgenticError, TemplateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.cli.commands import Command

#: What a shell reports for a process that SIGINT or SIGPIPE ended.
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line's entry point; returns the exit code."""
    parsed = make_parser().parse_args(arguments)
    return call(parsed.command, parsed)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="airflow-agentic", description="Multi-agent workflows in YAML, run by Apache Airflow."
    )
    parser.add_argument("--version", action="version", version=f"airflow-agentic {__version__}")
    group = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        one = group.add_parser(command.name, help=command.help, description=command.help)
        for argument in command.arguments:
            one.add_argument(*argument.flags, **argument.settings)
        one.set_defaults(command=command, inside_airflow=False)
    return parser


def call(command: Command, parsed: argparse.Namespace) -> int:
    """Call a command; what a user did wrong becomes one message, never a traceback."""
    try:
        code = command.call(parsed)
        sys.stdout.flush()
        return code
    except AgenticError as error:
        if getattr(parsed, "json", False):
            print(json.dumps(_as_data(error), ensure_ascii=False, indent=2))
        from airflow_agentic.cli.report import plain

        print(f"airflow-agentic: {plain(str(error))}", file=sys.stderr)
        return command.trouble
    except KeyboardInterrupt:
        print("airflow-agentic: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _as_data(error: AgenticError) -> dict[str, Any]:
    """What went wrong, for a program."""
    if isinstance(error, TemplateError):
        return {"error": "the template has problems", "problems": [problem.as_json() for problem in error.problems]}
    return {"error": str(error)}


if __name__ == "__main__":
    sys.exit(main())
