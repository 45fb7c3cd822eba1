"""
All texts and expressions of a template, each with its place and the names it may use.

Every text is parsed once; what it reads is what the planner makes dependencies of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models
from airflow_agentic.template.expressions import ExpressionError, bare, is_text, parse, simple_paths, whole_expression
from airflow_agentic.template.references import analyse, plain_read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.template.references import Comparison, Misuse, Reference
    from airflow_agentic.template.source import Loc, Source
    from airflow_agentic.template.template import Agent, Stage

#: What a text may name besides stages; ``round``, ``feedback`` and ``error`` too, where the flow gives them a value.
STAGE_NAMES = ("inputs", "run")
ITEM_NAMES = ("inputs", "run", "item", "index")
AGENT_NAMES = ("input",)
MERGE_NAMES = ("inputs", "run", "item")
OUTPUT_NAMES = ("inputs", "run", "artifact")
FLOW_NAMES = ("round", "feedback", "error")
#: Where a text may stand that tells somebody something. People may be asked because of an error.
_EVENTS = {"on_failure": OUTPUT_NAMES, "on_success": OUTPUT_NAMES, "on_escalation": (*OUTPUT_NAMES, "error")}


@dataclass(frozen=True, kw_only=True)
class TextKey:
    """
    One text of a template.

    :param owner: the stage that reads, or ``output``, ``artifact.0``, ``notify.on_failure``, ``agents.x``.
    :param names: what it may name, besides stages where ``stages`` holds.
    :param part: the stage's key that it stands under; empty where it is no stage's.
    """

    owner: str
    source: Source
    loc: Loc
    text: str
    names: tuple[str, ...]
    stages: bool
    expression: bool = False
    part: str = ""


@dataclass(frozen=True)
class Analysis:
    """What one text reads, and what is wrong with it."""

    references: list[Reference]
    misuses: list[Misuse]
    comparisons: list[Comparison]
    error: ExpressionError | None = None


NOTHING = Analysis([], [], [])


def analyse_text(key: TextKey) -> Analysis:
    """What a text reads."""
    if not key.expression:
        if is_text(key.text):
            return NOTHING
        paths = simple_paths(key.text)
        if paths is not None:
            return Analysis([plain_read(path, line) for path, line in paths], [], [])
    try:
        if not key.expression:
            return Analysis(*analyse(parse(key.text)))
        expression = whole_expression("{{" + bare(key.text) + "}}")
        if expression is None:
            raise ExpressionError("not one expression", key.text, 1)
        # A condition only asks whether its value holds, and what is undefined doesn't.
        return Analysis(*analyse(expression, strict=key.loc[-1] not in ("when", "accept")))
    except ExpressionError as error:
        return Analysis([], [], [], error)
    except RecursionError:
        return Analysis([], [], [], ExpressionError("the expression is nested too deeply", key.text[:80]))


def stage_texts(stage: Stage, source: Source) -> list[TextKey]:
    """The texts of one stage, its own prompt included, its agent's not."""
    spec, loc, for_each = stage.spec, stage.loc, stage.for_each
    keys = _Keys(stage.name, source, STAGE_NAMES if for_each is None else ITEM_NAMES)
    if spec.when is not None:
        keys.expression("when", (*loc, "when"), spec.when, names=STAGE_NAMES)
    _add_work(stage, keys)
    if for_each is not None:
        keys.expression("for_each", (*loc, "for_each"), for_each, names=STAGE_NAMES)
    for route in stage.routes:
        if route.when is not None:
            keys.expression("routes", (*route.loc, "when"), route.when, names=STAGE_NAMES)
        keys.texts("routes", (*route.loc, "with"), route.with_, names=STAGE_NAMES)
    for recovery in stage.recoveries:
        keys.texts("on_error", (*recovery.loc, "value"), recovery.value)
    return keys.found


