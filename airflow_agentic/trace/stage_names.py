"""What stages are called where people read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def name_of(
    stage: str, rounds: Sequence[int], map_index: int = -1, item: int | None = None, label: str | None = None
) -> str:
    """
    A stage, and what tells its executions apart: in loops the round, the outermost loop's first, and the item.

    :param map_index: of the pipeline around it that is repeated for a list.
    :param item: its own place in the list, from 0; people count from 1.
    :param label: what the item is known by, see :mod:`~airflow_agentic.trace.labels`.
    """
    place = item if item is not None else map_index if map_index >= 0 else None
    more = [f"round {'.'.join(map(str, rounds))}"] if rounds else []
    more += [f"item {place + 1}"] if place is not None else []
    more += [label] if place is not None and label else []
    return f"{stage} ({', '.join(more)})" if more else stage
