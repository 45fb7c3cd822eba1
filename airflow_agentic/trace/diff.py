"""
What differs between two runs: what they were made from, where they parted, what they came to, and what they took.

Two runs that differ in nothing but times are the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.changes import Change, changes, text_lines
from airflow_agentic.trace.steps import Step, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_agentic.trace.document import ArtifactTrace, StageSummary, Trace, UsageTrace
    from airflow_agentic.trace.steps import StepKey

_SHOWN = 120


@dataclass(frozen=True, kw_only=True)
class StepDiff:
    """
    One step that the runs took differently.

    :param only: ``A`` or ``B`` for a step that one of them took, else null.
    :param words: in a sentence.
    :param changes: by aspect (``input``, ``outcome``, ``output``, …).
    """

    what: str
    stage: str
    name: str
    only: str | None
    words: str
    changes: dict[str, tuple[Change, ...]]


@dataclass(frozen=True, kw_only=True)
class StageDiff:
    """
    What one stage took in each run.

    :param a, b: ``state``, ``tries``, ``seconds``, ``waited``, ``calls``, ``input_tokens``, ``output_tokens``,
        ``cost_usd``; null for a run that hasn't the stage.
    """

    name: str
    a: dict[str, Any] | None
    b: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class RunDiff:
    """
    Two runs.

    :param a, b: ``dag_id``, ``run_id``, ``state``, ``error``, ``started``, ``seconds``, ``template_digest``, and what
        the whole run used.
    :param same: nothing differs but times.
    :param first: where they parted: the first difference in words; null for none.
    :param template: the difference of the templates' texts line by line; empty for none.
    :param ends: of state and error.
    :param steps: that differ, in the order in which the first run took them.
    :param artifacts: by the task that wrote them.
    :param stages: all of them, in the order of the first run's.
    :param notes: what couldn't be compared.
    """

    a: dict[str, Any]
    b: dict[str, Any]
    same: bool
    first: str | None
    template: tuple[str, ...]
    inputs: tuple[Change, ...]
    ends: tuple[Change, ...]
    steps: tuple[StepDiff, ...]
    output: tuple[Change, ...]
    artifacts: dict[str, tuple[Change, ...]]
    usage: tuple[Change, ...]
    stages: tuple[StageDiff, ...]
    notes: tuple[str, ...]

    def to_data(self) -> dict[str, Any]:
        """The difference as JSON-able data."""
        return asdict(self)


def diff(a: Trace, b: Trace) -> RunDiff:
    """Compare two runs, also of two DAGs."""
    template = () if a.template == b.template else text_lines(a.template or "", b.template or "", "template") or ()
    inputs = tuple(changes(a.inputs, b.inputs))
    ends = tuple(changes({"state": a.state, "error": a.error}, {"state": b.state, "error": b.error}))
    steps = tuple(_steps(steps_of(a), steps_of(b)))
    output = tuple(changes(a.output, b.output))
    artifacts = _artifacts(a, b)
    usage = tuple(changes(_usage(a.usage), _usage(b.usage)))
    found = (template, inputs, ends, steps, output, artifacts, usage)
    return RunDiff(
        a=_run(a),
        b=_run(b),
        same=not any(found),
        first=_first(template, inputs, steps, (*ends, *output), artifacts, usage),
        template=template,
        inputs=inputs,
        ends=ends,
        steps=steps,
        output=output,
        artifacts=artifacts,
        usage=usage,
        stages=tuple(_stages(a, b)),
        notes=tuple(_notes(a, b)),
    )


def _steps(a: Mapping[StepKey, Step], b: Mapping[StepKey, Step]) -> Iterator[StepDiff]:
    """Those of B alone stand behind the step that they followed in B."""
    following: dict[StepKey | None, list[Step]] = {}
    last: StepKey | None = None
    for key, step in b.items():
        if key in a:
            last = key
        else:
            following.setdefault(last, []).append(step)
    yield from (_alone(step, "B") for step in following.get(None, ()))
    for key, step in a.items():
        if key not in b:
            yield _alone(step, "A")
            continue
        found = _compared(step, b[key])
        if found is not None:
            yield found
        yield from (_alone(other, "B") for other in following.get(key, ()))


def _alone(step: Step, run: str) -> StepDiff:
    return StepDiff(
        what=step.what, stage=step.stage, name=step.name, only=run, words=f"only in {run}: {step.words}", changes={}
    )


def _compared(a: Step, b: Step) -> StepDiff | None:
    known = [aspect for aspect in a.facts if aspect in b.facts]
    found = {aspect: tuple(changes(a.facts[aspect], b.facts[aspect])) for aspect in known}
    differing = {aspect: told for aspect, told in found.items() if told}
    if not differing:
        return None
    return StepDiff(
        what=a.what, stage=a.stage, name=a.name, only=None, words=_words(a, b, differing), changes=differing
    )


def _words(a: Step, b: Step, differing: Mapping[str, tuple[Change, ...]]) -> str:
    if a.what == "work":
        aspect, told = next(iter(differing.items()))
        return f"{a.name}: {_ASPECTS.get(aspect, f'another {aspect}')}{_where(told[0], aspect)}"
    if a.words == b.words:
        aspect, told = next(iter(differing.items()))
        return f"{a.name}: another {aspect}{_where(told[0], aspect)}"
    return f"{a.name}: in A, {a.words}; in B, {b.words}"


_ASPECTS = {
    "input": "it was given another input",
    "output": "it gave another output for the same input",
    "attempts": "it took another number of attempts",
    "errors": "it went wrong in another way",
    "state": "it ended in another state",
    "tool calls": "its agent called other tools, or got other results",
    "cached": "its answer was kept from another run in only one of them",
}


def _where(change: Change, aspect: str) -> str:
    """The place and, where they are short, the values."""
    place = f" at {aspect}{'' if change.path.startswith('[') else '.'}{change.path}" if change.path else ""
    if change.lines is not None or change.what != "changed":
        return place + ("" if change.what == "changed" else f" ({change.what} in B)")
    one, other = (json.dumps(value, ensure_ascii=False) for value in (change.a, change.b))
    shown = f"{one} in A, {other} in B"
    return f"{place}: {shown}" if len(shown) <= _SHOWN else place


def _first(
    template: tuple[str, ...],
    inputs: tuple[Change, ...],
    steps: tuple[StepDiff, ...],
    results: tuple[Change, ...],
    artifacts: Mapping[str, tuple[Change, ...]],
    usage: tuple[Change, ...],
) -> str | None:
    """Templates and inputs were there before the first step."""
    told = []
    if template:
        told.append("they were made from templates that differ")
    if inputs:
        told.append(f"they were given other inputs{_where(inputs[0], 'inputs')}")
    if steps:
        told.append(steps[0].words)
    if not told and results:
        told.append(f"they came to another end{_where(results[0], 'run')}")
    if not told and artifacts:
        told.append(f"the artifact of {next(iter(artifacts))} is another one")
    if not told and usage:
        told.append(f"they did the same, and used other amounts{_where(usage[0], 'usage')}")
    return "; then ".join(told) if told else None


def _artifacts(a: Trace, b: Trace) -> dict[str, tuple[Change, ...]]:
    """By content; where they were written depends on the run."""
    one, other = ({each.task_id: each for each in trace.artifacts} for trace in (a, b))
    found = {name: tuple(_artifact(one.get(name), other.get(name))) for name in {**one, **other}}
    return {name: told for name, told in found.items() if told}


def _artifact(a: ArtifactTrace | None, b: ArtifactTrace | None) -> Iterator[Change]:
    if a is None or b is None:
        told = {"uri": (a or b).uri} if a or b else None  # type: ignore[union-attr]
        yield Change(path="", what="added" if a is None else "removed", a=told if a else None, b=told if b else None)
    elif a.sha256 != b.sha256:
        known = a.content is not None and b.content is not None
        yield Change(path="", what="changed", a=a.sha256, b=b.sha256, lines=_lines(a, b) if known else None)


def _lines(a: ArtifactTrace, b: ArtifactTrace) -> tuple[str, ...]:
    return text_lines(f"{a.content}\n", f"{b.content}\n") or ()


def _usage(used: UsageTrace) -> dict[str, Any]:
    cost = None if used.cost_usd is None else round(used.cost_usd, 9)
    return {
        "calls": used.calls,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cost_usd": cost,
    }


def _run(trace: Trace) -> dict[str, Any]:
    keys = ("dag_id", "run_id", "state", "error", "started", "seconds", "template_digest")
    return {**{key: getattr(trace, key) for key in keys}, **_usage(trace.usage)}


def _stages(a: Trace, b: Trace) -> Iterator[StageDiff]:
    one, other = ({stage.name: stage for stage in trace.stages} for trace in (a, b))
    for name in {**one, **other}:
        yield StageDiff(name=name, a=_stage(one.get(name)), b=_stage(other.get(name)))


def _stage(stage: StageSummary | None) -> dict[str, Any] | None:
    if stage is None:
        return None
    return {
        "state": stage.state,
        "tries": stage.tries,
        "seconds": stage.seconds,
        "waited": stage.waited,
        **_usage(stage.usage),
    }


def _notes(a: Trace, b: Trace) -> Iterator[str]:
    for name, trace in (("A", a), ("B", b)):
        if trace.template is None:
            yield f"The template of {name} isn't known."
        if trace.state not in ("success", "failed"):
            yield f"{name} hasn't ended."
        yield from (f"{name}: {problem}" for problem in trace.problems)
