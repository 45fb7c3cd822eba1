"""
Whose turn it is among the pipelines of a fan-out, where only some may be at work at the same time.

Airflow can limit how many instances of one task run at once, but not of several tasks in a row. So the first task of
each pipeline asks here, one after the other (Airflow lets only one of them run at a time), and those whose turn it
isn't come again later: each after half of the time that it will have to wait, as far as can be told. So a long queue
asks often enough to leave no place empty for long, and seldom enough not to keep the workers busy with asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.planning.rules import FINISHED

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds.
SHORTEST_WAIT = 3.0
LONGEST_WAIT = 600.0


def at_work(states: Mapping[str, str | None], start: str, result: str) -> int:
    """
    How many pipelines have begun and not ended.

    :param states: of all instances of the pipelines' first and last tasks, as Airflow tells them.
    """
    return sum(
        state == "success" and states.get(f"{result}_{index}") not in FINISHED
        for index, state in _by_index(states, start).items()
    )


def seconds_to_wait(states: Mapping[str, str | None], start: str, own_index: int, elapsed: float) -> float:
    """
    When to ask again.

    :param elapsed: seconds since this pipeline asked for the first time.
    """
    begun = _by_index(states, start)
    ahead = sum(index < own_index and state not in FINISHED for index, state in begun.items())
    passed = sum(state in FINISHED for state in begun.values())
    return min(max(SHORTEST_WAIT, ahead * elapsed / max(passed, 1) / 2), LONGEST_WAIT)


def _by_index(states: Mapping[str, str | None], task_id: str) -> dict[int, str | None]:
    found = {}
    for key, state in states.items():
        name, _, index = key.rpartition("_")
        if name == task_id and index.isdecimal():
            found[int(index)] = state
    return found
