"""``on_error`` of the defaults: for every stage that says nothing of its own, where it makes sense."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_agentic.template.control import Targets, read_recoveries
from airflow_agentic.template.dependencies import find_cycle, topological

if TYPE_CHECKING:
    from collections.abc import Collection

    from airflow_agentic.template.stages import Scope
    from airflow_agentic.template.template import Recovery, Stage, Template


def read_default_recoveries(scope: Scope, stages: tuple[str, ...]) -> tuple[Recovery, ...]:
    """
    The entries of the defaults.

    :param stages: the names of all stages.
    """
    targets = Targets(reader=scope.reader, stage="", stages=stages)
    return read_recoveries(targets, scope.defaults.on_error, ("defaults", "on_error"), scope.agents, "defaults__backup")


def without_ways_back(template: Template) -> Template:
    """The template in which the defaults go on at a stage only from those that don't come after it."""
    everywhere = list(template.stages)
    stages = {name: _going_on(stage, without=everywhere) for name, stage in template.stages.items()}
    depends = replace(template, stages=stages).dependencies
    if find_cycle(depends, stages) is not None:
        return template
    before: dict[str, set[str]] = {}
    for name in topological(depends, everywhere):
        before[name] = set(depends[name].all).union(*(before[other] for other in depends[name].all))
    stages = {name: _going_on(stage, without=before[name]) for name, stage in template.stages.items()}
    return replace(template, stages=stages)


def _going_on(stage: Stage, without: Collection[str]) -> Stage:
    """The stage, whose defaults don't go on at some of the others."""
    kept = tuple(entry for entry in stage.recoveries if entry.loc[0] != "defaults" or entry.to not in without)
    return stage if kept == stage.recoveries else replace(stage, recoveries=kept)
