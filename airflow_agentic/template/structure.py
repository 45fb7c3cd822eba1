"""
From plain data to models: every wrong key, type and value, with its place.

Agents and stages are dispatched by their kind before pydantic sees them, so that a problem names the key that its
author wrote and not a member of a union.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from airflow_agentic.template import models, unsupported
from airflow_agentic.template.hints import did_you_mean, nearest
from airflow_agentic.template.template import RESERVED_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_agentic.template.problems import Problem
    from airflow_agentic.template.source import Loc, Source

M = TypeVar("M", bound=models.Model)

_HINTS = {
    "route": "the key is routes, which is not supported yet",
    "loop": "a loop is a route with back_to, which is not supported yet",
    "retries": "write retry: {attempts: 4}; attempts counts the first try too",
    "depends_on": "write needs: [stage], or just read the stage in an expression",
    "depends": "write needs: [stage], or just read the stage in an expression",
    "if": "write when: expression",
    "condition": "write when: expression",
    "parallel": "stages that don't depend on each other run in parallel by themselves",
    "params": "write inputs:",
    "parameters": "write inputs:",
    "variables": "write inputs:",
    "steps": "write stages:",
    "tasks": "write stages:",
    "dag_id": "write name:",
    "id": "the key in front of the mapping is the name",
    "cron": "write schedule: '0 6 * * MON'",
    "outputs": "write output:",
    "artifacts": "write artifact: (one mapping, or a list of them)",
    "system": "write instructions:",
    "system_prompt": "write instructions:",
    "temperature": "write settings: {temperature: 0}",
    "max_tokens": "write settings: {max_tokens: 1200}",
    "url": "the base URL belongs to the Airflow connection; write endpoint: for the path",
    "conn_id": "write connection:",
    "retry_delay": "write retry: {wait: 2s}",
    "execution_timeout": "write timeout: (for one attempt)",
    "provide_context": "a callable that has a parameter `run` gets the run",
}
#: What stands for keys of a stage that somebody left empty.
_STAGE_INSTEAD: dict[str, Any] = {"agent": {}, "prompt": "-", "input": None, "when": "true", "accept": "true"}
_LEAVE_OUT = "it is part of the language, but this version doesn't run it: leave it out"
_TYPES = {
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}

_FORMS = {
    "name": "holds letters, digits, '_', '-' and '.' only: it is the DAG's id",
    "callable": "must be module:function, as in my_project.agents:summarize",
    "notifier": "must be the dotted path of a class, as in my_project.notify.Pager",
}


class Reader:
    """
    Reads one file's data into models and keeps what is wrong.

    :param source: where positions are looked up.
    """

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems

    def error(self, code: str, message: str, loc: Loc, hint: str | None = None, **more: Any) -> None:
        """Keep a problem; ``more`` as in :meth:`Source.problem`."""
        self.problems.append(self.source.problem(code, message, loc, hint=hint, **more))

    def model(self, kind: type[M], data: Any, loc: Loc, **instead: Any) -> M | None:
        """
        Data as a model. Its problems are kept, and the model is made of the rest, so that one wrong key neither
        hides what is wrong with the others nor makes something else look wrong; None when that can't be.

        :param instead: values for keys that are wrong or missing.
        """
        if not isinstance(data, dict):
            self.error("AGT204", f"{_quoted(loc)} must be a mapping", loc)
            return None
        try:
            return kind.model_validate(data)
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
            for error in errors:
                self._invalid(kind, dict(error), loc)
        rest = data
        for error in errors:
            rest = _without(rest, error["loc"][:-1] if error["type"] == "missing" else error["loc"])
        try:
            return kind.model_validate({**instead, **rest})
        except ValidationError:
            return None

    def refuse_empty(self, data: dict[str, Any], instead: Mapping[str, Any], loc: Loc) -> dict[str, Any]:
        """Report keys with nothing behind them, which somebody forgot, and go on with a value for them."""
        empty = [key for key in instead if key in data and data[key] in (None, {}, "")]
        for key in empty:
            self.error("AGT208", f"'{key}' is empty", (*loc, key), key=data[key] is None)
        return {**data, **{key: instead[key] for key in empty}} if empty else data

    def mapping(self, data: Any, loc: Loc) -> dict[str, Any]:
        """Data if it is a mapping; otherwise a problem, and nothing."""
        if isinstance(data, dict):
            return data
        if data is not None:
            self.error("AGT204", f"{_quoted(loc)} must be a mapping", loc)
        return {}

    def refuse_unsupported(self, data: dict[str, Any], keys: tuple[str, ...], loc: Loc) -> dict[str, Any]:
        """Report the keys that this version doesn't run, and go on without them."""
        kept, found = unsupported.split(data, keys)
        for key in found:
            self.error("AGT901", f"'{key}' is not supported yet", (*loc, key), _LEAVE_OUT, key=True)
        return kept

    def unknown_key(self, key: str, known: Iterable[str], loc: Loc) -> None:
        """Report a key that doesn't exist there."""
        hint = _HINTS.get(key) or did_you_mean(key, known)
        self.error("AGT202", f"there is no key '{key}' here", (*loc, key), hint, key=True)

    def _invalid(self, kind: type[models.Model], error: dict[str, Any], loc: Loc) -> None:
        place = (*loc, *error["loc"])
        code, last = error["type"], str(error["loc"][-1]) if error["loc"] else ""
        if code == "extra_forbidden":
            self.unknown_key(last, _keys_at(kind, error["loc"][:-1]), place[:-1])
        elif code == "missing":
            self.error("AGT203", f"the key '{last}' is missing{_in(place[:-1])}", place[:-1])
        elif code == "string_too_short" or error.get("ctx", {}).get("pattern") == models.NOT_EMPTY:
            self.error("AGT208", f"{_quoted(place)} is empty", place)
        else:
            self.error("AGT204", f"{_quoted(place)} {_words(error)}", place)


