"""
Airflow's trigger rules as functions of states: what becomes of a task, and which tasks can't run any more.

Three users need the same answer. A task inside a mapped task group starts with ``all_done`` and judges its *start
formula* for itself, because Airflow's rules can't be relied on there. A route task skips at once everything that its
decision leaves without a way to run, so that the rounds of a loop that aren't needed don't take the scheduler a pass
each. And the planner's formulas are tested against Airflow's own code.

A *formula* is ``[rule, [upstream …]]``; an upstream is a task id, a formula again (it stands for an empty task that
joins the others), or ``{"arm": route task id, "outcomes": [name …]}`` (it stands for the empty task after a route that
runs when one of these outcomes is chosen). What an unmapped task waits for is a formula too: its trigger rule and the
ids of its upstream tasks.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from airflow_agentic.planning.plan import PlannedTask

#: A task's state in Airflow, null before it has one.
State = str | None
#: What becomes of a task; ``waiting`` when that isn't certain yet.
Becomes = Literal["run", "skipped", "upstream_failed", "waiting"]
Formula = Any

#: Airflow's states of a task that has ended.
FINISHED = frozenset(("success", "skipped", "failed", "upstream_failed", "removed"))
#: What a task that only joins others has for a state, once it is decided what becomes of it.
_JOINED: dict[Becomes, State] = {
    "run": "success",
    "skipped": "skipped",
    "upstream_failed": "upstream_failed",
    "waiting": None,
}


def becomes(rule: str, states: Sequence[State]) -> Becomes:
    """
    What Airflow makes of a task, as ``airflow.ti_deps.deps.trigger_rule_dep`` does.

    Like Airflow it doesn't wait for the others once the answer is there: what was skipped first wins over what fails
    later.

    :param rule: one of the rules that plans use.
    :param states: of the upstream tasks.
    :raises ValueError: the rule is none of those.
    """
    if not states:
        return "run"
    count = Counter(state for state in states if state is not None and state in FINISHED)
    failed = count["failed"] + count["upstream_failed"]
    unfinished = len(states) - count.total()
    match rule:
        case "all_success":
            return "upstream_failed" if failed else "skipped" if count["skipped"] else _when_done(unfinished)
        case "none_failed":
            return "upstream_failed" if failed else _when_done(unfinished)
        case "none_failed_min_one_success":
            return _min_one_success(failed, unfinished, count)
        case "all_done":
            return _when_done(unfinished)
        case "one_done":
            ran = count["success"] + count["failed"]
            return "run" if ran else "waiting" if unfinished else "skipped"
        case "none_skipped":
            return "skipped" if count["skipped"] else _when_done(unfinished)
        case "one_success":
            return "run" if count["success"] else _without_success(unfinished, count, len(states))
    raise ValueError(f"no rule of plans: {rule!r}")


def _when_done(unfinished: int) -> Becomes:
    return "waiting" if unfinished else "run"


def _min_one_success(failed: int, unfinished: int, count: Counter[str]) -> Becomes:
    if failed:
        return "upstream_failed"
    if count["success"] and not unfinished:
        return "run"
    return _without_success(unfinished, count, unfinished + count.total())


def _without_success(unfinished: int, count: Counter[str], total: int) -> Becomes:
    if unfinished:
        return "waiting"
    return "skipped" if count["skipped"] == total else "upstream_failed"


def judge(formula: Formula, states: Mapping[str, State], outcomes: Mapping[str, str | None]) -> Becomes:
    """
    What becomes of a task with that start formula.

    :param states: of the tasks that the formula mentions; one that isn't there hasn't ended.
    :param outcomes: of the route tasks that have succeeded, as far as they are known; null: it chose nothing.
    """
    rule, upstream = formula
    return becomes(rule, [_state(part, states, outcomes) for part in upstream])


def _state(part: Any, states: Mapping[str, State], outcomes: Mapping[str, str | None]) -> State:
    if isinstance(part, str):
        return states.get(part)
    if not isinstance(part, dict):
        return _JOINED[judge(part, states, outcomes)]
    state = states.get(part["arm"])
    if state != "success":
        return "upstream_failed" if state == "failed" else state
    if part["arm"] not in outcomes:
        return None
    return "success" if outcomes[part["arm"]] in part["outcomes"] else "skipped"


def tasks_of(formula: Formula) -> tuple[str, ...]:
    """The tasks whose states a formula needs to know, routes among them."""
    return tuple(dict.fromkeys(part["arm"] if isinstance(part, dict) else part for part in _parts(formula)))


def routes_of(formula: Formula) -> tuple[str, ...]:
    """The route tasks whose outcomes a formula needs to know."""
    return tuple(dict.fromkeys(part["arm"] for part in _parts(formula) if isinstance(part, dict)))


def _parts(formula: Formula) -> Iterator[Any]:
    for part in formula[1]:
        if isinstance(part, (str, dict)):
            yield part
        else:
            yield from _parts(part)


def formula_of(task: PlannedTask) -> Formula:
    """What a task waits for: its start formula, or else its trigger rule."""
    return task.start or [task.trigger_rule, list(task.upstream)]


def formulas(tasks: Iterable[PlannedTask]) -> dict[str, Formula]:
    """
    What each task of a plan waits for, in the plan's order.

    A task that is repeated for the items of a list, or is in a group that is, is skipped with the list, whatever its
    own rule says.
    """
    found: dict[str, Formula] = {}
    lists: dict[str, str] = {}
    for task in tasks:
        source = task.config.get("items") if task.kind in ("item", "start") else None
        if task.mapped and source:
            lists[task.mapped] = source
        source = source or lists.get(task.mapped or "")
        own = formula_of(task)
        found[task.task_id] = ["all_success", [source, own]] if source else own
    return found


def concerned(tasks: Mapping[str, Formula], changed: Collection[str]) -> list[str]:
    """
    The tasks whose states have to be known to say what a change means for those after it.

    :param tasks: as for :func:`doomed`.
    :param changed: tasks that have just got a state.
    """
    after = set(changed)
    known = dict.fromkeys(changed)
    for task_id, formula in tasks.items():
        mentioned = tasks_of(formula)
        if not after.isdisjoint(mentioned):
            after.add(task_id)
            known.update(dict.fromkeys((task_id, *mentioned)))
    return list(known)


def doomed(
    tasks: Mapping[str, Formula],
    states: Mapping[str, State],
    skipped: Collection[str],
    outcomes: Mapping[str, str | None] | None = None,
) -> list[str]:
    """
    The tasks that Airflow is now certain to skip, sooner or later: to skip them at once changes nothing else.

    :param tasks: task id → what it waits for, each after those that it mentions.
    :param states: as far as they are known; a task without one hasn't started.
    :param skipped: tasks that are skipped now, whatever they wait for.
    :param outcomes: see :func:`judge`.
    """
    known = {**states, **dict.fromkeys(skipped, "skipped")}
    found = []
    for task_id, formula in tasks.items():
        # what has any state was already found fit to run
        if known.get(task_id) is None and judge(formula, known, outcomes or {}) == "skipped":
            known[task_id] = "skipped"
            found.append(task_id)
    return found
