"""What the names of a template's texts stand for, as JSON Schema, as far as that is declared."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, get_args

from airflow_agentic.template import models
from airflow_agentic.template.output import schema_or_text, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.template.template import Stage, Template
    from airflow_agentic.template.texts import TextKey

#: Of fan-outs over the outputs of fan-outs.
_MAX_NESTING = 20
#: None is the schema of a text, an empty one of anything.
Schema = dict[str, Any] | None


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
RUN: dict[str, Any] = _object(
    {
        "id": _TEXT,
        "date": _TEXT,
        "logical_date": _TEXT_OR_NULL,
        "interval_start": _TEXT_OR_NULL,
        "interval_end": _TEXT_OR_NULL,
        "assets": {"type": "object"},
        "conf": {"type": "object"},
    }
)
ARTIFACT: dict[str, Any] = _object({"uri": _TEXT, "bytes": _WHOLE, "sha256": _TEXT})
_KIND = {"type": "string", "enum": list(get_args(models.ErrorKind))}
ERROR: dict[str, Any] = _object({"stage": _TEXT, "kind": _KIND, "message": _TEXT})


class Schemas:
    """What the outputs of a template's stages look like, and what else its texts may name."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self._listed: dict[str, Schema] = {}
        self._nesting = 0

    def of(self, stage: Stage) -> Schema:
        """What readers of a stage see: its output, or of a fan-out what became of all its items."""
        output = self.output(stage)
        if stage.for_each is None:
            return output
        item, output = self.item(stage), schema_or_text(output)
        error = {"kind": _KIND, "message": _TEXT}
        result = {"index": _WHOLE, "item": item, "ok": {"type": "boolean"}}
        result |= {"output": _or_null(output), "error": _or_null(_object(error))}
        return _object(
            {
                "results": {"type": "array", "items": _object(result)},
                "outputs": {"type": "array", "items": output},
                "errors": {"type": "array", "items": _object({"index": _WHOLE, "item": item, **error})},
                **dict.fromkeys(("total", "succeeded", "failed"), _WHOLE),
                "failed_ratio": {"type": "number"},
            }
        )

    def output(self, stage: Stage) -> Schema:
        """What one execution of a stage gives, of a fan-out that of one item."""
        spec = stage.spec
        if stage.agent is not None:
            agent = self.template.agents.get(stage.agent)
            return agent.schema if agent is not None else {}
        if isinstance(spec, models.MergeStage):
            return self._of_merge(spec)
        if isinstance(spec, models.HumanStage):
            from airflow_agentic.template.people import answer_schema

            return answer_schema(spec.human)
        if stage.pipeline is not None:
            return _object({key: {} for key in stage.pipeline.spec.output})
        return {}

    def _of_merge(self, spec: models.MergeStage) -> Schema:
        how = spec.merge.how
        if how == "object":
            return self._of_object(spec)
        if how in ("list", "concat", "union"):
            return {"type": "array"}
        keys = {"majority": ("value", "votes", "of", "candidates"), "best": ("value", "from")}.get(how)
        return {} if keys is None else _object({key: {} for key in keys})

    def _of_object(self, spec: models.MergeStage) -> Schema:
        """One key per part; a part that may be missing has to be guarded."""
        parts = [self.template.stages[name] for name in spec.merge.from_ if name in self.template.stages]
        sure = [part.name for part in parts if spec.merge.require is None and part.name not in self._optional]
        properties = {}
        for part in parts:
            # A merge may be a part of itself, until that is refused.
            schema = {} if isinstance(part.spec, models.MergeStage) else self.of(part)
            properties[part.name] = schema_or_text(schema)
        return {"type": "object", "properties": properties, "required": sure}

    @cached_property
    def _optional(self) -> frozenset[str]:
        """The stages that may not run; none as long as stages depend on each other in a circle."""
        template = self.template
        return frozenset() if template.cycle else template.optional_stages

    def item(self, stage: Stage) -> dict[str, Any]:
        """What ``item`` is in a fan-out; empty where nothing is known."""
        schema = self.listed(stage)
        items = schema.get("items") if schema and schema.get("type") == "array" else None
        return items if isinstance(items, dict) else {}

    def listed(self, stage: Stage) -> Schema:
        """What a fan-out's ``for_each`` reads, if it is nothing but a path."""
        if stage.name not in self._listed:
            # A list of a fan-out's own items has no end, until it is refused; one of one of one is long enough.
            self._listed[stage.name] = {}
            self._nesting += 1
            self._listed[stage.name] = self._list_of(stage) if self._nesting <= _MAX_NESTING else {}
            self._nesting -= 1
        return self._listed[stage.name]

    def _list_of(self, stage: Stage) -> Schema:
        from airflow_agentic.template.expressions import ExpressionError, bare, whole_expression
        from airflow_agentic.template.references import path_of

        try:
            expression = whole_expression("{{" + bare(stage.for_each or "") + "}}")
        except (ExpressionError, RecursionError):
            return {}
        path = path_of(expression) if expression is not None else None
        if path is None or not (path[0] in self.template.stages or path[0] in ("inputs", "run")):
            return {}
        return self.at(self.root(path[0]), path[1:])

    def root(self, name: str, key: TextKey | None = None) -> Schema:
        """What a name stands for in a text."""
        template = self.template
        stage = template.stages.get(key.owner) if key is not None else None
        if name == "inputs":
            return _object({name: each.schema for name, each in template.inputs.items()})
        if name in ("run", "error"):
            return RUN if name == "run" else ERROR
        if name == "artifact":
            several = isinstance(template.spec.artifact, list)
            return {} if several else ARTIFACT if template.artifacts else _object({})
        if name in ("index", "round"):
            return _WHOLE
        if stage is not None and key is not None and name == "item":
            return self.item(stage) if key.part != "merge" else {}
        if stage is not None and key is not None and name == "output":
            return self.output(stage)
        return self.of(template.stages[name]) if name in template.stages else {}

    def at(self, schema: Schema, path: Sequence[str]) -> Schema:
        """What a schema says of a path; empty where it says nothing, or that there is nothing."""
        for part in path:
            found = step(schema, part)
            if found.found in ("open", "absent"):
                return {}
            schema = found.schema
        return schema


def kind_of(schema: Schema) -> str | None:
    """What a schema's value certainly is: ``text``, ``number``, ``boolean``, ``list`` or ``mapping``."""
    if schema is None:
        return "text"
    kind = schema.get("type") if isinstance(schema, dict) else None
    return _KINDS.get(kind) if isinstance(kind, str) else None


_KINDS = {
    "string": "text",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "list",
    "object": "mapping",
}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type")
    if kinds is None or "enum" in schema or "const" in schema:
        return schema
    return {**schema, "type": [*(kinds if isinstance(kinds, list) else [kinds]), "null"]}
