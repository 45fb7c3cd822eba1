"""The front door of the language: from a file to a checked template, or to all that is wrong with it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TemplateError
from airflow_agentic.template import models
from airflow_agentic.template.agents import add_agent
from airflow_agentic.template.checks import Checking, run_checks, run_inner_checks
from airflow_agentic.template.includes import read_includes
from airflow_agentic.template.inputs import read_inputs
from airflow_agentic.template.problems import Problems, in_order
from airflow_agentic.template.reader import Reader
from airflow_agentic.template.source import Source, parse_source, read_source, to_data
from airflow_agentic.template.stages import Loading, Scope, read_stages
from airflow_agentic.template.structure import read_artifacts, read_schedule, read_top_level
from airflow_agentic.template.template import Agent, Template
from airflow_agentic.template.texts import (
    Analysis,
    TextKey,
    agent_texts,
    analyse_text,
    output_texts,
    result_texts,
    stage_texts,
)

if TYPE_CHECKING:
    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.source import Loc


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
    loading = Loading(root=root, problems=problems)
    template = read_body(source, data, path, loading)
    if template is None:
        raise TemplateError(in_order(problems))
    sound = _is_sound(template, loading)
    problems.extend(loading.found)
    keys = [*_own_texts(template), *result_texts(template.spec, template.artifacts, source)]
    template, texts = _with_reads(template, keys)
    run_checks(Checking(template, texts, problems, sound))
    if any(problem.severity == "error" for problem in problems):
        raise TemplateError(in_order(problems))
    return replace(template, warnings=tuple(in_order(problems))) if problems else template


def read_body(
    source: Source, data: Any, path: Path, loading: Loading, *, open_: tuple[Path, ...] = (), depth: int = 0
) -> Template | None:
    """
    One file's template as models. None when there is nothing to go on with; the problems are kept either way.

    :param open_: the files around it, for which it is a pipeline.
    :param depth: how many pipelines are around it.
    """
    reader = Reader(source, loading.problems)
    if not isinstance(data, dict):
        reader.error("AGT201", "a template is a mapping with version: and stages:", ())
        return None
    data = {key: value for key, value in data.items() if not key.startswith("x-")}
    spec = read_top_level(reader, data)
    stage_data = reader.mapping(data.get("stages"), ("stages",))
    if data.get("stages") == {}:
        reader.error("AGT207", "a template has at least one stage", ("stages",))
    scope = Scope(
        reader=reader,
        loading=loading,
        name=_name(reader, data, spec, path),
        path=path,
        agents=_agents(reader, data, spec, path, loading),
        defaults=spec.defaults,
        open=open_ or (path.absolute(),),
        depth=depth,
    )
    if spec.defaults.on_error is not None:
        from airflow_agentic.template.defaults import read_default_recoveries

        scope = replace(scope, recoveries=read_default_recoveries(scope, tuple(stage_data)))
    return Template(
        source=source,
        name=scope.name,
        spec=spec,
        schedule=read_schedule(reader, spec.schedule),
        inputs=read_inputs(reader, data.get("inputs")),
        agents=scope.agents,
        stages=read_stages(scope, stage_data, ("stages",)),
        artifacts=read_artifacts(reader, spec.artifact),
        files=loading.files,
    )


def _agents(
    reader: Reader, data: dict[str, Any], spec: models.TemplateModel, path: Path, loading: Loading
) -> dict[str, Agent]:
    """The agents of a file and of those that it includes."""
    found = read_includes(reader, spec.include, path, loading.root, loading.files)
    for name, value in reader.mapping(data.get("agents"), ("agents",)).items():
        if name in found:
            other = found[name][0].source.path
            message = f"the agent '{name}' is also defined in {other}"
            reader.error("AGT211", message, ("agents", name), "rename one of them", key=True)
            continue
        found[name] = reader, value
    agents: dict[str, Agent] = {}
    for name, (its_reader, value) in found.items():
        add_agent(its_reader, agents, name, value, ("agents", name))
    return agents


def _name(reader: Reader, data: dict[str, Any], spec: models.TemplateModel, path: Path) -> str:
    """The template's own name, or else its file's, which must be one too."""
    if spec.name is None and "name" not in data and not re.match(models.DAG_ID, path.stem):
        better = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).strip("_")
        message = f"the file's name '{path.stem}' can't be a DAG's id: letters, digits, '_', '-' and '.' only"
        reader.error("AGT204", message, (), f"write name: {better or 'my_template'}")
    return spec.name or path.stem


def analysed(template: Template, loading: Loading, place: Loc) -> Template:
    """
    An inner pipeline with what its texts read, checked.

    :param place: where it stands in its file; empty for a file of its own, whose warnings are not its user's.
    """
    sound = _is_sound(template, loading)
    keys = [*(_own_texts(template) if not place else _stages_texts(template))]
    keys += output_texts(template.spec.output, (*place, "output"), template.source)
    template, texts = _with_reads(template, keys)
    problems = Problems()
    run_inner_checks(Checking(template, texts, problems, sound, in_place=bool(place)))
    loading.found.extend(problem for problem in problems if place or problem.severity == "error")
    return template


def _own_texts(template: Template) -> list[TextKey]:
    """The texts of the stages, and of all agents."""
    return [*_stages_texts(template), *(key for agent in template.agents.values() for key in agent_texts(agent))]


def _stages_texts(template: Template) -> list[TextKey]:
    return [key for stage in template.stages.values() for key in stage_texts(stage, template.source)]


def _with_reads(template: Template, keys: list[TextKey]) -> tuple[Template, list[tuple[TextKey, Analysis]]]:
    """The template with what its texts read of the names that a run gives a value to, and all texts analysed."""
    texts = [(key, analyse_text(key)) for key in keys]
    names = {*template.stages, "artifact", "feedback", "error"}
    reads: dict[str, list[Reference]] = {}
    part_reads: dict[str, dict[str, list[Reference]]] = {}
    for key, analysis in texts:
        if key.owner not in reads:
            reads[key.owner] = []
        found = [reference for reference in analysis.references if key.stages and reference.name in names]
        if found:
            reads[key.owner] += found
            if key.part:
                part_reads.setdefault(key.owner, {}).setdefault(key.part, []).extend(found)
    template = replace(
        template,
        reads={owner: tuple(found) for owner, found in reads.items()},
        part_reads={
            owner: {part: tuple(found) for part, found in parts.items()} for owner, parts in part_reads.items()
        },
    )
    if template.spec.defaults.on_error is not None:
        from airflow_agentic.template.defaults import without_ways_back

        template = without_ways_back(template)
    return template, texts


def _is_sound(template: Template, loading: Loading) -> bool:
    """Whether the shape of everything could be read, so that what is missing is missing in the file."""
    return not any(problem.path == template.source.path and problem.severity == "error" for problem in loading.problems)
