"""
A stage's ``cache``: an answer that was paid for is used again, as long as nothing of the question has changed.

**Equal** are two questions to one agent (all of its entry, its code, where its connections lead) with one prompt,
instructions and input, for one output schema. Items that are equal are told apart by their places, so that a list of
ten equal questions has ten answers. Who gets to know the run is asked something else in every run.

**Not used** is an answer that somebody wants anew: by clearing the task, or by going back in a loop with the same
input. An agent with tools has answers that may change by themselves, so ``tools: true`` has to say that they may be
used.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.threads import run_to_end
from airflow_agentic.errors import AgenticError
from airflow_agentic.operators.answers import Answer, AnswerStore
from airflow_agentic.operators.base import map_index, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow.sdk import Context

    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.agents.base import Agent, AgentRequest
    from airflow_agentic.operators.agent import AgentOperator
    from airflow_agentic.operators.attempt_log import Item
    from airflow_agentic.operators.life import Life
    from airflow_agentic.trace.record import Record, RunKey


@dataclass(frozen=True, kw_only=True)
class Place:
    """
    Where the answer to one question may be kept.

    :param schema: of the answer.
    :param run: this one.
    :param readable: whether an earlier answer may be used.
    """

    key: str
    store: AnswerStore
    ttl: float
    schema: Mapping[str, Any] | None
    run: RunKey
    readable: bool

    async def find(self, accept: Callable[[Any], bool] | None) -> Answer | None:
        """
        An answer that is young enough and accepted.

        :param accept: the stage's condition, which may read more than the question.
        """
        if not self.readable:
            return None
        from airflow_agentic.agents.validate import output_problem

        answer = await run_to_end(partial(self.store.read, self.key, self.ttl))
        if answer is None or output_problem(answer.output, self.schema) is not None:
            return None
        return answer if _is_accepted(answer.output, accept) else None

    async def keep(self, attempt: Attempt, record: str | None) -> None:
        """Keep an accepted answer."""
        if attempt.result is None:
            return
        answer = Answer(
            output=attempt.result.output,
            stored=now(),
            dag_id=self.run.dag_id,
            run_id=self.run.run_id,
            record=record,
            model=attempt.result.model,
        )
        await run_to_end(partial(self.store.write, self.key, answer))


class Caching:
    """What may be used again of one stage's answers, in one try of its task."""

    def __init__(self, operator: AgentOperator, context: Context, life: Life) -> None:
        self._operator = operator
        self._context = context
        self._settings: Mapping[str, Any] = operator.planned.config["cache"]
        self._is_cleared = life.former_tries > 0
        self._store = AnswerStore()
        self._identities: dict[str, Any] = {}
        self._earlier: set[str] | None = None

    async def place(self, agent: str, request: AgentRequest, item: Item | None) -> Place | None:
        """Where an answer of an agent is kept; None: it isn't."""
        spec = self._operator.agents[agent]
        if spec.get("tools") and not self._settings["tools"]:
            return None
        if agent not in self._identities:
            self._identities[agent] = await run_to_end(partial(_identity, spec))
        identity = self._identities[agent]
        if identity is None:
            return None
        key = self._key(spec, identity, request, item)
        if key in await self._asked_before():
            return None
        return Place(
            key=key,
            store=self._store,
            ttl=self._settings["ttl"],
            schema=request.output_schema,
            run=self._operator.run_key(self._context),
            readable=not self._is_cleared,
        )

    def _key(self, spec: Mapping[str, Any], identity: Any, request: AgentRequest, item: Item | None) -> str:
        from airflow_agentic import __version__

        outer = map_index(self._context["ti"]) if self._operator.planned.mapped is not None else None
        question = {
            "package": __version__,
            "agent": spec,
            "identity": identity,
            "prompt": request.prompt,
            "instructions": request.instructions,
            "input": request.input,
            "output_schema": request.output_schema,
            "place": [outer, None if item is None else item.index],
        }
        text = json.dumps(question, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    async def _asked_before(self) -> set[str]:
        """The keys of what earlier rounds of this run asked: who asks the same once more wants another answer."""
        if max(self._operator.planned.rounds, default=1) == 1:
            return set()
        if self._earlier is None:
            self._earlier = await run_to_end(self._of_other_rounds)
        return self._earlier

    def _of_other_rounds(self) -> set[str]:
        from airflow_agentic.trace.record import AttemptRecord

        own = self._operator.task_id
        return {
            record.cache_key
            for record in _of_any_round(own, self._operator.run_key(self._context))
            if isinstance(record, AttemptRecord) and record.task_id != own and record.cache_key is not None
        }


def _of_any_round(task_id: str, run: RunKey) -> Iterator[Record]:
    """The attempts of a task and of those that stand for it in other rounds."""
    from airflow_agentic.trace.layout import run_folder, segment
    from airflow_agentic.trace.store import TraceStore

    ids = re.sub(r"__\d+(?=\\\.)", r"__\\d+", re.escape(task_id))
    # an id that was cut for its length can be any task's
    names = re.compile(rf"{ids}\.-?\d+\." if segment(task_id) == task_id else "")
    store = TraceStore()
    for path in store.names(f"{run_folder(run.dag_id, run.run_id)}/attempts"):
        if names.match(path.rpartition("/")[2]):
            yield store.peek(path)


def used_again(answer: Answer, agent: Agent, request: AgentRequest, number: int) -> Attempt:
    """An attempt in which nobody had to be asked."""
    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.agents.base import AgentResult, Usage

    sent, at = agent.preview(request), datetime.now(UTC)
    run = {"dag_id": answer.dag_id, "run_id": answer.run_id}
    result = AgentResult(
        output=answer.output,
        sent=sent,
        model=answer.model,
        usage=Usage(requests=0),
        cost_usd=None if answer.model is None else 0.0,  # what costs nothing that is known of has no price
        cached={"run": run, "record": answer.record, "stored": answer.stored},
    )
    return Attempt(number=number, started=at, ended=at, seconds=0.0, sent=sent, result=result)


def _identity(spec: Mapping[str, Any]) -> Any | None:
    """What the agent is now; None: it can't be told, and the attempt will say why."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    from airflow_agentic.agents.identity import identity, takes_run

    try:
        return None if takes_run(spec) else identity(spec)
    except (AgenticError, AirflowNotFoundException):
        return None


def _is_accepted(output: Any, accept: Callable[[Any], bool] | None) -> bool:
    try:
        return accept is None or accept(output)
    except AgenticError:
        return False
