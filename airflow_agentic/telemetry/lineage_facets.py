"""
OpenLineage's own classes, filled with what a task read and wrote.

Imports the OpenLineage client and provider, so it is itself imported only when the provider asks an operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import RunFacet, dataset_version_dataset, output_statistics_output_dataset

if TYPE_CHECKING:
    from airflow_agentic.planning.plan import PlannedTask
    from airflow_agentic.telemetry.lineage import DatasetName, Lineage
    from airflow_agentic.trace.record import ArtifactRecord


@attr.define
class TemplateRunFacet(RunFacet):
    """What a task is, in the words of its template."""

    name: str
    """the template's"""
    digest: str
    """of the template that the run was made from"""
    stage: str
    kind: str
    """of the task"""
    rounds: list[int]
    """of the loops that the task is in, the outermost first"""


@attr.define
class UsageRunFacet(RunFacet):
    """What the agents of a task used."""

    attempts: int
    calls: int
    inputTokens: int | None  # noqa: N815 - OpenLineage's style
    outputTokens: int | None  # noqa: N815
    costUsd: float | None  # noqa: N815
    models: list[str]


#: facet → its class
RUN_FACETS: dict[str, type[RunFacet]] = {"agentic_template": TemplateRunFacet, "agentic_usage": UsageRunFacet}


def facets(name: str, digest: str, planned: PlannedTask, lineage: Lineage) -> OperatorLineage[Any, Any]:
    """
    What OpenLineage's provider puts into a task's event.

    :param name: of the template.
    :param digest: of the template.
    """
    template = TemplateRunFacet(
        name=name, digest=digest, stage=planned.stage, kind=planned.kind, rounds=list(planned.rounds)
    )
    run_facets: dict[str, RunFacet] = {"agentic_template": template}
    if lineage.attempts:
        run_facets["agentic_usage"] = _usage(lineage)
    return OperatorLineage(
        inputs=[InputDataset(namespace=read.namespace, name=read.name) for read in lineage.read],
        outputs=[_artifact(name, record) for name, record in lineage.written.items()],
        run_facets=run_facets,
    )


def _usage(lineage: Lineage) -> UsageRunFacet:
    return UsageRunFacet(
        attempts=lineage.attempts,
        calls=lineage.calls,
        inputTokens=lineage.input_tokens,
        outputTokens=lineage.output_tokens,
        costUsd=lineage.cost_usd,
        models=list(lineage.models),
    )


def _artifact(name: DatasetName, record: ArtifactRecord) -> OutputDataset:
    """Its version is its digest: the same bytes are the same version, wherever they were made."""
    return OutputDataset(
        namespace=name.namespace,
        name=name.name,
        facets={"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=record.sha256)},
        outputFacets={
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                size=record.bytes, fileCount=1
            )
        },
    )
