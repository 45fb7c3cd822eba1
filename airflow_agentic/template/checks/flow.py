"""How stages depend on each other."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean, listed

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Template


#: Executions of stages in one run, each of them a task or more.
MAX_EXECUTIONS = 5_000
_NOTIFICATIONS = ("notify.on_success", "notify.on_failure", "notify.on_escalation")
_AT_THE_END = ("output", "notify.on_success")
_CODES: dict[str, str] = {
    "back_to": "AGT453",
    "same_back_to": "AGT453",
    "waiting_loops": "AGT454",
    "exclusive": "AGT455",
    "unreachable": "AGT456",
}


def check(checking: Checking) -> None:
    """Names first, then circles, then what may not have run: each makes sense only after the one before."""
    _check_stage_names(checking)
    _check_merges(checking)
    template = checking.template
    cycle = template.cycle
    if cycle is not None:
        message = f"stages depend on each other in a circle: {' → '.join(reversed(cycle))}"
        hint = "a way back is a route: back_to, with max_rounds" if len(cycle) > 2 else "a stage can't wait for itself"
        checking.report("AGT410", message, template.stages[cycle[0]].loc, key=True, hint=hint)
        return
    if checking.sound and any(stage.decides for stage in template.stages.values()):
        for problem in template.flow.problems:
            message, code = problem.message, _CODES[problem.kind]
            checking.report(code, message, problem.loc, key=True, needle=problem.needle, hint=problem.hint)
    _check_optional(checking, template.optional_stages)
    _check_executions(checking)


def _check_executions(checking: Checking) -> None:
    """What a loop, a loop in it and the pipelines in that make of a few stages can be started by nobody."""
    template = checking.template
    if len(template.stages) <= MAX_EXECUTIONS and all(
        stage.pipeline is None and not stage.routes for stage in template.stages.values()
    ):
        return
    number = executions(template)
    if number > MAX_EXECUTIONS:
        message = f"a run may execute {number:,} stages: rounds of loops in each other multiply"
        loops = template.flow.loops
        loc = template.stages[loops[0].source].loc if loops else ("stages",)
        checking.report("AGT474", message, loc, key=True, hint=f"at most {MAX_EXECUTIONS:,}: lower max_rounds")


def executions(template: Template) -> int:
    """How many stages a run executes at most, fan-outs counted once."""
    total = 0
    for stage in template.stages.values():
        rounds = prod(loop.max_rounds for loop in template.flow.loops_of[stage.name])
        inner = stage.pipeline
        total += rounds * (1 if inner is None or inner.cycle else 1 + executions(inner))
    return total


def _check_stage_names(checking: Checking) -> None:
    template = checking.template
    for stage in template.stages.values():
        named: list[tuple[tuple[str, ...], str]] = [(("needs",), name) for name in stage.spec.needs]
        named += [(("after",), name) for name in stage.spec.after]
        if isinstance(stage.spec, models.MergeStage):
            named += [(("merge", "from"), name) for name in stage.spec.merge.from_]
        for place, name in named:
            if name not in template.stages:
                hint = did_you_mean(name, template.stages) or f"the stages are {listed(template.stages)}"
                message = f"there is no stage '{name}'"
                checking.report("AGT401", message, (*stage.loc, *place), needle=name, hint=hint)


def _check_merges(checking: Checking) -> None:
    for stage in checking.template.stages.values():
        if not isinstance(stage.spec, models.MergeStage):
            continue
        merge, loc = stage.spec.merge, (*stage.loc, "merge")
        for name in merge.from_:
            if merge.from_.count(name) > 1:
                checking.report("AGT414", f"'{name}' is merged twice", (*loc, "from"), hint="name each stage once")
                break
        if merge.by is not None and merge.how not in ("union", "majority", "best"):
            hint = "only union, majority and best have `by`"
            checking.report("AGT414", f"'{merge.how}' has no `by`", (*loc, "by"), key=True, hint=hint)
        if merge.by is None and merge.how == "best":
            hint = "say what the best one has most of: by: item.score"
            checking.report("AGT414", "'best' needs `by`", (*loc, "how"), hint=hint)
        if merge.require is not None and merge.require > len(merge.from_):
            message = f"{merge.require} parts are required, but only {len(merge.from_)} are merged"
            checking.report("AGT414", message, (*loc, "require"))


def _check_optional(checking: Checking, optional: frozenset[str]) -> None:
    """The result of a run, and what is told about it, must cope with stages that did not run."""
    template = checking.template
    unwritten = _artifact_is_optional(checking, optional)
    for key, analysis in checking.texts:
        if key.owner not in ("output", *_NOTIFICATIONS):
            continue
        unsure = optional | unwritten if key.owner in _AT_THE_END else {*template.stages, "artifact"}
        for reference in analysis.references:
            if reference.name in unsure and not reference.guarded:
                done = "been written" if reference.name == "artifact" else "run"
                message = f"'{reference.name}' may not have {done}"
                shown = ".".join(reference.path)
                hint = f"write {shown} | default(…), or … if {reference.name} is defined"
                checking.report_text("AGT406", message, key, needle=shown, text_line=reference.line, hint=hint)


def _artifact_is_optional(checking: Checking, optional: frozenset[str]) -> frozenset[str]:
    """The name of the one artifact, if a stage that it requires may not have run; of several there is a list."""
    template = checking.template
    depends = template.dependencies.get("artifact.0")
    several = isinstance(template.spec.artifact, list)
    skipped = depends is not None and not several and optional.intersection(depends.required)
    return frozenset(("artifact",)) if skipped else frozenset()
