"""
Pipelines that are stages: written in place, or another template of the same folder.

Either becomes a :class:`Template` of its own, whose names, loops and ends are its own; it is analysed and checked
when it is read, and a file only once however many stages use it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TemplateError
from airflow_agentic.template import models
from airflow_agentic.template.hints import did_you_mean, listed
from airflow_agentic.template.includes import is_inside
from airflow_agentic.template.source import read_source, to_data
from airflow_agentic.template.template import Input, Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow_agentic.template.source import Loc
    from airflow_agentic.template.stages import Scope

#: Pipelines in pipelines.
MAX_DEPTH = 8
#: Of other files, each as often as it is used.
MAX_STAGES = 10_000
SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"""^['"]?name['"]?[ \t]*:[ \t]*(['"]?)([A-Za-z0-9_.-]+)\1[ \t]*(?:\#.*)?$""", re.MULTILINE)
#: What a template is used for as a pipeline; the rest belongs to runs of its own.
_UNUSED: dict[str, Any] = {
    "schedule": None,
    "deadline": None,
    "artifact": None,
    "notify": models.Notify(),
    "include": [],
    "run_timeout": None,
}


def read_pipeline(
    scope: Scope, stage: str, spec: models.PipelineStage, loc: Loc, stages: tuple[str, ...]
) -> Template | None:
    """
    The inner pipeline of a stage; None when it has problems, which are kept.

    :param loc: of the stage.
    :param stages: the names around it.
    """
    if scope.depth >= MAX_DEPTH:
        message = f"pipelines stand in each other more than {MAX_DEPTH} deep"
        scope.reader.error("AGT471", message, (*loc, "pipeline"), key=True)
        return None
    name = f"{scope.name}.{stage}"
    if isinstance(spec.pipeline, dict):
        inner_scope = replace(scope, name=name, outer=(*scope.outer, *stages))
        return _in_place(inner_scope, stage, spec, spec.pipeline, loc)
    inner = _of_file(scope, spec.pipeline, (*loc, "pipeline"))
    if inner is None:
        return None
    scope.loading.copied += sum(len(each.stages) for each in (inner, *inner_pipelines(inner)))
    if scope.loading.copied > MAX_STAGES:
        message = f"pipelines in pipelines hold more than {MAX_STAGES:,} stages"
        scope.reader.error("AGT474", message, (*loc, "pipeline"), "use fewer of them")
        return None
    return renamed(inner, name)


def _in_place(
    scope: Scope, stage: str, spec: models.PipelineStage, given: Mapping[str, Any], loc: Loc
) -> Template | None:
    """A pipeline that sees its stage's ``input`` and the file's agents."""
    from airflow_agentic.template.parse import analysed
    from airflow_agentic.template.stages import read_stages

    reader, place = scope.reader, (*loc, "pipeline")
    own = reader.model(models.InnerPipeline, given, place, stages={})
    if own is None:
        return None
    data = own.stages
    if not data:
        if given.get("stages") == {}:
            reader.error("AGT207", "a pipeline has at least one stage", (*place, "stages"))
        return None
    scope = replace(
        scope,
        prefix=f"{scope.prefix}{stage}.",
        recoveries=tuple(entry for entry in scope.recoveries if entry.to is None),
        depth=scope.depth + 1,
    )
    template = Template(
        source=reader.source,
        name=scope.name,
        spec=models.TemplateModel(version=1, stages={}, output=own.output, defaults=scope.defaults),
        schedule=None,
        inputs={key: Input(name=key, schema={}, required=True) for key in spec.input or {}},
        agents=scope.agents,
        stages=read_stages(scope, data, (*place, "stages")),
    )
    return analysed(template, scope.loading, place)


def _of_file(scope: Scope, name: str, loc: Loc) -> Template | None:
    """Another template, as a pipeline; its problems are kept once."""
    target = _find(scope, name, loc)
    if target is None:
        return None
    path = target.resolve()
    if path in scope.open:
        between = [opened.name for opened in scope.open[scope.open.index(path) + 1 :]]
        way = f", through {', '.join(between)}" if between else ""
        scope.reader.error("AGT471", f"'{name}' would be a pipeline in itself{way}", loc)
        return None
    loading = scope.loading
    if path not in loading.pipelines:
        loading.pipelines[path] = _read_file(scope, target, name, loc, path)
    return loading.pipelines[path]


def _find(scope: Scope, name: str, loc: Loc) -> Path | None:
    folder = scope.path.parent
    if not re.match(models.DAG_ID, name) or name.startswith("."):
        hint = "write the name of a template in this folder, without a path and without .yaml"
        scope.reader.error("AGT470", f"'{name}' is no template's name", loc, hint)
        return None
    files = [folder / f"{name}{end}" for end in SUFFIXES]
    target = next((path for path in files if path == scope.path or path.is_file()), None)
    target = target or next((path for path in _templates(folder) if _claims(path, name)), None)
    if target is None:
        names = [path.stem for path in _templates(folder) if path.name != scope.path.name]
        hint = did_you_mean(name.removesuffix(".yaml"), names) or f"the files beside this one are {listed(names)}"
        hint = hint if names else "it stands in a file beside this one"
        scope.reader.error("AGT470", f"there is no template '{name}' in this folder", loc, hint)
        return None
    if not is_inside(target, scope.loading.root):
        scope.reader.error("AGT470", f"'{name}' lies outside of the templates' folder", loc)
        return None
    return target


def _templates(folder: Path) -> list[Path]:
    """The files beside; hidden ones are no templates, and nobody would notice their edits."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    except OSError:
        return []


def _claims(path: Path, name: str) -> bool:
    """Whether a file gives itself a name."""
    try:
        found = _NAME.search(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    return found is not None and found[2] == name


def _read_file(scope: Scope, target: Path, name: str, loc: Loc, path: Path) -> Template | None:
    from airflow_agentic.template.parse import analysed, read_body

    loading = scope.loading
    try:
        source = read_source(target)
    except TemplateError as error:
        if any(problem.code == "AGT101" for problem in error.problems):
            scope.reader.error("AGT470", f"'{name}' can't be read", loc)
        else:
            loading.problems.extend(error.problems)
        return None
    data, problems = to_data(source)
    loading.problems.extend(problems)
    loading.files[target.name] = source.text
    template = read_body(source, data, target, loading, open_=(*scope.open, path), depth=scope.depth + 1)
    if template is None:
        return None
    spec = template.spec.model_copy(update=_UNUSED)
    return analysed(replace(template, spec=spec, schedule=None, artifacts=(), files={}), loading, ())


def renamed(template: Template, name: str) -> Template:
    """A pipeline and those in it, under another name."""
    stages = {
        key: replace(stage, pipeline=renamed(stage.pipeline, f"{name}.{key}")) if stage.pipeline else stage
        for key, stage in template.stages.items()
    }
    return replace(template, name=name, stages=stages)


def inner_pipelines(template: Template) -> Iterator[Template]:
    """The pipelines in a template, and those in them."""
    for stage in template.stages.values():
        if stage.pipeline is not None:
            yield stage.pipeline
            yield from inner_pipelines(stage.pipeline)
