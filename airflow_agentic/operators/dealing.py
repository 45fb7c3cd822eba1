"""
How the items of a list are dealt to Airflow's tasks, and how many of them may be at work at once in each.

Pure functions. Every mapped task costs Airflow a process, and the scheduler a row; so there is one per item only while
there are few, and then each works on many.
"""

from __future__ import annotations

from itertools import pairwise
from math import isqrt
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

#: Mapped tasks of a stage, where the template doesn't say how many items each gets.
MOST_TASKS = 16


def deal(items: Sequence[T], per_task: int | Literal["auto"], max_parallel: int | None) -> list[list[T]]:
    """
    The items of each task: neighbours, in order.

    :param per_task: ``auto``: one item per task while there are few, else about as many for each.
    :param max_parallel: items at work at once in all tasks; more tasks than that would wait for one another.
    """
    if per_task != "auto":
        return [list(items[start : start + per_task]) for start in range(0, len(items), per_task)]
    if len(items) <= MOST_TASKS:
        return [[item] for item in items]
    tasks = min(MOST_TASKS, max_parallel or MOST_TASKS)
    size, larger = divmod(len(items), tasks)
    starts = [number * size + min(number, larger) for number in range(tasks + 1)]
    return [list(items[start:end]) for start, end in pairwise(starts)]


def share(max_parallel: int, tasks: int, number: int) -> int:
    """
    How many items may be at work at once in one of several tasks, so that the shares add up to the whole.

    Airflow runs at most ``max_parallel`` of the tasks at once, so with more tasks than that each has one.

    :param number: of the task, from 0.
    """
    if tasks >= max_parallel:
        return 1
    whole, more = divmod(max_parallel, tasks)
    return whole + (1 if number < more else 0)


def split(max_parallel: int) -> tuple[int, int]:
    """
    Tasks at once and items at once in each of them, where neither the tasks nor their items are known beforehand.

    Their product is never more than the whole.
    """
    tasks = isqrt(max_parallel)
    return tasks, max_parallel // tasks
