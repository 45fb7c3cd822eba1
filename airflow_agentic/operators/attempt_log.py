"""
The attempts of a task for one value, a stage's or an item's: those that are recorded, and the recording of new ones.

**Numbers of attempts.** They go on over Airflow's tries (see :mod:`airflow_agentic.operators.life`) and over
stand-ins, so that no two attempts have one record. The records of this life tell which were made already: an agent has
given up where one of its attempts says ``failed``, and whoever is next goes on from there. An attempt that was killed
is made again under its number: being stopped is no answer of the agent's.

**An answer is kept before its record is written.** What a task died without having told is taken from its journal, and
the record written then, under the try that made the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.threads import run_to_end, see_through
from airflow_agentic.errors import AttemptError
from airflow_agentic.operators.base import map_index
from airflow_agentic.operators.kept import KeptSteps, from_data, goes_on, to_data
from airflow_agentic.telemetry.spans import AttemptSpans

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.agents.base import Agent
    from airflow_agentic.operators.agent import AgentOperator
    from airflow_agentic.operators.journal import Journal
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
    """
    The attempts for one value that were made in earlier tries and not looked at yet.

    :param records: in their order.
    """

    records: list[AttemptRecord]
    #: the last one that was looked at
    last: AttemptRecord | None = field(default=None, init=False)

    @property
    def number(self) -> int:
        """Of the last one that was looked at."""
        return self.last.attempt if self.last is not None else 0

    @property
    def path(self) -> str | None:
        """Where it is."""
        from airflow_agentic.trace.layout import record_path

        return record_path(self.last) if self.last is not None else None

    def of_next_agent(self) -> Made:
        """
        What the next agent has done.

        :raises AttemptError: it has given up.
        """
        attempts, begun = 0, self.number + 1
        while self.records:
            self.last = record = self.records.pop(0)
            attempts += 1
            error = record.error or {}
            if record.state == "failed":
                raise AttemptError(str(error.get("message")), kind=str(error.get("kind")))
            if not goes_on(str(error.get("kind"))):
                begun = record.attempt + 1
        return Made(attempts=attempts, begun=begun)


@dataclass(frozen=True, kw_only=True)
class Made:
    """
    What an agent did in earlier tries.

    :param attempts: how many.
    :param begun: the attempt that its last conversation began with.
    """

    attempts: int
    begun: int


class AttemptLog:
    """
    Keeps the answers for one value, writes the records of all attempts, and remembers the last one.

    :param item: the value's place, if it is an item.
    """

    def __init__(self, operator: AgentOperator, context: Context, item: Item | None, journal: Journal) -> None:
        self.number = 0
        self.path: str | None = None
        #: the agent that is being asked
        self.agent: str | None = None
        #: under which its answer may be used again
        self.cache_key: str | None = None
        #: the attempt that succeeded
        self.succeeded: Attempt | None = None
        self._operator = operator
        self._context = context
        self._item = item
        self._journal = journal
        self._place = ""
        self._steps: KeptSteps | None = None
        self._spans = AttemptSpans()

    def begin(self, agent: str, place: int) -> None:
        """
        From now on it is about another agent.

        :param place: among all that may be asked: an agent can be asked twice.
        """
        self.agent = agent
        self.cache_key = None
        self._place = f"{'' if self._item is None else self._item.index}/{place}"

    def observed(self, agent: Agent) -> Agent:
        """The agent that is being asked, whose attempts have spans where somebody records any."""
        return self._spans.observed(agent, **self._asked)

    def steps(self, begun: int, attempt: int) -> KeptSteps:
        """
        What the agent's steps are kept in.

        :param begun: the attempt that its conversation began with.
        :param attempt: the next one.
        """
        self._steps = KeptSteps(self._journal, self._place, begun=begun, attempt=attempt)
        return self._steps

    async def answered(self, past: Past) -> Attempt | None:
        """The agent's attempt that succeeded in an earlier try, if one did; it has its record now."""
        from airflow_agentic.trace.layout import record_path

        kept = self._journal.find(self._answer)
        if kept is None:
            return None
        attempt, try_number = from_data(kept)
        self.number = attempt.number
        self._operator.log.info("Attempt %d%s succeeded in try %d.", attempt.number, self._of_item, try_number)
        written = [record for record in past.records if record.state == "success" and record.attempt == attempt.number]
        if written:
            self.path = record_path(written[-1])
        else:
            self.path = await run_to_end(partial(self._write, attempt, try_number))
        return attempt

    async def write(self, attempt: Attempt) -> None:
        """Called when an attempt has ended, however it did; it is seen through also when the task is stopped."""
        self.number = attempt.number
        if attempt.error is None and not attempt.killed:
            self.succeeded = attempt
        if self._steps is not None:
            self._steps.ended(attempt)
        await see_through(self._keep_and_write(attempt))

    async def _keep_and_write(self, attempt: Attempt) -> None:
        try_number = self._context["ti"].try_number
        try:
            if attempt is self.succeeded:
                await self._journal.keep(self._answer, to_data(attempt, try_number))
        finally:
            self.path = await run_to_end(partial(self._write, attempt, try_number))

    @property
    def _answer(self) -> str:
        return f"answer/{self._place}"

    @property
    def _asked(self) -> dict[str, str]:
        """Of the agent that is being asked: its ``name`` and ``type``."""
        name = str(self.agent)
        return {"name": name, "type": str(self._operator.agents[name].get("type"))}

    @property
    def _of_item(self) -> str:
        return "" if self._item is None else f" of item {self._item.index}"

    def _write(self, attempt: Attempt, try_number: int) -> str:
        from airflow_agentic.operators.recording import attempt_record

        operator, ti = self._operator, self._context["ti"]
        record = attempt_record(
            attempt,
            run=operator.run_key(self._context),
            stage=operator.planned.stage,
            task_id=operator.task_id,
            map_index=map_index(ti),
            try_number=try_number,
            in_round=operator.planned.round,
            item=None if self._item is None else {"index": self._item.index, "value": self._item.value},
            agent=self._asked,
            cache_key=self.cache_key,
            span=self._spans.ids(attempt.started, **self._asked),
        )
        if record.cached is not None:
            where = (record.cached["run"]["run_id"], record.cached["stored"])
            operator.log.info("The answer%s was kept from run %s at %s; nobody is asked.", self._of_item, *where)
        operator.log.info("Attempt %d%s: %s after %.1f s.", attempt.number, self._of_item, record.state, record.seconds)
        if attempt.error is not None and "traceback" in attempt.error.details:
            operator.log.warning("Raised by the agent:\n%s", attempt.error.details["traceback"])
        path = operator.write_record(record)
        self._spans.ended(record, path)
        return path
