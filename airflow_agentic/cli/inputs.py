"""The inputs that a run is asked for: read from the command line, and checked before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_agentic.planning.plan import Plan


def check_inputs(plan: Plan, inputs: Mapping[str, Any]) -> None:
    """
    See that a run of the plan can take these inputs.

    :raises InputError: it can't; the message names everything that is wrong.
    """
    _raise_any(plan, [*_unknown(plan, inputs), *_missing(plan, inputs), *_invalid(plan, inputs)])


def check_some_inputs(plan: Plan, inputs: Mapping[str, Any]) -> None:
    """
    See that these can be among the inputs of a run of the plan.

    :raises InputError: they can't; the message names everything that is wrong.
    """
    _raise_any(plan, [*_unknown(plan, inputs), *_invalid(plan, inputs)])


def _raise_any(plan: Plan, problems: Sequence[str]) -> None:
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise InputError(f"{plan.name} can't run with these inputs:\n{lines}")


def _unknown(plan: Plan, inputs: Mapping[str, Any]) -> Iterator[str]:
    from airflow_agentic.template.hints import did_you_mean

    known = ", ".join(plan.inputs) or "no inputs at all"
    for name in inputs:
        if name not in plan.inputs:
            hint = did_you_mean(name, plan.inputs) or f"it takes {known}"
            yield f"{name}: there is no such input; {hint}"


def _missing(plan: Plan, inputs: Mapping[str, Any]) -> Iterator[str]:
    for name, spec in plan.inputs.items():
        if spec["required"] and name not in inputs:
            description = f" ({spec['description']})" if spec["description"] else ""
            yield f"{name}: is required{description}"


def _invalid(plan: Plan, inputs: Mapping[str, Any]) -> Iterator[str]:
    from airflow_agentic.template.output import validation_error

    for name, value in inputs.items():
        if name in plan.inputs:
            problem = validation_error(plan.inputs[name]["schema"], value)
            if problem is not None:
                yield f"{name}: {problem.removeprefix('$: ')}"


def read_inputs(plan: Plan, pairs: Sequence[str], file: str | None) -> dict[str, Any]:
    """
    The inputs of a command line.

    :param pairs: ``NAME=VALUE`` each; these win over the file's.
    :param file: a JSON or YAML file with a mapping.
    :raises InputError: a pair isn't one, or the file holds no mapping.
    :raises TemplateError: the file isn't valid YAML.
    """
    inputs = _from_file(Path(file)) if file is not None else {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InputError(f"--input takes NAME=VALUE, not {pair!r}.")
        inputs[name] = read_value(text, plan.inputs[name]["schema"] if name in plan.inputs else {})
    return inputs


def _from_file(file: Path) -> dict[str, Any]:
    from airflow_agentic.errors import TemplateError
    from airflow_agentic.template.source import read_source, to_data

    if file.is_file() and not file.read_bytes().strip():
        raise InputError(f"{file} is empty; it must hold a mapping of inputs.")
    data, problems = to_data(read_source(file))
    if problems:
        raise TemplateError(problems)
    if not isinstance(data, dict):
        raise InputError(f"{file} must hold a mapping of inputs.")
    return data


def read_value(text: str, schema: dict[str, Any]) -> Any:
    """JSON where the text parses as such; but ``year=2026`` is a text for a schema that only takes texts."""
    from airflow_agentic.template.output import validation_error

    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text
    fits_as_text_only = validation_error(schema, value) is not None and validation_error(schema, text) is None
    return text if fits_as_text_only else value


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
