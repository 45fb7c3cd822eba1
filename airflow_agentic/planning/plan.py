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
PLAN_FORMAT = 3

TaskKind = Literal[
    "agent",
    "merge",
    "human",
    "items",
    "item",
    "collect",
    "start",
    "result",
    "route",
    "fail",
    "join",
    "artifact",
    "finish",
]
#: Names of Airflow's ``TriggerRule``.
TriggerRule = Literal[
    "all_success", "none_failed", "none_failed_min_one_success", "all_done", "one_done", "one_success", "none_skipped"
]


@dataclass(frozen=True, kw_only=True)
class Group:
    """
    A task group: the rounds of a loop, a stage with several tasks, an inner pipeline.

    :param group_id: the task ids in it begin with it and a dot.
    :param label: what Airflow's UI shows.
    :param mapped: the ``items`` task whose list it is repeated for, where it is a mapped task group.
    """

    group_id: str
    label: str
    mapped: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlannedTask:
    """
    One Airflow task.

    :param task_id: unique in the plan; the ids of its groups, joined by dots, stand before its own name.
    :param kind: which operator runs it.
    :param stage: the template's stage that it belongs to, with the stages of the pipelines around it before it
        (``clause.vote``); the task's own id where there is none.
    :param level: longest path from a root.
    :param upstream: task ids in the plan's order.
    :param trigger_rule: when Airflow starts it, once every upstream task has ended (or failed).
    :param labels: upstream task id → the text at that edge in Airflow's graph.
    :param start: inside a mapped task group, where Airflow's rules can't be relied on, the task starts with
        ``all_done`` and judges for itself: ``[rule, [upstream …]]``, where an upstream is a task id, such a pair
        again, or ``[route task id, [outcome …]]`` under ``arm`` (see :mod:`airflow_agentic.planning.rules`).
        Null elsewhere.
    :param mapped: the id of the mapped task group that it is in, or null. Tasks of one mapped group read each other
        under their own map index.
    :param rounds: the rounds of the loops that it is in, the outermost first; empty outside of loops.
    :param inputs: the ``start`` task of the pipeline that it is in, whose output is ``inputs`` here; null: the run's.
    :param reads: stage → task ids its value may come from, in the order of rounds: the last that succeeded.
    :param guarded: the names of ``reads`` whose tasks may have been skipped.
    :param feedback: per loop around it that may be in a later round, the outermost first: ``[task id of the arm,
        task id of the route task]`` of the decisions that may have begun this round. Only where a text reads
        ``feedback``. In a mapped task group the outcome stands for the arm.
    :param errors: ``[task id of the arm, task id of the route task]`` of the failures that may have led here, in
        order. Only where a text reads ``error``.
    :param config: what the operator needs, by kind:

        * ``agent``: ``agent`` (a key of ``Plan.agents``), ``prompt`` (rendered against what ``prompt_reads`` says:
          ``stages``, everything that the stage reads, or ``input``, the agent's own prompt), ``instructions`` (always
          rendered against ``input``), ``input``, ``when``, ``accept``,
          ``retry`` (``attempts``, ``wait``, ``multiplier``, ``max_wait`` in seconds, ``jitter``), ``timeout`` in
          seconds or null, ``airflow`` (``pool``, ``queue``, ``priority_weight``, ``executor_config``), ``recover``
          (in order: ``{"kinds": […] (empty: all), "agent": key, "prompt", "prompt_reads", "instructions"}`` or
          ``{"kinds", "value"}``; entries with ``to`` are the route's), ``cache`` (``ttl`` in seconds, ``tools``: also
          of agents with tools; absent: none), ``budget`` (what the whole run may spend, the same in every task that
          asks agents: ``calls``, ``tokens``, ``cost_usd``, those that are bounded; absent: none), and for an agent that
          works on the items of a list inside a mapped task group, in one task, ``fan_out`` (the config of ``items`` and
          ``collect``);
        * ``items``: ``for_each``, ``max_items``, ``max_parallel`` (or null), ``items_per_task`` (``auto`` or a
          number), ``works`` (``agent``: lists of items are dealt to mapped tasks; ``human`` and ``pipeline``: one
          each), ``when``;
        * ``item``: an ``agent``'s or ``human``'s config, and ``items``, the task id of the list; mapped over it. Its
          ``when`` is null;
        * ``collect``: ``items`` and ``item`` (task ids; ``item`` is the inner ``result`` task for a pipeline),
          ``tolerate`` (a number, or a share as text: ``20%``), ``recover`` (only of values: for items whose task left
          no result);
        * ``merge``: ``from`` (stage names), ``how``, ``by``, ``require`` (a number or null for all that ran),
          ``when``, ``recover`` (values), ``airflow``, ``fan_outs`` (the names in ``from`` that are fan-outs);
        * ``human``: ``ask``, ``body``, ``options`` (empty: one button, Submit), ``fields`` (name → JSON Schema with
          ``default``), ``assignees``, ``timeout`` (seconds), ``on_timeout`` (an option, or ``fail``), ``when``,
          ``recover`` (values), ``airflow``;
        * ``start``: ``input`` (rendered and validated: the pipeline's ``inputs``), ``inputs`` (as ``Plan.inputs``),
          ``when`` (null under a fan-out), ``max_parallel`` (or null: only in a mapped task group, where no more
          pipelines than that may be between ``start`` and ``result``), ``items`` (the list's task id or null),
          ``result`` (the id of its ``result`` task);
        * ``result``: ``output`` (mapping of text), ``judged`` (as in ``finish``), ``recover`` (values), ``items``;
        * ``route``: ``decides`` (task id of the stage's result), ``routes`` (in order: ``{"when": expression or
          null, "outcome": name, "with": mapping, "back_to": stage or null, "shown": text for people}``), ``error``
          (null, or ``[{"kinds": […], "outcome": name, "to": stage}]``), ``arms`` (outcome → ids of the tasks
          directly after it to choose), ``fail_skips`` (task ids to skip when it chooses ``fail``), ``round``
          (of the innermost loop, or null), ``max_rounds`` (or null);
        * ``fail``: ``route`` (the route task's id: its decision is the message);
        * ``join``: nothing;
        * ``artifact``: ``path``, ``content``, ``asset`` (a URI or null);
        * ``finish``: ``output`` (mapping of text), ``artifact`` (null, the artifact's task id, or a list of them
          where the template has a list; ``output`` sees it as ``artifact``), ``judged`` (in order, what the run
          answers for: ``{"task", "stage", "route": id of the route task that may handle its failure or null,
          "readers": {task id: "merge" if that copes with its failure, else "stage"}, "tasks": ids of all tasks of
          the stage, "after": of a route, the arm to wait for}``).
    :param doc: Markdown for the task's documentation, or null.
    """

    task_id: str
    kind: TaskKind
    stage: str
    level: int
    upstream: tuple[str, ...] = ()
    trigger_rule: TriggerRule = "all_success"
    labels: dict[str, str] = field(default_factory=dict)
    start: Any = None
    mapped: str | None = None
    rounds: tuple[int, ...] = ()
    inputs: str | None = None
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    guarded: tuple[str, ...] = ()
    feedback: tuple[tuple[tuple[str, str], ...], ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    doc: str | None = None

    @property
    def round(self) -> int:
        """Of the innermost loop; 1 outside of loops."""
        return self.rounds[-1] if self.rounds else 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    A template, ready to become a DAG.

    :param name: the ``dag_id``.
    :param digest: SHA-256 (hex) over everything that shapes a run.
    :param source: the template's text, as its author wrote it, but for credentials in it.
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
    :param groups: outer ones before inner ones.
    :param picture: of the template, as :func:`airflow_agentic.render.picture.to_data` gives it; it shapes no run.
    """

    name: str
    digest: str
    source: str
    file: str
    dag: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    agents: dict[str, dict[str, Any]]
    tasks: tuple[PlannedTask, ...]
    groups: tuple[Group, ...] = ()
    picture: dict[str, Any] | None = None

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
        return {
            "format": PLAN_FORMAT,
            **vars(self),
            "tasks": [{key: value for key, value in vars(task).items() if value} for task in self.tasks],
            "groups": [dict(vars(group)) for group in self.groups],
        }

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
        tasks = tuple(_task(task) for task in data.pop("tasks"))
        groups = tuple(Group(**group) for group in data.pop("groups"))
        return cls(**data, tasks=tasks, groups=groups)


def _task(data: dict[str, Any]) -> PlannedTask:
    """A task as :meth:`Plan.to_data` leaves it: what is empty isn't there, and JSON has no tuples."""
    for key in ("upstream", "guarded", "rounds"):
        if key in data:
            data[key] = tuple(data[key])
    if "reads" in data:
        data["reads"] = {name: tuple(ids) for name, ids in data["reads"].items()}
    if "feedback" in data:
        data["feedback"] = tuple(tuple(tuple(pair) for pair in level) for level in data["feedback"])
    if "errors" in data:
        data["errors"] = tuple(tuple(pair) for pair in data["errors"])
    return PlannedTask(**{"level": 0, **data})


def canonical_json(value: Any) -> str:
    """JSON without spaces or escapes, keys in their own order (it is the author's, and agents see it)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
