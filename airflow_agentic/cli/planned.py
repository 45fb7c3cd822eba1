"""A plan for people: its stages, its tasks, its loops, its worst case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from airflow_agentic.render.notes import agent_type
from airflow_agentic.template.uses import least_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.planning.plan import Plan, PlannedTask
    from airflow_agentic.planning.worst_case import StageBound, WorstCase
    from airflow_agentic.template.template import Stage, Template

_RULES = {
    "all_success": "",
    "none_failed": " (or skipped)",
    "none_failed_min_one_success": " (or skipped, but not all)",
    "all_done": " (or failed, or skipped)",
    "one_done": " (or failed)",
    "one_success": " (one of them)",
    "none_skipped": " (ran or failed)",
}
_NUMBERS = ("level", "rounds", "items", "attempts", "calls")


def stage_table(template: Template, worst: WorstCase) -> Table:
    """One row per stage, those of inner pipelines below their pipeline's."""
    bounds = {bound.stage: bound for bound in worst.stages}
    titles = ("stage", "works", "rounds", "items", "attempts", "calls", "starts after", "when")
    return _table(titles, _stage_rows(template, bounds, "", ""))


def _stage_rows(
    template: Template, bounds: dict[str, StageBound], prefix: str, indent: str
) -> Iterator[tuple[str, ...]]:
    for name in template.order:
        stage = template.stages[name]
        bound = bounds.get(prefix + name)
        numbers = _numbers(bound) if bound is not None else ("", "", "", "")
        after, when = _starts_after(template, name), stage.spec.when or ""
        yield indent + name, _works(stage, template), *numbers, after, when
        if stage.pipeline is not None:
            yield from _stage_rows(stage.pipeline, bounds, f"{prefix}{name}.", indent + "  ")


def _works(stage: Stage, template: Template) -> str:
    """Who or what works on a stage, and on what list."""
    spec: Any = stage.spec
    if stage.kind == "agent":
        shown = f"{stage.agent} ({agent_type(stage, template)})"
    elif stage.kind == "merge":
        shown = f"merge: {spec.merge.how}"
    elif stage.kind == "human":
        shown = "a person"
    else:
        shown = f"pipeline {spec.pipeline}" if isinstance(spec.pipeline, str) else "pipeline"
    return shown if stage.for_each is None else f"{shown}, for each {stage.for_each}"


def _numbers(bound: StageBound) -> tuple[str, str, str, str]:
    rounds = " x ".join(str(number) for number in bound.rounds)
    items = "" if bound.items is None else f"{bound.items:,}"
    if not bound.attempts:
        return rounds, items, "", ""
    return rounds, items, str(bound.attempts), f"{bound.calls:,}"


def _starts_after(template: Template, name: str) -> str:
    depends = template.dependencies[name]
    waiting = (*depends.waiting, *depends.parts)
    parts = [
        ", ".join(depends.required),
        f"({', '.join(waiting)})" if waiting else "",
        f"chosen by {', '.join(depends.named_by)}" if depends.named_by else "",
    ]
    return "; ".join(part for part in parts if part)


def task_table(plan: Plan) -> Table:
    """One row per task of Airflow's."""
    titles = ("level", "task", "kind", "agent", "attempts", "starts after", "when")
    return _table(titles, (_task_row(plan, task) for task in plan.tasks))


def _task_row(plan: Plan, task: PlannedTask) -> tuple[str, ...]:
    config: dict[str, Any] = task.config
    agent = config.get("agent", "")
    shown = f"{agent} ({plan.agents[agent]['type']})" if agent else config.get("how", "")
    attempts = str(config["retry"]["attempts"]) if "retry" in config else ""
    return str(task.level), task.task_id, task.kind, shown, attempts, _after(task), config.get("when") or ""


def _after(task: PlannedTask) -> str:
    if task.kind == "finish":
        return "all tasks"
    return ", ".join(task.upstream) + _RULES[task.trigger_rule] if task.upstream else ""


def _table(titles: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Table:
    """Columns that are empty in every row are left out."""
    cells = list(rows)
    kept = [index for index in range(len(titles)) if any(row[index] for row in cells)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index in kept:
        table.add_column(titles[index], justify="right" if titles[index] in _NUMBERS else "left")
    for row in cells:
        table.add_row(*(Text(row[index]) for index in kept))
    return table


def lines_below(template: Template, plan: Plan, worst: WorstCase) -> Iterator[str]:
    """The loops, the worst case, the budget, the critical path and the digest."""
    loops = list(_loops(template, "", "  "))
    if loops:
        yield "Loops:"
        yield from loops
    for stage, length in worst.too_long.items():
        yield f"{stage}: its list holds {length:,} items, more than max_items: it will fail before any of them"
    levels = max(task.level for task in plan.tasks) + 1
    yield f"{len(worst.stages)} stages, {len(plan.tasks)} tasks on {levels} levels"
    people = f", {worst.questions:,} question{'s' * (worst.questions > 1)} to people" if worst.questions else ""
    yield f"at most {worst.executions:,} stage executions, {worst.calls:,} agent calls{people}"
    yield from _budget(template, worst)
    path = worst.critical_path
    yield f"critical path: {len(path)} executions: {_shortened(path)}"
    yield f"digest {plan.digest}"


def _budget(template: Template, worst: WorstCase) -> Iterator[str]:
    """What a run may spend, and whether that can be too little."""
    budget = template.spec.budget
    if budget is None:
        return
    bounds = []
    if budget.calls is not None:
        bounds.append(f"{_number_of(budget.calls, 'call')}{_compared(template, budget.calls, worst.calls)}")
    if budget.tokens is not None:
        bounds.append(_number_of(budget.tokens, "token"))
    if budget.cost_usd is not None:
        bounds.append(f"{_money(budget.cost_usd)} US dollars")
    yield f"budget of a run: {', '.join(bounds)}"


def _compared(template: Template, calls: int, worst: int) -> str:
    least = least_calls(template)
    if least > calls:
        return f" (too few: a run that ends well makes at least {least:,})"
    return f" (the worst case is {worst:,})" if worst > calls else ""


def _money(dollars: float) -> str:
    shown = f"{dollars:,.2f}"
    return shown if float(shown.replace(",", "")) == dollars else f"{dollars:,}"


def _number_of(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number > 1)}"


def _loops(template: Template, prefix: str, indent: str) -> Iterator[str]:
    """Every loop with its body, those inside it below it."""
    for loop in template.flow.loops:
        around = sum(loop.body < other.body for other in template.flow.loops)
        body = ", ".join(name for name in template.order if name in loop.body)
        rounds = "1 round" if loop.max_rounds == 1 else f"{loop.max_rounds} rounds"
        yield f"{indent}{'  ' * around}{prefix}{loop.source} back to {loop.target}, at most {rounds}: {body}"
    for name in template.order:
        inner = template.stages[name].pipeline
        if inner is not None:
            yield from _loops(inner, f"{prefix}{name}.", indent)


def _shortened(path: Sequence[str]) -> str:
    """The stages of a path, with what is repeated in it written once."""
    shown = []
    place = 0
    while place < len(path):
        length, times = _repeated(path, place)
        part = path[place : place + length]
        shown.append(f"{times} x ({_shortened(part)})" if times > 1 else part[0])
        place += length * times
    return " → ".join(shown)


def _repeated(path: Sequence[str], place: int) -> tuple[int, int]:
    """How long the part that begins there is which is repeated most usefully, and how often it is."""
    best = (1, 1)
    for length in range(1, (len(path) - place) // 2 + 1):
        part, times = path[place : place + length], 1
        while path[place + times * length : place + (times + 1) * length] == part:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best
