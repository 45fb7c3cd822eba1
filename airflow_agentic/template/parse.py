"""The front door of the language: from a file to a checked template, or to all that is wrong with it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TemplateError
from airflow_agentic.template import models, unsupported
from airflow_agentic.template.checks import Checking, run_checks
from airflow_agentic.template.includes import read_includes
from airflow_agentic.template.inputs import read_inputs
from airflow_agentic.template.output import ShorthandError, schema_error, to_schema
from airflow_agentic.template.problems import in_order
from airflow_agentic.template.source import Source, parse_source, read_source, to_data
from airflow_agentic.template.structure import (
    Reader,
    check_name,
    read_agent,
    read_artifacts,
    read_schedule,
    read_stage,
)
from airflow_agentic.template.template import Agent, Stage, Template
from airflow_agentic.template.texts import agent_texts, analyse_text, result_texts, stage_texts

if TYPE_CHECKING:
    from airflow_agentic.template.problems import Problem
    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.source import Loc
    from airflow_agentic.template.texts import Analysis, TextKey


def load_template(path: str | Path, *, root: str | Path | None = None) -> Template:
    """
    Read and check a template.

    :param path: of its file.
    :param root: the folder that included files can't leave; default: the template's own.
    :raises TemplateError: it has problems, all of which are in the error.
    """
    path = Path(path)
    return _read(read_source(path), path, Path(root) if root is not None else path.parent)


def load_text(text: str, path: str | Path) -> Template:
    """
    Check a template's text as if it stood in the file ``path``.

    :raises TemplateError: it has problems.
    """
    return _read(parse_source(text, str(path)), Path(path), Path(path).parent)


def _read(source: Source, path: Path, root: Path) -> Template:
    data, problems = to_data(source)
    template = _structure(source, data, path, root, problems)
    if template is None:
        raise TemplateError(in_order(problems))
    texts = [(key, analyse_text(key)) for key in _texts(template)]
    template = replace(template, **_reads(template, texts))
    run_checks(Checking(template, texts, problems))
    if any(problem.severity == "error" for problem in problems):
        raise TemplateError(in_order(problems))
    return replace(template, warnings=tuple(in_order(problems))) if problems else template


def _reads(template: Template, texts: list[tuple[TextKey, Analysis]]) -> dict[str, Any]:
    """What the texts of each owner read of the names that a run gives a value to, and of a stage each of its keys."""
    names = {*template.stages, "artifact", "feedback", "error"}
    reads: dict[str, list[Reference]] = {}
    part_reads: dict[str, dict[str, list[Reference]]] = {}
    for key, analysis in texts:
        if key.owner not in reads:
            reads[key.owner] = []
        found = [reference for reference in analysis.references if key.stages and reference.name in names]
        reads[key.owner] += found
        stage = template.stages.get(key.owner)
        if stage is not None and found:
            part_reads.setdefault(key.owner, {}).setdefault(str(key.loc[len(stage.loc)]), []).extend(found)
    return {
        "reads": {owner: tuple(found) for owner, found in reads.items()},
        "part_reads": {
            owner: {part: tuple(found) for part, found in parts.items()} for owner, parts in part_reads.items()
        },
    }


def _structure(source: Source, data: Any, path: Path, root: Path, problems: list[Problem]) -> Template | None:
    """The template as models. None when there is nothing to go on with; the problems are kept either way."""
    reader = Reader(source, problems)
    if not isinstance(data, dict):
        reader.error("AGT201", "a template is a mapping with version: and stages:", ())
        return None
    data = {key: value for key, value in data.items() if not key.startswith("x-")}
    data = reader.refuse_unsupported(data, unsupported.TOP_LEVEL, ())
    for key in ("defaults", "notify"):
        if isinstance(data.get(key), dict):
            keys = unsupported.STAGE if key == "defaults" else unsupported.NOTIFY
            data = {**data, key: reader.refuse_unsupported(data[key], keys, (key,))}
    spec = reader.model(models.TemplateModel, data, (), version=1, stages={}) or _empty_spec()
    stage_data = reader.mapping(data.get("stages"), ("stages",))
    if data.get("stages") == {}:
        reader.error("AGT207", "a template has at least one stage", ("stages",))
    files, agent_data = read_includes(reader, spec.include, path, root)
    for name, value in reader.mapping(data.get("agents"), ("agents",)).items():
        if name in agent_data:
            other = agent_data[name][0].source.path
            message = f"the agent '{name}' is also defined in {other}"
            reader.error("AGT211", message, ("agents", name), "rename one of them", key=True)
            continue
        agent_data[name] = reader, value
    agents: dict[str, Agent] = {}
    for name, (its_reader, value) in agent_data.items():
        _add_agent(its_reader, agents, name, value, ("agents", name))
    stages = _stages(reader, stage_data, spec.defaults, agents)
    return Template(
        source=source,
        name=_name(reader, data, spec, path),
        spec=spec,
        schedule=read_schedule(reader, spec.schedule),
        inputs=read_inputs(reader, data.get("inputs")),
        agents=agents,
        stages=stages,
        artifacts=read_artifacts(reader, spec.artifact),
        files=files,
    )


def _name(reader: Reader, data: dict[str, Any], spec: models.TemplateModel, path: Path) -> str:
    """The template's own name, or else its file's, which must be one too."""
    if spec.name is None and "name" not in data and not re.match(models.DAG_ID, path.stem):
        better = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).strip("_")
        message = f"the file's name '{path.stem}' can't be a DAG's id: letters, digits, '_', '-' and '.' only"
        reader.error("AGT204", message, (), f"write name: {better or 'my_template'}")
    return spec.name or path.stem


def _empty_spec() -> models.TemplateModel:
    """Stands for a top level that can't be read, so that the rest of the file is."""
    return models.TemplateModel(version=1, stages={})


