"""What a run came to, for people: the stage table, the errors, the output, the artifacts."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from rich.table import Table
from rich.text import Text

from airflow_agentic import config
from airflow_agentic.trace import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from airflow_agentic.trace.document import AttemptTrace, ErrorTrace, StageSummary, Trace

_STYLES = {"success": "green", "skipped": "dim"}
#: What agents wrote must not steer a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_OUTPUT_LINES = 30


def print_report(console: Console, trace: Trace) -> None:
    """Print everything that is known of a run."""
    print_stages(console, trace)
    if trace.output:
        _line(console, "Output:", "bold")
        for name, value in trace.output.items():
            _line(console, f"  {name}: {_shortened(value)}")
    print_artifacts(console, trace)
    for problem in trace.problems:
        _line(console, f"Problem: {problem}", "yellow")
    _line(console, f"Records: {_near_path(_records(trace))}", "dim")


def _records(trace: Trace) -> str:
    """Where the run's records are: inputs, outputs, errors with their tracebacks, provenance."""
    return f"{config.get('trace_url').rstrip('/')}/{layout.run_folder(trace.dag_id, trace.run_id)}"


def print_stages(console: Console, trace: Trace) -> None:
    """Print how the run and each of its stages went."""
    console.print(_headline(trace), soft_wrap=True)
    console.print(stage_table(trace))
    for line in decision_lines(trace):
        _line(console, line, "dim")
    for stage in trace.stages:
        if stage.error is not None and stage.error["message"] not in (trace.error or ""):
            _line(console, f"{stage.name}: {stage.error['kind']}: {stage.error['message']}", "red")
    if trace.error is not None:
        _line(console, trace.error, "red")


def print_artifacts(console: Console, trace: Trace) -> None:
    """Print where the run's artifacts are."""
    for artifact in trace.artifacts:
        _line(console, f"Artifact: {_near_path(artifact.uri)}", "bold")


def stage_table(trace: Trace) -> Table:
    """One row per stage. What no stage has (tokens, cost) has no column."""
    rows = [_Row(stage=stage, attempts=_attempts(trace, stage), errors=trace.errors) for stage in trace.stages]
    columns = [column for column in _COLUMNS if column[2] or any(column[1](row) for row in rows)]
    table = Table(box=None, pad_edge=False)
    for title, _, _, justify in columns:
        table.add_column(title, justify=justify)
    for row in rows:
        table.add_row(*(Text(plain(cell(row)), style=_style(row.stage)) for _, cell, _, _ in columns))
    return table


@dataclass(frozen=True, kw_only=True)
class _Row:
    """
    A stage, and what its own summary doesn't say.

    :param attempts: at it, in order.
    :param errors: of the whole run.
    """

    stage: StageSummary
    attempts: Sequence[AttemptTrace]
    errors: Sequence[ErrorTrace]


def _attempts(trace: Trace, stage: StageSummary) -> list[AttemptTrace]:
    own = set(stage.attempts)
    return [attempt for attempt in trace.attempts if attempt.id in own]


def _agent(row: _Row) -> str:
    """Who did it: a stand-in, where there was one."""
    own = row.stage.agent
    if own is None or not row.attempts:
        return own or f"({row.stage.kind})"
    agents = dict.fromkeys(attempt.agent for attempt in row.attempts if attempt.agent)
    if row.stage.items is not None:
        return ", ".join(dict.fromkeys((own, *agents)))
    last = row.attempts[-1].agent or own
    return own if last == own else f"{last} for {own}"


def _state(row: _Row) -> str:
    """Of what is green although its agent failed, why; of items, their column says it."""
    state = row.stage.state.replace("_", " ")
    if row.stage.state != "success" or row.stage.items is not None:
        return state
    by = _recovered_by(row)
    return state if by is None else f"{state} (recovered{': a fixed value' if by == 'value' else ''})"


def _recovered_by(row: _Row) -> str | None:
    """``agent`` or ``value``, by what counts: its last attempt; by the error log where nobody worked on it."""
    if row.attempts:
        last = row.attempts[-1]
        stand_in = last.state == "success" and row.stage.agent not in (None, last.agent)
        return last.recovered_by or ("agent" if stand_in else None)
    place = row.stage.stage, row.stage.rounds
    told = [error.then for error in row.errors if (error.stage, error.rounds) == place]
    return "value" if "recovered by value" in told else None


