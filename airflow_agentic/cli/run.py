"""
``run``: a template from its inputs to its artifact, without a server and without a configured Airflow.

Airflow's part happens in a child process (:mod:`airflow_agentic.local.child`) with a metadata database that is thrown
away afterwards, unless the environment names one (``AIRFLOW__DATABASE__SQL_ALCHEMY_CONN``). Everything else that the
user has configured counts: connections and secrets backends, the ``[agentic]`` options, the trace store.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.cli.answers import read_answers
from airflow_agentic.cli.inputs import check_inputs, read_inputs
from airflow_agentic.errors import RunFailedError, TraceError
from airflow_agentic.local.settings import variable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_agentic.cli.answers import Answers
    from airflow_agentic.cli.progress import Progress
    from airflow_agentic.planning.plan import Plan
    from airflow_agentic.trace.document import Trace

    Send = Callable[[Mapping[str, Any]], None]

#: Seconds that the child has to end by itself after it was asked to.
_GRACE = 5.0
_LAST_LINES = 15


def run_command(arguments: argparse.Namespace) -> int:
    """Run a template as the command line says; SIGTERM ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    template = Path(arguments.template)
    plan = _plan(template)
    inputs = read_inputs(plan, arguments.input, arguments.inputs)
    return _run(template, plan, inputs, read_answers(plan, arguments.answer), as_json=arguments.json)


def run(template: Path, inputs: Mapping[str, Any], *, as_json: bool, answers: Sequence[str] = ()) -> int:
    """
    Run a template to its end; 0 when the run succeeded, 1 when it failed.

    Progress goes to standard error, the result to standard output: as text, or as one JSON document.

    :param answers: to stages that ask people, as on the command line.
    :raises TemplateError: the template has problems.
    :raises InputError: it doesn't take these inputs or answers.
    :raises RunFailedError: the run ended without records that could be shown.
    """
    plan = _plan(template)
    return _run(template, plan, inputs, read_answers(plan, answers), as_json=as_json)


def _plan(template: Path) -> Plan:
    from airflow_agentic.planning.planner import make_plan
    from airflow_agentic.template.parse import load_template

    return make_plan(load_template(template))


def _run(template: Path, plan: Plan, inputs: Mapping[str, Any], answers: Answers, *, as_json: bool) -> int:
    check_inputs(plan, inputs)
    log = _new_log(plan.name)
    job = {"template": str(template.absolute()), "inputs": dict(inputs), "artifacts": str(Path.cwd() / "artifacts")}
    try:
        end = _execute(plan, job, answers, log)
    except KeyboardInterrupt:
        log.unlink()
        raise
    trace = _trace(plan, end, log)
    (_print_json if as_json else _print_text)(trace)
    if end["state"] == "success":
        log.unlink()
        return 0
    print(f"Airflow's log of the run: {log}", file=sys.stderr)
    return 1


def _new_log(name: str) -> Path:
    descriptor, path = tempfile.mkstemp(prefix=f"airflow-agentic-{name}-", suffix=".log")
    os.close(descriptor)
    return Path(path)


def _execute(plan: Plan, job: Mapping[str, Any], answers: Answers, log: Path) -> dict[str, Any]:
    """Run the job in a child process; its last event."""
    from rich.console import Console

    from airflow_agentic.cli.people import People
    from airflow_agentic.cli.progress import Progress

    console = Console(stderr=True, highlight=False)
    with (
        tempfile.TemporaryDirectory(prefix="airflow-agentic-run-", ignore_cleanup_errors=True) as folder,
        Progress(plan, console) as progress,
    ):
        people = People(plan, answers, console, progress)
        people.warn()
        progress.note("Starting Airflow …")
        environment = _environment(Path(folder))
        with _child(environment, log) as (send, events):
            send(job)
            last = _follow(events, progress, lambda event: send(people.reply(event)))
    if last is None:
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        raise RunFailedError("\n".join(["The run ended unexpectedly.", *lines, f"Airflow's log of the run: {log}"]))
    if last["event"] == "error":
        raise RunFailedError(f"{last['message']}\nAirflow's log of the run: {log}")
    return last


def _environment(folder: Path) -> dict[str, str]:
    """The user's environment, with a metadata database of the run's own unless it names one."""
    from airflow_agentic.local.database import new_database
    from airflow_agentic.local.inprocess import throw_away_environment

    named = variable("database", "sql_alchemy_conn")
    if any(name in os.environ for name in (named, f"{named}_CMD", f"{named}_SECRET")):
        return dict(os.environ)
    new_database(folder / "airflow.db")
    return {**os.environ, **throw_away_environment(folder)}


@contextmanager
def _child(environment: Mapping[str, str], log: Path) -> Iterator[tuple[Send, Iterator[dict[str, Any]]]]:
    """
    What sends to the child, and its events, while it lives.

    It is ended when the context is left, however that happens.
    """
    reading, writing = os.pipe()
    with log.open("ab") as stream, os.fdopen(reading, encoding="utf-8") as events:
        try:
            child = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", "airflow_agentic.local.child", str(writing)],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            yield partial(_send, child), (json.loads(line) for line in events)
        finally:
            _end(child)


def _send(child: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    if child.stdin is not None:
        with suppress(BrokenPipeError):  # it has ended, and its log will say why
            child.stdin.write(json.dumps(message).encode() + b"\n")
            child.stdin.flush()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Closing the child's standard input asks it to end; whatever doesn't is killed, with all that it started."""
    if child.stdin is not None:
        with suppress(BrokenPipeError):
            child.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _follow(
    events: Iterator[dict[str, Any]], progress: Progress, on_question: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | None:
    for event in events:
        progress.note("")
        if event["event"] == "question":
            progress.update(event["task_id"], "awaiting_input", event["map_index"])
            on_question(event)
            continue
        if event["event"] != "task":
            for task in event.get("tasks", ()):
                progress.update(task["task_id"], task["state"], task["map_index"])
            return event
        progress.update(event["task_id"], event["state"], event["map_index"])
    return None


def _trace(plan: Plan, end: Mapping[str, Any], log: Path) -> Trace:
    from airflow_agentic.trace.airflow import facts_from_data
    from airflow_agentic.trace.assemble import assembled
    from airflow_agentic.trace.store import TraceStore

    try:
        return assembled(plan.name, end["run_id"], facts_from_data(end["facts"]), TraceStore(end["trace_url"]))
    except TraceError as error:
        message = f"The run ended ({end['state']}), but left no records: {error}\nAirflow's log of the run: {log}"
        raise RunFailedError(message) from None


def _print_text(trace: Trace) -> None:
    from rich.console import Console

    from airflow_agentic.cli.report import print_report

    print_report(Console(highlight=False), trace)


def _print_json(trace: Trace) -> None:
    from airflow_agentic.cli.report import local_path
    from airflow_agentic.trace.document import to_data

    data = to_data(trace)
    shown = ("task_id", "bytes", "sha256", "asset")
    artifacts = [
        {"uri": local_path(artifact["uri"]), **{key: artifact[key] for key in shown}} for artifact in data["artifacts"]
    ]
    document = {
        "state": trace.state,
        "run_id": trace.run_id,
        "output": trace.output,
        "artifact": artifacts[0]["uri"] if artifacts else None,
        "stages": data["stages"],
        "error": trace.error,
        "artifacts": artifacts,
        "seconds": trace.seconds,
        "usage": data["usage"],
        "decisions": data["decisions"],
        "errors": data["errors"],
    }
    print(json.dumps(document, ensure_ascii=False, indent=2))