def _without(data: Any, path: tuple[str | int, ...]) -> Any:
    """A mapping without what stands at a path; what isn't a mapping on the way goes as a whole."""
    if not path or not isinstance(data, dict) or path[0] not in data:
        return data
    key, rest = path[0], path[1:]
    others = {name: part for name, part in data.items() if name != key}
    inner = _without(data[key], rest) if rest and isinstance(data[key], dict) else data[key]
    return others if inner is data[key] else {**others, key: inner}


def _keys_at(kind: type[models.Model], path: tuple[str | int, ...]) -> list[str]:
    """The keys of the model that stands at a path inside another one."""
    for part in path:
        field = kind.model_fields.get(str(part))
        inner = re.findall(r"models\.(\w+)", str(field.annotation)) if field is not None else []
        if not inner:
            return []
        kind = getattr(models, inner[0])
    return [field.alias or name for name, field in kind.model_fields.items()]


def _words(error: dict[str, Any]) -> str:
    code, context = error["type"], error.get("ctx", {})
    if code in _TYPES:
        return _TYPES[code]
    if code == "value_error":
        return f"is wrong: {context['error']}"
    if code == "literal_error":
        return f"must be {context['expected']}"
    if code == "string_pattern_mismatch":
        return _FORMS.get(str(error["loc"][-1]), f"must match {context['pattern']}")
    if code in ("too_short", "missing_argument"):
        return "must not be empty"
    return "is wrong: " + str(error["msg"])[:1].lower() + str(error["msg"])[1:]


def _quoted(loc: Loc) -> str:
    return f"'{loc[-1]}'" if loc and isinstance(loc[-1], str) else "this item" if loc else "a template"


def _in(loc: Loc) -> str:
    return f" in '{loc[-1]}'" if loc and isinstance(loc[-1], str) else ""


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


