"""
Agents, stages, schedules and artifacts, each as the model of its kind.

They are dispatched by their kind before pydantic sees them, so that a problem names the key that its author wrote
and not a member of a union.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean, nearest
from airflow_agentic.template.reader import inside, quoted
from airflow_agentic.template.template import RESERVED_NAMES

if TYPE_CHECKING:
    from airflow_agentic.template.reader import Reader
    from airflow_agentic.template.source import Loc

    StageSpec = models.AgentStage | models.MergeStage | models.HumanStage | models.PipelineStage

#: What stands for keys of a stage that somebody left empty.
_STAGE_INSTEAD: dict[str, Any] = {
    "agent": {},
    "prompt": "-",
    "input": None,
    "when": "true",
    "accept": "true",
    "for_each": None,
    "cache": None,
}
_AGENT_INSTEAD: dict[str, Any] = {"prompt": "-", "instructions": "-", "window": None}
_BUDGET_INSTEAD: dict[str, Any] = {"calls": None, "tokens": None, "cost_usd": None}
_KINDS = {
    "agent": "a stage with an agent",
    "merge": "a merge",
    "human": "a stage for people",
    "pipeline": "a pipeline",
}


def check_name(reader: Reader, name: str, loc: Loc) -> None:
    """A stage's name: its form, and that it means nothing else."""
    if not re.match(models.STAGE_NAME, name):
        better = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        hint = f"write '{better}'" if re.match(models.STAGE_NAME, better) else None
        message = f"'{name}' can't be a stage's name: lower-case letters, digits and _ only, a letter first"
        reader.error("AGT205", message, loc, hint, key=True)
    elif "__" in name:
        message = f"'{name}' can't be a stage's name: '__' is kept for tasks that are made for stages"
        reader.error("AGT205", message, loc, key=True)
    elif name in RESERVED_NAMES:
        reader.error("AGT206", f"'{name}' is reserved and can't be a stage's name", loc, key=True)


def read_stage(reader: Reader, data: Any, loc: Loc, has_default_agent: bool) -> StageSpec | None:
    """One stage's data as the model of its kind."""
    if not isinstance(data, dict):
        reader.error("AGT204", f"{quoted(loc)} must be a mapping", loc)
        return None
    kinds = [key for key in models.STAGES if key in data]
    if len(kinds) > 1:
        reader.error("AGT209", f"a stage is one of {', '.join(kinds)}, not several", (*loc, kinds[1]), key=True)
        return None
    data = reader.refuse_empty(data, _STAGE_INSTEAD, loc)
    if not kinds and not has_default_agent:
        guess = next((key for key in data if nearest(key, models.STAGES)), None)
        hint = (
            did_you_mean(guess, models.STAGES) if guess else "write agent: with an agent's name, or one of the others"
        )
        message = f"stage '{loc[-1]}' is of no kind: agent, merge, human or pipeline"
        reader.error("AGT209", message, loc, hint, key=True)
        return None
    kind = kinds[0] if kinds else "agent"
    if kind != "agent":
        data = _refuse_foreign_keys(reader, kind, data, loc)
    elif data.get("cache") is False:
        data = {**data, "cache": None}
    more = {key: _STAGE_INSTEAD[key] for key in data if key == "prompt"}
    return reader.model(models.STAGES[kind], data, loc, **more)  # type: ignore[return-value]


def _refuse_foreign_keys(reader: Reader, kind: str, data: dict[str, Any], loc: Loc) -> dict[str, Any]:
    """Keys that exist, but not for this kind of stage: say so instead of calling them unknown."""
    own = models.STAGES[kind].model_fields
    foreign = {}
    for key in data:
        having = [name for name, model in models.STAGES.items() if key in model.model_fields and key not in own]
        if having:
            *names, last = (_KINDS[name] for name in having)
            foreign[key] = f"{', '.join(names)} or {last}" if names else last
    for key, having_it in foreign.items():
        reader.error("AGT210", f"{_KINDS[kind]} has no '{key}'", (*loc, key), f"only {having_it} has it", key=True)
    return {key: value for key, value in data.items() if key not in foreign} if foreign else data


