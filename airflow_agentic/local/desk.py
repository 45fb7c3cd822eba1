"""
The questions that a run in this process asks people, and their answers.

``dag.test`` starts tasks and waits for those that people were asked by; there are neither views to answer in nor a
scheduler to see that the time is up. So a thread looks into the metadata database for the run's questions, hands each
one on, and writes what comes back as Airflow's REST API would.
"""

from __future__ import annotations

import getpass
import logging
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk import DAG
    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

#: Seconds between two looks.
_POLL = 0.3


def asks_people(dag: DAG) -> bool:
    """Whether a DAG has tasks that ask people."""
    return any(task.task_type == "HumanOperator" for task in dag.tasks)


class Desk:
    """
    Where the questions of one run are answered.

    :param ask: called once with each question: ``question`` (an id), ``task_id``, ``map_index``, ``subject``,
        ``body``, and ``until`` (seconds since 1970).
    """

    def __init__(self, ask: Callable[[dict[str, Any]], None]) -> None:
        self._ask = ask
        self._asked: set[str] = set()
        self._answers: dict[str, dict[str, Any]] = {}

    def open(self, dag_id: str, run_id: str) -> None:
        """Begin to look for the questions of a run; for as long as the process lives."""
        threading.Thread(target=self._watch, args=(dag_id, run_id), daemon=True).start()

    def answer(self, reply: dict[str, Any]) -> None:
        """
        Take an answer.

        :param reply: ``question`` (its id), ``choice`` and ``fields``; ``choice`` null: go on as if the time were up.
        """
        self._answers[reply["question"]] = reply

    def _watch(self, dag_id: str, run_id: str) -> None:
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState
        from sqlalchemy import select
        from sqlalchemy.orm import joinedload

        waiting = (
            select(TaskInstance)
            .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
            .where(TaskInstance.state == TaskInstanceState.AWAITING_INPUT)
            .options(joinedload(TaskInstance.hitl_detail))
            .order_by(TaskInstance.task_id, TaskInstance.map_index)
        )
        pause = threading.Event()
        while not pause.wait(_POLL):
            try:
                with create_session() as session:
                    for ti in session.scalars(waiting).all():
                        self._look_at(ti, session)
            except Exception:  # a busy database, say: nobody else would answer, so the next look must come
                log.exception("The questions of the run could not be looked at")

    def _look_at(self, ti: TaskInstance, session: Session) -> None:
        """Ask, or write down what became of the question."""
        from airflow.sdk import timezone

        detail, key = ti.hitl_detail, str(ti.id)
        if detail is None:
            return
        if detail.responded_at is not None:
            # `dag.test` writes the state that a task ended in once more, over the answer if that was quick
            self._resume(ti, detail.as_resume_event_payload(), session)
            return
        is_late = ti.trigger_timeout is not None and ti.trigger_timeout < timezone.utcnow()
        reply = self._answers.get(key)
        if reply is not None and reply["choice"] is not None:
            self._respond(ti, [reply["choice"]], reply["fields"], _me(), session)
        elif is_late or reply is not None:
            self._give_up(ti, session)
        elif key not in self._asked:
            self._asked.add(key)
            until = None if ti.trigger_timeout is None else ti.trigger_timeout.timestamp()
            asked = {"subject": detail.subject, "body": detail.body, "until": until}
            self._ask({"question": key, "task_id": ti.task_id, "map_index": ti.map_index, **asked})

    def _give_up(self, ti: TaskInstance, session: Session) -> None:
        """As the scheduler does it when the time is up."""
        detail = ti.hitl_detail
        if detail.defaults is None:
            self._resume(ti, {"error": "There was no answer in time.", "error_type": "timeout"}, session)
            return
        fields = {name: param["value"] for name, param in (detail.params or {}).items()}
        self._respond(ti, list(detail.defaults), fields, None, session)

    def _respond(
        self, ti: TaskInstance, options: list[str], fields: dict[str, Any], by: dict[str, str] | None, session: Session
    ) -> None:
        from airflow.sdk import timezone

        detail = ti.hitl_detail
        detail.chosen_options, detail.params_input = options, fields
        detail.responded_by, detail.responded_at = by, timezone.utcnow()
        self._resume(ti, detail.as_resume_event_payload(timedout=by is None), session)

    def _resume(self, ti: TaskInstance, payload: dict[str, Any], session: Session) -> None:
        from airflow.models.trigger import handle_event_submit
        from airflow.triggers.base import TriggerEvent

        handle_event_submit(TriggerEvent(payload), task_instance=ti, session=session)  # type: ignore[no-untyped-call]


def _me() -> dict[str, str]:
    """Whoever runs this process, as a user of Airflow's."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        name = "local"
    return {"id": name, "name": name}
