"""How stages depend on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template import models
from airflow_agentic.template.flow_problems import MAX_EXECUTIONS, problems_of
from airflow_agentic.template.hints import did_you_mean, listed

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Template


_NOTIFICATIONS = ("notify.on_success", "notify.on_failure", "notify.on_escalation")
_AT_THE_END = ("output", "notify.on_success")
_CODES: dict[str, str] = {
    "back_to": "AGT453",
    "same_back_to": "AGT453",
    "waiting_loops": "AGT454",
    "torn_loops": "AGT454",
    "too_many_rounds": "AGT474",
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
        for problem in problems_of(template, template.flow):
            place = {"key": problem.loc[-1] not in ("back_to", "max_rounds"), "needle": problem.needle}
            checking.report(_CODES[problem.kind], problem.message, problem.loc, hint=problem.hint, **place)
    _check_optional(checking, template.optional_stages)
    _check_executions(checking)


def _check_executions(checking: Checking) -> None:
    """Pipelines in pipelines multiply too."""
    template = checking.template
    pipelines = [stage for stage in template.stages.values() if stage.pipeline is not None]
    if not pipelines or template.flow.loops or template.flow.executions <= MAX_EXECUTIONS:
        return
    message = f"all pipelines together are {template.flow.executions} executions of stages, more than {MAX_EXECUTIONS}"
    largest = max(pipelines, key=lambda stage: _size(stage.pipeline))
    hint = "lower max_rounds in them, or use fewer of them"
    checking.report("AGT474", message, (*largest.loc, "pipeline"), key=True, hint=hint)


def _size(pipeline: Template | None) -> int:
    return 0 if pipeline is None or pipeline.cycle else pipeline.flow.executions


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
            if reference.name in unsure and (not reference.guarded or reference.instead):
                done = "been written" if reference.name == "artifact" else "run"
                message = f"'{reference.name}' may not have {done}: {_why(checking, key.owner, reference.name)}"
                shown = ".".join(reference.path)
                hint = f"write {shown} | default(…), or … if {reference.name} is defined"
                checking.report_text("AGT406", message, key, needle=shown, text_line=reference.line, hint=hint)


def _why(checking: Checking, owner: str, name: str) -> str:
    """Why something may be missing where it is read."""
    if owner not in _AT_THE_END:
        return "this is told before the end, or after a failure"
    node = "artifact.0" if name == "artifact" else name
    return checking.template.flow.reasons[node].of(node)


def _artifact_is_optional(checking: Checking, optional: frozenset[str]) -> frozenset[str]:
    """The name of the one artifact, if a stage that it requires may not have run; of several there is a list."""
    template = checking.template
    depends = template.dependencies.get("artifact.0")
    several = isinstance(template.spec.artifact, list)
    skipped = depends is not None and not several and optional.intersection(depends.required)
    return frozenset(("artifact",)) if skipped else frozenset()