def read_agent(reader: Reader, data: Any, loc: Loc) -> models.AgentBase | None:
    """One agent's data as the model of its type."""
    if not isinstance(data, dict):
        reader.error("AGT204", f"{quoted(loc)} must be a mapping", loc)
        return None
    kind = data.get("type")
    if "type" not in data:
        reader.error("AGT203", f"the key 'type' is missing{inside(loc)}", loc, "one of llm, http, python")
        return None
    if not isinstance(kind, str) or kind not in models.AGENTS:
        hint = did_you_mean(str(kind), models.AGENTS) or "one of llm, http, python"
        reader.error("AGT204", f"there is no agent of type '{kind}'", (*loc, "type"), hint)
        return None
    data = reader.refuse_empty(data, _AGENT_INSTEAD, loc)
    required = {"connection": "-"} if kind != "python" else {"callable": "module:function"}
    more = {"prompt": "-"} if kind == "llm" and "prompt" in data else {}
    agent = reader.model(models.AGENTS[kind], data, loc, **required, **more)
    if isinstance(agent, models.LlmAgent):
        for index, tool in enumerate(agent.tools):
            _read_tool(reader, tool, (*loc, "tools", index))
    return agent


def _read_tool(reader: Reader, data: dict[str, Any], loc: Loc) -> None:
    kind = reader.one_kind(data, models.TOOLS, "AGT204", "a tool is exactly one of python, mcp and sql", loc)
    if kind is not None:
        reader.model(models.TOOLS[kind], data, loc)


def read_schedule(reader: Reader, data: Any) -> dict[str, Any] | str | None:
    """The schedule in the form that the plan keeps: null, a preset, or a mapping with one kind."""
    loc: Loc = ("schedule",)
    if data is None:
        return None
    if isinstance(data, str):
        if data.startswith("@"):
            return data
        if not data.strip():
            reader.error("AGT208", "'schedule' is empty", loc, "write null for no schedule")
            return None
        return models.CronSchedule(cron=data).model_dump()
    if not isinstance(data, dict):
        reader.error("AGT204", "'schedule' must be a text, a mapping or null", loc)
        return None
    message = f"a schedule is exactly one of {', '.join(models.SCHEDULES)}"
    kind = reader.one_kind(data, models.SCHEDULES, "AGT204", message, loc)
    model = reader.model(models.SCHEDULES[kind], data, loc) if kind is not None else None
    return None if model is None else model.model_dump()


def read_top_level(reader: Reader, data: dict[str, Any]) -> models.TemplateModel:
    """The top level's own keys; what is wrong with them is left out."""
    data = reader.refuse_empty(data, {"budget": None}, ())
    if isinstance(data.get("budget"), dict):
        data = {**data, "budget": reader.refuse_empty(data["budget"], _BUDGET_INSTEAD, ("budget",))}
    if isinstance(data.get("defaults"), dict):
        data = {**data, "defaults": reader.refuse_empty(data["defaults"], {"cache": None}, ("defaults",))}
    spec = reader.model(models.TemplateModel, data, (), version=1, stages={})
    # An empty one stands for a top level that can't be read, so that the rest of the file is.
    return spec or models.TemplateModel(version=1, stages={})


def read_artifacts(reader: Reader, data: Any) -> tuple[models.ArtifactSpec, ...]:
    """The artifacts, none, one or several."""
    if data is None:
        return ()
    entries: list[tuple[Loc, Any]] = [(("artifact",), data)]
    if isinstance(data, list):
        entries = [(("artifact", index), entry) for index, entry in enumerate(data)]
    specs = [reader.model(models.ArtifactSpec, entry, loc) for loc, entry in entries]
    return tuple(spec for spec in specs if spec is not None)
