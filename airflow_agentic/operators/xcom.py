"""
Outputs of stages through Airflow's XCom, unchanged.

Airflow's XCom is no plain JSON: a mapping with a key such as ``__classname__`` is refused when it is pushed, and one
with ``__type`` and ``__var`` is turned into something else when it is pulled. An agent may answer anything, so a value
that holds such keys travels as JSON text in a wrapper; everything else travels as it is, readable for others.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OUTPUT_KEY = "return_value"
PROVENANCE_KEY = "agentic"
WRAPPER = "$json"


def push_output(ti: Any, value: Any) -> None:
    """Make a value the output of a task; null is pushed like any other."""
    ti.xcom_push(OUTPUT_KEY, wrapped(value))


def pull_output(ti: Any, task_id: str) -> Any:
    """The output of a task that succeeded."""
    return unwrapped(ti.xcom_pull(task_ids=task_id, key=OUTPUT_KEY, map_indexes=-1))


def push_provenance(ti: Any, *, attempt: int | None, record: str | None, model: str | None, agent: str | None) -> None:
    """Say which attempt, and which record of it, stands behind the task's output."""
    ti.xcom_push(PROVENANCE_KEY, {"attempt": attempt, "record": record, "model": model, "agent": agent})


def pull_provenance(ti: Any, task_id: str) -> dict[str, Any]:
    """What :func:`push_provenance` said."""
    return ti.xcom_pull(task_ids=task_id, key=PROVENANCE_KEY, map_indexes=-1) or {}


def task_states(ti: Any, task_ids: Iterable[str] = ()) -> Mapping[str, str | None]:
    """The states of the run's (unmapped) tasks, in one call; of all when none is named."""
    wanted = list(task_ids) or None
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=wanted)
    found: Mapping[str, str | None] = states.get(ti.run_id, {})
    return found


def wrapped(value: Any) -> Any:
    """The value as Airflow may have it."""
    return {WRAPPER: json.dumps(value, ensure_ascii=False)} if _is_touchy(value) else value


def unwrapped(value: Any) -> Any:
    """Undo :func:`wrapped`."""
    return json.loads(value[WRAPPER]) if isinstance(value, dict) and value.keys() == {WRAPPER} else value


def _is_touchy(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key.startswith("__") or key == WRAPPER or _is_touchy(part) for key, part in value.items())
    return isinstance(value, list) and any(_is_touchy(part) for part in value)
