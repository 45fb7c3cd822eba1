"""
Run a DAG to its end in this process, by Airflow's own ``dag.test``, without any server.

``dag.test`` wants a migrated metadata database, and a DAG that is known to it. :func:`throw_away_environment` says
where the database is (before Airflow is imported), :func:`run_dag` makes the DAG known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import ConfigError
from airflow_agentic.local.database import database_url
from airflow_agentic.local.settings import bundle_list, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

#: A DAG bundle that is always empty: the DAG comes from memory.
_BUNDLE = "dags-folder"


def throw_away_environment(folder: Path) -> dict[str, str]:
    """
    The variables for an Airflow whose database, logs and DAGs are all in one folder.

    :param folder: exists; the database ``airflow.db`` in it is the caller's to create.
    """
    empty = folder / "dags"
    empty.mkdir(exist_ok=True)
    return {
        variable("database", "sql_alchemy_conn"): database_url(folder / "airflow.db"),
        variable("dag_processor", "dag_bundle_config_list"): bundle_list(templates=None, dags=empty, version_url=""),
        variable("dag_processor", "dag_bundle_storage_path"): str(folder / "bundles"),
        variable("core", "dags_folder"): str(empty),
        variable("core", "load_examples"): "False",
        variable("core", "unit_test_mode"): "False",
        variable("logging", "base_log_folder"): str(folder / "logs"),
    }


def run_dag(dag: DAG, conf: Mapping[str, Any], *, on_ready: Callable[[], None] = lambda: None) -> DagRun:
    """
    Run a DAG to its end; the run.

    :param conf: the run's inputs.
    :param on_ready: called when the first task is about to start.
    :raises ConfigError: the configured Airflow serves a DAG of this name itself.
    """
    _silence(dag)
    _make_known(dag)
    on_ready()
    run: DagRun = dag.test(run_conf=dict(conf), mark_success_pattern=_empty_tasks(dag))
    return run


def _silence(dag: DAG) -> None:
    """In a trial there is nobody to tell; and ``dag.test`` fails on a deadline."""
    dag.deadline = None
    for task in dag.tasks:
        # of stages that ask people; a mapped one keeps what its tasks get
        for attributes in (vars(task), getattr(task, "own", {})):
            attributes.pop("notifications", None)


def _empty_tasks(dag: DAG) -> re.Pattern[str] | None:
    """
    The tasks that do nothing.

    A scheduler ends them by itself; ``dag.test`` would run each like any other task, and a template with loops has more
    of them than of others.
    """
    empty = [re.escape(task.task_id) for task in dag.tasks if task.inherits_from_empty_operator]
    return re.compile("|".join(empty)) if empty else None


def _make_known(dag: DAG) -> None:
    """Write the DAG to the metadata database as the dag processor would."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    manager = DagBundlesManager()  # type: ignore[no-untyped-call]
    manager.sync_bundles_to_db()
    bundle = next(iter(manager.get_all_dag_bundles()))
    _refuse_served(dag)
    bag = DagBag(bundle.path, collect_dags=False, bundle_path=bundle.path, bundle_name=bundle.name)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, bundle.name, None)


def _refuse_served(dag: DAG) -> None:
    """In a database that isn't thrown away, a DAG that its own Airflow serves must not be written over."""
    from airflow.models.dag import DagModel

    known = DagModel.get_current(dag.dag_id)
    if known is not None and not known.is_stale and known.fileloc != dag.fileloc:
        raise ConfigError(
            f"The configured metadata database has the DAG {dag.dag_id!r} from {known.fileloc}: trigger it there, or "
            f"unset {variable('database', 'sql_alchemy_conn')} to run the template in a database of its own."
        )
