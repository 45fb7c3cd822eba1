"""
The main job, end to end, on a real Airflow of its own: ``make demo``.

Serves ``templates/`` by the template bundle and ``dags/`` by the loader, runs ``verified_brief``, shows its stages
while they run and then what came of them, and leaves Airflow's UI running until Ctrl-C, with the other templates to be
tried. Everything it makes is in one folder, ``.demo``.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from airflow_agentic.cli.progress import Progress
from airflow_agentic.cli.report import local_path, print_artifacts, print_stages
from airflow_agentic.errors import AgenticError, RunFailedError
from airflow_agentic.local.server import CORE, USER, LocalAirflow
from airflow_agentic.local.settings import bundle_list
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.plugin import TAB
from airflow_agentic.template.parse import load_template
from airflow_agentic.trace.airflow_rest import facts_from_rest
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.planning.plan import Plan
    from airflow_agentic.trace.document import Trace

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATE = PROJECT / "templates" / "verified_brief.yaml"
#: Seconds.
TIMEOUT = 600.0
_HINT = """\
Try it in the UI: trigger verified_brief with min_score 0.99 and answer as its editor under Required Actions, or with an
empty library; trigger document_review, research_brief, and key_themes, which the loader in dags/ serves. Edit a file in
templates/ while its run is going; put another template there, or a broken one. Each run has a tab “Trace”, and
“Pipelines” in the navigation sums them up.
Ctrl-C stops Airflow."""


def main() -> int:
    """Run the demo; 0 when its run succeeded."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--once", action="store_true", help="stop Airflow when the run has ended")
    parser.add_argument("--folder", type=Path, default=PROJECT / ".demo", help="where everything that it makes goes")
    arguments = parser.parse_args()
    once = arguments.once or not sys.stdout.isatty()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(highlight=False)
    try:
        folder = arguments.folder.absolute()
        with _only_one_in(folder):
            return _demo(console, folder, once=once)
    except AgenticError as error:
        console.print(str(error), markup=False, style="red", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("Interrupted; Airflow has been stopped.")
    return 1


@contextmanager
def _only_one_in(folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AgenticError(f"The demo is already running in {folder}.") from None
        yield


def _demo(console: Console, folder: Path, *, once: bool) -> int:
    plan = make_plan(load_template(TEMPLATE))
    airflow = LocalAirflow(
        folder / "airflow",
        folder=PROJECT,
        bundles=bundle_list(
            templates=PROJECT / "templates", dags=PROJECT / "dags", version_url=str(folder / "versions")
        ),
        environment={
            "AIRFLOW__AGENTIC__TRACE_URL": str(folder / "trace"),
            "AIRFLOW__AGENTIC__ARTIFACT_URL": str(folder / "artifacts"),
        },
        components=(*CORE, "triggerer"),
        grace=2.0,
    )
    try:
        run_id = _run(console, airflow, plan)
        facts = facts_from_rest(airflow.rest, plan.name, run_id)
        trace = assembled(plan.name, run_id, facts, TraceStore(str(folder / "trace")))
        _show(console, trace)
        if not once:
            _wait(console, airflow, trace)
    finally:
        airflow.stop()
    return 0 if trace.state == "success" else 1


def _run(console: Console, airflow: LocalAirflow, plan: Plan) -> str:
    """Start Airflow, trigger the template, follow the run; its id."""
    with Progress(plan, console) as progress:
        progress.note("Starting Airflow …")
        airflow.start()
        airflow.wait_until_ready()
        console.print(_address(airflow, airflow.url), soft_wrap=True)
        progress.note(f"Waiting for {plan.name} …")
        _wait_for_dag(airflow, plan.name)
        run_id = airflow.rest.trigger(plan.name)
        progress.note(f"Running {plan.name}")

        def follow() -> None:
            airflow.check()
            for instance in airflow.rest.task_instances(plan.name, run_id):
                progress.update(instance["task_id"], instance["state"])

        airflow.rest.wait_for_run(plan.name, run_id, timeout=TIMEOUT, on_wait=follow)
    return run_id


def _wait_for_dag(airflow: LocalAirflow, dag_id: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not airflow.rest.has_dag(dag_id):
        airflow.check()
        errors = airflow.rest.import_errors()
        found = next((text for name, text in errors.items() if TEMPLATE.stem in name), None)
        if found is not None or time.monotonic() > deadline:
            raise RunFailedError(f"Airflow could not load {TEMPLATE}:\n{found or airflow.last_words()}")
        time.sleep(0.2)


def _address(airflow: LocalAirflow, url: str) -> Text:
    return Text.assemble(
        "Airflow's UI: ", (url, "bold"), "  user ", (USER, "bold"), " password ", (airflow.password, "bold")
    )


def _show(console: Console, trace: Trace) -> None:
    """The brief, then the stages."""
    for artifact in trace.artifacts:
        text = Path(local_path(artifact.uri)).read_text(encoding="utf-8")
        console.rule()
        console.print(Markdown(text) if console.is_terminal else Text(text), soft_wrap=not console.is_terminal)
    console.rule()
    print_stages(console, trace)
    print_artifacts(console, trace)


def _wait(console: Console, airflow: LocalAirflow, trace: Trace) -> None:
    """Leave Airflow running until Ctrl-C."""
    run = f"{airflow.url}/dags/{quote(trace.dag_id)}/runs/{quote(trace.run_id)}"
    console.print()
    console.print(_address(airflow, run), soft_wrap=True)
    console.print(Text.assemble("What happened, and why: ", (f"{run}/plugin/{TAB}", "bold")), soft_wrap=True)
    console.print(_HINT, style="dim", soft_wrap=True)
    try:
        while True:
            airflow.check()
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("\nStopping Airflow …")


if __name__ == "__main__":
    sys.exit(main())
