"""A template after its shape was read: agents and stages by name, each with where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.template import dependencies as flow

if TYPE_CHECKING:
    from airflow_agentic.template.dependencies import Dependencies
    from airflow_agentic.template.flow import Flow
    from airflow_agentic.template.models import (
        AgentBase,
        AgentStage,
        ArtifactSpec,
        HumanStage,
        MergeStage,
        PipelineStage,
        TemplateModel,
    )
    from airflow_agentic.template.problems import Problem
    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.source import Loc, Source

#: Names of stages that would be mistaken for something else in an expression.
RESERVED_NAMES = frozenset(
    (
        *("inputs", "input", "output", "item", "index", "round", "feedback", "error", "run", "artifact"),
        *("next", "end", "fail", "true", "false", "none", "and", "or", "not", "is", "in", "if", "else", "elif"),
        *("for", "recursive", "loop", "set", "with", "macro", "call", "caller", "filter", "raw", "block", "import"),
        *("include", "extends", "from", "as", "without", "context", "ignore", "missing", "scoped", "autoescape"),
        *("varargs", "kwargs", "self", "range", "dict", "namespace", "cycler", "joiner", "lipsum"),
    )
)


@dataclass(frozen=True, kw_only=True)
class Input:
    """
    One input of a run.

    :param schema: JSON Schema, without ``default`` and ``description``.
    """

    name: str
    schema: dict[str, Any]
    required: bool
    default: Any = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class Agent:
    """
    One agent, declared by name or written in place.

    :param schema: of its output; None for text.
    :param source: the file it stands in (an included one, perhaps).
    """

    name: str
    spec: AgentBase
    schema: dict[str, Any] | None
    source: Source
    loc: Loc


@dataclass(frozen=True, kw_only=True)
class Route:
    """
    One of a stage's routes: ``to``, or ``back_to`` with what goes back.

    :param when: its condition; None for one that is always taken.
    :param to: ``next``, ``end``, ``fail`` or stages; of a route back, what ``exhausted`` says.
    :param back_to: the stage to go back to; None for a route that goes on.
    :param max_rounds: executions of the loop's body in all; 0 for a route that goes on.
    :param with_: what the next round reads as ``feedback``.
    :param loc: of the route.
    """

    when: str | None
    to: tuple[str, ...]
    loc: Loc
    back_to: str | None = None
    max_rounds: int = 0
    with_: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """
    One entry of a stage's ``on_error``: exactly one of an agent, a value and a target.

    :param kinds: of errors that it is for; empty for all.
    :param agent: name of another agent, declared or written in place.
    :param to: the stage where the run goes on.
    """

    form: Literal["agent", "value", "to"]
    kinds: tuple[str, ...]
    loc: Loc
    agent: str | None = None
    value: Any = None
    to: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """
    One stage.

    :param agent: the agent's name, for a stage that one works on.
    :param pipeline: the inner pipeline, for a stage that is one.
    """

    name: str
    spec: AgentStage | MergeStage | HumanStage | PipelineStage
    loc: Loc
    agent: str | None = None
    routes: tuple[Route, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    pipeline: Template | None = None

    @property
    def kind(self) -> Literal["agent", "merge", "human", "pipeline"]:
        """What works on it."""
        return _KINDS[type(self.spec).__name__]

    @property
    def for_each(self) -> str | None:
        """The list over whose items it is repeated."""
        return getattr(self.spec, "for_each", None)

    @property
    def error_targets(self) -> tuple[str, ...]:
        """The stages where the run may go on after it failed."""
        return tuple(recovery.to for recovery in self.recoveries if recovery.to is not None)

    @property
    def decides(self) -> bool:
        """Whether a decision says what runs after it."""
        return bool(self.routes or (self.recoveries and self.error_targets))


_KINDS: dict[str, Literal["agent", "merge", "human", "pipeline"]] = {
    "AgentStage": "agent",
    "MergeStage": "merge",
    "HumanStage": "human",
    "PipelineStage": "pipeline",
}


@dataclass(frozen=True, kw_only=True)
class Template:
    """
    A template that passed all checks, or the inner pipeline of a stage.

    An inner pipeline has the name ``<outer>.<stage>``; one written in place has the agents of the template around it
    and as ``inputs`` the keys of its stage's ``input``, of any value.

    :param files: the names and texts of included files, in order.
    :param reads: what the texts of each owner read: a stage's name, or ``output``, ``artifact.0``, ``notify``.
    :param part_reads: stage → one of its keys (``when``, ``prompt``, ``routes``) → what the texts there read.
    :param warnings: what is odd, but no error.
    """

    source: Source
    name: str
    spec: TemplateModel
    schedule: dict[str, Any] | str | None
    inputs: dict[str, Input]
    agents: dict[str, Agent]
    stages: dict[str, Stage]
    artifacts: tuple[ArtifactSpec, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    reads: dict[str, tuple[Reference, ...]] = field(default_factory=dict)
    part_reads: dict[str, dict[str, tuple[Reference, ...]]] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    @cached_property
    def dependencies(self) -> dict[str, Dependencies]:
        """What each stage depends on, and ``output``, the artifacts and notifications."""
        return flow.dependencies(self)

    @cached_property
    def cycle(self) -> list[str] | None:
        """Stages that depend on each other in a circle, if there are any."""
        return flow.find_cycle(self.dependencies, self.stages)

    @cached_property
    def order(self) -> list[str]:
        """The stages, each after those that it depends on; they must hold no cycle."""
        return flow.topological(self.dependencies, list(self.stages))

    @cached_property
    def flow(self) -> Flow:
        """The flow graph of the stages, which must hold no cycle."""
        from airflow_agentic.template.flow import Flow

        return Flow(self)

    @cached_property
    def optional_stages(self) -> frozenset[str]:
        """The stages that a successful run may not have run; they must hold no cycle."""
        if any(stage.spec.when is not None or stage.decides for stage in self.stages.values()):
            return self.flow.optional
        return frozenset()
