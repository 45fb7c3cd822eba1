"""
Shows on a terminal how far a run has come; without a terminal, a line for every stage that starts or ends.

A stage is one row however many mapped tasks it has; in a loop it has a row per round, and those of later rounds are
not there before the round has come.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from airflow_agentic.trace.stage_names import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

    from rich.console import Console, RenderableType

    from airflow_agentic.planning.plan import Plan, PlannedTask

_STYLES = {"success": "green", "failed": "red", "upstream_failed": "red", "skipped": "dim", "up_for_retry": "yellow"}
_MARKS = {"success": "✓", "failed": "✗", "upstream_failed": "✗", "skipped": "-", "up_for_retry": "↻"}
#: Tasks that a template's author wrote as stages, or would recognize as theirs.
_SHOWN = ("agent", "merge", "human", "item", "artifact")
#: The state that stands for several.
_TELLING = ("failed", "running", "awaiting_input", "up_for_retry", "upstream_failed", "success", "skipped")
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
    :param summed_up: whether that was all, of one with several instances.
    """

    stage: str
    name: str
    shown: bool
    told: bool = False
    summed_up: bool = False
    instances: dict[int, _Instance] = field(default_factory=dict)

    @property
    def has_run(self) -> bool:
        """Or is running."""
        return self.state not in _NOT_RUN

    @property
    def state(self) -> str:
        states = {instance.state for instance in self.instances.values()}
        return next((state for state in _TELLING if state in states), next(iter(states), "waiting"))

    def word(self) -> str:
        """Its state for people, and how long it has taken; for several instances, how many are in which state."""
        instances = list(self.instances.values()) or [_Instance()]
        if len(instances) > 1:
            counts = Counter(_word(instance.state) for instance in instances)
            return ", ".join(f"{count} {state}" for state, count in counts.items())
        instance = instances[0]
        if instance.state == "running" and instance.started is not None:
            return f"running{_seconds(time.monotonic() - instance.started)}"
        return f"{_word(instance.state)}{_seconds(instance.seconds)}"


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
        #: the task that deals a list → the one that works on its items
        self._lists = {task.config["items"]: task.task_id for task in plan.tasks if task.kind == "item"}
        self._gathered = _gathered(plan, self._rows)
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
            self._sum_up(self._rows.values())

    def note(self, text: str) -> None:
        """Say what is being waited for now."""
        if text == self._note:
            return
        self._note = text
        if text and not self._console.is_terminal:
            self._print(text)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._print(text)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody else."""
        if not self._console.is_terminal:
            yield
            return
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def update(self, task_id: str, state: str | None, map_index: int = -1) -> None:
        """Take note of a task's state, by Airflow's name; of one of its instances, if it is mapped."""
        # a list that can't be dealt is its stage's failure
        row = self._rows.get(self._lists.get(task_id, task_id) if state == "failed" else task_id)
        if state == "running" and not self._console.is_terminal:
            self._sum_up(self._gathered.get(task_id, ()))
        if row is None or state is None:
            return
        instance = row.instances.setdefault(map_index, _Instance())
        if state == instance.state or (instance.state, state) == ("failed", "upstream_failed"):
            return
        instance.state = state
        if state == "running":
            instance.started, instance.seconds = time.monotonic(), None
        elif instance.started is not None:
            instance.seconds = time.monotonic() - instance.started
        row.shown = row.shown or row.has_run
        if not self._console.is_terminal and (state == "running" or state in _STYLES):
            self._tell(row, map_index, state)

    def _tell(self, row: _Row, map_index: int, state: str) -> None:
        """Print a line; of a mapped task only that it has begun, until it is summed up."""
        if not row.shown or (map_index >= 0 and row.told):
            return
        if state == "skipped" and any(other.has_run for other in self._rows.values() if other.stage == row.stage):
            return  # a round that wasn't needed
        row.told, row.summed_up = True, map_index < 0
        self._print(f"{row.name}: {'running' if row.state == 'running' else row.word()}")

    def _sum_up(self, rows: Iterable[_Row]) -> None:
        for row in rows:
            if row.told and not row.summed_up:
                row.summed_up = True
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
    shown = all(number == 1 for number in task.rounds)
    return _Row(stage=task.stage, name=name_of(task.stage, task.rounds), shown=shown)


def _word(state: str) -> str:
    """A state of Airflow's, for people."""
    return "waiting for an answer" if state == "awaiting_input" else state.replace("_", " ")


def _gathered(plan: Plan, rows: Mapping[str, _Row]) -> dict[str, list[_Row]]:
    """The mapped tasks whose end a task waits for, by its id: those of a list's items, or of a pipeline for each."""
    tasks = {task.task_id: task for task in plan.tasks}
    found = {}
    for task in plan.tasks:
        if task.kind == "collect":
            item = tasks[task.config["item"]]
            ids = [
                task_id for task_id, one in tasks.items() if one is item or (item.mapped and one.mapped == item.mapped)
            ]
            found[task.task_id] = [rows[task_id] for task_id in ids if task_id in rows]
    return found


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"  {seconds:.1f} s"
