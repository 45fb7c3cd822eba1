"""Names and paths that expressions read: they exist, as far as that is declared."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_agentic.template import models, unsupported
from airflow_agentic.template.hints import did_you_mean, listed
from airflow_agentic.template.output import step
from airflow_agentic.template.template import RESERVED_NAMES

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.output import Step
    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.template import Stage, Template
    from airflow_agentic.template.texts import TextKey

RUN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "date": {"type": "string"},
        "logical_date": {"type": ["string", "null"]},
        "interval_start": {"type": ["string", "null"]},
        "interval_end": {"type": ["string", "null"]},
        "assets": {"type": "object"},
        "conf": {"type": "object"},
    },
    "required": ["id", "date", "logical_date", "interval_start", "interval_end", "assets", "conf"],
}
ARTIFACT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"uri": {"type": "string"}, "bytes": {"type": "integer"}, "sha256": {"type": "string"}},
    "required": ["uri", "bytes", "sha256"],
}


def check_names(checking: Checking) -> None:
    """Every name that a text reads is one that it may name."""
    schemas = StageSchemas(checking.template)
    for key, analysis in checking.texts:
        for reference in analysis.references:
            name = reference.name
            if name in key.names or (key.stages and name in checking.template.stages):
                _check_path(checking, key, reference, schemas)
            else:
                _unknown_name(checking, key, reference)


def _unknown_name(checking: Checking, key: TextKey, reference: Reference) -> None:
    name, template = reference.name, checking.template
    if name in unsupported.EXPRESSION_NAMES or (name == "item" and "item" not in key.names):
        message = f"'{name}' exists only in a loop, a fan-out or an error's target, which are not supported yet"
        checking.report_text("AGT901", message, key, needle=name, text_line=reference.line)
        return
    known = (*(template.stages if key.stages else ()), *key.names)
    if name in template.stages or name in RESERVED_NAMES:
        message = f"'{name}' can't be read here"
        hint = f"known here: {listed(known)}"
    elif name in template.inputs:
        message, hint = f"there is no stage '{name}'", f"did you mean 'inputs.{name}'?"
        if "inputs" not in key.names:
            hint = "an agent's own text reads its input: pass it in the stage's `input`"
    else:
        message = f"there is no stage '{name}'" if key.stages else f"'{name}' can't be read here"
        hint = did_you_mean(name, known) or f"known here: {listed(known)}"
    checking.report_text("AGT401", message, key, needle=name, text_line=reference.line, hint=hint)


def _check_path(checking: Checking, key: TextKey, reference: Reference, schemas: StageSchemas) -> None:
    template = checking.template
    if reference.name == "inputs":
        _check_input(checking, key, reference)
    elif reference.name == "run":
        _walk(checking, key, reference, RUN_SCHEMA, 1)
    elif reference.name == "artifact" and not isinstance(template.spec.artifact, list):
        _walk(
            checking, key, reference, ARTIFACT_SCHEMA if template.artifacts else {"type": "object", "properties": {}}, 1
        )
    elif len(reference.path) == 1:
        return
    elif reference.name in template.stages and key.stages:
        _walk(checking, key, reference, schemas.of(template.stages[reference.name]), 1)
    elif reference.name == "output" and key.owner in template.stages:
        _walk(checking, key, reference, schemas.of(template.stages[key.owner]), 1)


def _check_input(checking: Checking, key: TextKey, reference: Reference) -> None:
    inputs = checking.template.inputs
    if len(reference.path) == 1 or reference.path[1] == "*":
        return
    name = reference.path[1]
    if name not in inputs:
        hint = did_you_mean(name, inputs) or (f"the inputs are {listed(inputs)}" if inputs else "declare it in inputs:")
        message, needle = f"there is no input '{name}'", f"inputs.{name}"
        checking.report_text("AGT402", message, key, needle=needle, text_line=reference.line, hint=hint)
        return
    _walk(checking, key, reference, inputs[name].schema, 2)


def _walk(checking: Checking, key: TextKey, reference: Reference, schema: dict[str, Any] | None, start: int) -> None:
    """Follow a path into what a schema declares."""
    for depth in range(start, len(reference.path)):
        found = step(schema, reference.path[depth])
        if found.found == "open":
            return
        if found.found == "absent":
            _absent(checking, key, reference, depth, found, is_whole=depth == start)
            return
        if found.found == "optional" and not reference.copes_without(reference.path[: depth + 1]):
            _optional(checking, key, reference, depth)
            return
        schema = found.schema


def _absent(checking: Checking, key: TextKey, reference: Reference, depth: int, found: Step, *, is_whole: bool) -> None:
    part, shown = reference.path[depth], ".".join(reference.path[:depth])
    message = f"'{shown}' has no '{part}'" if found.known else f"'{shown}' is a {found.kind}: it has no '{part}'"
    hint = did_you_mean(part, found.known) or (f"it has {listed(found.known)}" if found.known else None)
    if found.kind == "text" and is_whole:
        hint = f"read it as a whole: {{{{ {shown} }}}}, or declare an output with keys"
    needle = ".".join(reference.path[: depth + 1])
    checking.report_text("AGT403", message, key, needle=needle, text_line=reference.line, hint=hint)


def _optional(checking: Checking, key: TextKey, reference: Reference, depth: int) -> None:
    whole = ".".join(reference.path[: depth + 1])
    path = f"….{reference.path[depth]}" if "*" in whole else whole
    hint = f"write {path} | default(…), or guard it: {{% if {path} %}}"
    checking.report_text("AGT404", f"'{whole}' may be absent", key, needle=whole, text_line=reference.line, hint=hint)


class StageSchemas:
    """What the outputs of a template's stages look like."""

    def __init__(self, template: Template) -> None:
        self.template = template

    def of(self, stage: Stage) -> dict[str, Any] | None:
        """One stage's; None for text, empty for anything."""
        if stage.agent is not None:
            agent = self.template.agents.get(stage.agent)
            return agent.schema if agent is not None else {}
        spec = stage.spec
        if not isinstance(spec, models.MergeStage):
            return {}
        how = spec.merge.how
        if how == "object":
            return self._of_object(spec)
        if how in ("list", "concat", "union"):
            return {"type": "array"}
        keys = {"majority": ("value", "votes", "of", "candidates"), "best": ("value", "from")}.get(how)
        return (
            {} if keys is None else {"type": "object", "properties": {key: {} for key in keys}, "required": list(keys)}
        )

    def _of_object(self, spec: models.MergeStage) -> dict[str, Any]:
        """One key per part; a part that may be missing has to be guarded."""
        parts = [name for name in spec.merge.from_ if name in self.template.stages]
        sure = [name for name in parts if spec.merge.require is None and name not in self._optional]
        properties = {}
        for name in parts:
            agent = self.template.agents.get(self.template.stages[name].agent or "")
            schema = agent.schema if agent is not None else {}
            properties[name] = {"type": "string"} if schema is None else schema
        return {"type": "object", "properties": properties, "required": sure}

    @cached_property
    def _optional(self) -> frozenset[str]:
        """The stages that may not run; none as long as stages depend on each other in a circle."""
        template = self.template
        return frozenset() if template.cycle else template.optional_stages


CHECKS = (check_names,)
