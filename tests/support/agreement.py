"""Compare a template's run on Airflow's scheduling with what the reference interpreter says it means."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from support import flow_agents
from support.flow_graph import Graph
from support.flow_templates import to_yaml
from support.interpreter import Execution, Outcome, interpret
from support.scheduling import run_scripted

from airflow_agentic.errors import NotRunError
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload

    from airflow_agentic.planning.plan import Plan, PlannedTask

#: Kinds of tasks that stand for a stage as a whole.
STAGE_TASKS = ("agent", "merge", "human", "collect", "result", "artifact")
_number = itertools.count(1)

#: Stage (with the pipelines around it), rounds, item of the pipeline around it.
Key = tuple[str, tuple[int, ...], int | None]


class EndedRun(Protocol):
    """
    A run that has ended, wherever it ran.

    :param states: (task id, map index) → state; -1 where the task isn't mapped.
    :param errors: what failed tasks raised, as far as it is known.
    """

    dag_id: str
    run_id: str
    state: str
    states: dict[tuple[str, int], str | None]
    errors: Mapping[tuple[str, int], object]

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task pushed, or None."""


@dataclass(kw_only=True)
class Seen:
    """
    What happened, in the words of both sides.

    :param states: what ran or failed; everything else did neither.
    :param outputs: of what ran.
    :param calls: what agents were given: (index in a fan-out, agent, input), in order.
    :param decisions: (route, what goes back).
    :param artifacts: the contents of those that were written.
    """

    state: str
    states: dict[Key, str] = field(default_factory=dict)
    outputs: dict[Key, Any] = field(default_factory=dict)
    calls: dict[Key, list[Any]] = field(default_factory=dict)
    decisions: dict[Key, Any] = field(default_factory=dict)
    artifacts: list[str] = field(default_factory=list)
    output: Any = None

    def without(self, names: set[str]) -> Seen:
        """Without what can't be known of some stages, by their paths."""
        if not names:
            return self

        def known(found: dict[Key, Any]) -> dict[Key, Any]:
            return {key: value for key, value in found.items() if key[0] not in names}

        return Seen(
            state=self.state,
            states=known(self.states),
            outputs=known(self.outputs),
            calls=known(self.calls),
            decisions=known(self.decisions),
        )


def expected(spec: dict[str, Any], inputs: dict[str, Any]) -> tuple[Seen, Outcome]:
    """What the interpreter says."""
    outcome = interpret(spec, inputs)
    seen = Seen(state="failed" if outcome.output is None else "success", output=_plain(outcome.output))
    for each in outcome.executions:
        key = (each.path, each.rounds, each.item)
        if each.state in ("ran", "failed"):
            seen.states[key] = each.state
        if each.calls:
            seen.calls[key] = _sorted(each.calls)
        if each.decision is not None:
            seen.decisions[key] = (each.decision.route, each.decision.with_)
        if each.state == "ran" and not each.path.startswith("artifact."):
            seen.outputs[key] = _plain(each.output)
    seen.artifacts = [content for content in outcome.artifacts if content is not None]
    return seen, outcome


def uncertain(spec: dict[str, Any], executions: list[Execution]) -> set[str]:
    """The stages of which it can't be known whether they run, after one that didn't run for two reasons."""
    graph = Graph(spec)
    unsure = {
        each.path.partition(".")[0] if "artifact." not in each.path else each.path
        for each in executions
        if each.state == "unsure"
    }
    while True:
        more = {other for name in unsure for other in graph.below[name]}
        more |= {other for loop in graph.loops if loop.body & unsure for other in loop.body}
        if more <= unsure:
            return unsure
        unsure |= more


def observed(plan: Plan, run: EndedRun, artifacts: Path, store: TraceStore) -> Seen:
    """What the run left."""
    seen = Seen(state=run.state, output=_plain(run.xcom("run__finish")) if run.state == "success" else None)
    planned = {task.task_id: task for task in plan.tasks}
    for (task_id, index), state in run.states.items():
        task = planned[task_id]
        key = _key(task, index)
        if isinstance(run.errors.get((task_id, index)), NotRunError):
            continue  # inside of a mapped group, a task itself says so, and Airflow calls that failed
        if _stands_for_a_stage(task) and state in ("success", "failed"):
            seen.states[key] = "ran" if state == "success" else "failed"
            if state == "success" and task.kind == "artifact":
                uri = run.xcom(task_id)["uri"]
                seen.artifacts.append((artifacts / uri.rpartition("/")[2]).read_text())
            elif state == "success":
                seen.outputs[key] = _plain(run.xcom(task_id, map_index=index))
        if task.kind == "items" and state == "failed":
            seen.states[key] = "failed"
        if task.kind == "route" and state == "success":
            decision = run.xcom(task_id, "agentic_decision", index)
            seen.decisions[key] = (decision["route"], decision["with"])
    for path, record in store.records(run.dag_id, run.run_id).items():
        if isinstance(record, AttemptRecord):
            whole: Any = store.read(path)
            key = _key(planned[record.task_id], record.map_index)
            index = whole.item["index"] if whole.item else None
            seen.calls.setdefault(key, []).append((index, record.agent["name"], whole.input["input"]))
    seen.calls = {key: _sorted(calls) for key, calls in seen.calls.items()}
    return seen


