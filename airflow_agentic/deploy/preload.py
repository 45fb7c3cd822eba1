"""
What nearly every task imports, imported once by a Celery worker before it starts a process per task.

Tasks are forked, so they have what the worker has; otherwise each pays more for its imports than for its work. Named in
``[celery] extra_celery_config``: ``{"imports": ["airflow_agentic.deploy.preload"]}``. Importing this module does it.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil

import airflow_agentic.agents
import airflow_agentic.limits
import airflow_agentic.operators
import airflow_agentic.trace

log = logging.getLogger(__name__)

_PACKAGES = (airflow_agentic.agents, airflow_agentic.limits, airflow_agentic.operators, airflow_agentic.trace)
#: What these packages import only when it is used, and what Airflow needs for values and logs in an object store.
_USED_LATER = (
    "airflow.providers.amazon.aws.fs.s3",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.amazon.aws.log.s3_task_handler",
    "airflow.providers.common.ai.hooks.pydantic_ai",
    "airflow.providers.common.io.xcom.backend",
    "airflow.providers.http.hooks.http",
    "airflow_agentic.template.expressions",
    "boto3.session",
    "jsonschema",
    "redis.asyncio",
    "s3fs",
)


def preload() -> list[str]:
    """Import all of it; the modules that couldn't be, because their packages aren't installed."""
    names = [
        module.name
        for package in _PACKAGES
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        if not module.ispkg
    ]
    missing = [name for name in (*names, *_USED_LATER) if not _imported(name)]
    if missing:
        log.info("Not installed, so not preloaded: %s", ", ".join(missing))
    return missing


def _imported(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


preload()
