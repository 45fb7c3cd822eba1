"""
The description of an audit bundle for programs: an RO-Crate.

RO-Crate 1.1 with the profiles Workflow Run Crate 0.5 and, where agents are known, Provenance Run Crate 0.5: the
template is the workflow, the run an action, each attempt of an agent another one, its stages are the steps.
https://www.researchobject.org/workflow-run-crate/
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_agentic import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_agentic.trace.document import AttemptTrace, Trace
    from airflow_agentic.trace.record import ArtifactRecord

    Entity = dict[str, Any]

_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_RO_CRATE = "https://w3id.org/ro/crate/1.1"
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_PROCESS_RUN = "https://w3id.org/ro/wfrun/process/0.5"
_WORKFLOW_RUN = "https://w3id.org/ro/wfrun/workflow/0.5"
_PROVENANCE_RUN = "https://w3id.org/ro/wfrun/provenance/0.5"
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PROFILES = {
    _PROCESS_RUN: ("Process Run Crate", "0.5"),
    _WORKFLOW_RUN: ("Workflow Run Crate", "0.5"),
    _PROVENANCE_RUN: ("Provenance Run Crate", "0.5"),
    _WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
_TYPES = {
    "json": "application/json",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
    "yaml": "application/yaml",
    "csv": "text/csv",
    "svg": "image/svg+xml",
}
_RUN, _ENGINE, _LANGUAGE, _LICENSE, _PERSON = "#run", "#airflow-agentic", "#language", "#license", "#started-by"
_STATUS = {"success": "CompletedActionStatus", "failed": "FailedActionStatus", "killed": "FailedActionStatus"}
_STATUS |= {"retrying": "FailedActionStatus", "lost": "FailedActionStatus"}


def crate(trace: Trace, sizes: Mapping[str, int], artifacts: Mapping[str, ArtifactRecord]) -> dict[str, Any]:
    """
    The content of ``ro-crate-metadata.json``.

    :param sizes: of the bundle's other files, by their names.
    :param artifacts: those in it, by their names.
    """
    return {
        "@context": _CONTEXT,
        "@graph": [_tidied(entity) for entity in _Graph(trace, sizes, artifacts).all()],
    }


class _Graph:
    """All entities of a crate."""

    def __init__(self, trace: Trace, sizes: Mapping[str, int], artifacts: Mapping[str, ArtifactRecord]) -> None:
        self._trace = trace
        self._sizes = sizes
        self._artifacts = artifacts
        self._workflow = "template.yaml" if "template.yaml" in sizes else None
        self._attempts = [attempt for attempt in trace.attempts if attempt.agent is not None and attempt.started]
        self._agents = sorted({str(attempt.agent) for attempt in self._attempts})
        self._starter = _ref(_PERSON) if trace.triggered.get("by") else None
        self._steps = list(dict.fromkeys((attempt.stage, str(attempt.agent)) for attempt in self._attempts))

    def all(self) -> Iterator[Entity]:
        yield {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": [_ref(_RO_CRATE), *([_ref(_WORKFLOW_CRATE)] if self._workflow else [])],
        }
        yield self._root()
        for profile in self._profiles():
            name, version = _PROFILES[profile]
            yield {"@id": profile, "@type": ["CreativeWork", "Profile"], "name": name, "version": version}
        yield {
            "@id": _LICENSE,
            "@type": "CreativeWork",
            "name": "Not stated",
            "description": "Whose these contents are, and who may use them, is for those to say who ran the workflow.",
        }
        yield from self._software()
        yield self._run()
        yield from self._inputs()
        yield from self._attempt_actions()
        if self._has_steps:
            yield from self._step_actions()
        yield from self._files()

    @property
    def _has_steps(self) -> bool:
        return self._workflow is not None and bool(self._attempts)

    def _profiles(self) -> list[str]:
        if self._workflow is None:
            return [_PROCESS_RUN]
        more = [_PROVENANCE_RUN] if self._has_steps else []
        return [_PROCESS_RUN, _WORKFLOW_RUN, *more, _WORKFLOW_CRATE]

    def _root(self) -> Entity:
        trace = self._trace
        return {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Run {trace.run_id} of {trace.dag_id}",
            "description": f"What was recorded of the run {trace.run_id} of the workflow {trace.dag_id}: inputs, "
            "attempts of agents, decisions, answers of people, results.",
            "datePublished": trace.sealed["at"] if trace.sealed else trace.ended or trace.started or "1970-01-01",
            "license": _ref(_LICENSE),
            "conformsTo": [_ref(profile) for profile in self._profiles()],
            "hasPart": [_ref(_id(name)) for name in self._sizes],
            "mainEntity": _ref(self._workflow) if self._workflow else None,
            "mentions": [_ref(_RUN), *(_ref(_action(attempt)) for attempt in self._attempts)],
        }

    def _software(self) -> Iterator[Entity]:
        yield {
            "@id": _ENGINE,
            "@type": "SoftwareApplication",
            "name": "airflow-agentic on Apache Airflow",
            "url": "https://airflow.apache.org/",
            "softwareVersion": __version__,
        }
        for agent in self._agents:
            own = [attempt for attempt in self._attempts if attempt.agent == agent]
            models = sorted({attempt.model for attempt in own if attempt.model})
            yield {
                "@id": _agent(agent),
                "@type": "SoftwareApplication",
                "name": agent,
                "description": f"An agent of type {own[0].agent_type}"
                + (f", answered by {', '.join(models)}" if models else ""),
                "url": _ref(_id(self._workflow)) if self._workflow else None,
                "softwareVersion": self._trace.template_digest,
            }
        if self._starter:
            yield {"@id": _PERSON, "@type": "Person", "name": str(self._trace.triggered["by"])}

    def _run(self) -> Entity:
        trace = self._trace
        return {
            "@id": _RUN,
            "@type": "CreateAction",
            "name": f"Run {trace.run_id} of {trace.dag_id}",
            "description": f"Started as {trace.triggered.get('type') or 'unknown'}; its state is {trace.state}.",
            "instrument": _ref(self._workflow or _ENGINE),
            "agent": self._starter,
            "startTime": _time(trace.started),
            "endTime": _time(trace.ended),
            **_status(trace.state, trace.error),
            "object": [_ref(_input(name)) for name in trace.inputs or {}],
            "result": [_ref(_id(name)) for name in self._artifacts],
            "subjectOf": [_ref(name) for name in ("trace.html", "trace.json") if name in self._sizes],
        }

    def _inputs(self) -> Iterator[Entity]:
        for name, value in (self._trace.inputs or {}).items():
            known = self._workflow is not None
            yield {
                "@id": _input(name),
                "@type": "PropertyValue",
                "name": name,
                "value": value if isinstance(value, (str, int, float)) else json.dumps(value, ensure_ascii=False),
                "exampleOfWork": _ref(_parameter(name)) if known else None,
            }
            if known:
                yield {
                    "@id": _parameter(name),
                    "@type": "FormalParameter",
                    "name": name,
                    "additionalType": _data_type(value),
                    "workExample": _ref(_input(name)),
                }

    def _attempt_actions(self) -> Iterator[Entity]:
        for attempt in self._attempts:
            record = [_ref(_id(f"records/{attempt.record}"))] if attempt.record else None
            yield {
                "@id": _action(attempt),
                "@type": "CreateAction",
                "name": f"{attempt.stage}: attempt {attempt.attempt or '?'} of {attempt.agent}",
                "description": f"Task {attempt.task_id}, map index {attempt.map_index}, try {attempt.try_number}"
                + (f", item {attempt.item['index']}" if attempt.item else ""),
                "instrument": _ref(_agent(str(attempt.agent))),
                "agent": self._starter,
                "startTime": _time(attempt.started),
                "endTime": _time(attempt.ended),
                **_status(attempt.state, str((attempt.error or {}).get("message", ""))),
                "result": record,
            }

    def _step_actions(self) -> Iterator[Entity]:
        for position, (stage, agent) in enumerate(self._steps, 1):
            own = [attempt for attempt in self._attempts if (attempt.stage, attempt.agent) == (stage, agent)]
            yield {
                "@id": _step(stage, agent),
                "@type": "HowToStep",
                "name": stage,
                "position": str(position),
                "workExample": _ref(_agent(agent)),
            }
            yield {
                "@id": f"#stage-run-{quote(f'{stage}/{agent}')}",
                "@type": "ControlAction",
                "name": f"The stage {stage}, worked on by {agent}",
                "instrument": _ref(_step(stage, agent)),
                "object": [_ref(_action(attempt)) for attempt in own],
            }
        yield {
            "@id": "#engine-run",
            "@type": "OrganizeAction",
            "name": "What carried out the run",
            "instrument": _ref(_ENGINE),
            "object": [_ref(f"#stage-run-{quote(f'{stage}/{agent}')}") for stage, agent in self._steps],
            "result": _ref(_RUN),
            "startTime": _time(self._trace.started),
            "endTime": _time(self._trace.ended),
        }

    def _files(self) -> Iterator[Entity]:
        if self._workflow:
            yield {
                "@id": _LANGUAGE,
                "@type": "ComputerLanguage",
                "name": "airflow-agentic template",
                "identifier": "airflow-agentic-template",
                "version": "1",
                "url": "https://airflow.apache.org/",
            }
        for name, size in self._sizes.items():
            yield self._workflow_file(size) if name == self._workflow else self._file(name, size)

    def _workflow_file(self, size: int) -> Entity:
        trace = self._trace
        return {
            "@id": self._workflow,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", *(["HowTo"] if self._has_steps else [])],
            "name": trace.dag_id,
            "version": trace.template_digest,
            "encodingFormat": _TYPES["yaml"],
            "contentSize": str(size),
            "programmingLanguage": _ref(_LANGUAGE),
            "license": _ref(_LICENSE),
            "conformsTo": _ref(_BIOSCHEMAS),
            "input": [_ref(_parameter(name)) for name in trace.inputs or {}],
            "hasPart": [_ref(_agent(agent)) for agent in self._agents],
            "step": [_ref(_step(stage, agent)) for stage, agent in self._steps],
        }

    def _file(self, name: str, size: int) -> Entity:
        record = self._artifacts.get(name)
        last = name.rpartition("/")[2]
        return {
            "@id": _id(name),
            "@type": "File",
            "name": last,
            "encodingFormat": _TYPES.get(last.rpartition(".")[2], "application/octet-stream"),
            "contentSize": str(size),
            "sha256": record.sha256 if record else None,
            "alternateName": record.uri if record else None,
            "about": _ref(_RUN) if name in ("trace.html", "trace.json") else None,
        }


def _tidied(entity: Entity) -> Entity:
    """Without what isn't known; one of something isn't a list."""
    known = {key: value for key, value in entity.items() if value not in (None, [])}
    return {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in known.items()}


def _time(told: str | None) -> str | None:
    """A time as the profiles want it: with milliseconds."""
    if told is None:
        return None
    return datetime.fromisoformat(told).astimezone(UTC).isoformat(timespec="milliseconds")


def _ref(target: str | None) -> dict[str, Any]:
    return {"@id": target}


def _id(name: str | None) -> str:
    """A file's name as a relative URI."""
    return quote(name or "", safe="/!$&'()*+,;=:@-._~").replace(":", "%3A")


def _agent(name: str) -> str:
    return f"#agent-{quote(name)}"


def _action(attempt: AttemptTrace) -> str:
    return f"#{quote(attempt.id)}"


def _step(stage: str, agent: str) -> str:
    return f"#stage-{quote(f'{stage}/{agent}')}"


def _input(name: str) -> str:
    return f"#input-{quote(name)}"


def _parameter(name: str) -> str:
    return f"#parameter-{quote(name)}"


def _status(state: str, error: str | None) -> Entity:
    """How an action ended; nothing of one that goes on."""
    status = _STATUS.get(state)
    if status is None:
        return {}
    told = {"error": error} if error and status == "FailedActionStatus" else {}
    return {"actionStatus": f"http://schema.org/{status}", **told}


def _data_type(value: Any) -> str:
    match value:
        case bool():
            return "Boolean"
        case int():
            return "Integer"
        case float():
            return "Float"
        case dict():
            return "PropertyValue"
        case _:
            return "Text"
