"""A template after its shape was read: agents and stages by name, each with where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_agentic.template import dependencies as flow

if TYPE_CHECKING:
    from airflow_agentic.template.dependencies import Dependencies
    from airflow_agentic.template.models import (
        AgentBase,
        AgentStage,
        ArtifactSpec,
        MergeStage,
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
class Stage:
    """
    One stage.

    :param agent: the agent's name, for a stage that one works on.
    :param prompt: the stage's own or its agent's, for a language model.
    """

    name: str
    spec: AgentStage | MergeStage
    loc: Loc
    agent: str | None = None

    @property
    def kind(self) -> str:
        """``agent`` or ``merge``."""
        return "merge" if self.agent is None else "agent"


@dataclass(frozen=True, kw_only=True)
class Template:
    """
    A template that passed all checks.

    :param files: the names and texts of included files, in order.
    :param reads: what the texts of each owner read: a stage's name, or ``output``, ``artifact.0``, ``notify``.
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
    def optional_stages(self) -> frozenset[str]:
        """The stages that a successful run may not have run; they must hold no cycle."""
        return flow.optional_stages(self)
