"""
The language's keys and their types, as pydantic models.

The models know shapes, not meanings: what an expression reads or whether a name exists is for the checks. They also
are the source of the language's JSON Schema, for editors.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from airflow_agentic.template import durations

DAG_ID = r"^[A-Za-z0-9_.-]{1,250}$"
STAGE_NAME = r"^[a-z][a-z0-9_]*$"
NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"

Duration = Annotated[
    float,
    BeforeValidator(durations.seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"},
                {"type": "number", "exclusiveMinimum": 0},
            ]
        }
    ),
]
#: More than spaces.
NOT_EMPTY = r"\S"
#: A text that may hold Jinja.
Text = Annotated[str, Field(pattern=NOT_EMPTY)]


def _expression(value: Any) -> Any:
    if isinstance(value, list):
        raise ValueError("write a list as an expression, in quotes")
    return str(value).lower() if isinstance(value, bool) else value


#: A bare expression, or one in ``{{ }}``; ``true`` and ``false`` are expressions too.
Expression = Annotated[
    str,
    BeforeValidator(_expression),
    Field(pattern=NOT_EMPTY),
    WithJsonSchema({"type": ["string", "boolean"]}),
]
#: Python says that true and 1.0 are 1, too.
Version = Annotated[Literal[1], BeforeValidator(lambda value: value if type(value) is int else str(value))]
#: One name or a list of them.
Names = Annotated[
    list[str],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Mapping = dict[str, Any]


def _agent(value: Any) -> Any:
    if not isinstance(value, (str, dict)):
        raise ValueError("write an agent's name, or an agent")
    return value


#: An agent's name, or one written in place.
AgentRef = Annotated[str | Mapping, BeforeValidator(_agent)]


def _pipeline(value: Any) -> Any:
    if not isinstance(value, (str, dict)):
        raise ValueError("write a template's name, or stages and output in place")
    return value


#: A template's name, or a pipeline written in place.
PipelineRef = Annotated[str | Mapping, BeforeValidator(_pipeline)]


PERCENT = r"^(100|\d{1,2})(\.\d+)?%$"


def _items_per_task(value: Any) -> Any:
    if value != "auto" and not (type(value) is int and value >= 1):
        raise ValueError("write auto, or a number of items")
    return value


def _tolerance(value: Any) -> Any:
    number = type(value) is int and value >= 0
    if not number and not (isinstance(value, str) and re.match(PERCENT, value)):
        raise ValueError("write a number of items, or a share of them such as 20%")
    return value


class Model(BaseModel):
    """Nothing unknown, nothing converted silently, nothing changed later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


#: A share of the items (``20%``) or a number of them.
Tolerance = Annotated[
    int | str,
    BeforeValidator(_tolerance),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": PERCENT}]}),
]


ItemsPerTask = Annotated[
    int | str,
    BeforeValidator(_items_per_task),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]


class Retry(Model):
    """How often and when a failed attempt is repeated."""

    attempts: int = Field(default=3, ge=1, le=100, description="attempts in all, the first one included")
    wait: Duration = Field(default=2.0, description="before the second attempt")
    multiplier: float = Field(default=2.0, ge=1, le=100, description="each wait is that many times the one before")
    max_wait: Duration = Field(default=300.0, description="no wait of ours is longer")
    jitter: bool = Field(default=True, description="wait a random part of it, so that stages don't retry in step")


class CronSchedule(Model):
    """A cron string in a time zone."""

    cron: str = Field(min_length=1)
    timezone: str = "UTC"


class EverySchedule(Model):
    """A fixed interval."""

    every: Duration


class AssetsSchedule(Model):
    """When all of these assets have been updated."""

    assets: list[str] = Field(min_length=1)


class AnyAssetSchedule(Model):
    """When any of these assets is updated."""

    any_asset: list[str] = Field(min_length=1)


SCHEDULES: dict[str, type[Model]] = {
    "cron": CronSchedule,
    "every": EverySchedule,
    "assets": AssetsSchedule,
    "any_asset": AnyAssetSchedule,
}


