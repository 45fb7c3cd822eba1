"""What a run (or an inner pipeline) answers for at its end: which failures count, and who may have handled them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.planning.entries import copes_with_failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.planning.instances import Instance, Instances
    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.template import Template


def artifact_id(template: Template, owner: str) -> str:
    """The task that writes an artifact: ``artifact.0`` is the first."""
    index = owner.partition(".")[2]
    return f"artifact__{index}" if isinstance(template.spec.artifact, list) else "artifact"


def judged(template: Template, instances: Instances, path: str, end: str) -> list[dict[str, Any]]:
    """
    The stages and decisions that are answered for.

    :param path: the stages around the scope, each with a dot.
    :param end: the task that makes the output.
    """
    entries = []
    for instance in instances.all():
        name = path + instance.stage
        routed = instance.route if template.stages[instance.stage].error_targets else None
        readers = _readers(template, instances, instance, end)
        entries.append({**judged_task(instance.result, name, instance.tasks), "route": routed, "readers": readers})
        if instance.route is not None:
            entries.append({**judged_task(instance.route, name), "after": instance.decided})
    return entries


def judged_task(task_id: str, stage: str, tasks: tuple[str, ...] = ()) -> dict[str, Any]:
    """A task whose failure nobody handles."""
    return {"task": task_id, "stage": stage, "tasks": list(tasks or (task_id,)), "route": None, "readers": {}}


def ends_of(judged: list[dict[str, Any]]) -> tuple[str, ...]:
    """What is done when everything that is judged is: no task may be directly after a route but its arms."""
    return tuple(entry.get("after", entry["task"]) for entry in judged)


def _readers(template: Template, instances: Instances, instance: Instance, end: str) -> dict[str, str]:
    flow, readers = template.flow, {}
    for name in flow.dependents[instance.stage]:
        copes = instance.stage in flow.found[name].parts and copes_with_failure(template, name)
        if name in template.stages:
            tasks = [other.result for other in instances.of(name, instance.place)]
        else:
            tasks = [artifact_id(template, name)]
        readers.update(dict.fromkeys(tasks, "merge" if copes else "stage"))
    if instance.stage in _required(template.reads.get("output", ())):
        readers[end] = "stage"
    return readers


def _required(references: Iterable[Reference]) -> set[str]:
    return {reference.name for reference in references if not reference.guarded}
