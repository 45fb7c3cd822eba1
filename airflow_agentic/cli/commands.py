"""
The commands, in one table: ``airflow-agentic …`` and ``airflow agentic …`` are made of it.

Each command's function is imported when it is called, so that those that need no Airflow don't import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_FUNCTIONS = "airflow_agentic.cli"


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument, as argparse takes it."""

    flags: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Command:
    """
    One command.

    :param function: ``module:function`` in this package; gets the parsed arguments, returns the exit code.
    :param trouble: the exit code when it couldn't do what it was asked to.
    """

    name: str
    help: str
    function: str
    arguments: tuple[Argument, ...]
    trouble: int = 1

    def call(self, arguments: argparse.Namespace) -> int:
        """Import the command's function and call it."""
        module, name = self.function.split(":")
        function: Callable[[argparse.Namespace], int] = getattr(import_module(f"{_FUNCTIONS}.{module}"), name)
        return function(arguments)


def _argument(*flags: str, **settings: Any) -> Argument:
    return Argument(flags=flags, settings=settings)


_JSON = _argument("--json", action="store_true", help="print one JSON document instead of text")
_MARKDOWN = _argument("--markdown", action="store_true", help="print Markdown instead of text")
#: For commands that assemble traces.
_AIRFLOW = _argument(
    "--airflow",
    metavar="URL",
    help="ask the Airflow there what left no record: lost tries, queues (user and password, or a token, in the "
    "environment variables AIRFLOW_AGENTIC_USER and AIRFLOW_AGENTIC_PASSWORD, or AIRFLOW_AGENTIC_TOKEN); default: "
    "records only, and inside of an Airflow (`airflow agentic`) its database",
)
_TEMPLATE = _argument("template", metavar="TEMPLATE", help="the template's file")
_INPUTS = (
    _argument(
        "--input",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="one input; the value is read as JSON where it parses, else as text (may be repeated)",
    ),
    _argument("--inputs", metavar="FILE", help="a JSON or YAML file with a mapping of inputs"),
)

COMMANDS = (
    Command(
        name="check",
        help="say everything that is wrong with templates",
        function="check:check_command",
        arguments=(
            _argument("paths", metavar="PATH", nargs="+", help="a template, or a folder of them"),
            _JSON,
        ),
    ),
    Command(
        name="plan",
        help="print how a template runs: its stages in order, its loops, and the worst case",
        function="plan:plan_command",
        arguments=(
            _TEMPLATE,
            *_INPUTS,
            _argument(
                "--tasks", action="store_true", help="print the tasks that Airflow will run instead of the stages"
            ),
            _JSON,
        ),
    ),
    Command(
        name="render",
        help="draw a template: its stages, routes and loops",
        function="render:render_command",
        arguments=(
            _TEMPLATE,
            _argument("--format", choices=("mermaid", "svg"), default="mermaid", help="default: mermaid"),
            _argument("--output", metavar="FILE", help="where to write it; default: standard output"),
        ),
    ),
    Command(
        name="run",
        help="run a template to its end in this process, without a configured Airflow",
        function="run:run_command",
        arguments=(
            _TEMPLATE,
            *_INPUTS,
            _argument(
                "--answer",
                metavar="STAGE=OPTION",
                action="append",
                default=[],
                help="the answer to a stage that asks people; STAGE.FIELD=VALUE for a field of it (may be repeated)",
            ),
            _JSON,
        ),
    ),
    Command(
        name="trace",
        help="print what happened in a run, stage by stage, or list the runs",
        function="trace:trace_command",
        arguments=(
            _argument("dag_id", metavar="DAG_ID", help="the template's name"),
            _argument(
                "run_id", metavar="RUN_ID", nargs="?", help="the run, or its folder's name; default: list all runs"
            ),
            _AIRFLOW,
            _JSON,
            _argument("--html", metavar="FILE", help="write one page that needs nothing else; - for standard output"),
            _MARKDOWN,
        ),
    ),
    Command(
        name="verify",
        help="compare a run's records and artifacts with its seal: what was altered, removed, added",
        function="verify:verify_command",
        arguments=(
            _argument("what", metavar="WHAT", nargs="+", help="DAG_ID RUN_ID, or the file of an audit bundle"),
            _argument(
                "--seal",
                metavar="SHA256",
                help="the run's seal as it was kept elsewhere: in the log of its last task, among its XComs, by you",
            ),
            _JSON,
            _argument("--html", metavar="FILE", help="of a bundle: draw its page anew, from its records as they are"),
        ),
        trouble=2,
    ),
    Command(
        name="diff",
        help="compare two runs: template, inputs, path, outputs, usage, time",
        function="diff:diff_command",
        arguments=(
            _argument(
                "what",
                metavar="WHAT",
                nargs="+",
                help="DAG_ID RUN_A RUN_B; or of two DAGs, DAG_A RUN_A DAG_B RUN_B; the file of an audit bundle may "
                "stand for a run",
            ),
            _AIRFLOW,
            _JSON,
            _MARKDOWN,
        ),
        trouble=2,
    ),
    Command(
        name="export",
        help="write all of a run into one file, an audit bundle that can be checked without Airflow",
        function="export:export_command",
        arguments=(
            _argument("dag_id", metavar="DAG_ID", help="the template's name"),
            _argument("run_id", metavar="RUN_ID", help="the run, or its folder's name"),
            _argument(
                "-o",
                "--output",
                metavar="FILE.zip",
                help="where to write it; default: named after the run, in this folder",
            ),
            _AIRFLOW,
            _JSON,
        ),
        trouble=2,
    ),
    Command(
        name="schema",
        help="print the JSON Schema of the template language, for editors, or of traces",
        function="schema:schema_command",
        arguments=(_argument("--trace", action="store_true", help="of what `trace --json` prints"),),
    ),
    Command(
        name="new",
        help="write a commented starter template",
        function="new:new_command",
        arguments=(_argument("name", metavar="NAME", help="the template's name; NAME.yaml is written here"),),
    ),
)