def read_stage(
    reader: Reader, data: Any, loc: Loc, has_default_agent: bool
) -> models.AgentStage | models.MergeStage | None:
    """One stage's data as the model of its kind."""
    if not isinstance(data, dict):
        reader.error("AGT204", f"{_quoted(loc)} must be a mapping", loc)
        return None
    kinds = [key for key in ("agent", "merge", *unsupported.STAGE_KINDS) if key in data]
    if len(kinds) > 1:
        reader.error("AGT209", f"a stage is one of {', '.join(kinds)}, not several", (*loc, kinds[1]), key=True)
        return None
    kind = kinds[0] if kinds else "agent"
    data = reader.refuse_unsupported(data, unsupported.STAGE, loc)
    data = reader.refuse_empty(data, _STAGE_INSTEAD, loc)
    if kind in unsupported.STAGE_KINDS:
        reader.error("AGT901", f"'{kind}' is not supported yet", (*loc, kind), _LEAVE_OUT, key=True)
        return None
    if not kinds and not has_default_agent:
        guess = next((key for key in data if nearest(key, ("agent", "merge"))), None)
        hint = did_you_mean(guess, ("agent", "merge")) if guess else "write agent: with an agent's name, or merge:"
        reader.error("AGT209", f"stage '{loc[-1]}' names no agent and no merge", loc, hint, key=True)
        return None
    if kind == "merge":
        data = _refuse_keys_of_agents(reader, data, loc)
        return reader.model(models.MergeStage, data, loc)
    return reader.model(models.AgentStage, data, loc, **{key: _STAGE_INSTEAD[key] for key in data if key == "prompt"})


def _refuse_keys_of_agents(reader: Reader, data: dict[str, Any], loc: Loc) -> dict[str, Any]:
    """Keys that exist, but not for a merge: say so instead of calling them unknown."""
    foreign = [
        key for key in data if key in models.AgentStage.model_fields and key not in models.MergeStage.model_fields
    ]
    for key in foreign:
        reader.error("AGT210", f"a merge has no '{key}'", (*loc, key), "only a stage with an agent has it", key=True)
    return {key: value for key, value in data.items() if key not in foreign} if foreign else data


def read_agent(reader: Reader, data: Any, loc: Loc) -> models.AgentBase | None:
    """One agent's data as the model of its type."""
    if not isinstance(data, dict):
        reader.error("AGT204", f"{_quoted(loc)} must be a mapping", loc)
        return None
    kind = data.get("type")
    if "type" not in data:
        reader.error("AGT203", f"the key 'type' is missing{_in(loc)}", loc, "one of llm, http, python")
        return None
    if not isinstance(kind, str) or kind not in models.AGENTS:
        hint = did_you_mean(str(kind), models.AGENTS) or "one of llm, http, python"
        reader.error("AGT204", f"there is no agent of type '{kind}'", (*loc, "type"), hint)
        return None
    data = reader.refuse_unsupported(data, unsupported.AGENT if kind == "llm" else (), loc)
    data = reader.refuse_empty(data, {"prompt": "-", "instructions": "-"}, loc)
    required = {"connection": "-"} if kind != "python" else {"callable": "module:function"}
    more = {"prompt": "-"} if kind == "llm" and "prompt" in data else {}
    agent = reader.model(models.AGENTS[kind], data, loc, **required, **more)
    if isinstance(agent, models.LlmAgent):
        for index, tool in enumerate(agent.tools):
            _read_tool(reader, tool, (*loc, "tools", index))
    return agent


def _read_tool(reader: Reader, data: dict[str, Any], loc: Loc) -> None:
    kinds = [key for key in models.TOOLS if key in data]
    if len(kinds) != 1:
        reader.error("AGT204", "a tool is exactly one of python, mcp and sql", loc, _meant(data, models.TOOLS))
        return
    reader.model(models.TOOLS[kinds[0]], data, loc)


def _meant(data: dict[str, Any], kinds: Iterable[str]) -> str | None:
    """A hint for a mapping that should have exactly one of some keys."""
    return next((hint for key in data if key not in kinds and (hint := did_you_mean(key, kinds))), None)


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
    kinds = [key for key in models.SCHEDULES if key in data]
    if len(kinds) != 1:
        message = f"a schedule is exactly one of {', '.join(models.SCHEDULES)}"
        reader.error("AGT204", message, loc, _meant(data, models.SCHEDULES))
        return None
    model = reader.model(models.SCHEDULES[kinds[0]], data, loc)
    return None if model is None else model.model_dump()


def read_artifacts(reader: Reader, data: Any) -> tuple[models.ArtifactSpec, ...]:
    """The artifacts, none, one or several."""
    if data is None:
        return ()
    entries: list[tuple[Loc, Any]] = [(("artifact",), data)]
    if isinstance(data, list):
        entries = [(("artifact", index), entry) for index, entry in enumerate(data)]
    specs = [reader.model(models.ArtifactSpec, entry, loc) for loc, entry in entries]
    return tuple(spec for spec in specs if spec is not None)
