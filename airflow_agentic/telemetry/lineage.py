"""
What a task read and wrote, for OpenLineage.

Only names are kept while the task works, on its operator, because the events are made in the task's own process (or a
fork of it) and nothing there may ask a database or the trace store. The facets themselves are in
:mod:`airflow_agentic.telemetry.lineage_facets`, which needs the OpenLineage provider, and so the extra ``openlineage``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_agentic.planning.plan import PlannedTask
    from airflow_agentic.trace.record import ArtifactRecord, AttemptRecord, Record

#: The library's agents that read sources.
_READS = "airflow_agentic.agents.library.sources:load"
#: fsspec's names of object stores → OpenLineage's
_STORES = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "abfs": "abfss",
    "abfss": "abfss",
    "wasb": "wasbs",
    "wasbs": "wasbs",
}


@dataclass(frozen=True, kw_only=True)
class DatasetName:
    """A dataset by OpenLineage's naming."""

    namespace: str
    name: str


@dataclass
class Lineage:
    """
    What one task has read, written and used in this try.

    :param read: in order, each once.
    :param written: artifact → its record.
    """

    read: dict[DatasetName, None] = field(default_factory=dict)
    written: dict[DatasetName, ArtifactRecord] = field(default_factory=dict)
    attempts: int = 0
    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    models: dict[str, None] = field(default_factory=dict)

    def note(self, record: Record, agents: Mapping[str, Mapping[str, Any]]) -> None:
        """
        Add what a record tells.

        :param agents: the plan's, where the task asks any.
        """
        from airflow_agentic.trace.record import ArtifactRecord, AttemptRecord

        if isinstance(record, ArtifactRecord):
            self.written[dataset_name(record.uri)] = record
        elif isinstance(record, AttemptRecord):
            self._add_usage(record)
            self.read.update(dict.fromkeys(_sources(record, agents.get(record.agent["name"], {}))))

    def _add_usage(self, record: AttemptRecord) -> None:
        from airflow_agentic.trace.usage import usage_of

        usage, model = usage_of(record), record.model
        self.attempts += 1
        self.calls += usage.calls
        for name in ("input_tokens", "output_tokens", "cost_usd"):
            more = getattr(usage, name)
            if more is not None:
                setattr(self, name, (getattr(self, name) or 0) + more)
        if model is not None:
            self.models[model] = None


class TellsLineage:
    """An operator that OpenLineage's provider asks what its task read and wrote."""

    planned: PlannedTask
    digest: str
    #: the entries of the plan's agents, of operators that ask any
    agents: Mapping[str, Mapping[str, Any]] = {}
    _lineage: Lineage | None = None

    def note_lineage(self, record: Record) -> None:
        """Keep the names of what a record tells was read or written."""
        if self._lineage is None:
            self._lineage = Lineage()
        self._lineage.note(record, self.agents)

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """What is known before the task works: what it is."""
        return self._facets(Lineage())

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """What the task read and wrote."""
        return self._facets(self._lineage or Lineage())

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What the task read and wrote until it failed."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _facets(self, lineage: Lineage) -> OperatorLineage[Any, Any]:
        from airflow_agentic.telemetry.lineage_facets import facets

        operator: Any = self  # which has a DAG, whose id is the template's name
        return facets(operator.dag_id, self.digest, self.planned, lineage)


def dataset_name(uri: str) -> DatasetName:
    """The dataset of a file, an object or a page. What may hold secrets, a login or a query, is left out."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file", "local"):
        return DatasetName(namespace="file", name=unquote(parts.path) if parts.scheme else uri)
    if parts.scheme == "dist":
        return DatasetName(namespace="dist", name=uri.removeprefix("dist:"))
    if parts.scheme in _STORES:
        return DatasetName(
            namespace=f"{_STORES[parts.scheme]}://{parts.netloc}", name=uri.partition("://")[2].partition("/")[2] or "/"
        )
    return DatasetName(namespace=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", name=parts.path or "/")


def _sources(record: AttemptRecord, spec: Mapping[str, Any]) -> Iterator[DatasetName]:
    """What one of the library's agents has read in an attempt."""
    if record.state != "success" or spec.get("type") != "python" or not isinstance(record.output, dict):
        return
    from airflow_agentic.agents.callables import full_name

    if full_name(spec["callable"]) != _READS:
        return
    for source in record.output.get("sources") or ():
        name = _located(str(source["uri"]))
        if name is not None:
            yield name


def _located(uri: str) -> DatasetName | None:
    """A file's name is what it is on this machine; None: it is gone from where it was read."""
    from airflow_agentic.agents.library.reading import files
    from airflow_agentic.errors import FinalError

    if "://" in uri or uri.startswith("dist:"):
        return dataset_name(uri)
    try:
        return DatasetName(namespace="file", name=str(files.locate(uri)))
    except FinalError:
        return None