class Notifier(Model):
    """An Airflow notifier and its arguments."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    notifier: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$", description="dotted path of the class")


class Notify(Model):
    """Whom to tell what."""

    on_failure: list[Notifier] = Field(default_factory=list)
    on_success: list[Notifier] = Field(default_factory=list)
    on_escalation: list[Notifier] = Field(default_factory=list, description="a stage for people has started")


class Deadline(Model):
    """By when a run must have ended, or somebody is told."""

    after: Duration
    notify: list[Notifier] = Field(min_length=1)


class PythonTool(Model):
    """A function that a model may call."""

    python: str = Field(min_length=1, description="module.function, or module:function")
    max_calls: int | None = Field(default=None, ge=1)


class McpTool(Model):
    """A tool server behind an Airflow connection."""

    mcp: str = Field(min_length=1)
    only: list[str] | None = Field(default=None, min_length=1, description="names of the tools that may be called")
    max_calls: int | None = Field(default=None, ge=1)


class SqlTool(Model):
    """A database behind an Airflow connection."""

    sql: str = Field(min_length=1)
    write: bool = False
    max_rows: int = Field(default=50, ge=1)
    max_calls: int | None = Field(default=None, ge=1)


TOOLS: dict[str, type[Model]] = {"python": PythonTool, "mcp": McpTool, "sql": SqlTool}


class AgentBase(Model):
    """What every agent has."""

    description: str | None = None
    output: Any = None
    output_schema: Mapping | None = None
    retry: Retry | None = None
    timeout: Duration | None = None


class Window(Model):
    """How much a model is given to read."""

    max_tokens: int = Field(ge=1, description="of one request: instructions, prompt, tools and earlier turns")
    overflow: Literal["fail", "truncate", "summarize"] = "fail"


class LlmAgent(AgentBase):
    """A language model of any provider."""

    type: Literal["llm"]
    connection: str = Field(min_length=1)
    model: str | None = Field(default=None, min_length=1)
    instructions: Text | None = None
    prompt: Text | None = None
    settings: Mapping = Field(default_factory=dict)
    tools: list[Mapping] = Field(default_factory=list)
    window: Window | None = None


class HttpAgent(AgentBase):
    """An agent behind an HTTP API."""

    type: Literal["http"]
    connection: str = Field(min_length=1)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    endpoint: Text = "/"
    headers: dict[str, str] = Field(default_factory=dict)
    select: str | None = Field(default=None, min_length=1)


class PythonAgent(AgentBase):
    """A Python callable, sync or async."""

    type: Literal["python"]
    callable: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")


AGENTS: dict[str, type[AgentBase]] = {"llm": LlmAgent, "http": HttpAgent, "python": PythonAgent}


class Settings(Model):
    """How Airflow runs a stage's task."""

    pool: str | None = Field(default=None, min_length=1)
    queue: str | None = Field(default=None, min_length=1)
    priority: int | None = None
    executor_config: Mapping | None = None


class FanOut(Model):
    """How the items of a list are worked on; the defaults stand in the planner."""

    max_items: int | None = Field(default=None, ge=1, description="more items fail the stage before any of them")
    max_parallel: int | None = Field(default=None, ge=1, description="items at work at once in this stage of this run")
    tolerate: Tolerance | None = Field(default=None, description="items that may fail, a number or a share")
    items_per_task: ItemsPerTask | None = None


class Cache(Model):
    """How long an answer is used again."""

    ttl: Duration
    tools: bool = Field(default=False, description="also for agents with tools, whose answers may change by themselves")


class Defaults(Settings, FanOut):
    """Settings of all stages that allow them."""

    agent: str | None = None
    retry: Retry | None = None
    timeout: Duration | None = None
    on_error: Any = None
    cache: Cache | None = Field(default=None, description="of stages whose agent may have one")


class Flow(Model):
    """When a stage runs, and where the run goes next; ``routes`` and ``on_error`` are read by their kind."""

    description: str | None = None
    needs: Names = Field(default_factory=list)
    after: Names = Field(default_factory=list)
    when: Expression | None = None
    routes: list[Any] = Field(default_factory=list, min_length=1)
    on_error: Any = None


class Repeated(FanOut):
    """A stage that may be repeated for each item of a list."""

    for_each: Expression | None = None


class AgentStage(Flow, Repeated, Settings):
    """A stage that an agent works on."""

    agent: AgentRef | None = None
    prompt: Text | None = None
    input: Mapping | None = None
    accept: Expression | None = None
    retry: Retry | None = None
    timeout: Duration | None = None
    cache: Cache | None = Field(default=None, description="false: none, whatever the defaults say")


class MergeSpec(Model):
    """How several outputs become one."""

    from_: list[str] = Field(alias="from", min_length=1)
    how: Literal["object", "list", "concat", "union", "majority", "first", "best"]
    by: Expression | None = None
    require: int | None = Field(default=None, ge=1)


