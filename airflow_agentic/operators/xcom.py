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

    from airflow_agentic.planning.plan import PlannedTask

OUTPUT_KEY = "return_value"
PROVENANCE_KEY = "agentic"
ERROR_KEY = "agentic_error"
DECISION_KEY = "agentic_decision"
WAITING_KEY = "agentic_waiting"
WRAPPER = "$json"
#: Of tasks whose states are asked for by name: the names stand in a URL, and servers limit its length.
MOST_NAMED = 60


def push_output(ti: Any, value: Any) -> None:
    """Make a value the output of a task; null is pushed like any other."""
    ti.xcom_push(OUTPUT_KEY, wrapped(value))


def pull_output(ti: Any, task_id: str, map_index: int = -1) -> Any:
    """The output of a task that succeeded."""
    return _pull(ti, task_id, OUTPUT_KEY, map_index)


def push_provenance(
    ti: Any,
    planned: PlannedTask,
    *,
    attempt: int | None = None,
    record: str | None = None,
    model: str | None = None,
    agent: str | None = None,
    **more: Any,
) -> None:
    """
    Say which attempt, and which record of it, stands behind the task's output; in a loop, also in which round.

    :param more: ``items`` and ``recovered``, as far as they apply.
    """
    where = {"round": planned.round} if planned.rounds else {}
    told = {"attempt": attempt, "record": record, "model": model, "agent": agent, **where, **more}
    ti.xcom_push(PROVENANCE_KEY, told)


def pull_provenance(ti: Any, task_id: str, map_index: int = -1) -> dict[str, Any]:
    """What :func:`push_provenance` said."""
    return _pull(ti, task_id, PROVENANCE_KEY, map_index) or {}


def push_error(ti: Any, *, stage: str, kind: str, message: str) -> None:
    """Say why the stage failed, for those who route or tell its failure."""
    ti.xcom_push(ERROR_KEY, wrapped({"stage": stage, "kind": kind, "message": message}))


def pull_error(ti: Any, task_id: str, map_index: int = -1) -> dict[str, Any] | None:
    """What :func:`push_error` said; nothing of a task that was killed."""
    error: dict[str, Any] | None = _pull(ti, task_id, ERROR_KEY, map_index)
    return error


def push_waiting(ti: Any, *, reason: str, kind: str, attempt: int, until: str) -> None:
    """
    Show at the task instance what Airflow waits for; Airflow takes it away when the next try begins.

    :param attempt: that failed; 0: none was made.
    :param until: ISO 8601 in UTC.
    """
    ti.xcom_push(WAITING_KEY, {"reason": reason, "kind": kind, "attempt": attempt, "until": until})


def push_decision(ti: Any, decision: Mapping[str, Any]) -> None:
    """Say what a route task chose."""
    ti.xcom_push(DECISION_KEY, wrapped(dict(decision)))


def pull_decision(ti: Any, task_id: str, map_index: int = -1) -> dict[str, Any] | None:
    """What :func:`push_decision` said; nothing of a task that was only marked as successful."""
    decision: dict[str, Any] | None = _pull(ti, task_id, DECISION_KEY, map_index)
    return decision


def task_states(ti: Any, task_ids: Iterable[str] = (), map_index: int = -1) -> Mapping[str, str | None]:
    """
    The states of tasks of the run, in one call; of all when none is named.

    Those of mapped tasks are called ``<task_id>_<map index>``, unless a map index is given: then only theirs are
    told, under their ids.
    """
    wanted = list(dict.fromkeys(task_ids))
    criteria: dict[str, Any] = {"task_ids": wanted if 0 < len(wanted) <= MOST_NAMED else None}
    if map_index >= 0:
        criteria["map_index"] = map_index
    found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], **criteria).get(ti.run_id, {})
    if map_index >= 0:
        found = {key.removesuffix(f"_{map_index}"): state for key, state in found.items()}
    return {key: found[key] for key in wanted if key in found} if len(wanted) > MOST_NAMED else found


def wrapped(value: Any) -> Any:
    """The value as Airflow may have it."""
    return {WRAPPER: json.dumps(value, ensure_ascii=False)} if _is_touchy(value) else value


def unwrapped(value: Any) -> Any:
    """Undo :func:`wrapped`."""
    return json.loads(value[WRAPPER]) if isinstance(value, dict) and value.keys() == {WRAPPER} else value


def _pull(ti: Any, task_id: str, key: str, map_index: int) -> Any:
    return unwrapped(ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index))


def _is_touchy(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key.startswith("__") or key == WRAPPER or _is_touchy(part) for key, part in value.items())
    return isinstance(value, list) and any(_is_touchy(part) for part in value)
