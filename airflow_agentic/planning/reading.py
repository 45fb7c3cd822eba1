"""Where the names that a task reads come from: the tasks of the executions that it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.planning.entries import copes_with_failure
from airflow_agentic.planning.instances import Place
from airflow_agentic.template import models

if TYPE_CHECKING:
    from airflow_agentic.planning.instances import Instances
    from airflow_agentic.template.flow import Flow
    from airflow_agentic.template.template import Stage, Template

#: Stage → the tasks that its value may come from; and those of the names whose tasks may have been skipped.
Reads = tuple[dict[str, tuple[str, ...]], tuple[str, ...]]


class Reading:
    """Finds the sources of what the tasks of a scope read."""

    def __init__(self, template: Template, instances: Instances) -> None:
        self._template = template
        self._flow: Flow = template.flow
        self._instances = instances

    def of_stage(self, names: set[str], stage: Stage, place: Place) -> Reads:
        """What a stage reads at a place: of loops around it this round, of others the last one."""
        merged = stage.spec.merge.from_ if isinstance(stage.spec, models.MergeStage) else ()
        required = self._flow.found[stage.name].required
        read = [name for name in self._template.stages if name != stage.name and (name in names or name in merged)]
        reads = {name: tuple(other.result for other in self._instances.of(name, place)) for name in read}
        unsure = (
            self._template.stages if copes_with_failure(self._template, stage.name) else self._template.optional_stages
        )
        return reads, tuple(name for name in read if name not in required and (name in unsure or len(reads[name]) > 1))

    def feedback(self, place: Place) -> tuple[tuple[tuple[str, str], ...], ...]:
        """For each loop in a later round, the decisions that may have begun it."""
        levels = []
        for depth, (loop, number) in enumerate(place.rounds):
            if number > 1:
                before = Place("", (*place.rounds[:depth], (loop, number - 1)))
                outcome = frozenset((f"again_{loop.target}",))
                instances = [i for i in self._instances.of(loop.source, before) if i.route is not None]
                levels.append(tuple((i.arms[outcome], i.route or "") for i in instances))
        return tuple(levels)

    def errors(self, name: str, place: Place) -> tuple[tuple[str, str], ...]:
        """The failures that may have led to a stage."""
        found = []
        for stage in self._template.stages.values():
            for target in dict.fromkeys(stage.error_targets):
                if name == target or name in self._flow.descendants(target):
                    outcome = frozenset((f"error_to_{target}",))
                    instances = self._instances.of(stage.name, place)
                    found += [(i.arms[outcome], i.route) for i in instances if i.route is not None]
        return tuple(found)

    def at_end(self, owner: str, everywhere: Place) -> Reads:
        """What ``output`` or an artifact reads: of every stage the last execution, if there is one."""
        names = {reference.name for reference in self._template.reads.get(owner, ())}
        read = [name for name in self._template.stages if name in names]
        reads = {name: tuple(other.result for other in self._instances.of(name, everywhere)) for name in read}
        # The output is made whatever has failed.
        unsure = self._template.stages if owner == "output" else self._template.optional_stages
        return reads, tuple(name for name in read if name in unsure or len(reads[name]) > 1)
