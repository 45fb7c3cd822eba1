"""
A stage that asks an agent.

Who is asked, how often, and what helps when the agent fails is in :mod:`airflow_agentic.operators.asking`; how often
and how long to wait in :mod:`airflow_agentic.agents.attempts`; what Airflow does afterwards in
:mod:`airflow_agentic.operators.retry`.

With ``for_each`` the items are mapped tasks of their own (:mod:`airflow_agentic.operators.item`), except inside a
mapped task group, which Airflow can't map once more: there this one task works on all items and gathers the results.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_agentic.agents.threads import run_loop
from airflow_agentic.errors import AgenticError, AttemptError, StoppedError
from airflow_agentic.operators.base import SPARE_TRIES, PlannedOperator
from airflow_agentic.operators.dealing import split
from airflow_agentic.operators.gathering import check_tolerance, entries_of, gathered
from airflow_agentic.operators.life import Life
from airflow_agentic.operators.listing import listed
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.supervision import supervised
from airflow_agentic.operators.xcom import push_output, push_provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from airflow.sdk import Context

    from airflow_agentic.operators.asking import Asking, Outcome
    from airflow_agentic.operators.scope import Scope
    from airflow_agentic.planning.plan import PlannedTask

    T = TypeVar("T")


class AgentOperator(PlannedOperator):
    """A task that asks an agent until an answer is accepted, or its attempts are used up."""

    ui_color = "#e6e0f8"

    #: the entries of the plan's agents, of which the stage's config names those that it asks
    agents: Mapping[str, Mapping[str, Any]]
    #: set when Airflow wants the process to end
    _stopping = False
    #: what :meth:`on_kill` has to stop
    _at_work: asyncio.Task[Any] | None = None

    @classmethod
    def settings(cls, planned: PlannedTask) -> dict[str, Any]:
        """Airflow repeats what isn't repeated in the worker, so it has a try for every attempt, and some to spare."""
        retry = planned.config["retry"]
        asked = 1 + sum("agent" in entry for entry in planned.config.get("recover", ()))
        settings = {
            **super().settings(planned),
            "retries": retry["attempts"] * asked - 1 + SPARE_TRIES,
            "retry_delay": timedelta(seconds=retry["wait"]),
            "retry_exponential_backoff": retry["multiplier"],
            "max_retry_delay": timedelta(seconds=retry["max_wait"]),
        }
        fan_out = planned.config.get("fan_out")
        if fan_out is not None and fan_out["max_parallel"]:
            settings["max_active_tis_per_dagrun"] = split(fan_out["max_parallel"])[0]
        return settings

    def work(self, context: Context) -> None:
        """Skip, or ask and push the output."""
        scope = build_scope(context, self.planned)
        self.check_when(context, scope)
        if self.planned.config.get("fan_out") is None:
            self._answer(context, scope)
        else:
            self._answer_all(context, scope)

    def on_kill(self) -> None:
        """
        Stop the attempts that are going on, so that they leave their records before Airflow ends the process.

        Airflow calls this in its handler of SIGTERM, in the main thread; five seconds later the process is killed.
        """
        if self._stopping:
            return
        self._stopping = True
        if self._at_work is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._at_work.get_loop().call_soon_threadsafe(self._at_work.cancel)

    def ask(self, context: Context, scope: Scope, question: Callable[[Asking], Coroutine[Any, Any, T]]) -> T:
        """
        Ask the stage's agents in an event loop.

        :raises StoppedError: the process was told to stop.
        :raises RetryLater: something has to wait too long.
        """
        from airflow_agentic.operators.asking import Asking
        from airflow_agentic.operators.journal import Journal

        ti = context["ti"]
        life = Life.of(ti, self.retries or 0)
        journal = Journal(context["task_state_store"], life, ti.try_number)
        journal.read()
        asking = Asking(self, context, scope, life, journal)

        async def main() -> T:
            self._at_work = asyncio.current_task()
            if self._stopping:
                raise StoppedError("The task was told to stop before it asked its agent.")
            async with supervised(self.on_kill):
                return await question(asking)

        try:
            return run_loop(main())
        except asyncio.CancelledError:
            raise StoppedError("The task was told to stop while its agent worked.") from None
        finally:
            self._at_work = None

    def ask_for_all(
        self, context: Context, scope: Scope, entries: Sequence[Mapping[str, Any]], at_once: int | None
    ) -> list[dict[str, Any]]:
        """
        The results of some of a list's entries, in order.

        :param at_once: how many items may be at work at the same time; None: as many as is sensible.
        """
        from airflow_agentic.operators.attempt_log import Item
        from airflow_agentic.operators.batch import AT_ONCE, Batch

        items = [Item(index=entry["index"], value=entry["item"]) for entry in entries]

        async def question(asking: Asking) -> list[dict[str, Any]]:
            return await Batch(asking=asking, items=items, at_once=at_once or AT_ONCE).results()

        return self.ask(context, scope, question) if items else []

    def _answer(self, context: Context, scope: Scope) -> None:
        outcome = self.ask(context, scope, lambda asking: asking.outcome())
        if outcome.failed is not None:
            raise self._final(outcome.failed, outcome)
        ti = context["ti"]
        push_provenance(
            ti,
            self.planned,
            attempt=outcome.attempt,
            record=outcome.record,
            model=outcome.model,
            agent=outcome.agent,
            **({"recovered": outcome.recovered} if outcome.recovered else {}),
        )
        push_output(ti, outcome.output)

    def _answer_all(self, context: Context, scope: Scope) -> None:
        fan_out, stage = self.planned.config["fan_out"], self.planned.stage
        with self.locating("for_each"):
            values = listed(stage, fan_out, scope.values)
        entries = entries_of(values)
        at_once = split(fan_out["max_parallel"])[1] if fan_out["max_parallel"] else None
        results = self.ask_for_all(context, scope, entries, at_once)
        push_gathered(context, self.planned, entries, results, fan_out["tolerate"])

    def _final(self, error: AgenticError, outcome: Outcome) -> AgenticError:
        """The error that ends the stage; an attempt's says which attempt it was."""
        if not isinstance(error, AttemptError):
            return error
        own = self.planned.config["agent"]
        stand_in = f" of the stand-in {outcome.agent!r}" if outcome.agent not in (None, own) else ""
        of_all = f" of {self.planned.config['retry']['attempts']}" if not stand_in else ""
        message = (
            f"Stage {self.planned.stage!r} failed in attempt {outcome.attempt}{of_all}{stand_in} ({error.kind}): "
            f"{error.message}"
        )
        return AttemptError(message, kind=error.kind, retry_after=error.retry_after, details=error.details)


def push_gathered(
    context: Context,
    planned: PlannedTask,
    entries: Sequence[dict[str, Any]],
    results: Sequence[dict[str, Any]],
    tolerate: int | str,
) -> None:
    """
    Push the output of a stage with ``for_each``.

    :raises FanOutError: more items failed than the stage tolerates.
    """
    output = gathered(entries, results)
    check_tolerance(planned.stage, output, tolerate)
    sources = [{key: result.get(key) for key in ("index", "attempt", "record", "recovered")} for result in results]
    push_provenance(context["ti"], planned, items=sources)
    push_output(context["ti"], output)
