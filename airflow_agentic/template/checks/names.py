"""Names and paths that expressions read: they exist, as far as that is declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template.hints import did_you_mean, listed
from airflow_agentic.template.output import step
from airflow_agentic.template.template import RESERVED_NAMES
from airflow_agentic.template.texts import FLOW_NAMES

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.checks.schemas import Schema
    from airflow_agentic.template.output import Step
    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.texts import TextKey

_ITEM_NAMES = ("item", "index")


def check_names(checking: Checking) -> None:
    """Every name that a text reads is one that it may name."""
    stages = checking.template.stages
    for key, analysis in checking.texts:
        for reference in analysis.references:
            name = reference.name
            if name in key.names or (key.stages and name in stages):
                if name == key.owner and key.part != "routes":
                    message = f"'{name}' can't read itself"
                    hint = "only a stage's own routes read it; what it gives itself for the next round is `feedback`"
                    checking.report_text("AGT410", message, key, needle=name, text_line=reference.line, hint=hint)
                    continue
                _check_path(checking, key, reference)
            elif name in FLOW_NAMES and key.stages and key.owner in stages:
                from airflow_agentic.template.checks.flow_names import check_flow_name

                check_flow_name(checking, key, reference)
            else:
                _unknown_name(checking, key, reference)


def _unknown_name(checking: Checking, key: TextKey, reference: Reference) -> None:
    name, template = reference.name, checking.template
    known = (*(template.stages if key.stages else ()), *key.names)
    message = f"there is no stage '{name}'" if key.stages else f"'{name}' can't be read here"
    if name in _ITEM_NAMES and key.owner in template.stages:
        message, hint = f"'{name}' exists only where a fan-out works on its items", _hint_of_item(checking, key)
    elif name in FLOW_NAMES or name in template.stages or name in RESERVED_NAMES:
        message = f"'{name}' can't be read here"
        hint = f"known here: {listed(known)}"
    elif name in template.inputs:
        hint = f"did you mean 'inputs.{name}'?"
        if "inputs" not in key.names:
            hint = "an agent's own text reads its input: pass it in the stage's `input`"
    else:
        hint = did_you_mean(name, known) or f"known here: {listed(known)}"
    checking.report_text("AGT401", message, key, needle=name, text_line=reference.line, hint=hint)


def _hint_of_item(checking: Checking, key: TextKey) -> str:
    stage = checking.template.stages[key.owner]
    if stage.for_each is None:
        return "add for_each: with a list"
    return "this is decided once, not for each item" + (f": read {stage.name}.results" if key.part == "routes" else "")


def _check_path(checking: Checking, key: TextKey, reference: Reference) -> None:
    if reference.name == "inputs":
        _check_input(checking, key, reference)
    elif len(reference.path) > 1 or reference.name == "artifact":
        walk(checking, key, reference, checking.schemas.root(reference.name, key), 1)


def _check_input(checking: Checking, key: TextKey, reference: Reference) -> None:
    inputs = checking.template.inputs
    if len(reference.path) == 1 or reference.path[1] == "*":
        return
    name = reference.path[1]
    if name not in inputs:
        checking.report_text(
            "AGT402",
            f"there is no input '{name}'",
            key,
            needle=f"inputs.{name}",
            text_line=reference.line,
            hint=did_you_mean(name, inputs) or _hint_of_inputs(checking),
        )
        return
    walk(checking, key, reference, inputs[name].schema, 2)


def _hint_of_inputs(checking: Checking) -> str:
    inputs = checking.template.inputs
    shown = f"the inputs are {listed(inputs)}" if inputs else ""
    if checking.in_place:
        return "a pipeline in place sees what its stage hands it in `input`" + (f": {listed(inputs)}" if inputs else "")
    return shown or "declare it in inputs:"


def walk(checking: Checking, key: TextKey, reference: Reference, schema: Schema, start: int) -> None:
    """Follow a path into what a schema declares."""
    for depth in range(start, len(reference.path)):
        found = step(schema, reference.path[depth])
        if found.found == "open":
            return
        if found.found == "absent":
            _absent(checking, key, reference, depth, found, is_whole=depth == start)
            return
        if found.found == "optional" and not reference.copes_without(reference.path[: depth + 1]):
            may_be_absent(checking, key, reference, depth)
            return
        schema = found.schema


def _absent(checking: Checking, key: TextKey, reference: Reference, depth: int, found: Step, *, is_whole: bool) -> None:
    part, shown = reference.path[depth], ".".join(reference.path[:depth])
    keys = found.known or found.kind == "object"
    message = f"'{shown}' has no '{part}'" if keys else f"'{shown}' is a {found.kind}: it has no '{part}'"
    hint = did_you_mean(part, found.known) or (f"it has {listed(found.known)}" if found.known else None)
    if found.kind == "text" and is_whole:
        hint = f"read it as a whole: {{{{ {shown} }}}}, or declare an output with keys"
    elif found.kind == "object" and not found.known:
        hint = "nothing is declared in its output"
    elif is_whole and "outputs" in found.known and "failed_ratio" in found.known:
        hint = did_you_mean(part, found.known) or f"'{shown}' is a fan-out: it has {listed(found.known)}"
    needle = ".".join(reference.path[: depth + 1])
    checking.report_text("AGT403", message, key, needle=needle, text_line=reference.line, hint=hint)


def may_be_absent(checking: Checking, key: TextKey, reference: Reference, depth: int) -> None:
    """Report an unguarded read of a key that may not be there."""
    whole = ".".join(reference.path[: depth + 1])
    path = f"….{reference.path[depth]}" if "*" in whole else whole
    hint = f"write {path} | default(…), or guard it: {{% if {path} %}}"
    checking.report_text("AGT404", f"'{whole}' may be absent", key, needle=whole, text_line=reference.line, hint=hint)


CHECKS = (check_names,)
