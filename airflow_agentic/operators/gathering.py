"""
From the results of a fan-out's items to what the stage's readers see.

Pure functions; results are as :mod:`airflow_agentic.operators.batch` leaves them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Failed items that a message tells about.
_TOLD = 3


class FanOutError(StageError):
    """A list that can't be worked on, or more failed items than the stage tolerates."""


def entries_of(values: Sequence[Any]) -> list[dict[str, Any]]:
    """A list's values with their places."""
    return [{"index": index, "item": value} for index, value in enumerate(values)]


def gathered(entries: Iterable[dict[str, Any]], results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """
    The output of a stage with ``for_each``.

    :param entries: of the list, in order.
    :param results: one per entry, in any order.
    """
    by_index = {result["index"]: result for result in results}
    told = [_told(entry, by_index[entry["index"]]) for entry in entries]
    errors = [{"index": each["index"], "item": each["item"], **each["error"]} for each in told if not each["ok"]]
    return {
        "results": told,
        "outputs": [each["output"] for each in told if each["ok"]],
        "errors": errors,
        "total": len(told),
        "succeeded": len(told) - len(errors),
        "failed": len(errors),
        "failed_ratio": len(errors) / len(told) if told else 0,
    }


def check_tolerance(stage: str, output: dict[str, Any], tolerate: int | str) -> None:
    """
    Have few enough items failed?

    :param output: as :func:`gathered` gives it.
    :param tolerate: a number of items, or a share of them (``20%``).
    :raises FanOutError: no.
    """
    total, errors = output["total"], output["errors"]
    if len(errors) <= _allowed(tolerate, total):
        return
    told = [f"item {error['index']} ({error['kind']}): {error['message']}" for error in errors[:_TOLD]]
    more = [f"and {len(errors) - _TOLD} more"] if len(errors) > _TOLD else []
    raise FanOutError(
        f"Stage {stage!r}: {len(errors)} of {total} items failed, and no more than {tolerate} may (tolerate): "
        + "; ".join([*told, *more])
    )


def _allowed(tolerate: int | str, total: int) -> Fraction | int:
    if isinstance(tolerate, int):
        return tolerate
    return Fraction(tolerate.removesuffix("%")) * total / 100


def _told(entry: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "ok": result["ok"], "output": result["output"], "error": result["error"]}
