"""Who answers the questions of a run: the command line, or whoever sits at the terminal, or nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.cli.questions import Question, ask, is_interactive, otherwise
from airflow_agentic.trace.stage_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from airflow_agentic.cli.answers import Answers, Given
    from airflow_agentic.cli.progress import Progress
    from airflow_agentic.planning.plan import Plan, PlannedTask


class People:
    """
    Answers the questions of a run.

    :param answers: those given beforehand.
    :param console: where to ask.
    """

    def __init__(self, plan: Plan, answers: Answers, console: Console, progress: Progress) -> None:
        self._plan = plan
        self._answers = answers
        self._console = console
        self._progress = progress

    def warn(self) -> None:
        """Say at once which stages nobody can answer here."""
        if is_interactive():
            return
        for stage in self._answers.unanswered:
            without = otherwise(self._answers.people[stage])
            self._progress.say(
                f"{stage} asks people, and there is no terminal: {without}, unless you add {self._answers.hint(stage)}"
            )

    def reply(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """
        What to answer a question; a null ``choice`` for nothing.

        :param event: the question, as the child tells it.
        """
        given = self._given(event)
        if given is None:
            return {"question": event["question"], "choice": None, "fields": {}}
        return {"question": event["question"], "choice": given.choice, "fields": given.fields}

    def _given(self, event: Mapping[str, Any]) -> Given | None:
        task = self._plan.task(event["task_id"])
        asks = f"{_name(task, event['map_index'])} asks: {event['subject']}"
        given = self._answers.take(task.stage)
        if given is not None:
            self._progress.say(f"{asks} → {given.choice}, as given")
        elif is_interactive():
            shown = {name: event[name] for name in ("subject", "body", "until")}
            question = Question(name=_name(task, event["map_index"]), config=task.config, **shown)
            with self._progress.paused():
                return ask(self._console, question)
        else:
            self._progress.say(f"{asks} → nobody can answer here: {otherwise(task.config)}")
        return given


def _name(task: PlannedTask, map_index: int) -> str:
    item = f", item {map_index + 1}" if map_index >= 0 else ""
    return f"{name_of(task.stage, task.rounds)}{item}"
