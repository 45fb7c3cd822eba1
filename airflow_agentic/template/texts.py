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

    from airflow_agentic.template.references import Misuse, Reference
    from airflow_agentic.template.source import Loc, Source
    from airflow_agentic.template.template import Agent, Stage

#: What a text may name besides stages.
STAGE_NAMES = ("inputs", "run")
AGENT_NAMES = ("input",)
ACCEPT_NAMES = ("inputs", "run", "output")
MERGE_NAMES = ("inputs", "run", "item")
OUTPUT_NAMES = ("inputs", "run", "artifact")


@dataclass(frozen=True, kw_only=True)
class TextKey:
    """
    One text of a template.

    :param owner: the stage that reads, or ``output``, ``artifact.0``, ``notify.on_failure``, ``agents.x``.
    :param names: what it may name, besides stages where ``stages`` holds.
    """

    owner: str
    source: Source
    loc: Loc
    text: str
    names: tuple[str, ...]
    stages: bool
    expression: bool = False


@dataclass(frozen=True)
class Analysis:
    """What one text reads, and what is wrong with it."""

    references: list[Reference]
    misuses: list[Misuse]
    error: ExpressionError | None = None


NOTHING = Analysis([], [])


def analyse_text(key: TextKey) -> Analysis:
    """What a text reads."""
    if not key.expression:
        if is_text(key.text):
            return NOTHING
        paths = simple_paths(key.text)
        if paths is not None:
            return Analysis([plain_read(path, line) for path, line in paths], [])
    try:
        if not key.expression:
            return Analysis(*analyse(parse(key.text)))
        expression = whole_expression("{{" + bare(key.text) + "}}")
        if expression is None:
            raise ExpressionError("not one expression", key.text, 1)
        # A condition only asks whether its value holds, and what is undefined doesn't.
        return Analysis(*analyse(expression, strict=key.loc[-1] not in ("when", "accept")))
    except ExpressionError as error:
        return Analysis([], [], error)
    except RecursionError:
        return Analysis([], [], ExpressionError("the expression is nested too deeply", key.text[:80]))


def stage_texts(stage: Stage, source: Source) -> Iterator[TextKey]:
    """The texts of one stage, its own prompt included, its agent's not."""
    spec, loc = stage.spec, stage.loc

    def key(part: Loc, text: str, **more: Any) -> TextKey:
        settings = {"names": STAGE_NAMES, "stages": True, **more}
        return TextKey(owner=stage.name, source=source, loc=(*loc, *part), text=text, **settings)

    if spec.when is not None:
        yield key(("when",), spec.when, expression=True)
    if isinstance(spec, models.MergeStage):
        if spec.merge.by is not None:
            yield key(("merge", "by"), spec.merge.by, names=MERGE_NAMES, stages=False, expression=True)
        return
    if spec.prompt is not None:
        yield key(("prompt",), spec.prompt)
    for part, text in nested(spec.input, ("input",)):
        yield key(part, text)
    if spec.accept is not None:
        yield key(("accept",), spec.accept, names=ACCEPT_NAMES, expression=True)


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
    for loc, text in nested(spec.output, ("output",)):
        yield TextKey(owner="output", source=source, loc=loc, text=text, names=OUTPUT_NAMES, stages=True)
    for event in ("on_failure", "on_success"):
        for index, notifier in enumerate(getattr(spec.notify, event)):
            for loc, text in nested(notifier.model_extra, ("notify", event, index)):
                yield TextKey(
                    owner=f"notify.{event}", source=source, loc=loc, text=text, names=OUTPUT_NAMES, stages=True
                )
    for index, notifier in enumerate(spec.deadline.notify if spec.deadline else ()):
        for loc, text in nested(notifier.model_extra, ("deadline", "notify", index)):
            yield TextKey(owner="deadline", source=source, loc=loc, text=text, names=STAGE_NAMES, stages=False)


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
