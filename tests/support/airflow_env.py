"""
The session's real Airflow: api-server, scheduler and dag processor, serving two folders that tests fill.

Started once (about ten seconds) by the fixture ``airflow``. Give every test's DAG a name of its own: runs of earlier
tests stay in the database.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.local.rest import RestClient, RestError
from airflow_agentic.local.server import CORE, USER, LocalAirflow
from airflow_agentic.local.settings import bundle_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TESTS = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """
    An ended run.

    :param tasks: task_id → state (of unmapped task instances; null states as ``None``).
    :param logs: the logs of the tasks that failed, for the message of a failing test.
    """

    dag_id: str
    run_id: str
    state: str
    tasks: dict[str, str | None]
    logs: str

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.dag_id}: {self.state}\n{self.tasks}\n{self.logs}"


class AirflowEnv:
    """
    A real Airflow for tests.

    :param folder: everything is below it.
    :param source_roots: where the library's agents may read.
    :param environment: more settings of its own.
    :param components: which of its processes are started.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source_roots: Path,
        environment: Mapping[str, str] | None = None,
        components: Sequence[str] = CORE,
    ) -> None:
        self.home = folder / "home"
        self.templates = folder / "templates"
        self.dags = folder / "dags"
        self.trace_url = str(folder / "trace")
        self.artifacts = folder / "artifacts"
        for created in (self.templates, self.dags):
            created.mkdir()
        self._server = LocalAirflow(
            self.home,
            folder=source_roots,
            bundles=bundle_list(
                templates=self.templates, dags=self.dags, version_url=str(folder / "versions"), list_dags_every=1
            ),
            environment={
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",
                "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
                "PYTHONPATH": str(TESTS),
                "AIRFLOW__AGENTIC__TRACE_URL": self.trace_url,
                "AIRFLOW__AGENTIC__ARTIFACT_URL": str(self.artifacts),
                "AIRFLOW__AGENTIC__PRIVATE_HOSTS": "127.0.0.1",
                **(environment or {}),
            },
            components=components,
            grace=1.0,
        )

    @property
    def rest(self) -> RestClient:
        """Airflow's REST API."""
        return self._server.rest

    @property
    def login(self) -> tuple[str, str]:
        """The name and password of somebody who may do everything."""
        return USER, self._server.password

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._server.start()
        self._server.wait_until_ready()

    def stop(self) -> None:
        """End all of its processes."""
        self._server.stop()

    def last_words(self) -> str:
        """The ends of its processes' logs."""
        return self._server.last_words()

    def put_template(self, name: str, text: str) -> Path:
        """Add a template to the bundle's folder, or change it; ``name`` is a relative path."""
        return _write(self.templates / name, text)

    def put_dag_file(self, name: str, text: str) -> Path:
        """Add a file to the dags folder that the loader serves, or change it; ``name`` is a relative path."""
        return _write(self.dags / name, text)

    def put_loader(self, loader: Path) -> Path:
        """Copy the loader into the dags folder, as a user would."""
        return Path(shutil.copy(loader, self.dags))

    def clear(self) -> None:
        """Empty both folders."""
        for folder in (self.templates, self.dags):
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def add_connection(self, connection_id: str, **fields: Any) -> None:
        """Create an Airflow connection, or replace it; fields as in the REST API (``conn_type``, ``host``, …)."""
        if isinstance(fields.get("extra"), dict):
            fields["extra"] = json.dumps(fields["extra"])
        try:
            self.rest.call("DELETE", f"/connections/{connection_id}")
        except RestError as error:
            if error.status != 404:
                raise
        self.rest.once("POST", "/connections", {"connection_id": connection_id, **fields})

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> None:
        """Wait until Airflow serves the DAG."""
        self.wait_until(lambda: self.rest.has_dag(dag_id), what=f"the DAG {dag_id}", timeout=timeout)

    def wait_for_import_error(self, file: str, *, timeout: float = 60.0) -> str:
        """Wait until Airflow shows an import error for a file whose name ends so; the error's text."""

        def found() -> str | None:
            errors = self.rest.import_errors()
            return next((text for name, text in errors.items() if name.endswith(file)), None)

        return str(self.wait_until(found, what=f"an import error of {file}", timeout=timeout))

    def wait_until(self, condition: Callable[[], Any], *, what: str, timeout: float) -> Any:
        """Wait for a condition; its first true value. Says what was missing, and what Airflow's processes said."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            self._server.check()
            if time.monotonic() > deadline:
                errors = self.rest.import_errors()
                raise TimeoutError(f"no {what} after {timeout:.0f} s\n{errors}\n{self.last_words()}")
            time.sleep(0.2)
        return value

    def run(self, dag_id: str, conf: dict[str, Any] | None = None, *, timeout: float = 120.0) -> FinishedRun:
        """Wait for the DAG, trigger it, and wait for the run's end."""
        self.wait_for_dag(dag_id, timeout=60.0)
        return self.finish(dag_id, self.rest.trigger(dag_id, conf), timeout=timeout)

    def finish(self, dag_id: str, run_id: str, *, timeout: float = 120.0) -> FinishedRun:
        """Wait for the end of a run that was triggered."""
        state = self.rest.wait_for_run(dag_id, run_id, timeout=timeout, on_wait=self._server.check)
        instances = self.rest.task_instances(dag_id, run_id)
        failed = [ti for ti in instances if ti["state"] == "failed"]
        logs = [f"--- {ti['task_id']} {ti['map_index']}\n{self._log(ti)}" for ti in failed]
        tasks = {ti["task_id"]: ti["state"] for ti in instances}
        return FinishedRun(dag_id=dag_id, run_id=run_id, state=state, tasks=tasks, logs="\n".join(logs))

    def _log(self, ti: dict[str, Any]) -> str:
        task = (ti["dag_id"], ti["dag_run_id"], ti["task_id"])
        return self.rest.log(*task, ti["try_number"], map_index=ti["map_index"])


def _write(file: Path, text: str) -> Path:
    """Write a file in one step, as editors do: a half of it is never seen."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
    return file