def _stands_for_a_stage(task: PlannedTask) -> bool:
    """A pipeline that is repeated for a list has a result per item, and a collect for the stage."""
    return task.kind in STAGE_TASKS and not (task.kind == "result" and task.config.get("items"))


def _key(task: PlannedTask, index: int) -> Key:
    path = task.stage
    if task.kind == "artifact":
        path = f"artifact.{task.task_id.removeprefix('artifact').removeprefix('__') or 0}"
    return path, tuple(task.rounds), index if task.mapped is not None else None


def _sorted(calls: Any) -> list[Any]:
    return sorted(calls, key=lambda call: (-1 if call[0] is None else call[0], call[1]))


def _plain(value: Any) -> Any:
    """Without the words of error messages, which the language doesn't fix."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items() if key != "message"}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def respond(asked: CreateHITLDetailPayload) -> tuple[str, dict[str, Any]] | None:
    """The scripted answer to what a task asks."""
    answered = flow_agents.answer(asked.subject)
    return None if answered is None else (answered[0], {"note": answered[1]})


def compare(spec: dict[str, Any], folder: Path, *, inputs: dict[str, Any] | None = None, seed: int = 0) -> Seen:
    """
    Run a template both ways.

    :param folder: for its file, and its traces and artifacts (see :func:`environment`).
    :param seed: of the order of events.
    :returns: what was seen.
    :raises AssertionError: the two disagree.
    :raises TemplateError: the checks refuse it.
    """
    plan = planned(spec, folder)
    run = run_scripted(build_dag_from_plan(plan), inputs, seed=seed, answer=respond)
    return agree(spec, plan, run, inputs=inputs, artifacts=folder / "artifacts")


def agree(
    spec: dict[str, Any],
    plan: Plan,
    run: EndedRun,
    *,
    artifacts: Path,
    inputs: dict[str, Any] | None = None,
    store: TraceStore | None = None,
) -> Seen:
    """
    Compare a run with what the interpreter says.

    :param artifacts: the folder of the artifact store.
    :param store: the trace store, if it isn't the configured one.
    :raises AssertionError: the two disagree.
    """
    wanted, outcome = expected(spec, inputs or {})
    found = observed(plan, run, artifacts, store or TraceStore())
    unknown = uncertain(spec, outcome.executions)
    paths = {key[0] for key in [*wanted.states, *found.states, *wanted.calls, *found.calls]}
    dropped = {path for path in paths if path in unknown or path.partition(".")[0] in unknown}
    known, meant = found.without(dropped), wanted.without(dropped)
    assert known == meant, explain(known, meant, run)
    return found


def planned(spec: dict[str, Any], folder: Path) -> Plan:
    """
    The plan of a template; its name is its own, so that no run of another meets it.

    :raises TemplateError: the checks refuse it.
    """
    file = folder / f"flow_{next(_number)}.yaml"
    file.write_text(to_yaml(spec), encoding="utf-8")
    return make_plan(load_template(file))


def environment(folder: Path) -> dict[str, str]:
    """Where runs leave what they leave."""
    return {
        "AIRFLOW__AGENTIC__TRACE_URL": str(folder / "trace"),
        "AIRFLOW__AGENTIC__ARTIFACT_URL": str(folder / "artifacts"),
    }


def explain(found: Seen, wanted: Seen, run: EndedRun) -> str:
    """Where the two differ, and what Airflow's tasks did."""
    lines = [f"run: {found.state}, expected: {wanted.state}"]
    for name in ("states", "calls", "decisions", "outputs"):
        one, other = getattr(found, name), getattr(wanted, name)
        lines += [
            f"{name}: {key}: run: {one.get(key)!r}, expected: {other.get(key)!r}"
            for key in dict.fromkeys([*other, *one])
            if one.get(key) != other.get(key)
        ]
    lines += [
        f"{name}: run: {getattr(found, name)!r}, expected: {getattr(wanted, name)!r}"
        for name in ("output", "artifacts")
    ]
    lines += [f"  {task_id}[{index}]: {state}" for (task_id, index), state in run.states.items()]
    lines += [f"  {task_id} raised {error!r}" for (task_id, _), error in run.errors.items()]
    return "\n".join(lines)
