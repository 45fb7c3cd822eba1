"""
The plan: how a template runs, as plain, ordered, JSON-able data.

A plan is what the checks and the planner leave behind and all that the factory, the operators and the trace need:
no YAML, no Jinja and no pydantic is needed to turn it into a DAG. ``Plan.to_json`` and ``Plan.from_json`` are exact
inverses, and equal templates give equal bytes.

Terms:

* a *stage* is what the template's author wrote, a *task* is what Airflow runs for it;
* a task's *level* is the length of the longest path to it from a root, from 0;
* ``reads`` says, for each name that a task's texts use, which tasks its value may come from;
* a read is *guarded* when the text copes with the value's absence (``default(…)``, ``is defined``, ``if x``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

#: Changed whenever a plan written by this version could be misread by another one.
PLAN_FORMAT = 1

TaskKind = Literal["agent", "merge", "join", "artifact", "finish"]
#: Names of Airflow's ``TriggerRule``.
TriggerRule = Literal["all_success", "none_failed", "all_done"]


@dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """
    One Airflow task.

    :param task_id: unique in the plan.
    :param kind: which operator runs it.
    :param stage: the template's stage that it belongs to; the task's own id where there is none.
    :param level: longest path from a root.
    :param upstream: task ids in the plan's order.
    :param trigger_rule: when Airflow starts it, once every upstream task has ended (or failed).
    :param reads: stage name → task ids its value may come from.
    :param guarded: the names of ``reads`` whose tasks may have been skipped.
    :param config: what the operator needs, by kind:

        * ``agent``: ``agent`` (a key of ``Plan.agents``), ``prompt`` (rendered against what ``prompt_reads`` says:
          ``stages``, everything that the stage reads, or ``input``, the agent's own prompt), ``instructions`` (always
          rendered against ``input``), ``input``, ``when``, ``accept``,
          ``retry`` (``attempts``, ``wait``, ``multiplier``, ``max_wait`` in seconds, ``jitter``), ``timeout`` in
          seconds or null, and ``airflow`` (``pool``, ``queue``, ``priority_weight``, ``executor_config``);
        * ``merge``: ``from`` (stage names), ``how``, ``by``, ``require`` (a number or null for all that ran),
          ``when``, ``airflow``;
        * ``join``: nothing;
        * ``artifact``: ``path``, ``content``, ``asset`` (a URI or null);
        * ``finish``: ``output`` (mapping of text), ``artifact`` (null, the artifact's task id, or a list of them
          where the template has a list; ``output`` sees it as ``artifact``), ``readers`` (stage → who depends on it
          → ``merge`` if that copes with the stage's failure, else ``stage``).
    :param doc: Markdown for the task's documentation, or null.
    """

    task_id: str
    kind: TaskKind
    stage: str
    level: int
    upstream: tuple[str, ...] = ()
    trigger_rule: TriggerRule = "all_success"
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    guarded: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    doc: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    A template, ready to become a DAG.

    :param name: the ``dag_id``.
    :param digest: SHA-256 (hex) over everything that shapes a run.
    :param source: the template's text, as its author wrote it.
    :param file: the template's file name, without folders.
    :param dag: what ``airflow.sdk.DAG`` needs: ``description``, ``doc``, ``owner``, ``tags``, ``schedule`` (null,
        or one of ``{"cron", "timezone"}``, ``{"every": seconds}``, ``{"assets": […]}``, ``{"any_asset": […]}``),
        ``start_date`` (ISO 8601), ``catchup``, ``max_active_runs``, ``run_timeout`` (seconds or null),
        ``deadline`` (null or ``{"after": seconds, "notify": […]}``), ``notify`` (``{"on_failure": […],
        "on_success": […]}``, each entry ``{"notifier": dotted, "arguments": {…}}``).
    :param inputs: name → ``{"schema": JSON Schema, "required": bool, "default": value, "description": text}``
        (no ``default`` key when required).
    :param agents: name → the agent as its kind of :mod:`airflow_agentic.agents` takes it; always has ``type`` and
        ``output_schema`` (null: text).
    :param tasks: in an order in which every task follows its upstream tasks; the last one is ``run__finish``.
    """

    name: str
    digest: str
    source: str
    file: str
    dag: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    agents: dict[str, dict[str, Any]]
    tasks: tuple[PlannedTask, ...]

    def task(self, task_id: str) -> PlannedTask:
        """
        The task of that id.

        :raises KeyError: there is none.
        """
        for task in self.tasks:
            if task.task_id == task_id:
                return task
        raise KeyError(task_id)

    def to_data(self) -> dict[str, Any]:
        """The plan as JSON-able data."""
        return {"format": PLAN_FORMAT, **vars(self), "tasks": [dict(vars(task)) for task in self.tasks]}

    def to_json(self) -> str:
        """The plan as canonical JSON: equal plans give equal text."""
        return canonical_json(self.to_data())

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """
        Read :meth:`to_json`'s text back.

        :raises ValueError: it was written by an incompatible version of this package.
        """
        data = json.loads(text)
        if data.pop("format", None) != PLAN_FORMAT:
            raise ValueError(f"this plan is not of format {PLAN_FORMAT}; build it again from its template")
        tasks = tuple(
            PlannedTask(
                **{
                    **task,
                    "upstream": tuple(task["upstream"]),
                    "guarded": tuple(task["guarded"]),
                    "reads": {name: tuple(ids) for name, ids in task["reads"].items()},
                }
            )
            for task in data.pop("tasks")
        )
        return cls(**data, tasks=tasks)


def canonical_json(value: Any) -> str:
    """JSON without spaces or escapes, keys in their own order (it is the author's, and agents see it)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
