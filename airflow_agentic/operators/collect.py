"""
The end of a fan-out: what its mapped tasks have left becomes the stage's output.

Readers of the stage only ever see this task. Airflow starts it when all mapped tasks have ended, however they did:
one that was killed has left nothing, and counts as its items' failure. However many there are, their results are
pulled at once; Airflow gives them in the order of the map indexes, but without these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import StageError
from airflow_agentic.operators.agent import push_gathered
from airflow_agentic.operators.base import PlannedOperator
from airflow_agentic.operators.deciding import KILLED
from airflow_agentic.operators.gathering import FanOutError
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.xcom import ERROR_KEY, OUTPUT_KEY, pull_error, pull_output, task_states, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_agentic.operators.scope import Scope


class CollectOperator(PlannedOperator):
    """A task that gathers the results of a stage's items."""

    ui_color = "#f3ecd8"

    def work(self, context: Context) -> None:
        """Gather the results and push them."""
        ti, own = context["ti"], self.planned.config
        dealt = _dealt(ti, own["items"])
        in_batches = any(isinstance(entry, list) for entry in dealt)
        entries = [entry for part in dealt for entry in part] if in_batches else dealt
        found = _of_batches(ti, own["item"]) if in_batches else _of_tasks(ti, own["item"], entries)
        results = [found.get(entry["index"]) or failed(entry, KILLED) for entry in entries]
        if own["recover"] and any(result["error"] for result in results):
            results = self._recovered(context, entries, results, found)
        push_gathered(context, self.planned, entries, results, own["tolerate"])

    def _recovered(
        self,
        context: Context,
        entries: Sequence[dict[str, Any]],
        results: Sequence[dict[str, Any]],
        found: Mapping[int, dict[str, Any]],
    ) -> list[dict[str, Any]]:
        """Values stand in for the items whose task left no result; others have had their chance in it."""
        scope = build_scope(context, self.planned)
        return [
            result if entry["index"] in found else self._stand_in_for(context, entry, result, scope)
            for entry, result in zip(entries, results, strict=True)
        ]

    def _stand_in_for(
        self, context: Context, entry: Mapping[str, Any], result: dict[str, Any], scope: Scope
    ) -> dict[str, Any]:
        error = result["error"]
        found = self.values_for(error["kind"], {**scope.values, **entry})
        if not found:
            return result
        self.record_failure(context, StageError(error["message"], error["kind"]), recovered=True, item=entry["index"])
        return {**result, "ok": True, "output": found[0], "error": None, "recovered": "value"}


def _dealt(ti: Any, task_id: str) -> list[Any]:
    """
    What the mapped tasks were given.

    :raises FanOutError: there was no list to deal.
    """
    dealt = pull_output(ti, task_id)
    if dealt is None:
        error = pull_error(ti, task_id) or KILLED
        raise FanOutError(error["message"], error["kind"])
    return [unwrapped(entry) for entry in dealt]


def failed(entry: Mapping[str, Any], error: Mapping[str, Any]) -> dict[str, Any]:
    """The result of an item whose task left none."""
    told = {"kind": error["kind"], "message": error["message"]}
    return {"index": entry["index"], "ok": False, "output": None, "error": told}


def _of_batches(ti: Any, task_id: str) -> dict[int, dict[str, Any]]:
    """The results that tasks working on several items have left, by the items' places."""
    return {result["index"]: result for output in _pull_all(ti, task_id, OUTPUT_KEY) for result in output["results"]}


def _of_tasks(ti: Any, task_id: str, entries: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """The results of tasks that each stand for one item: their outputs, and the errors of those that failed."""
    states = task_states(ti, [task_id]) if entries else {}
    by_state: dict[str | None, list[int]] = {}
    for entry in entries:
        by_state.setdefault(states.get(f"{task_id}_{entry['index']}"), []).append(entry["index"])
    outputs = _pull_each(ti, task_id, OUTPUT_KEY, by_state.get("success", []), pull_output)
    errors = _pull_each(ti, task_id, ERROR_KEY, by_state.get("failed", []), pull_error)
    ok = {"ok": True, "error": None}
    found = {index: {"index": index, "output": output, **ok} for index, output in outputs.items()}
    found.update({index: failed(entries[index], error) for index, error in errors.items() if error})
    return found


def _pull_each(
    ti: Any, task_id: str, key: str, indexes: Sequence[int], pull: Callable[[Any, str, int], Any]
) -> dict[int, Any]:
    """What mapped tasks have left under a key, in one call when each has left something, and no other has."""
    if not indexes:
        return {}
    values = _pull_all(ti, task_id, key)
    if not values:
        return dict.fromkeys(indexes)
    if len(values) != len(indexes):
        values = [pull(ti, task_id, index) for index in indexes]
    return dict(zip(indexes, values, strict=True))


def _pull_all(ti: Any, task_id: str, key: str) -> list[Any]:
    """All that the mapped tasks have left under a key, in the order of their map indexes."""
    return [unwrapped(value) for value in ti.xcom_pull(task_ids=[task_id], key=key) if value is not None]
