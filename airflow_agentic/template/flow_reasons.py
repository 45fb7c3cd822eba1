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


class _Search:
    """
    Goes through the nodes, each after what it depends on.

    What is found: the nodes that the flow may not reach, those that may be skipped (all of these and more), and those
    that may be missing, skipped or failed.
    """

    def __init__(self, template: Template, flow: Flow) -> None:
        self._template = template
        self._flow = flow
        self._unreached: dict[str, Reason] = {}
        self._skipped: dict[str, Reason] = {}
        self.missing: dict[str, Reason] = {}

    def go(self) -> None:
        for name in self._flow.nodes:
            unreached = self._why_unreached(name)
            skipped = self._why_not(name) or unreached or self._why_not_without(name)
            missing = skipped or self._why_failed(name)
            for reason, found in ((unreached, self._unreached), (skipped, self._skipped), (missing, self.missing)):
                if reason is not None:
                    found[name] = reason

    def _why_unreached(self, name: str) -> Reason | None:
        depends = self._flow.found[name]
        if depends.named_by:
            return Reason("chosen", name, depends.named_by[0])
        for other in depends.required:
            reason = self._why_not_through(other, name)
            if reason is not None:
                return reason
        ways = [self._why_not_through(other, name) for other in self._flow.ways(name)]
        return ways[0] if ways and None not in ways else None

    def _why_not_through(self, other: str, name: str) -> Reason | None:
        """Why the flow may not come to a node through one before it; one that was skipped decides nothing."""
        if other in self._unreached:
            return self._unreached[other]
        if other in self._flow.outcomes and other in self._skipped:
            return self._skipped[other]
        return Reason("elsewhere", name, other) if self._flow.may_block(other, name) else None

    def _why_not(self, name: str) -> Reason | None:
        stage = self._template.stages.get(name)
        return Reason("when", name) if stage is not None and stage.spec.when is not None else None

    def _why_failed(self, name: str) -> Reason | None:
        stage = self._template.stages.get(name)
        return Reason("error", name, stage.error_targets[0]) if stage is not None and stage.error_targets else None

    def _why_not_without(self, name: str) -> Reason | None:
        """What a node can't do without, and may have to."""
        for other in self._flow.found[name].required:
            if other in self.missing:
                return self.missing[other]
        stage = self._template.stages.get(name)
        merged = stage.spec.merge.from_ if stage is not None and isinstance(stage.spec, models.MergeStage) else ()
        return Reason("parts", name) if merged and self.missing.keys() >= set(merged) else None


def reasons_of(template: Template, flow: Flow) -> dict[str, Reason]:
    """Node → why it may be missing; those that never are aren't in it."""
    search = _Search(template, flow)
    search.go()
    return search.missing