class MergeStage(Flow, Settings):
    """A stage that merges the outputs of others."""

    merge: MergeSpec


class HumanSpec(Model):
    """What a person is asked."""

    ask: Text
    body: Text | None = None
    options: list[str] = Field(default_factory=list, description="left out: one button, Submit")
    fields: dict[str, Any] = Field(default_factory=dict)
    assignees: list[str] = Field(default_factory=list)
    timeout: Duration
    on_timeout: str = Field(min_length=1, description="an option, or fail")


class HumanStage(Flow, Repeated, Settings):
    """A stage that asks a person."""

    human: HumanSpec


class InnerPipeline(Model):
    """A pipeline written in place; ``stages`` hold one model each."""

    stages: dict[str, Any]
    output: dict[str, Any] = Field(default_factory=dict)


class PipelineStage(Flow, Repeated):
    """A stage that is a pipeline of its own: a template's name, or stages written in place."""

    pipeline: PipelineRef
    input: Mapping | None = None


class ToRoute(Model):
    """Go on: ``next``, ``end``, ``fail``, a stage or several."""

    when: Expression | None = None
    to: Names = Field(min_length=1)


class BackRoute(Model):
    """Go back, a bounded number of times."""

    when: Expression | None = None
    back_to: str
    max_rounds: int = Field(ge=1, le=100, description="executions of the loop's body in all")
    with_: Mapping = Field(alias="with", default_factory=dict)
    exhausted: Names = Field(default_factory=lambda: ["fail"], min_length=1)


ROUTES: dict[str, type[Model]] = {"to": ToRoute, "back_to": BackRoute}
#: What an error of an attempt may be; ``failed`` is everything that isn't an attempt's.
ErrorKind = Literal[
    "rate_limited",
    "unavailable",
    "timeout",
    "malformed_output",
    "bug",
    "rejected",
    "window_exceeded",
    "budget_exceeded",
    "not_accepted",
    "killed",
    "failed",
]


class Recovery(Model):
    """What every entry of ``on_error`` has."""

    kinds: list[ErrorKind] = Field(default_factory=list, description="left out: all")


class AgentRecovery(Recovery):
    """Another agent with the same output."""

    agent: AgentRef


class ValueRecovery(Recovery):
    """A fixed value."""

    value: Any


class ToRecovery(Recovery):
    """The run goes on elsewhere, with ``error``."""

    to: str


RECOVERIES: dict[str, type[Recovery]] = {"agent": AgentRecovery, "value": ValueRecovery, "to": ToRecovery}
#: A stage is exactly one of these; an agent is what it is by default.
STAGES: dict[str, type[Flow]] = {
    "agent": AgentStage,
    "merge": MergeStage,
    "human": HumanStage,
    "pipeline": PipelineStage,
}


class ArtifactSpec(Model):
    """A file that a run leaves behind."""

    path: Text
    content: Text
    asset: str | None = Field(default=None, min_length=1)


#: Of calls and tokens; what is spent is counted in 64 bits.
MOST = 10**15


class Budget(Model):
    """How much a whole run may spend."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    calls: int | None = Field(
        default=None, ge=1, le=MOST, description="requests to models and APIs, calls of callables"
    )
    tokens: int | None = Field(default=None, ge=1, le=MOST, description="of prompts and answers of models")
    cost_usd: float | None = Field(default=None, gt=0, le=1e9, description="of models, in US dollars")


class TemplateModel(Model):
    """The top level; ``agents`` and ``stages`` hold one model each, by their kind."""

    version: Version
    name: str | None = Field(default=None, pattern=DAG_ID)
    description: str | None = None
    doc: str | None = None
    owner: str | None = Field(default=None, min_length=1)
    tags: list[str] = Field(default_factory=list)
    schedule: Any = None
    start_date: str | None = None
    catchup: bool = False
    max_active_runs: int | None = Field(default=None, ge=1)
    run_timeout: Duration | None = None
    deadline: Deadline | None = None
    include: list[str] = Field(default_factory=list)
    inputs: dict[str, Any] = Field(default_factory=dict)
    defaults: Defaults = Field(default_factory=Defaults)
    agents: dict[str, Any] = Field(default_factory=dict)
    stages: dict[str, Any]
    output: dict[str, Any] = Field(default_factory=dict)
    artifact: Any = None
    budget: Budget | None = None
    notify: Notify = Field(default_factory=Notify)
