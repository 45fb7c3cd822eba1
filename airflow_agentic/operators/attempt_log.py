"""
The attempts of a task for one value, a stage's or an item's: those that are recorded, and the recording of new ones.

**Numbers of attempts.** They go on over Airflow's tries (see :mod:`airflow_agentic.operators.life`) and over
stand-ins, so that no two attempts have one record. The records of this life tell which were made already: an agent has
given up where one of its attempts says ``failed``, and whoever is next goes on from there. An attempt that was killed
is made again under its number: being stopped is no answer of the agent's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.threads import run_to_end
from airflow_agentic.errors import AttemptError
from airflow_agentic.operators.base import map_index

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.operators.agent import AgentOperator
    from airflow_agentic.operators.life import Life
    from airflow_agentic.trace.record import AttemptRecord


@dataclass(frozen=True, kw_only=True)
class Item:
    """An entry of the list that a stage is repeated for."""

    index: int
    value: Any


def attempts_made(operator: AgentOperator, context: Context, life: Life) -> dict[int | None, list[AttemptRecord]]:
    """The attempts that this life of the task has made, by item, in their order."""
    from airflow_agentic.trace.record import AttemptRecord
    from airflow_agentic.trace.store import TraceStore

    found: dict[int | None, list[AttemptRecord]] = {}
    ti = context["ti"]
    for record in TraceStore().of_task(operator.run_key(context), operator.task_id, map_index(ti)):
        if isinstance(record, AttemptRecord) and record.try_number > life.former_tries and record.state != "killed":
            found.setdefault(record.item["index"] if record.item else None, []).append(record)
    return {index: sorted(records, key=lambda record: record.attempt) for index, records in found.items()}


@dataclass
class Past:
    """The attempts for one value that were made in earlier tries and not looked at yet."""

    records: list[AttemptRecord]
    #: of the last one that was looked at
    number: int = field(default=0, init=False)

    def of_next_agent(self) -> int:
        """
        How many the next agent has made.

        :raises AttemptError: it has given up.
        """
        made = 0
        while self.records:
            record = self.records.pop(0)
            made, self.number = made + 1, record.attempt
            if record.state == "failed":
                error = record.error or {}
                raise AttemptError(str(error.get("message")), kind=str(error.get("kind")))
        return made


class AttemptLog:
    """Writes the records of the attempts for one value, and remembers the last one."""

    def __init__(self, operator: AgentOperator, context: Context, item: Item | None) -> None:
        self.number = 0
        self.path: str | None = None
        #: the agent that is being asked
        self.agent: str | None = None
        #: the attempt that succeeded
        self.succeeded: Attempt | None = None
        self._operator = operator
        self._context = context
        self._item = item

    async def write(self, attempt: Attempt) -> None:
        """Called when an attempt has ended, however it did."""
        self.number = attempt.number
        if attempt.error is None and not attempt.killed:
            self.succeeded = attempt
        self.path = await run_to_end(partial(self._write, attempt, str(self.agent)))

    def _write(self, attempt: Attempt, agent: str) -> str:
        from airflow_agentic.operators.recording import attempt_record

        operator, ti = self._operator, self._context["ti"]
        record = attempt_record(
            attempt,
            run=operator.run_key(self._context),
            stage=operator.planned.stage,
            task_id=operator.task_id,
            map_index=map_index(ti),
            try_number=ti.try_number,
            in_round=operator.planned.round,
            item=None if self._item is None else {"index": self._item.index, "value": self._item.value},
            agent={"name": agent, "type": str(operator.agents[agent].get("type"))},
        )
        of_item = "" if self._item is None else f" of item {self._item.index}"
        operator.log.info("Attempt %d%s: %s after %.1f s.", attempt.number, of_item, record.state, record.seconds)
        if attempt.error is not None and "traceback" in attempt.error.details:
            operator.log.warning("Raised by the agent:\n%s", attempt.error.details["traceback"])
        return operator.write_record(record)
