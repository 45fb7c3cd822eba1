"""
Spans below the one that Airflow makes for each try of a task.

There are some only where that one is recorded: then somebody has switched tracing on (``[traces] otel_on``), and the
run was sampled. Otherwise nothing is made, and nothing imported: Airflow's task runner has imported OpenTelemetry
already, so looking for the current span costs well under a microsecond.

No exception is recorded as such: its message and its frames can hold what agents wrote.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.trace import Span, Tracer

    from airflow_agentic.agents.base import Agent, AgentRequest, AgentResult
    from airflow_agentic.operators.base import PlannedOperator
    from airflow_agentic.trace.record import AttemptRecord, Record


def current_span() -> Span | None:
    """The span that is being recorded here, if one is."""
    tracing = sys.modules.get("opentelemetry.trace")
    if tracing is None:
        return None
    span: Span = tracing.get_current_span()
    return span if span.is_recording() else None


@contextlib.contextmanager
def stage_span(operator: PlannedOperator) -> Iterator[None]:
    """The span of a stage's task; how its work ends is how the span does."""
    if current_span() is None:
        yield
        return
    from airflow_agentic.telemetry.conventions import span_name

    planned = operator.planned
    attributes = {
        "agentic.stage": planned.stage,
        "agentic.task.kind": planned.kind,
        "agentic.template.digest": operator.digest,
        "agentic.round": planned.round if planned.rounds else None,
    }
    with _open(span_name("stage", planned.stage), attributes) as span:
        try:
            yield
        except BaseException as error:
            _ended_by(span, error)
            raise
        _set(span, {"agentic.state": "success"})


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """An agent, as the template has it."""

    name: str
    type: str


