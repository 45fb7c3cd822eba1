"""The difference of two runs as text, and as Markdown: the same sections, in two dresses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from airflow_agentic.cli.report import plain, plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_agentic.trace.changes import Change
    from airflow_agentic.trace.diff import RunDiff, StepDiff

#: What one place, one section and one text are cut at; ``--json`` has all.
_VALUE, _PLACES, _LINES = 200, 40, 60


@dataclass(frozen=True, kw_only=True)
class _Section:
    """
    One section.

    :param entries: each a line, and lines of a difference below it.
    """

    title: str
    entries: Sequence[tuple[str, Sequence[str]]]


def as_text(found: RunDiff) -> str:
    """For a terminal; nothing in it steers one."""
    lines = [_headline(found), ""] if found.same else [_headline(found), f"They parted here: {found.first}", ""]
    for section in _sections(found):
        lines.append(f"{section.title}:")
        for line, more in section.entries:
            lines += [f"  {line}", *(f"    {each}" for each in more)]
        lines.append("")
    lines += _table(found)
    return "\n".join(plain_line(line) for line in lines) + "\n"


def as_markdown(found: RunDiff) -> str:
    """For a page; nothing in it is Markdown or HTML of others."""
    from airflow_agentic.shown import fenced
    from airflow_agentic.view.markdown import escaped

    parts = [f"# {escaped(_headline(found))}"]
    if found.first is not None:
        parts.append(f"**They parted here:** {escaped(found.first, 1000)}")
    for section in _sections(found):
        parts.append(f"## {section.title}")
        for line, more in section.entries:
            parts.append(f"- {escaped(line, 1000)}")
            if more:
                parts.append(fenced(plain("\n".join(more)), "diff"))
    parts += ["## Time and usage", fenced(plain("\n".join(_table(found))), "")]
    return "\n\n".join(parts) + "\n"


def _headline(found: RunDiff) -> str:
    told = "are the same, apart from times" if found.same else "differ"
    return f"A ({_name(found.a)}) and B ({_name(found.b)}) {told}"


def _name(run: dict[str, Any]) -> str:
    return f"{run['dag_id']} {run['run_id']}: {run['state']}"


def _sections(found: RunDiff) -> Iterator[_Section]:
    """Those in which there is something to tell."""
    entries: dict[str, list[tuple[str, Sequence[str]]]] = {
        "Template": [("its text differs", found.template)] if found.template else [],
        "Inputs": list(_places(found.inputs)),
        "Path": _cut([entry for alike in _alike(found.steps) for entry in _step(*alike)]),
        "End": list(_places(found.ends)),
        "Output": list(_places(found.output)),
        "Artifacts": [
            (f"{name}: {line}", more) for name, told in found.artifacts.items() for line, more in _places(told)
        ],
        "Usage": list(_places(found.usage)),
        "Notes": [(note, ()) for note in found.notes],
    }
    for title, told in entries.items():
        if told:
            yield _Section(title=title, entries=[(line, _cut_lines(more)) for line, more in told])


def _alike(steps: Iterable[StepDiff]) -> Iterator[list[StepDiff]]:
    """Items of one list in which the same differs, together."""

    def but_the_item(step: StepDiff) -> tuple[Any, ...]:
        return step.what, step.stage, step.only, step.words.replace(step.name, step.stage), step.changes

    yield from (list(alike) for _, alike in groupby(steps, but_the_item))


def _step(step: StepDiff, *alike: StepDiff) -> Iterator[tuple[str, Sequence[str]]]:
    """
    What differs in words, then where; a value that the words have told isn't told again.

    :param alike: steps in which the same differs.
    """
    yield step.words, ()
    if alike:
        yield f"  and {len(alike)} more alike, up to {alike[-1].name}", ()
    for aspect, told in step.changes.items():
        for line, more in _places(told[:_PLACES]):
            yield f"  {aspect}: {line}", more


def _places(told: Iterable[Change]) -> Iterator[tuple[str, Sequence[str]]]:
    for number, change in enumerate(told):
        if number == _PLACES:
            yield "… more; --json tells all", ()
            return
        yield _place(change), change.lines or ()


def _place(change: Change) -> str:
    where = f"{change.path} " if change.path else ""
    if change.lines is not None:
        return f"{where}differs"
    if change.what == "changed":
        return f"{where}{_shown(change.a)} → {_shown(change.b)}"
    value = change.a if change.what == "removed" else change.b
    return f"{where}only in {'A' if change.what == 'removed' else 'B'}: {_shown(value)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}… ({len(text):,} characters)"


def _cut(entries: list[tuple[str, Sequence[str]]]) -> list[tuple[str, Sequence[str]]]:
    most = 4 * _PLACES
    return (
        entries if len(entries) <= most else [*entries[:most], (f"… {len(entries) - most} more; --json tells all", ())]
    )


def _cut_lines(lines: Sequence[str]) -> Sequence[str]:
    lines = [line if len(line) <= _VALUE else f"{line[:_VALUE]}…" for line in lines]
    return lines if len(lines) <= _LINES else [*lines[:_LINES], f"… {len(lines) - _LINES} more lines"]


def _table(found: RunDiff) -> list[str]:
    """What stages took in both runs."""
    rows: list[tuple[str, ...]] = [("", "seconds A", "B", "attempts A", "B", "tokens A", "B", "USD A", "B")]
    rows += [(stage.name, *_cells(stage.a, stage.b)) for stage in found.stages]
    rows.append(("whole run", *_cells({**found.a, "tries": None}, {**found.b, "tries": None})))
    first, *others = (max(len(row[column]) for row in rows) for column in range(len(rows[0])))
    return [
        "  ".join(
            (f"{row[0]:{first}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], others, strict=True)))
        ).rstrip()
        for row in rows
    ]


def _cells(a: dict[str, Any] | None, b: dict[str, Any] | None) -> Iterator[str]:
    for key in ("seconds", "tries", "tokens", "cost_usd"):
        for run in (a, b):
            yield _cell(run, key) if run else "-"


def _cell(run: dict[str, Any], key: str) -> str:
    if key == "tokens":
        told = [run["input_tokens"], run["output_tokens"]]
        return "" if told == [None, None] else f"{sum(count or 0 for count in told):,}"
    value = run[key]
    if value is None:
        return ""
    return {"seconds": f"{value:.2f}", "cost_usd": f"{value:.4f}"}.get(key, str(value))
