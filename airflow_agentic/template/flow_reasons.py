"""
Which stages need not have run when a run ends well, and why.

Two things are told apart, because a stage skipped by its own ``when`` lets the flow pass and one on a route that wasn't
taken doesn't: whether the flow may not *reach* a stage, and whether the stage may be *missing* all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from airflow_agentic.template import models

if TYPE_CHECKING:
    from airflow_agentic.template.flow import Flow
    from airflow_agentic.template.template import Template

Kind = Literal["when", "error", "chosen", "elsewhere", "parts"]
_WORDS: dict[Kind, str] = {
    "when": "has a `when`",
    "error": "may fail, and the run go on at '{other}'",
    "chosen": "runs only if '{other}' goes on there",
    "elsewhere": "comes after '{other}', which may go on elsewhere",
    "parts": "merges only stages that need not have run",
}


class Reason(NamedTuple):
    """
    Why a stage, or one that it depends on, may be missing.

    :param stage: which one.
    :param other: what the reason is about: a stage that decides, or where the run goes on.
    """

    kind: Kind
    stage: str
    other: str = ""

    def of(self, name: str) -> str:
        """The reason in words, for the stage of that name or one that depends on it."""
        words = _WORDS[self.kind].format(other=self.other)
        return f"it {words}" if name == self.stage else f"it depends on '{self.stage}', which {words}"


def reasons_of(template: Template, flow: Flow) -> dict[str, Reason]:
    """Node → why it may be missing; those that never are aren't in it."""
    unreached: dict[str, Reason] = {}
    missing: dict[str, Reason] = {}
    for name in flow.nodes:
        reason = _unreached(flow, name, unreached)
        if reason is not None:
            unreached[name] = reason
        reason = _own(template, name) or reason or _without(template, flow, name, missing)
        if reason is not None:
            missing[name] = reason
    return missing


def _unreached(flow: Flow, name: str, unreached: dict[str, Reason]) -> Reason | None:
    """Why the flow may not reach a node."""
    depends = flow.found[name]
    if depends.named_by:
        return Reason("chosen", name, depends.named_by[0])
    for other in depends.required:
        reason = _edge(flow, other, name, unreached)
        if reason is not None:
            return reason
    ways = [_edge(flow, other, name, unreached) for other in flow.ways(name)]
    return ways[0] if ways and None not in ways else None


def _edge(flow: Flow, other: str, name: str, unreached: dict[str, Reason]) -> Reason | None:
    """Why the flow may not come to a node through one before it."""
    if other in unreached:
        return unreached[other]
    return Reason("elsewhere", name, other) if flow.may_block(other, name) else None


def _own(template: Template, name: str) -> Reason | None:
    stage = template.stages.get(name)
    if stage is None:
        return None
    if stage.spec.when is not None:
        return Reason("when", name)
    return Reason("error", name, stage.error_targets[0]) if stage.error_targets else None


def _without(template: Template, flow: Flow, name: str, missing: dict[str, Reason]) -> Reason | None:
    """What a node can't do without, and may have to."""
    for other in flow.found[name].required:
        if other in missing:
            return missing[other]
    stage = template.stages.get(name)
    if stage is not None and isinstance(stage.spec, models.MergeStage) and missing.keys() >= {*stage.spec.merge.from_}:
        return Reason("parts", name)
    return None
