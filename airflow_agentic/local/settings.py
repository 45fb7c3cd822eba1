"""
The Airflow settings that this project recommends, in one place.

The demo and the tests start Airflow with them, and ``docs/airflow-settings.md`` shows this table (a test compares the
two). Each one is here because its default was measured to be slow or wrong for short, agent-like tasks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One option of Airflow's configuration: the value we give it, and why."""

    section: str
    option: str
    value: str
    why: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable(self.section, self.option)


def variable(section: str, option: str) -> str:
    """The environment variable that sets an option of Airflow."""
    return f"AIRFLOW__{section.replace('.', '_').upper()}__{option.upper()}"


#: For any deployment that runs templates.
RECOMMENDED: tuple[Setting, ...] = (
    Setting(
        section="core",
        option="min_serialized_dag_update_interval",
        value="0",
        why=(
            "**Needed for correctness.** At its default of 30 s, a run triggered within 30 s of an edit gets the new "
            "version of the template with the old serialized DAG. (The run's last task notices, and fails the run.)"
        ),
    ),
    Setting(
        section="scheduler",
        option="scheduler_idle_sleep_time",
        value="0.1",
        why="The default of 1 s is paid between any two tasks: 10 empty tasks in a row take 3.5 s instead of 11.",
    ),
    Setting(
        section="workers",
        option="min_heartbeat_interval",
        value="1",
        why="At the default of 5 s, a finished short task may hold its slot: 100 mapped tasks take 28 s instead of 54.",
    ),
    Setting(
        section="state_store",
        option="clear_on_success",
        value="True",
        why=(
            "What a task keeps for its own later tries is removed when it has succeeded; by default it stays in the "
            "metadata database for 30 days."
        ),
    ),
    Setting(
        section="dag_processor",
        option="bundle_refresh_check_interval",
        value="1",
        why="How often the dag processor asks whether a bundle is due for a refresh: an edit is seen after a second.",
    ),
)

#: For one machine: SQLite, LocalExecutor.
SINGLE_MACHINE: tuple[Setting, ...] = (
    Setting(section="core", option="executor", value="LocalExecutor", why="Tasks run beside the scheduler."),
    Setting(
        section="core",
        option="parallelism",
        value="4",
        why=(
            "About twice the cores of a small machine; and SQLite dies of “database is locked” at the default of 32 "
            "with 20 tasks at once, and held at 4."
        ),
    ),
    Setting(section="core", option="load_examples", value="False", why="Only our own DAGs."),
    Setting(
        section="core",
        option="dags_are_paused_at_creation",
        value="False",
        why="A template that was just dropped into the folder can be triggered at once.",
    ),
    Setting(
        section="dag_processor",
        option="min_file_process_interval",
        value="10",
        why=(
            "How soon the loader in a dags folder sees a new or an edited template; the default is 30 s. (The template "
            "bundle sees it at once.)"
        ),
    ),
)

#: For several machines (Celery, Postgres, an object store), over :data:`RECOMMENDED`.
SEVERAL_MACHINES: tuple[Setting, ...] = (
    Setting(section="core", option="executor", value="CeleryExecutor", why="Tasks run wherever there is a worker."),
    Setting(
        section="scheduler",
        option="task_instance_heartbeat_timeout",
        value="60",
        why=(
            "How soon the tasks of a lost worker are tried again, give or take 10 s; the default is 300 s. It is also "
            "how long the api-server may be away before tasks that run are taken for lost."
        ),
    ),
    Setting(
        section="scheduler",
        option="task_queued_timeout_check_interval",
        value="30",
        why=(
            "How often tasks are looked for that a worker took and was lost before it began them, which is when "
            "`task_queued_timeout` has passed; the default is 120 s."
        ),
    ),
    Setting(
        section="celery",
        option="extra_celery_config",
        value='{"imports": ["airflow_agentic.deploy.preload"]}',
        why=(
            "Workers import once what every task needs, instead of once per task, which takes 2 s of a processor and "
            "more than most tasks do."
        ),
    ),
    Setting(
        section="core",
        option="xcom_backend",
        value="airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        why="Large values go from task to task by the object store, not through the metadata database.",
    ),
    Setting(
        section="common.io",
        option="xcom_objectstorage_threshold",
        value="65536",
        why="Bytes. What is smaller stays in the database, which is faster; the default keeps everything there.",
    ),
)

#: Variables that point at another Airflow, or change how Airflow's processes start Python.
_AIRFLOW = ("AIRFLOW", "_AIRFLOW", "__AIRFLOW")
_PYTHON = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV")


def without_airflow(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without anything that configures Airflow."""
    return {name: value for name, value in environment.items() if not name.startswith(_AIRFLOW)}


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """
    The environment without anything that points at another Airflow or another Python.

    ``PYTHONDONTWRITEBYTECODE`` goes too: each of Airflow's processes would compile some thousand modules anew.
    """
    return {name: value for name, value in without_airflow(environment).items() if name not in _PYTHON}


def recommended_environment() -> dict[str, str]:
    """All settings of this page, as environment variables."""
    return {setting.variable: setting.value for setting in (*RECOMMENDED, *SINGLE_MACHINE)}


def bundle_list(*, templates: Path | None, dags: Path | None, version_url: str, list_dags_every: int = 60) -> str:
    """
    The value of ``[dag_processor] dag_bundle_config_list`` that serves two folders.

    :param templates: folder whose YAML templates are served by the template bundle.
    :param dags: folder of Python files, the loader among them.
    :param version_url: where the template bundle keeps its versions.
    :param list_dags_every: seconds between two looks for new Python files. Airflow then forgets the import errors that
        the loader reported, until it parses the loader again: so this should be longer than
        ``min_file_process_interval``.
    """
    bundles: list[dict[str, Any]] = []
    if templates is not None:
        kwargs = {"path": str(templates), "version_url": version_url, "refresh_interval": 1}
        bundles.append(_bundle("templates", "airflow_agentic.factory.bundle.TemplateDagBundle", kwargs))
    if dags is not None:
        kwargs = {"path": str(dags), "refresh_interval": list_dags_every}
        bundles.append(_bundle("dags-folder", "airflow.dag_processing.bundles.local.LocalDagBundle", kwargs))
    return json.dumps(bundles)


def _bundle(name: str, classpath: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "classpath": classpath, "kwargs": kwargs}