def decision_lines(trace: Trace) -> list[str]:
    """
    What was decided in which round, but to go on as if nothing were decided.

    What the pipelines of several items decided in one round is one line.
    """
    last = {(decision.task_id, decision.map_index): decision for decision in trace.decisions}
    made: dict[Any, Counter[str]] = {}
    for number, decision in enumerate(trace.decisions):
        if decision not in last.values():
            continue
        bound = f", round {decision.round} of {decision.max_rounds}" if decision.max_rounds else ""
        alone = number if decision.map_index < 0 else None
        made.setdefault((f"{decision.stage}{bound}", alone), Counter())[str(decision.shown)] += 1
    lines = []
    for (who, alone), found in made.items():
        what = [shown if alone is not None else f"{shown} (items: {count})" for shown, count in found.items()]
        if set(found) != {"next"}:
            lines.append(f"{who} → {', '.join(what)}")
    return lines


def local_path(uri: str) -> str:
    """A file's URI as its absolute path; another URI as it is."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        return uri
    return str(Path(unquote(parts.path) if parts.scheme else uri).absolute())


def plain(text: str) -> str:
    """The text without characters that a terminal would obey, or that would turn it round."""
    return _CONTROL.sub("�", text)


def plain_line(text: object) -> str:
    """The same in one line: what begins a line is ours."""
    return plain(str(text).encode("utf-8", "replace").decode().replace("\n", "�").replace("\t", " "))


def _near_path(uri: str) -> str:
    """As :func:`local_path`, but relative where it is below the current folder."""
    path = local_path(uri)
    return os.path.relpath(path) if path.startswith(str(Path.cwd()) + os.sep) else path


def _headline(trace: Trace) -> Text:
    # what Airflow isn't asked for begins earlier: waiting for a worker
    whole = "" if trace.complete else " from its first record to its last"
    took = f" in {trace.seconds:.1f} s{whole}" if trace.seconds is not None else ""
    style = _STYLES.get(trace.state, "red" if trace.state == "failed" else "yellow")
    return Text.assemble(
        (plain(trace.dag_id), "bold"), " ", (trace.state, style), f"{took}  (run {plain(trace.run_id)})"
    )


def _style(stage: StageSummary) -> str:
    return _STYLES.get(stage.state, "red")


def _tokens(stage: StageSummary) -> str:
    told, used = (stage.usage.input_tokens, stage.usage.output_tokens), stage.usage
    return f"{used.input_tokens or 0} / {used.output_tokens or 0}" if told != (None, None) else ""


def _cost(stage: StageSummary) -> str:
    """With a sign where it is only a part of it."""
    cost = stage.usage.cost_usd
    return "" if cost is None else f"{'≥ ' if stage.usage.partly_known else ''}{cost:.4f}"


def _items(stage: StageSummary) -> str:
    """How many there were; of some that failed, how many didn't."""
    if stage.items is None:
        return ""
    total, failed, recovered = (stage.items.get(key, 0) for key in ("total", "failed", "recovered"))
    told = f"{total - failed} of {total}" if failed else str(total)
    return f"{told}, {recovered} recovered" if recovered else told


def _seconds(stage: StageSummary) -> str:
    """Of work: people are waited for."""
    return f"{stage.seconds:.2f}" if stage.tries and stage.kind not in ("human", "artifact") else ""


def _waited(stage: StageSummary) -> str:
    return f"{stage.waited:.1f}" if stage.waited else ""


#: Title, cell, whether it is always shown, alignment.
_COLUMNS: tuple[tuple[str, Any, bool, Any], ...] = (
    ("Stage", lambda row: row.stage.name, True, "left"),
    ("Agent", _agent, True, "left"),
    ("State", _state, True, "left"),
    ("Items", lambda row: _items(row.stage), False, "right"),
    ("Attempts", lambda row: str(row.stage.tries), True, "right"),
    ("Seconds", lambda row: _seconds(row.stage), True, "right"),
    ("Waited", lambda row: _waited(row.stage), False, "right"),
    ("Model", lambda row: row.stage.model or "", False, "left"),
    ("Tokens in / out", lambda row: _tokens(row.stage), False, "right"),
    ("Cost (USD)", lambda row: _cost(row.stage), False, "right"),
)


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    lines = text.splitlines() or [""]
    if len(lines) > _OUTPUT_LINES:
        lines = [*lines[:_OUTPUT_LINES], f"… ({len(lines) - _OUTPUT_LINES} more lines; --json prints all)"]
    return "\n    ".join(lines)


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(plain(text), style=style), soft_wrap=True)
