"""The JSON Schema of the language, for editors: made of the models, so that it can't drift from them."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from airflow_agentic.template import models

_TITLE = "airflow-agentic template, version 1"


def language_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a template's file."""
    kinds: tuple[type[models.Model], ...] = (
        models.TemplateModel,
        models.AgentStage,
        models.MergeStage,
        models.ArtifactSpec,
        *models.AGENTS.values(),
        *models.SCHEDULES.values(),
        *models.TOOLS.values(),
    )
    _, schema = models_json_schema([(kind, "validation") for kind in kinds], by_alias=True)
    definitions = schema["$defs"]
    top = definitions.pop("TemplateModel")
    agent = _any(*(kind.__name__ for kind in models.AGENTS.values()))
    definitions["LlmAgent"]["properties"]["tools"]["items"] = _any(*(kind.__name__ for kind in models.TOOLS.values()))
    definitions["AgentStage"]["properties"]["agent"] = {"anyOf": [{"type": "string"}, agent]}
    schedules = _any(*(kind.__name__ for kind in models.SCHEDULES.values()))["anyOf"]
    artifact = {"$ref": "#/$defs/ArtifactSpec"}
    top["properties"] |= {
        "agents": {"type": "object", "additionalProperties": agent},
        "stages": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": models.STAGE_NAME},
            "additionalProperties": _any("AgentStage", "MergeStage"),
        },
        "schedule": {"anyOf": [{"type": ["string", "null"]}, *schedules]},
        "artifact": {"anyOf": [artifact, {"type": "array", "items": artifact}]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **top,
        "title": _TITLE,
        "patternProperties": {"^x-": {}},
        "$defs": definitions,
    }


def _any(*names: str) -> dict[str, Any]:
    return {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
