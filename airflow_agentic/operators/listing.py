"""The list that a stage with ``for_each`` is repeated for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.operators.gathering import FanOutError

if TYPE_CHECKING:
    from collections.abc import Mapping


def listed(stage: str, config: Mapping[str, Any], values: Mapping[str, Any]) -> list[Any]:
    """
    The items.

    :param config: ``for_each`` and ``max_items``.
    :param values: what the expression sees.
    :raises ExpressionError: it can't be evaluated.
    :raises FanOutError: its value is no list, or too long.
    """
    from airflow_agentic.agents.validate import type_name
    from airflow_agentic.template.expressions import evaluate

    expression, most = config["for_each"], config["max_items"]
    found = evaluate(expression, values)
    if not isinstance(found, list):
        raise FanOutError(
            f"Stage {stage!r}, for_each: {expression} is {type_name(found)}, and not the list of items to work on."
        )
    if len(found) > most:
        raise FanOutError(
            f"Stage {stage!r}, for_each: {expression} holds {len(found)} items, more than max_items allows ({most}). "
            "None of them was worked on."
        )
    return found
