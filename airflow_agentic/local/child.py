"""
The child process of ``airflow-agentic run``: build the DAG of one template, run it to its end, report on a pipe.

A process of its own, because Airflow has to be configured before it is imported, writes logs to standard output, and
takes Ctrl-C for the failure of a task. Its parent reads one JSON object per line from the pipe:

* ``{"event": "task", "task_id", "map_index", "state"}`` whenever a task starts or ends;
* ``{"event": "question", "question", "task_id", "map_index", "subject", "body", "until"}`` when a task asks people;
* ``{"event": "end", "run_id", "state", "trace_url", "facts", "tasks": […]}`` when the run has ended; each task as
  above, ``facts`` as in :mod:`airflow_agentic.trace.airflow`;
* ``{"event": "error", "message"}`` instead of it, for a mistake of the user's.

The job comes as a line on standard input: ``{"template": path, "inputs": {…}, "artifacts": path}``. Further lines are
answers to questions: ``{"question", "choice", "fields"}``. The process ends when standard input does.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic import config
from airflow_agentic.errors import AgenticError
from airflow_agentic.local.desk import Desk, asks_people
from airflow_agentic.local.settings import variable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.models.dagrun import DagRun

    from airflow_agentic.trace.airflow import RunFacts

    Send = Callable[[dict[str, Any]], None]

#: Seconds that a task has to write its record after the run was asked to end.
_LAST_WORDS = 3.0
#: What a shell reports for a process that SIGTERM ended.
_TERMINATED = 128 + signal.SIGTERM


def main(pipe: int) -> int:
    """Run the job on standard input; 0 unless the user made a mistake."""
    job = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, _end)
    _find_modules_in(Path.cwd())
    gc.disable()  # until the first task: Airflow makes objects that stay, and looking at them is a quarter of the time
    with os.fdopen(pipe, "w", encoding="utf-8", buffering=1) as stream:
        lock = threading.Lock()

        def send(event: dict[str, Any]) -> None:
            with lock:
                stream.write(json.dumps(event) + "\n")

        desk = Desk(lambda question: send({"event": "question", **question}))
        threading.Thread(target=_listen_to_owner, args=(desk,), daemon=True).start()
        try:
            _run(job, send, desk)
        except AgenticError as error:
            send({"event": "error", "message": str(error)})
            return 1
    return 0


def _run(job: dict[str, Any], send: Send, desk: Desk) -> None:
    from airflow_agentic.factory.load import build_dag
    from airflow_agentic.local.inprocess import run_dag

    dag = build_dag(job["template"])
    dag.fileloc = job["template"]
    _put_artifacts_into(job["artifacts"])
    on_run = desk.open if asks_people(dag) else lambda _dag_id, _run_id: None
    run = run_dag(dag, job["inputs"], on_ready=lambda: _report_tasks(send, on_run))
    facts = _facts(run).to_data()
    end = {"event": "end", "run_id": run.run_id, "state": str(run.state), "trace_url": config.get("trace_url")}
    send({**end, "facts": facts, "tasks": [_task_of(instance) for instance in facts["instances"]]})


def _facts(run: DagRun) -> RunFacts:
    from airflow.utils.session import create_session

    from airflow_agentic.trace.airflow_database import facts_from_database

    with create_session() as session:
        return facts_from_database(session, run.dag_id, run.run_id)


def _task_of(instance: Mapping[str, Any]) -> dict[str, Any]:
    return {key: instance[key] for key in ("task_id", "map_index", "state")}


def _task(task_instance: Any, state: str | None) -> dict[str, Any]:
    """A task instance as the parent reads of it."""
    map_index = task_instance.map_index
    return {"task_id": task_instance.task_id, "map_index": -1 if map_index is None else map_index, "state": state}


def _report_tasks(send: Send, on_run: Callable[[str, str], None]) -> None:
    """
    Report each task when it starts and when it has run.

    :param on_run: called once with the DAG's and the run's id, which only the first task tells.
    """
    from airflow.listeners import hookimpl
    from airflow.sdk.listener import get_listener_manager

    class Listener:
        has_begun = False

        @hookimpl
        def on_task_instance_running(self, task_instance: Any) -> None:
            _collect_garbage()
            if not self.has_begun:
                self.has_begun = True
                on_run(task_instance.dag_id, task_instance.run_id)
            self._send(task_instance, "running")

        @hookimpl
        def on_task_instance_success(self, task_instance: Any) -> None:
            self._send(task_instance, "success")

        @hookimpl
        def on_task_instance_skipped(self, task_instance: Any) -> None:
            self._send(task_instance, "skipped")

        @hookimpl
        def on_task_instance_failed(self, task_instance: Any) -> None:
            self._send(task_instance, task_instance.state.value)

        def _send(self, task_instance: Any, state: str) -> None:
            send({"event": "task", **_task(task_instance, state)})

    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]


def _collect_garbage() -> None:
    """From now on, but not what was made until now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _put_artifacts_into(folder: str) -> None:
    """Without a configured artifact store, a run on one's own machine writes to where one is."""
    from airflow.sdk.configuration import conf

    if not conf.get(config.SECTION, "artifact_url", fallback=None):
        os.environ[variable(config.SECTION, "artifact_url")] = folder


def _find_modules_in(folder: Path) -> None:
    """Let callables be found in the current folder: before what is installed, but never before Python's own."""
    installed = [number for number, entry in enumerate(sys.path) if entry.endswith(("site-packages", "dist-packages"))]
    sys.path.insert(min(installed, default=len(sys.path)), str(folder))


def _listen_to_owner(desk: Desk) -> None:
    """
    Take answers, and end when standard input is closed: the parent has had enough, or is no more.

    Airflow takes whatever a task raises for the task's failure and goes on with the next one. So the task is told, to
    write its record, and a moment later the process ends.
    """
    for line in sys.stdin:
        desk.answer(json.loads(line))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_LAST_WORDS)
    os._exit(_TERMINATED)


def _end(*_: Any) -> None:
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    code = main(int(sys.argv[1]))
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # Airflow's threads would take two seconds to notice the end
