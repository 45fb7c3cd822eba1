"""
Which try of a task this is, counted since somebody last cleared it.

Attempts go on counting over Airflow's tries, because the language counts attempts, not tries; but when somebody clears
the task, it gets all its attempts anew, and nothing that it did before is used again. Airflow keeps no such border
itself: ``try_number`` only grows, XComs are deleted by every try, and the task's state store outlives a clear. But
clearing sets ``max_tries`` to the tries made so far plus ``retries``, so ``max_tries - retries`` is the number of
tries before this *life* of the task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Life:
    """
    Where a try stands.

    :param former_tries: those before the task was last cleared; it also tells the lives of a task apart.
    :param is_first_try: of this life.
    :param is_last_try: Airflow won't make another one.
    """

    former_tries: int
    is_first_try: bool
    is_last_try: bool

    @classmethod
    def of(cls, ti: Any, retries: int) -> Life:
        """
        The life of a task instance.

        :param retries: as the task's operator has them.
        """
        former = max(0, ti.max_tries - retries)
        return cls(
            former_tries=former,
            is_first_try=ti.try_number - former <= 1,
            is_last_try=ti.try_number > ti.max_tries,
        )