class AttemptSpans:
    """
    The spans of the attempts for one value.

    An attempt's span is open while the agent is asked, so that what the agent does is below it, and ends with the
    attempt's record. A span whose attempt is never told of isn't sent: nothing was asked. An attempt that is told of
    and had no span, because its answer was kept, gets one with its record's times.
    """

    def __init__(self) -> None:
        self._open: Span | None = None

    def observed(self, agent: Agent, *, name: str, type: str) -> Agent:  # noqa: A002 - the template's word
        """The agent; each time it is asked, an attempt's span begins."""
        return agent if current_span() is None else _Observed(self, agent, _Asked(name=name, type=type))

    async def run(self, agent: Agent, request: AgentRequest, asked: _Asked) -> AgentResult:
        """Ask an agent within an attempt's span."""
        from opentelemetry.trace import use_span

        self._open = _attempt(asked)
        output = "text" if request.output_schema is None else "json"
        self._open.set_attribute("gen_ai.output.type", output)
        with use_span(self._open, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            return await agent.run(request)

    def ids(self, started: datetime, *, name: str, type: str) -> dict[str, str] | None:  # noqa: A002
        """
        How the span of the attempt that has ended is found: ``trace_id`` and ``span_id``; None: there is none.

        :param started: of the attempt.
        """
        if self._open is None:
            if current_span() is None:
                return None
            self._open = _attempt(_Asked(name=name, type=type), _nanoseconds(started))
        known = self._open.get_span_context()
        return {"trace_id": f"{known.trace_id:032x}", "span_id": f"{known.span_id:016x}"}

    def ended(self, record: AttemptRecord, path: str) -> None:
        """
        Send the span of an attempt.

        :param path: of its record.
        """
        span, self._open = self._open, None
        if span is None:
            return
        from airflow_agentic.telemetry.conventions import attempt_attributes, error_type

        _set(span, attempt_attributes(record, path))
        if record.waited:
            _event(span, "agentic.limit_wait", {"agentic.waited": record.waited})
        problem = error_type(record)
        if problem is not None:
            _failed(span, problem)
        if record.state == "retrying":
            _event(span, "agentic.retry", {"error.type": problem, "agentic.next_wait": record.next_wait})
        span.end(_nanoseconds(datetime.fromisoformat(record.ended)))


class _Observed:
    """An agent whose attempts have spans."""

    def __init__(self, spans: AttemptSpans, agent: Agent, asked: _Asked) -> None:
        self._spans = spans
        self._agent = agent
        self._asked = asked

    async def run(self, request: AgentRequest) -> AgentResult:
        return await self._spans.run(self._agent, request, self._asked)

    def preview(self, request: AgentRequest) -> Mapping[str, Any]:
        return self._agent.preview(request)


def told(record: Record) -> None:
    """Tell of a record, which is no attempt's, on the span of its stage."""
    span = current_span()
    if span is None:
        return
    from airflow_agentic.telemetry.conventions import event_of

    event = event_of(record)
    if event is not None:
        _event(span, *event)


def _as_it_is(error: Exception) -> Exception:
    return error


@contextlib.contextmanager
def client_span(
    of: str, name: str, attributes: Mapping[str, Any], meaning: Callable[[Exception], Exception] = _as_it_is
) -> Iterator[Span | None]:
    """
    A span of a request to a model or a call of a tool; None where nothing is recorded.

    :param of: a key of the conventions' table of spans.
    :param meaning: what an exception is in the language's words.
    """
    if current_span() is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    from airflow_agentic.telemetry.conventions import span_name

    kind = SpanKind.CLIENT if of == "chat" else SpanKind.INTERNAL
    with _open(span_name(of, name), attributes, kind) as span:
        try:
            yield span
        except Exception as error:
            _failed(span, _type_of(meaning(error)))
            _set(span, {"agentic.error.message": str(error)})
            raise
        except BaseException:  # the process ends, or the attempt's time is up
            _failed(span, "cancelled")
            raise


def set_attributes(span: Span | None, attributes: Mapping[str, Any]) -> None:
    """Set those that are known, masked, and content only where it may be sent."""
    if span is not None:
        _set(span, attributes)


def _tracer() -> Tracer:
    from opentelemetry import trace

    from airflow_agentic import __version__
    from airflow_agentic.telemetry.conventions import SCHEMA_URL

    return trace.get_tracer("airflow_agentic", __version__, schema_url=SCHEMA_URL)


@contextlib.contextmanager
def _open(name: str, attributes: Mapping[str, Any], kind: Any = None) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind

    with _tracer().start_as_current_span(
        name, kind=kind or SpanKind.INTERNAL, record_exception=False, set_status_on_exception=False
    ) as span:
        _set(span, attributes)
        yield span


def _attempt(asked: _Asked, started: int | None = None) -> Span:
    from airflow_agentic.telemetry.conventions import agent_attributes, span_name

    span = _tracer().start_span(span_name("attempt", asked.name), start_time=started)
    _set(span, agent_attributes(asked.name, asked.type))
    return span


def _set(span: Span, attributes: Mapping[str, Any]) -> None:
    span.set_attributes(_sent(attributes))


def _event(span: Span, name: str, attributes: Mapping[str, Any]) -> None:
    span.add_event(name, _sent(attributes))


def _sent(attributes: Mapping[str, Any]) -> dict[str, Any]:
    from airflow_agentic import config
    from airflow_agentic.telemetry.conventions import sent
    from airflow_agentic.trace.mask import masked

    return sent(attributes, content=config.get_bool("telemetry_content"), masked=masked)


def _ended_by(span: Span, error: BaseException) -> None:
    """Airflow's signals (skip, wait, defer) are no failures."""
    from airflow.sdk.exceptions import (
        AirflowRescheduleException,
        AirflowSkipException,
        DownstreamTasksSkipped,
        TaskAwaitingInput,
        TaskDeferred,
    )

    from airflow_agentic.errors import RetryLater, StoppedError

    match error:
        case DownstreamTasksSkipped():
            _set(span, {"agentic.state": "success"})
        case AirflowSkipException():
            _set(span, {"agentic.state": "skipped"})
        case TaskDeferred() | TaskAwaitingInput() | AirflowRescheduleException() | RetryLater():
            _set(span, {"agentic.state": "waiting"})
        case _:
            state = "killed" if isinstance(error, StoppedError) else "failed"
            kind = "killed" if isinstance(error, StoppedError) else _type_of(error)
            _set(span, {"agentic.state": state, "agentic.error.message": str(error)})
            _failed(span, kind)


def _failed(span: Span, kind: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _type_of(error: BaseException) -> str:
    """The language's word for an error, else what it is in Python."""
    from airflow_agentic.telemetry.conventions import type_of

    return type_of(getattr(error, "kind", None), type(error).__name__)


def _nanoseconds(at: datetime) -> int:
    """Since the epoch; without the errors of a float."""
    return int(at.replace(microsecond=0).timestamp()) * 1_000_000_000 + at.microsecond * 1_000
