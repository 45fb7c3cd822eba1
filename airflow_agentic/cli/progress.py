"""Shows on a terminal how far a run has come; without a terminal, a line for every stage that starts or ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from airflow_agentic.planning.plan import Plan

_STYLES = {"success": "green", "failed": "red", "upstream_failed": "red", "skipped": "dim", "up_for_retry": "yellow"}
_MARKS = {"success": "✓", "failed": "✗", "upstream_failed": "✗", "skipped": "-", "up_for_retry": "↻"}
#: Tasks that a template's author wrote as stages, or would recognize as theirs.
_SHOWN = ("agent", "merge", "artifact")


@dataclass(kw_only=True)
class _Row:
    state: str = "waiting"
    started: float | None = None
    seconds: float | None = None


class Progress:
    """
    A context manager: within it, each stage's state is shown as it is told to :meth:`update`.

    :param plan: of the run.
    :param console: where to show it; of standard error, as a rule.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        self._console = console
        self._rows = {task.task_id: _Row() for task in plan.tasks if task.kind in _SHOWN}
        self._note = ""
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)
        self._spinner = Spinner("dots")

    def __enter__(self) -> Progress:
        """Start showing."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing; what was shown on a terminal goes, the stage table comes in its place."""
        if self._console.is_terminal:
            self._live.stop()

    def note(self, text: str) -> None:
        """Say what is being waited for now."""
        if text == self._note:
            return
        self._note = text
        if text and not self._console.is_terminal:
            self._print(text)

    def update(self, task_id: str, state: str | None) -> None:
        """Take note of a task's state, by Airflow's name."""
        row = self._rows.get(task_id)
        if row is None or state is None or state == row.state:
            return
        row.state = state
        if state == "running":
            row.started = time.monotonic()
        elif row.started is not None:
            row.seconds = time.monotonic() - row.started
        if not self._console.is_terminal and (state == "running" or state in _STYLES):
            self._print(f"{task_id}: {state}{_seconds(row.seconds)}")

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for task_id, row in self._rows.items():
            table.add_row(self._mark(row), Text(task_id), Text(_word(row), style=_STYLES.get(row.state, "dim")))
        if self._note:
            table.add_row(self._spinner, Text(self._note, style="dim"), "")
        return table

    def _mark(self, row: _Row) -> RenderableType:
        if row.state == "running":
            return self._spinner
        return Text(_MARKS.get(row.state, "·"), style=_STYLES.get(row.state, "dim"))


def _word(row: _Row) -> str:
    if row.state == "running" and row.started is not None:
        return f"running{_seconds(time.monotonic() - row.started)}"
    return f"{row.state.replace('_', ' ')}{_seconds(row.seconds)}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"  {seconds:.1f} s"
