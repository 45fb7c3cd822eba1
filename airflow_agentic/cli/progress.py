"""
Shows on a terminal how far a run has come; without a terminal, a line for every stage that starts or ends.

A stage is one row however many mapped tasks it has; in a loop it has a row per round, and those of later rounds are
not there before the round has come.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from airflow_agentic.trace.stages import name_of

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from airflow_agentic.planning.plan import Plan, PlannedTask

_STYLES = {"success": "green", "failed": "red", "upstream_failed": "red", "skipped": "dim", "up_for_retry": "yellow"}
_MARKS = {"success": "✓", "failed": "✗", "upstream_failed": "✗", "skipped": "-", "up_for_retry": "↻"}
#: Tasks that a template's author wrote as stages, or would recognize as theirs.
_SHOWN = ("agent", "merge", "human", "item", "artifact")
#: The state that stands for several.
_TELLING = ("failed", "running", "up_for_retry", "upstream_failed", "success", "skipped")
_NOT_RUN = ("waiting", "skipped", "upstream_failed")


@dataclass(kw_only=True)
class _Instance:
    """A task instance: a mapped task has several."""

    state: str = "waiting"
    started: float | None = None
    seconds: float | None = None


@dataclass(kw_only=True)
class _Row:
    """
    A stage in one round.

    :param shown: also before it has run.
    :param told: whether anything was printed of it.
    """

    name: str
    shown: bool
    told: bool = False
    instances: dict[int, _Instance] = field(default_factory=dict)

    @property
    def is_mapped(self) -> bool:
        return any(map_index >= 0 for map_index in self.instances)

    @property
    def state(self) -> str:
        states = {instance.state for instance in self.instances.values()}
        return next((state for state in _TELLING if state in states), next(iter(states), "waiting"))

    def word(self) -> str:
        """Its state for people, and how long it has taken; for several instances, how many are in which state."""
        if self.is_mapped:
            counts = Counter(instance.state.replace("_", " ") for instance in self.instances.values())
            return ", ".join(f"{count} {state}" for state, count in counts.items())
        instance = self.instances.get(-1, _Instance())
        if instance.state == "running" and instance.started is not None:
            return f"running{_seconds(time.monotonic() - instance.started)}"
        return f"{instance.state.replace('_', ' ')}{_seconds(instance.seconds)}"


class Progress:
    """
    A context manager: within it, each stage's state is shown as it is told to :meth:`update`.

    :param plan: of the run.
    :param console: where to show it; of standard error, as a rule.
    """

    def __init__(self, plan: Plan, console: Console) -> None:
        self._console = console
        self._rows = {task.task_id: _row(task) for task in plan.tasks if task.kind in _SHOWN}
        self._note = ""
        self._untold: _Row | None = None
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
        else:
            self._tell_rest()

    def note(self, text: str) -> None:
        """Say what is being waited for now."""
        if text == self._note:
            return
        self._note = text
        if text and not self._console.is_terminal:
            self._print(text)

    def update(self, task_id: str, state: str | None, map_index: int = -1) -> None:
        """Take note of a task's state, by Airflow's name; of one of its instances, if it is mapped."""
        row = self._rows.get(task_id)
        if row is None or state is None:
            return
        instance = row.instances.setdefault(map_index, _Instance())
        if state == instance.state:
            return
        instance.state = state
        if state == "running":
            instance.started, instance.seconds = time.monotonic(), None
        elif instance.started is not None:
            instance.seconds = time.monotonic() - instance.started
        row.shown = row.shown or state not in _NOT_RUN
        if not self._console.is_terminal and row.shown and (state == "running" or state in _STYLES):
            self._tell(row)

    def _tell(self, row: _Row) -> None:
        """Print a line; one for all instances of a mapped task, when something else has begun."""
        if self._untold is not row:
            self._tell_rest()
        if row.is_mapped and row.told:
            self._untold = row
            return
        row.told = True
        self._print(f"{row.name}: {'running' if row.state == 'running' else row.word()}")

    def _tell_rest(self) -> None:
        row, self._untold = self._untold, None
        if row is not None:
            self._print(f"{row.name}: {row.word()}")

    def _print(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for row in self._rows.values():
            if row.shown:
                table.add_row(self._mark(row), Text(row.name), Text(row.word(), style=_STYLES.get(row.state, "dim")))
        if self._note:
            table.add_row(self._spinner, Text(self._note, style="dim"), "")
        return table

    def _mark(self, row: _Row) -> RenderableType:
        if row.state == "running":
            return self._spinner
        return Text(_MARKS.get(row.state, "·"), style=_STYLES.get(row.state, "dim"))


def _row(task: PlannedTask) -> _Row:
    return _Row(name=name_of(task.stage, task.rounds), shown=all(number == 1 for number in task.rounds))


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"  {seconds:.1f} s"
