"""
The executions of stages that a plan foresees.

Airflow's graphs have no cycles, so a loop's body stands in the plan once per round. An *instance* is one stage in one
round of each loop around it; a *place* is such a choice of rounds, with the task group that belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_agentic.planning.tokens import Token
    from airflow_agentic.template.flow import Flow, Loop


@dataclass(frozen=True)
class Place:
    """
    Where tasks are put.

    :param prefix: of their ids: the task groups around them.
    :param rounds: the loops around them and their rounds, the outermost first.
    """

    prefix: str = ""
    rounds: tuple[tuple[Loop, int], ...] = ()

    def round_of(self, loop: Loop) -> int | None:
        """The round of a loop; None outside of it."""
        return next((number for other, number in self.rounds if other is loop), None)

    def repeated(self) -> tuple[Loop, int] | None:
        """The innermost loop that is in a later round than its first, and that round."""
        return next((pair for pair in reversed(self.rounds) if pair[1] > 1), None)

    def holds(self, other: Place) -> bool:
        """Whether another place agrees in the rounds of all loops that both are in."""
        return all(self.round_of(loop) in (None, number) for loop, number in other.rounds)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """
    One execution of a stage.

    :param result: the task whose end is the stage's end, and whose output is the stage's.
    :param entry: the task that starts first.
    :param tasks: all tasks that do its work.
    :param route: the task that decides, if the stage does.
    :param arms: which outcomes choose it → the task that succeeds then.
    :param token: when the flow reaches it.
    :param entered: a task that fails if the stage never ran because of a failure, and succeeds if it ran, failed or
        was skipped by its own condition; only where the stage's failure may be routed.
    """

    stage: str
    place: Place
    result: str
    entry: str
    tasks: tuple[str, ...]
    token: Token
    route: str | None = None
    arms: dict[frozenset[str], str] = field(default_factory=dict)
    entered: str | None = None

    @property
    def decided(self) -> str:
        """A task that is done when the stage has decided: one arm says as much as all."""
        return min(self.arms.items(), key=lambda arm: len(arm[0]))[1]


class Instances:
    """All instances of a scope, as far as they are planned."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._found: dict[str, list[Instance]] = {}

    def add(self, instance: Instance) -> None:
        """One more, after those of earlier rounds."""
        self._found.setdefault(instance.stage, []).append(instance)

    def all(self) -> list[Instance]:
        """All of them, stage by stage."""
        return [instance for found in self._found.values() for instance in found]

    def of(self, stage: str, place: Place) -> list[Instance]:
        """Those of a stage that a place sees: of the same rounds of the loops that it is in, of all others."""
        return [instance for instance in self._found.get(stage, ()) if place.holds(instance.place)]

    def left(self, stage: str, place: Place) -> Loop | None:
        """The outermost loop around a stage that a place is not in."""
        return next((loop for loop in self._flow.loops_of[stage] if place.round_of(loop) is None), None)
