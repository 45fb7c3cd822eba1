"""
A stage that asks an agent.

The operator renders the request, has the attempts made, records each of them, and pushes the accepted output. How
often and how long to wait is decided in :mod:`airflow_agentic.agents.attempts`; what Airflow does afterwards in
:mod:`airflow_agentic.operators.retry`.

**Numbers of attempts.** They go on over Airflow's tries, because the language counts attempts, not tries; but when
somebody clears the task, it gets all its attempts anew. Airflow keeps no such border itself: ``try_number`` only
grows, XComs are deleted by every try, and the task's state store outlives a clear. But clearing sets
``max_tries`` to the tries made so far plus ``retries``, so ``max_tries - retries`` is the number of tries before this
*life* of the task, and the records of the tries after it tell which attempts this life has made. An attempt that was
killed is made again under its number: being stopped is no answer of the agent's.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_agentic import config
from airflow_agentic.errors import AttemptError, FinalError, RetryLater, StoppedError
from airflow_agentic.operators.base import PlannedOperator, map_index
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.xcom import push_output, push_provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import Context

    from airflow_agentic.agents.attempts import Attempt
    from airflow_agentic.agents.base import AgentRequest
    from airflow_agentic.operators.scope import Scope
    from airflow_agentic.planning.plan import PlannedTask


class AgentOperator(PlannedOperator):
    """A task that asks an agent until an answer is accepted, or its attempts are used up."""

    ui_color = "#e6e0f8"

    #: set when Airflow wants the process to end
    _stopping = False

    #: the agent's entry in the plan
    agent: Mapping[str, Any]

    @classmethod
    def settings(cls, planned: PlannedTask) -> dict[str, Any]:
        """Airflow repeats what isn't repeated in the worker, so it gets the stage's own numbers."""
        retry = planned.config["retry"]
        return {
            **super().settings(planned),
            "retries": retry["attempts"] - 1,
            "retry_delay": timedelta(seconds=retry["wait"]),
            "retry_exponential_backoff": retry["multiplier"],
            "max_retry_delay": timedelta(seconds=retry["max_wait"]),
        }

    def work(self, context: Context) -> None:
        """Skip, or ask and push the output."""
        scope = build_scope(context, self.planned.reads, self.planned.guarded)
        self.check_when(scope)
        log = _AttemptLog(self, context)
        attempt = self._ask(context, self._request(scope), scope, log)
        result = attempt.result
        if result is None:
            raise RuntimeError("an attempt without an error has no result")
        ti = context["ti"]
        push_provenance(
            ti, attempt=attempt.number, record=log.path, model=result.model, agent=self.planned.config["agent"]
        )
        push_output(ti, result.output)

    def on_kill(self) -> None:
        """
        Stop the attempt that is going on, so that it leaves its record before Airflow ends the process.

        Airflow calls this in its handler of SIGTERM, in the main thread; five seconds later the process is killed.
        """
        self._stopping = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        for task in asyncio.all_tasks(loop):
            loop.call_soon_threadsafe(task.cancel)

    def _request(self, scope: Scope) -> AgentRequest:
        from airflow_agentic.agents.base import AgentRequest

        own = self.planned.config
        rendered = self._render_input(own["input"], scope)
        agents_own = {"input": rendered}
        return AgentRequest(
            stage=self.planned.stage,
            run=scope.run,
            input=rendered,
            prompt=self._render_text("prompt", agents_own if own["prompt_reads"] == "input" else scope.values),
            instructions=self._render_text("instructions", agents_own),
            output_schema=self.agent.get("output_schema"),
            timeout=own["timeout"],
        )

    def _render_input(self, template: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        from airflow_agentic.template.expressions import render

        rendered = {}
        for key, value in template.items():
            with self.locating(f"input.{key}"):
                rendered[key] = render(value, scope.values)
        return rendered

    def _render_text(self, key: str, values: Mapping[str, Any]) -> str | None:
        from airflow_agentic.template.expressions import render_string

        text = self.planned.config[key]
        if text is None:
            return None
        with self.locating(key):
            return render_string(text, values)

    def _ask(self, context: Context, request: AgentRequest, scope: Scope, log: _AttemptLog) -> Attempt:
        from airflow_agentic.agents.attempts import RetrySettings, run_attempts
        from airflow_agentic.agents.kinds import make_agent

        if self._stopping:
            raise StoppedError("The task was told to stop before it asked its agent.")
        retry = RetrySettings(**self.planned.config["retry"])
        try:
            return run_attempts(
                make_agent(self.agent),
                request,
                retry=retry,
                first_attempt=self._first_attempt(context, retry.attempts),
                inline_wait=config.get_float("inline_wait"),
                accept=self._accept(scope),
                on_attempt=log.write,
            )
        except AttemptError as error:
            raise self._final(error, log.number, retry.attempts) from None
        except RetryLater as later:
            if context["ti"].try_number > context["ti"].max_tries:
                # tries lost to the infrastructure leave none for this wait
                raise self._final(later.error, later.attempt, retry.attempts) from None
            raise
        except asyncio.CancelledError:
            raise StoppedError(f"The task was told to stop during attempt {log.number}.") from None

    def _accept(self, scope: Scope) -> Callable[[Any], bool] | None:
        from airflow_agentic.template.expressions import is_true

        condition = self.planned.config["accept"]
        if condition is None:
            return None

        def accept(output: Any) -> bool:
            with self.locating("accept"):
                if is_true(condition, {**scope.values, "output": output}):
                    return True
            raise FinalError(f"The output was not accepted: {condition}", kind="not_accepted", reply=output)

        return accept

    def _final(self, error: AttemptError, number: int, attempts: int) -> AttemptError:
        """The error that ends the stage, saying which stage and attempt it was."""
        message = (
            f"Stage {self.planned.stage!r} failed in attempt {number} of {attempts} ({error.kind}): {error.message}"
        )
        return AttemptError(message, kind=error.kind, retry_after=error.retry_after, details=error.details)

    def _first_attempt(self, context: Context, attempts: int) -> int:
        """The number of the next attempt: see the module's docstring."""
        ti = context["ti"]
        former_lives = max(0, ti.max_tries - (self.retries or 0))
        if ti.try_number - former_lives <= 1:
            return 1
        from airflow_agentic.trace.record import AttemptRecord
        from airflow_agentic.trace.store import TraceStore

        made = [
            record.attempt
            for record in TraceStore().of_task(self.run_key(context), self.task_id, map_index(ti))
            if isinstance(record, AttemptRecord) and record.try_number > former_lives and record.state != "killed"
        ]
        return min(max(made, default=0) + 1, attempts)


class _AttemptLog:
    """Writes the record of each attempt, and remembers the last one."""

    def __init__(self, operator: AgentOperator, context: Context) -> None:
        self.number = 0
        self.path: str | None = None
        self._operator = operator
        self._context = context

    def write(self, attempt: Attempt) -> None:
        """Called when an attempt has ended, however it did."""
        from airflow_agentic.operators.recording import attempt_record

        operator, ti = self._operator, self._context["ti"]
        self.number = attempt.number
        record = attempt_record(
            attempt,
            run=operator.run_key(self._context),
            stage=operator.planned.stage,
            task_id=operator.task_id,
            map_index=map_index(ti),
            try_number=ti.try_number,
            agent={"name": operator.planned.config["agent"], "type": str(operator.agent.get("type"))},
        )
        self.path = operator.write_record(record)
        operator.log.info("Attempt %d: %s after %.1f s.", attempt.number, record.state, record.seconds)
        if attempt.error is not None and "traceback" in attempt.error.details:
            operator.log.warning("Raised by the agent:\n%s", attempt.error.details["traceback"])
