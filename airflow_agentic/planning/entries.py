"""
When a stage's first task starts: edges, decisions and loops turned into upstream tasks and joins.

The rules are those of ``docs/decisions/0010-control-flow.md``; what makes them hard in Airflow is in
``docs/decisions/0002-joins.md`` and below, where it matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.planning.joins import Start, start_of
from airflow_agentic.planning.tokens import all_of, any_of
from airflow_agentic.template import models

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.planning.instances import Instances, Place
    from airflow_agentic.planning.sheet import Sheet
    from airflow_agentic.planning.tokens import Token
    from airflow_agentic.template.flow import Flow, Loop
    from airflow_agentic.template.template import Template


@dataclass(frozen=True)
class Entry:
    """How a stage starts, and when the flow reaches it."""

    start: Start
    token: Token


class Entries:
    """
    Finds out how the stages of a scope start.

    :param root: the task that begins an inner pipeline; None for a whole template.
    """

    def __init__(self, template: Template, sheet: Sheet, instances: Instances, root: str | None) -> None:
        self._template = template
        self._flow: Flow = template.flow
        self._sheet = sheet
        self._instances = instances
        self._root = root
        self._flows: dict[Token, str] = {}
        #: the loop and the place around it → the task that ends with it
        self.done: dict[tuple[Loop, Place], str] = {}
        #: the loop and the place of the round before → the task that begins the next one
        self.again: dict[tuple[Loop, Place], str] = {}

    def of(self, name: str, place: Place, task_id: str) -> Entry:
        """
        How a stage (or an artifact) starts at a place.

        :param task_id: of its first task, after which its joins are called.
        """
        depends = self._flow.found[name]
        must = [self._root] if self._root is not None and not depends.required else []
        tokens: list[Token] = []
        again = self._begins_with_round(name, place)
        if again is not None:
            must.append(again)
            tokens.append(again)
        if depends.named_by and not self._is_begun(name, place):
            chosen = self._chosen(name, place, task_id)
            must += chosen
            tokens.append(chosen[-1])
        waiting: list[str] = []
        for other in depends.required:
            must += self._required(other, name, place)
            tokens.append(self._edge_token(other, place, self._flow.alive_after_success(other, name)))
        for other in depends.waiting:
            needed, awaited = self._waited(other, name, place)
            must += needed
            waiting += awaited
        parts = [task for other in depends.parts for task in self._part(other, name, place, must)]
        if not depends.required and not depends.named_by and (depends.waiting or depends.parts):
            ways = any_of(
                self._edge_token(other, place, self._flow.alive(other, name))
                for other in (*depends.waiting, *depends.parts)
            )
            tokens.append(ways)
            if ways is not None:
                must.append(self._reached(ways, name, task_id))
        start = start_of(
            task_id,
            required=_unique(must),
            waiting=_unique(waiting),
            parts=_unique(parts),
            parts_rule="all_done" if copes_with_failure(self._template, name) else "none_failed",
        )
        return Entry(start, all_of(tokens))

    # -- rounds ------------------------------------------------------------------------------------------------------

    def _begins_with_round(self, name: str, place: Place) -> str | None:
        """The task that begins the round, if the stage doesn't follow another one that does."""
        repeated = place.repeated()
        if repeated is None:
            return None
        loop, number = repeated
        if name != loop.target and set(self._flow.found[name].required) & loop.body:
            return None
        return next(task for (other, before), task in self.again.items() if _before(other, before, loop, number, place))

    def _is_begun(self, name: str, place: Place) -> bool:
        """Whether it is the target of the loop whose round begins here: whoever named it once, it runs again."""
        repeated = place.repeated()
        return repeated is not None and repeated[0].target == name

    # -- decisions ---------------------------------------------------------------------------------------------------

    def _chosen(self, name: str, place: Place, task_id: str) -> list[str]:
        """Tasks that succeed when a decision has chosen the stage, the one that says so last."""
        ended: list[str] = []
        arms = []
        for other in self._flow.found[name].named_by:
            ended += self._ends(other, place)
            naming = self._flow.naming(other, name)
            arms += [instance.arms[naming] for instance in self._instances.of(other, place)]
        if len(arms) > 1:
            arms = [self._sheet.join(f"{task_id}__enter", name, tuple(arms), "none_failed_min_one_success")]
        return [*ended, *arms]

    def _one_arm(self, other: str, place: Place, outcomes: frozenset[str]) -> str:
        """A task that succeeds when a stage's decision (in a loop: that of any round) is one of the outcomes."""
        arms = [instance.arms[outcomes] for instance in self._instances.of(other, place)]
        if len(arms) == 1:
            return arms[0]
        task_id = f"{place.prefix}{arms[0].rpartition('.')[2]}"
        return self._sheet.join(task_id, other, tuple(arms), "none_failed_min_one_success")

    # -- edges -------------------------------------------------------------------------------------------------------

    def _ends(self, other: str, place: Place) -> list[str]:
        """The end of the loop that a stage is in, for a place outside of it."""
        loop = self._instances.left(other, place)
        return [] if loop is None else [self._done(loop, place)]

    def _done(self, loop: Loop, place: Place) -> str:
        return next(task for (other, around), task in self.done.items() if other is loop and around.holds(place))

    def _required(self, other: str, name: str, place: Place) -> list[str]:
        ended = self._ends(other, place)
        outcomes = self._flow.alive_after_success(other, name)
        if self._template.stages[other].decides:
            return [*ended, self._one_arm(other, place, outcomes)]
        results = tuple(instance.result for instance in self._instances.of(other, place))
        if len(results) == 1:
            return [*ended, results[0]]
        return [*ended, self._sheet.join(f"{place.prefix}{other}__ran", other, results, "none_failed_min_one_success")]

    def _waited(self, other: str, name: str, place: Place) -> tuple[list[str], list[str]]:
        """Tasks that must have succeeded, and tasks that must only be done, for a stage that waits for another."""
        ended = self._ends(other, place)
        if ended:
            return ended, []
        instance = self._instances.of(other, place)[0]
        if self._template.stages[other].decides:
            arms = [instance.arms[self._flow.alive(other, name)]]
            return [], [*arms, *([instance.entered] if instance.entered else [])]
        if other not in self._template.optional_stages:
            # It always runs, so that waiting for it is as good as requiring it, and needs no join.
            return [instance.result], []
        return [], [instance.result]

    def _part(self, other: str, name: str, place: Place, must: list[str]) -> list[str]:
        """Tasks that a merge waits for on account of a part; without ``require``, none of them may fail."""
        ended = self._ends(other, place)
        if not copes_with_failure(self._template, name):
            needed, awaited = self._waited(other, name, place)
            must += [task for task in needed if task in ended]
            return [*(task for task in needed if task not in ended), *awaited]
        instances = self._instances.of(other, place)
        if self._template.stages[other].decides:
            return [*ended, *(instance.route or instance.result for instance in instances if not ended)]
        return [*ended, *(instance.result for instance in instances)]

    # -- tokens ------------------------------------------------------------------------------------------------------

    def _edge_token(self, other: str, place: Place, outcomes: frozenset[str]) -> Token:
        """When the flow passes from a stage to one at a place."""
        instances = self._instances.of(other, place)
        if self._template.stages[other].decides:
            passed = any_of(instance.arms[outcomes] for instance in instances)
        else:
            passed = any_of(instance.token for instance in instances)
        loop = self._instances.left(other, place)
        if loop is None or not self._may_fail(loop):
            return passed
        return all_of((passed, self._done(loop, place)))

    def _may_fail(self, loop: Loop) -> bool:
        return any("fail" in self._flow.outcomes.get(name, ()) for name in loop.body)

    def _reached(self, ways: Token, name: str, task_id: str) -> str:
        """The task that succeeds when the flow reaches a stage; a merge that copes with failures, also by a failure."""
        way = self._task_of(ways, name, task_id)
        if not copes_with_failure(self._template, name):
            return way
        return self._sheet.join(f"{task_id}__reached", name, (way,), "none_skipped")

    def _task_of(self, token: Token, name: str, task_id: str) -> str:
        """The task that succeeds when a formula holds."""
        if isinstance(token, str):
            return token
        if token is None:
            raise ValueError("what always holds needs no task")
        if token not in self._flows:
            word, parts = token
            tasks = tuple(self._task_of(part, name, task_id) for part in parts)
            flow_id = f"{task_id}__flow{len(self._flows) + 1}"
            # What failed stops the stage by another way; here one way that is open is enough.
            rule = "all_success" if word == "and" else "one_success"
            self._flows[token] = self._sheet.join(flow_id, name, tasks, rule)  # type: ignore[arg-type]
        return self._flows[token]


def copes_with_failure(template: Template, name: str) -> bool:
    """Whether it is a merge that says how many of its parts it needs."""
    stage = template.stages.get(name)
    return stage is not None and isinstance(stage.spec, models.MergeStage) and stage.spec.merge.require is not None


def _before(other: Loop, before: Place, loop: Loop, number: int, place: Place) -> bool:
    """Whether a place is that of the round before, as seen from another place in the same outer rounds."""
    if other is not loop or before.round_of(loop) != number - 1:
        return False
    outer = before.rounds[: next(index for index, pair in enumerate(before.rounds) if pair[0] is loop)]
    return all(place.round_of(each) == round_ for each, round_ in outer)


def _unique(tasks: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tasks))
