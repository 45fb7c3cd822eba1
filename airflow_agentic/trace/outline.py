"""
The outline of a run: every task that was planned, as far as a reader of its records has to know it.

It stands in the run's begin record, so that what never ran can be told from what was never meant to, and why a task was
skipped from the decision that ruled it out. It is less than the plan: no texts, no prompts, no agents' settings.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_agentic.planning.plan import Plan, PlannedTask
    from airflow_agentic.trace.manifest import TaskState

_FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Outlined:
    """
    One planned task.

    :param kind: as in the plan.
    :param rounds: of the loops around it, the outermost first.
    :param mapped: it is in a mapped task group, or mapped itself: it may have several instances.
    :param agent: the name of the stage's agent, null for other kinds.
    :param upstream: ids of the tasks that it directly follows.
    :param output: of a task that ends an inner pipeline: key of the output → what it reads, each as the name and the
        ids of the tasks that may have given it, in the order of rounds.
    :param chosen_by: ``[task id of a route, [outcome …]]``: it is skipped when that decides anything else.
    """

    task_id: str
    kind: str
    stage: str
    rounds: tuple[int, ...] = ()
    mapped: bool = False
    agent: str | None = None
    upstream: tuple[str, ...] = ()
    chosen_by: tuple[tuple[str, tuple[str, ...]], ...] = ()
    output: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = field(default_factory=dict)


def outline_of(plan: Plan) -> tuple[dict[str, Any], ...]:
    """The outline of a plan, as the begin record has it: what is empty isn't there."""
    chosen = _chosen(plan.tasks)
    return tuple(
        {key: value for key, value in asdict(_outlined(task, chosen.get(task.task_id, {}))).items() if value}
        for task in plan.tasks
    )


def outlined(data: Mapping[str, Any]) -> Outlined:
    """An entry of the outline, read back; keys that a later version may have added are left out."""
    known = {field.name: data[field.name] for field in fields(Outlined) if field.name in data}
    for key in ("rounds", "upstream"):
        known[key] = tuple(known.get(key, ()))
    known["chosen_by"] = _pairs(known.get("chosen_by", ()))
    known["output"] = {key: _pairs(reads) for key, reads in known.get("output", {}).items()}
    return Outlined(**known)


def _pairs(told: Iterable[Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, tuple(names)) for name, names in told)


def from_states(tasks: Iterable[TaskState]) -> tuple[Outlined, ...]:
    """As much of an outline as a manifest tells, for a run without a begin record."""
    return tuple(
        Outlined(
            task_id=task.task_id,
            kind=task.kind,
            stage=task.stage,
            rounds=task.rounds,
            mapped=task.instances is not None,
            agent=task.agent,
        )
        for task in tasks
    )


def budget_of(plan: Plan) -> dict[str, Any] | None:
    """What the whole run may spend; every task that asks agents knows it."""
    return next((dict(task.config["budget"]) for task in plan.tasks if task.config.get("budget")), None)


def _outlined(task: PlannedTask, chosen: Mapping[str, tuple[str, ...]]) -> Outlined:
    return Outlined(
        task_id=task.task_id,
        kind=task.kind,
        stage=task.stage,
        rounds=task.rounds,
        mapped=task.mapped is not None or task.kind == "item",
        agent=task.config.get("agent"),
        upstream=task.upstream,
        chosen_by=tuple(chosen.items()),
        output=_read_by_output(task) if task.kind == "result" else {},
    )


def _read_by_output(task: PlannedTask) -> dict[str, tuple[tuple[str, tuple[str, ...]], ...]]:
    """What each key of an inner pipeline's output reads."""
    from airflow_agentic.template.expressions import parse
    from airflow_agentic.template.references import analyse

    found = {}
    for key, value in (task.config["output"] or {}).items():
        names = dict.fromkeys(
            reference.name for text in _texts(value) for reference in analyse(parse(text), strict=False)[0]
        )
        found[key] = tuple((name, task.reads[name]) for name in names if name in task.reads)
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _chosen(tasks: Iterable[PlannedTask]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Task → route → the outcomes under which that lets it run."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for task in tasks:
        for arm in _arms(task.start):
            found.setdefault(task.task_id, {})[arm["arm"]] = tuple(arm["outcomes"])
        if task.kind != "route":
            continue
        for task_id, outcomes in _directly_after(task).items():
            found.setdefault(task_id, {})[task.task_id] = outcomes
    return found


def _directly_after(route: PlannedTask) -> dict[str, tuple[str, ...]]:
    """The tasks that a route chooses, and those that it leaves out when it chooses to fail."""
    own = route.config
    entries = [*own["routes"], *(own["error"] or ())]
    outcomes = dict.fromkeys((*own["arms"], *(entry["outcome"] for entry in entries)))
    found: dict[str, tuple[str, ...]] = {
        task_id: tuple(outcome for outcome in outcomes if outcome != _FAIL) for task_id in own["fail_skips"]
    }
    arms = dict.fromkeys(task_id for ids in own["arms"].values() for task_id in ids)
    for task_id in arms:
        found[task_id] = tuple(outcome for outcome, ids in own["arms"].items() if task_id in ids)
    return found


def _arms(formula: Any) -> Iterator[dict[str, Any]]:
    """The decisions that a start formula asks for."""
    if isinstance(formula, dict):
        yield formula
    elif isinstance(formula, (list, tuple)) and len(formula) == 2:
        for part in formula[1]:
            if not isinstance(part, str):
                yield from _arms(part)