def _add_work(stage: Stage, keys: _Keys) -> None:
    """The texts of what a stage does, for each item if it is a fan-out."""
    spec, loc = stage.spec, stage.loc
    if isinstance(spec, models.AgentStage):
        if spec.prompt is not None:
            keys.text("prompt", (*loc, "prompt"), spec.prompt)
        if spec.input is not None:
            keys.texts("input", (*loc, "input"), spec.input)
        if spec.accept is not None:
            keys.expression("accept", (*loc, "accept"), spec.accept, names=(*keys.names, "output"))
    elif isinstance(spec, models.MergeStage):
        if spec.merge.by is not None:
            keys.expression("merge", (*loc, "merge", "by"), spec.merge.by, names=MERGE_NAMES, stages=False)
    elif isinstance(spec, models.HumanStage):
        for part in ("ask", "body", "assignees"):
            keys.texts("human", (*loc, "human", part), getattr(spec.human, part))
    else:
        keys.texts("input", (*loc, "input"), spec.input)


class _Keys:
    """
    Collects the text keys of one stage.

    :param names: what its texts may name, where nothing else is said.
    """

    def __init__(self, owner: str, source: Source, names: tuple[str, ...]) -> None:
        self.names = names
        self.found: list[TextKey] = []
        self._owner, self._source = owner, source

    def text(self, part: str, loc: Loc, text: str, **more: Any) -> None:
        settings = {"names": self.names, "stages": True, **more}
        self.found.append(TextKey(owner=self._owner, source=self._source, loc=loc, text=text, part=part, **settings))

    def texts(self, part: str, loc: Loc, value: Any, **more: Any) -> None:
        for place, text in nested(value, loc):
            self.text(part, place, text, **more)

    def expression(self, part: str, loc: Loc, text: str, **more: Any) -> None:
        self.text(part, loc, text, expression=True, **more)


def agent_texts(agent: Agent) -> Iterator[TextKey]:
    """The texts of an agent: they see its ``input``, whichever stage it serves."""
    spec = agent.spec
    texts: list[tuple[Loc, str | None]] = []
    if isinstance(spec, models.LlmAgent):
        texts = [(("instructions",), spec.instructions), (("prompt",), spec.prompt)]
    elif isinstance(spec, models.HttpAgent):
        texts = [(("endpoint",), spec.endpoint), *((("headers", name), text) for name, text in spec.headers.items())]
    for part, text in texts:
        if text is not None:
            yield TextKey(
                owner=f"agents.{agent.name}",
                source=agent.source,
                loc=(*agent.loc, *part),
                text=text,
                names=AGENT_NAMES,
                stages=False,
            )


def result_texts(
    spec: models.TemplateModel, artifacts: tuple[models.ArtifactSpec, ...], source: Source
) -> Iterator[TextKey]:
    """The texts of ``artifact``, ``output`` and ``notify``."""
    for index, artifact in enumerate(artifacts):
        loc: Loc = ("artifact", index) if isinstance(spec.artifact, list) else ("artifact",)
        for part in ("path", "content"):
            yield TextKey(
                owner=f"artifact.{index}",
                source=source,
                loc=(*loc, part),
                text=getattr(artifact, part),
                names=STAGE_NAMES,
                stages=True,
            )
    yield from output_texts(spec.output, ("output",), source, OUTPUT_NAMES)
    for event, names in _EVENTS.items():
        for index, notifier in enumerate(getattr(spec.notify, event)):
            for loc, text in nested(notifier.model_extra, ("notify", event, index)):
                yield TextKey(owner=f"notify.{event}", source=source, loc=loc, text=text, names=names, stages=True)
    for index, notifier in enumerate(spec.deadline.notify if spec.deadline else ()):
        for loc, text in nested(notifier.model_extra, ("deadline", "notify", index)):
            yield TextKey(owner="deadline", source=source, loc=loc, text=text, names=STAGE_NAMES, stages=False)


def output_texts(
    output: dict[str, Any], loc: Loc, source: Source, names: tuple[str, ...] = STAGE_NAMES
) -> Iterator[TextKey]:
    """The texts of ``output``."""
    for place, text in nested(output, loc):
        yield TextKey(owner="output", source=source, loc=place, text=text, names=names, stages=True)


def nested(value: Any, loc: Loc) -> Iterator[tuple[Loc, str]]:
    """Every text in a nested value, with its place."""
    if isinstance(value, str):
        yield loc, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from nested(part, (*loc, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from nested(part, (*loc, index))
