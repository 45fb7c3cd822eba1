"""
The trace as Markdown, for pull requests and tickets: what the page tells, in tables and lists, with values cut.

Nothing in a value can be more than text there: what stands in a line is escaped, what has lines of its own stands in
code blocks that it can't end. It is a function of the trace alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_agentic.shown import fenced
from airflow_agentic.view.details import place_of, title_of
from airflow_agentic.view.provenance import told_of
from airflow_agentic.view.values import as_text
from airflow_agentic.view.words import (
    at,
    budget_words,
    clock,
    count,
    duration,
    harmless,
    money,
    plural,
    state_sign,
    state_words,
    tokens,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_agentic.trace.document import AnswerTrace, AttemptTrace, ErrorTrace, Trace
    from airflow_agentic.view.provenance import Told

#: Characters of a value that has lines of its own, and of one that stands in a line.
_BLOCK, _LINE = 1500, 300
#: Rows of a table; attempts that failed are always in it.
_ROWS = 150
#: What Markdown and its extensions might read as more than text: anywhere; as a link; at the beginning of a line.
_SYNTAX = re.compile(r"[\\`*_\[\]#!|~$]|:(?=//)|(?<=www)\.|^[-+=]|^\d{1,9}[.)](?=\s|$)", re.IGNORECASE)
#: A person's or a group's name is told to them by some sites; an invisible character keeps it a text.
_NAMED = re.compile("@(?=[A-Za-z0-9])")


def trace_markdown(trace: Trace) -> str:
    """The run as Markdown."""
    parts = [
        *_summary(trace),
        *_values("Inputs", trace.inputs),
        *_values("Output", trace.output),
        *_errors(trace),
        *_decisions(trace),
        *_stages(trace),
        *_people(trace.answers),
        *_artifacts(trace),
        *_attempts(trace),
        *_template(trace),
    ]
    return "\n\n".join(parts) + "\n"


def escaped(text: object, longest: int = _LINE) -> str:
    """A text in one line, in which nothing is Markdown or HTML."""
    line = " ".join(harmless(str(text)).split())
    line = line if len(line) <= longest else f"{line[: longest - 1]}…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    written = _SYNTAX.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", line)
    return _NAMED.sub("@\u2060", written)


def _state(state: str | None) -> str:
    return f"{state_sign(state)} {escaped(state_words(state))}"


def _block(value: Any) -> str:
    """A value in lines of its own."""
    text = harmless(as_text(value))
    if len(text) > _BLOCK:
        text = f"{text[:_BLOCK]}\n… ({count(len(text) - _BLOCK)} more characters)"
    return fenced(text, "" if isinstance(value, str) else "json")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Cells are Markdown: of others, :func:`escaped`."""
    lines = [titles, ["---:" if title in right else "---" for title in titles], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _summary(trace: Trace) -> Iterator[str]:
    yield f"# {escaped(trace.dag_id)}: {_state(trace.state)}"
    if trace.error is not None:
        yield f"**Why it failed:** {escaped(trace.error, 2 * _BLOCK)}"
    triggered = trace.triggered
    who = triggered.get("by") or ("not known" if triggered.get("type") in ("manual", None) else triggered["type"])
    facts = {
        "Run": escaped(trace.run_id),
        "Started": f"{at(trace.started)} UTC" if trace.started else "not known",
        "Took": duration(trace.seconds) if trace.ended else "goes on",
        "Started by": escaped(who),
        "Attempts": count(len(trace.attempts)),
        "Tokens": tokens(trace.usage),
        "Cost": money(trace.usage),
        "Budget": escaped(budget_words(trace.budget)) if trace.budget else "none",
        "Sealed": f"{at(str(trace.sealed.get('at')))} UTC" if trace.sealed else "no",
    }
    yield _table(("", ""), [(f"**{name}**", told) for name, told in facts.items()])
    notes = [*trace.problems]
    if not trace.complete:
        notes.append("Airflow could not be asked: tries that left no record, and times in queues, are missing.")
    if notes:
        yield "\n".join(f"- {escaped(note)}" for note in notes)


def _values(title: str, values: Any) -> Iterator[str]:
    if not values:
        return
    yield f"## {title}"
    if not isinstance(values, dict):
        yield _block(values)
        return
    short = {name: value for name, value in values.items() if _fits(value)}
    if short:
        yield "\n".join(f"- **{escaped(name)}**: {escaped(as_text(value))}" for name, value in short.items())
    for name, value in values.items():
        if name not in short:
            yield f"**{escaped(name)}**"
            yield _block(value)


def _fits(value: Any) -> bool:
    text = as_text(value)
    return len(text) <= _LINE // 2 and "\n" not in text


def _errors(trace: Trace) -> Iterator[str]:
    if not trace.errors:
        return
    yield "## Errors"
    rows = []
    for error in trace.errors[:_ROWS]:
        where = _where(trace, error)
        rows.append((clock(error.at), *map(escaped, (where, error.agent or "", error.kind, error.message, error.then))))
    yield _table(("When", "Where", "Agent", "Kind", "What", "What became of it"), rows)
    yield from _more(len(trace.errors), "entry", "entries")


def _where(trace: Trace, error: ErrorTrace) -> str:
    found = next((attempt for attempt in trace.attempts if attempt.id == error.ref), None)
    return title_of(found) if found is not None else place_of(error)


def _more(number: int, one: str, many: str) -> Iterator[str]:
    if number > _ROWS:
        yield f"And {plural(number - _ROWS, f'more {one}', f'more {many}')}."


def _decisions(trace: Trace) -> Iterator[str]:
    if not trace.decisions:
        return
    yield "## Decisions"
    lines = []
    for decision in trace.decisions[:_ROWS]:
        bound = f" (round {decision.round} of at most {decision.max_rounds})" if decision.max_rounds else ""
        lines.append(f"1. {clock(decision.decided)}: {escaped(decision.words, _BLOCK)}{bound}")
        if decision.feedback:
            lines.append(f"   - What went back: {escaped(as_text(decision.feedback), _BLOCK)}")
    yield "\n".join(lines)
    yield from _more(len(trace.decisions), "decision", "decisions")


def _stages(trace: Trace) -> Iterator[str]:
    yield "## Stages"
    numbers = ("Tries", "Items", "Queued", "Waited", "Work", "Cost")
    rows = [
        (
            escaped(stage.name),
            _state(stage.state),
            escaped(stage.agent or stage.kind),
            escaped(stage.model or ""),
            str(stage.tries or ""),
            f"{stage.items['total'] - stage.items['failed']} of {stage.items['total']}" if stage.items else "",
            duration(stage.queued) if stage.queued else "",
            duration(stage.waited) if stage.waited else "",
            duration(stage.seconds) if stage.seconds else "",
            tokens(stage.usage) if stage.usage.input_tokens is not None else "",
            money(stage.usage) if stage.usage.cost_usd is not None else "",
        )
        for stage in trace.stages
    ]
    titles = ("Stage", "State", "Agent", "Model", "Tries", "Items", "Queued", "Waited", "Work", "Tokens", "Cost")
    yield _table(titles, rows, numbers)


def _people(answers: Sequence[AnswerTrace]) -> Iterator[str]:
    if not answers:
        return
    yield "## People"
    lines = []
    for answer in answers:
        lines.append(f"- **{escaped(answer.subject)}** (asked {at(answer.asked)} UTC, stage {escaped(answer.stage)})")
        lines.append(f"  - {_answer(answer)}")
        lines += [f"  - {escaped(name)}: {escaped(as_text(value))}" for name, value in answer.fields.items()]
    yield "\n".join(lines)


def _answer(answer: AnswerTrace) -> str:
    if answer.answered is None:
        return "waits for an answer"
    if answer.timed_out:
        return f"nobody answered in time: {escaped(answer.choice)} was taken after {duration(answer.seconds)}"
    if answer.error is not None:
        return f"{escaped(answer.error['kind'])}: {escaped(answer.error['message'])}"
    who = (answer.by or {}).get("name", "somebody")
    return f"{escaped(answer.choice)}, said {escaped(who)} after {duration(answer.seconds)}"


def _artifacts(trace: Trace) -> Iterator[str]:
    for artifact in trace.artifacts:
        yield "## Artifact"
        yield f"{escaped(artifact.uri)} ({plural(artifact.bytes, 'byte')}, SHA-256 {escaped(artifact.sha256)})"
        if artifact.problem is not None:
            yield escaped(artifact.problem)
        if artifact.content is not None:
            yield _block(artifact.content)
        yield from _origins(told_of(artifact))


def _origins(told: Told) -> Iterator[str]:
    if not told.passages:
        return
    yield "Where its words are from:"
    rows = [(escaped(passage.excerpt), escaped(passage.words)) for passage in told.passages[:_ROWS]]
    yield _table(("Passage", "From"), rows)
    yield from _more(len(told.passages), "passage", "passages")


def _attempts(trace: Trace) -> Iterator[str]:
    if not trace.attempts:
        return
    yield "## Attempts"
    bad = [attempt for attempt in trace.attempts if attempt.state != "success"]
    good = [attempt for attempt in trace.attempts if attempt.state == "success"][: max(0, _ROWS - len(bad))]
    chosen = {attempt.id for attempt in (*bad, *good)}
    titles = ("Attempt", "State", "Agent", "Started", "Work", "Output or error")
    yield _table(titles, [_attempt(attempt) for attempt in trace.attempts if attempt.id in chosen], ("Work",))
    left = len(trace.attempts) - len(chosen)
    if left:
        yield f"And {plural(left, 'more attempt that succeeded', 'more attempts that succeeded')}."


def _attempt(attempt: AttemptTrace) -> tuple[str, ...]:
    number = f", attempt {attempt.attempt}" if attempt.attempt else f", try {attempt.try_number}"
    error = attempt.error
    told = f"{error.get('kind')}: {error.get('message')}" if error else as_text(attempt.output)
    return (
        escaped(title_of(attempt)) + number,
        _state(attempt.state),
        escaped(attempt.agent or ""),
        clock(attempt.started),
        duration(attempt.seconds),
        escaped(told, _LINE // 2),
    )


def _template(trace: Trace) -> Iterator[str]:
    if trace.template is not None:
        yield "## Template"
        yield fenced(harmless(trace.template), "yaml")
