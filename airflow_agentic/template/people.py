"""
The answer that a person gives: options, and the fields of a form.

Tasks import its words, so it imports no models by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_agentic.template import models
    from airflow_agentic.template.reader import Reader
    from airflow_agentic.template.source import Loc

#: What an answer holds besides its fields; ``fail`` is what ``on_timeout`` may say instead of an option.
RESERVED = ("choice", "by", "timed_out", "fail")
#: The one button of a question without options.
SUBMIT = "Submit"


def read_fields(reader: Reader, stage: models.HumanStage, loc: Loc) -> models.HumanStage:
    """The stage with each of its fields as JSON Schema, its default in it."""
    from airflow_agentic.template.inputs import read_inputs

    loc = (*loc, "human", "fields")
    fields = {}
    for name, field in read_inputs(reader, stage.human.fields, loc, "a field").items():
        more: dict[str, Any] = {} if field.required else {"default": field.default}
        if field.description is not None:
            more["description"] = field.description
        fields[name] = {**field.schema, **more}
    return stage.model_copy(update={"human": stage.human.model_copy(update={"fields": fields})})


def answer_schema(spec: models.HumanSpec) -> dict[str, Any]:
    """JSON Schema of an answer."""
    properties = {
        **spec.fields,
        "choice": {"type": "string", "enum": spec.options or [SUBMIT]},
        "by": {"type": ["string", "null"]},
        "timed_out": {"type": "boolean"},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