def _stages(
    reader: Reader, data: dict[str, Any], defaults: models.Defaults, agents: dict[str, Agent]
) -> dict[str, Stage]:
    """All stages; agents written in place join the others under the stage's name."""
    stages = {}
    for name, value in data.items():
        loc: Loc = ("stages", name)
        check_name(reader, name, loc)
        spec = read_stage(reader, value, loc, defaults.agent is not None)
        if spec is None:
            # It stays known, so that what reads it isn't blamed for its problems.
            spec = models.AgentStage(agent={})
        agent = None
        if isinstance(spec, models.AgentStage):
            agent = spec.agent if isinstance(spec.agent, str) else defaults.agent
            if isinstance(spec.agent, dict):
                agent = f"{name}__agent" if name in agents else name
                if agent in agents:
                    message = f"the agent '{agent}' has the name of the one written in place in stage '{name}'"
                    reader.error("AGT211", message, (*loc, "agent"), "rename the other one", key=True)
                elif spec.agent:
                    _add_agent(reader, agents, agent, spec.agent, (*loc, "agent"))
        stages[name] = Stage(name=name, spec=spec, loc=loc, agent=agent)
    return stages


def _add_agent(reader: Reader, agents: dict[str, Agent], name: str, data: Any, loc: Loc) -> None:
    spec = read_agent(reader, data, loc)
    schema: dict[str, Any] | None = {}
    if spec is not None:
        schema = _output_schema(reader, spec, loc)
    # One that can't be read stays known, so that the stages that name it aren't blamed for its problems.
    agents[name] = Agent(name=name, spec=spec or models.AgentBase(), schema=schema, source=reader.source, loc=loc)


def _output_schema(reader: Reader, spec: models.AgentBase, loc: Loc) -> dict[str, Any] | None:
    is_model = isinstance(spec, models.LlmAgent)
    if spec.output is not None and spec.output_schema is not None:
        message = "an agent has `output` or `output_schema`, not both"
        reader.error("AGT223", message, (*loc, "output_schema"), key=True)
    if spec.output_schema is not None:
        error = schema_error(spec.output_schema)
        if error is not None:
            reader.error("AGT221", f"not a JSON Schema: {error[1]}", (*loc, "output_schema", *error[0]))
            return {}
        return spec.output_schema
    if spec.output is None:
        return None if is_model else {}
    try:
        return to_schema(spec.output, closed=is_model)
    except ShorthandError as error:
        reader.error("AGT220", error.message, (*loc, "output", *error.loc), error.hint, key=error.key)
        return {}


def _texts(template: Template) -> list[Any]:
    return [
        *(key for stage in template.stages.values() for key in stage_texts(stage, template.source)),
        *(key for agent in template.agents.values() for key in agent_texts(agent)),
        *result_texts(template.spec, template.artifacts, template.source),
    ]
