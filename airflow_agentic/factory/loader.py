"""
All templates of a dags folder through one DAG file, for deployments that can't configure a bundle.

What a user copies is ``dags/agentic_templates.py``; here is what it does.

In the dag processor it makes all DAGs, and one template's problems must not be the others': see
:class:`~airflow_agentic.factory.broken.BrokenDagInLoader`. Airflow 3.3 keeps such an error under the template's own
path, but forgets it whenever it lists the folder's files anew (``[dag_processor] refresh_interval``, 300 s), because
the path is no DAG file's. Until the next parse of the loader (``min_file_process_interval``, 30 s) it isn't shown;
and the error of a template that was mended stays until the files are listed. The bundle has neither flaw.

In a worker Airflow says which DAG it needs, and only that template is parsed: the one whose file is called so, or else
the one whose text says so.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from airflow.sdk import get_parsing_context

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory import find
from airflow_agentic.factory.load import FAILED, dag_of, duplicate, plan_in
from airflow_agentic.template.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import DAG

log = logging.getLogger(__name__)


def dags_beside(file: str) -> dict[str, DAG]:
    """
    The DAGs of the templates in a DAG file's folder and below it, by name, for the DAG file's own namespace.

    Only the one that Airflow asks for, if it asks for one. Templates that are broken are reported to Airflow.

    :param file: the DAG file: its ``__file__``.
    """
    folder = Path(file).parent
    wanted = get_parsing_context().dag_id
    if wanted is not None:
        return _one(folder, wanted)
    return _all(folder)


def _one(folder: Path, name: str) -> dict[str, DAG]:
    """The DAG of that name, if there is one; what is wrong with other templates is none of a worker's business."""
    for path in _that_may_be(folder, name):
        try:
            plan = plan_in(folder, path)
        except TemplateError as error:
            log.error("The template %s is broken:\n%s", path, error)
            continue
        if plan.name == name:
            return {name: dag_of(plan, path)}
    return {}


def _that_may_be(folder: Path, name: str) -> Iterator[str]:
    """The templates that may have this name, the likeliest first; files are read only when no file is called so."""
    for path in find.files(folder, find.SUFFIXES):
        if find.stem(path) == name and find.read_candidate(folder, path):
            yield path
    for candidate in find.templates(folder):
        if candidate.claim == name and find.stem(candidate.path) != name:
            yield candidate.path


def _all(folder: Path) -> dict[str, DAG]:
    candidates = {candidate.path: candidate for candidate in find.templates(folder)}
    dags: dict[str, DAG] = {}
    for path in candidates:
        try:
            dags[path] = dag_of(plan_in(folder, path), path)
        except TemplateError as error:
            _report(folder, path, error)
        except Exception as error:
            log.exception("The template %s can't be made a DAG", folder / path)
            message = f"this template can't be made a DAG ({type(error).__name__}: {error}); the log has more"
            _report(folder, path, TemplateError([Problem(code=FAILED, message=message, path=path, line=1, column=1)]))
    for path, owner in find.duplicates({path: dag.dag_id for path, dag in dags.items()}).items():
        problem = duplicate(candidates[path], dags.pop(path).dag_id, shown=path, owner=owner)
        _report(folder, path, TemplateError([problem]))
    return {dag.dag_id: dag for dag in dags.values()}


def _report(folder: Path, path: str, error: TemplateError) -> None:
    """
    Have Airflow list a template's problems under the template's own path.

    Airflow takes a DAG's file from the module that it found the DAG in, so the DAG that stands for the template is
    found in one whose file is the template.
    """
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    from airflow_agentic.factory.broken import BrokenDagInLoader

    log.error("The template %s is broken:\n%s", folder / path, error)
    module = ModuleType("agentic_template")
    module.__file__ = str(folder / path)
    DagContext.autoregistered_dags.add((BrokenDagInLoader(error, path), module))
