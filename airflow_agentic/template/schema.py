"""The JSON Schema of the language, for editors: made of the models, so that it can't drift from them."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from airflow_agentic.template import models

#: Definitions of which a value is exactly one.
_KINDS: dict[str, dict[str, Any]] = {
    "Agent": models.AGENTS,
    "Stage": models.STAGES,
    "Route": models.ROUTES,
    "Recovery": models.RECOVERIES,
    "Schedule": models.SCHEDULES,
    "Tool": models.TOOLS,
}
_STAGES = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": models.STAGE_NAME},
    "additionalProperties": {"$ref": "#/$defs/Stage"},
}
_TITLE = "airflow-agentic template, version 1"


def language_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a template's file."""
    kinds: tuple[type[models.Model], ...] = (
        models.TemplateModel,
        models.ArtifactSpec,
        models.InnerPipeline,
        *(kind for each in _KINDS.values() for kind in each.values()),
    )
    _, schema = models_json_schema([(kind, "validation") for kind in kinds], by_alias=True)
    definitions = schema["$defs"]
    top = definitions.pop("TemplateModel")
    definitions |= {name: _any(*(kind.__name__ for kind in each.values())) for name, each in _KINDS.items()}
    definitions["Entries"] = {"anyOf": [_ref("Recovery"), {"type": "array", "items": _ref("Recovery")}]}
    _fill_in(definitions)
    artifact = _ref("ArtifactSpec")
    top["properties"] |= {
        "agents": {"type": "object", "additionalProperties": _ref("Agent")},
        "stages": _STAGES,
        "schedule": {"anyOf": [{"type": ["string", "null"]}, _ref("Schedule")]},
        "artifact": {"anyOf": [artifact, {"type": "array", "items": artifact}]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **top,
        "title": _TITLE,
        "patternProperties": {"^x-": {}},
        "$defs": definitions,
    }


def _fill_in(definitions: dict[str, Any]) -> None:
    """What the models leave open because it is read by its kind."""
    definitions["LlmAgent"]["properties"]["tools"]["items"] = _ref("Tool")
    agent = {"anyOf": [{"type": "string"}, _ref("Agent")]}
    for name in ("AgentStage", "AgentRecovery"):
        definitions[name]["properties"]["agent"] = agent
    definitions["PipelineStage"]["properties"]["pipeline"] = {"anyOf": [{"type": "string"}, _ref("InnerPipeline")]}
    definitions["AgentStage"]["properties"]["cache"] = {"anyOf": [_ref("Cache"), {"const": False}]}
    definitions["InnerPipeline"]["properties"]["stages"] = _STAGES
    definitions["Defaults"]["properties"]["on_error"] = _ref("Entries")
    for kind in models.STAGES.values():
        properties = definitions[kind.__name__]["properties"]
        properties["on_error"] = _ref("Entries")
        properties["routes"] = {"type": "array", "minItems": 1, "items": _ref("Route")}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _any(*names: str) -> dict[str, Any]:
    return {"anyOf": [_ref(name) for name in names]}
