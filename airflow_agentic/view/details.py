"""What there is to say about one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.stage_names import name_of
from airflow_agentic.view.timeline import attempt_words
from airflow_agentic.view.values import Shown, parts, shown

if TYPE_CHECKING:
    from airflow_agentic.trace.document import AttemptTrace, ErrorTrace, Trace, TryTrace

#: Keys of an error that the page tells in its own places.
_TOLD = ("kind", "message", "reply", "traceback", "details")


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """One call of a tool; :param rest: what is known beside its name, arguments and result."""

    name: str
    given: Shown | None
    result: Shown | None
    rest: Shown | None


@dataclass(frozen=True, kw_only=True)
class Details:
    """
    An attempt with what is around it.

    :param before, after: attempts at the same work, before and after it.
    :param instance: Airflow's try in which it was made; null where that isn't known.
    :param log: its entry of the error log.
    """

    attempt: AttemptTrace
    title: str
    words: str
    before: AttemptTrace | None
    after: AttemptTrace | None
    instance: TryTrace | None
    log: ErrorTrace | None
    sent: tuple[Shown, ...]
    output: tuple[Shown, ...]
    tools: tuple[ToolCall, ...]
    reply: Shown | None
    error_details: Shown | None
    window: Shown | None
    item: Shown | None


class Teller:
    """Finds what belongs to attempts; made once for a trace."""

    def __init__(self, trace: Trace) -> None:
        self.attempts = {attempt.id: attempt for attempt in trace.attempts}
        self._tries = {(task.task_id, task.map_index, each.number): each for task in trace.tasks for each in task.tries}
        self._log = {error.ref: error for error in trace.errors if error.ref is not None}
        self._lives: dict[Any, list[AttemptTrace]] = {}
        for attempt in trace.attempts:
            self._lives.setdefault(_work(attempt), []).append(attempt)

    def details(self, attempt_id: str) -> Details:
        """
        All of one attempt.

        :raises KeyError: there is no such attempt.
        """
        attempt = self.attempts[attempt_id]
        life = self._lives[_work(attempt)]
        place = life.index(attempt)
        error = attempt.error or {}
        rest = {key: value for key, value in error.items() if key not in _TOLD and value}
        rest |= {"details": error["details"]} if error.get("details") else {}
        rest |= {"traceback": error["traceback"]} if error.get("traceback") else {}
        return Details(
            attempt=attempt,
            title=title_of(attempt),
            words=attempt_words(attempt),
            before=life[place - 1] if place else None,
            after=life[place + 1] if place + 1 < len(life) else None,
            instance=self._tries.get((attempt.task_id, attempt.map_index, attempt.try_number)),
            log=self._log.get(attempt.id),
            sent=tuple(parts(attempt.sent, attempt.id, "sent")) if attempt.sent is not None else (),
            output=tuple(parts(attempt.output, attempt.id, "output")) if attempt.output is not None else (),
            tools=tuple(_tool(call, attempt.id) for call in attempt.tool_calls),
            reply=shown(error["reply"], attempt.id, "reply") if error.get("reply") is not None else None,
            error_details=shown(rest, attempt.id, "error") if rest else None,
            window=shown(attempt.window, attempt.id, "window") if attempt.window else None,
            item=shown(attempt.item.get("value"), attempt.id, "sent") if attempt.item else None,
        )


def title_of(attempt: AttemptTrace) -> str:
    """What an attempt is called."""
    item = attempt.item.get("index") if attempt.item else None
    number = item if isinstance(item, int) else None
    return name_of(attempt.stage, attempt.rounds, attempt.map_index if number is None else -1, number, attempt.label)


def place_of(error: ErrorTrace) -> str:
    """Where an entry of the error log happened."""
    around = error.map_index if error.item is None else -1
    return name_of(error.stage, error.rounds, around, error.item, error.label) if error.stage else "the run"


def _work(attempt: AttemptTrace) -> tuple[Any, ...]:
    """Attempts with the same are about the same."""
    item = attempt.item.get("index") if attempt.item else None
    return attempt.task_id, attempt.map_index, item


def _tool(call: dict[str, Any], ref: str) -> ToolCall:
    told = dict(call)
    name = str(told.pop("name", None) or told.pop("tool", None) or "tool")
    given = next((told.pop(key) for key in ("arguments", "args", "input") if key in told), None)
    result = next((told.pop(key) for key in ("result", "output", "answer", "return") if key in told), None)
    rest = {key: value for key, value in told.items() if value is not None}
    return ToolCall(
        name=name,
        given=None if given is None else shown(given, ref, "tool_calls"),
        result=None if result is None else shown(result, ref, "tool_calls"),
        rest=shown(rest, ref, "tool_calls") if rest else None,
    )
