"""What OpenLineage's provider is told by operators: names of datasets, facets, and what makes them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from openlineage.client.serde import Serde
from support.observed_runs import SAID, SECRET, dag_of, model_server, template, write_source
from support.plans import planned
from support.records import RUN, at, attempt
from support.scheduling import run_scripted

from airflow_agentic.operators.artifact import ArtifactOperator
from airflow_agentic.telemetry import telling
from airflow_agentic.telemetry.lineage import DatasetName, Lineage, TellsLineage, dataset_name
from airflow_agentic.telemetry.lineage_facets import RUN_FACETS
from airflow_agentic.trace.record import ArtifactRecord

if TYPE_CHECKING:
    from pathlib import Path

READS = {"type": "python", "callable": "airflow_agentic.agents.library.sources:load"}


def artifact(uri: str) -> ArtifactRecord:
    return ArtifactRecord(
        run=RUN, task_id="artifact", try_number=1, uri=uri, bytes=7, sha256="a" * 64, asset=None, written=at(0)
    )


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("file:///srv/a%20b.md", "file", "/srv/a b.md"),
        ("/srv/b.md", "file", "/srv/b.md"),
        ("s3://bucket/briefs/b.md", "s3://bucket", "briefs/b.md"),
        ("s3a://bucket/b.md", "s3://bucket", "b.md"),
        ("gcs://bucket/b.md", "gs://bucket", "b.md"),
        ("abfs://c@account.dfs.core.windows.net/b.md", "abfss://c@account.dfs.core.windows.net", "b.md"),
        ("hdfs://node:8020/data/b.md", "hdfs://node:8020", "/data/b.md"),
        ("https://example.org/a/b?key=secret#part", "https://example.org", "/a/b"),
        ("https://user:password@example.org", "https://example.org", "/"),
        ("dist:tenacity/tenacity/wait.py", "dist", "tenacity/tenacity/wait.py"),
    ],
)
def test_datasets_are_named_as_openlineage_names_them(uri: str, namespace: str, name: str) -> None:
    assert dataset_name(uri) == DatasetName(namespace=namespace, name=name)


def test_what_a_librarys_agent_read_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", str(tmp_path))
    (tmp_path / "a.md").write_text("a")
    uris = ["a.md", "https://example.org/b", "a.md", "../outside.md"]
    record = attempt(agent={"name": "load", "type": "python"}, output={"sources": [{"uri": uri} for uri in uris]})
    lineage = Lineage()
    lineage.note(record, {"load": READS})
    lineage.note(attempt(agent={"name": "other", "type": "python"}, output={"sources": [{"uri": "x"}]}), {"other": {}})
    assert list(lineage.read) == [
        DatasetName(namespace="file", name=str(tmp_path / "a.md")),
        DatasetName(namespace="https://example.org", name="/b"),
    ]


def extracted(operator: Any) -> dict[str, Any]:
    """What the provider makes of an operator, as it is sent."""
    made: Any = DefaultExtractor(operator).extract_on_complete(None)
    sent: dict[str, Any] = json.loads(Serde.to_json(made))
    return sent


def test_facets_of_a_task() -> None:
    operator = ArtifactOperator.of(planned("artifact", "artifact"), "d" * 64)
    operator.note_lineage(artifact("s3://bucket/briefs/b.md"))
    sent = extracted(operator)
    [output] = sent["outputs"]
    assert (output["namespace"], output["name"]) == ("s3://bucket", "briefs/b.md")
    assert output["facets"]["version"]["datasetVersion"] == "a" * 64
    assert output["outputFacets"]["outputStatistics"]["size"] == 7
    assert sent["run_facets"]["agentic_template"]["digest"] == "d" * 64
    assert set(sent["run_facets"]) <= set(RUN_FACETS)


def test_usage_is_added_up() -> None:
    operator = ArtifactOperator.of(planned("artifact", "artifact"), "d" * 64)
    for _ in range(2):
        operator.note_lineage(attempt(model="gpt-test", tokens={"input": 11, "output": 7}, cost_usd=0.25, requests=2))
    usage = extracted(operator)["run_facets"]["agentic_usage"]
    assert (usage["attempts"], usage["calls"], usage["inputTokens"], usage["costUsd"]) == (2, 4, 22, 0.5)
    assert usage["models"] == ["gpt-test"]


def test_before_it_works_a_task_says_what_it_is() -> None:
    operator = ArtifactOperator.of(planned("artifact", "artifact"), "d" * 64)
    made = operator.get_openlineage_facets_on_start()
    assert (made.inputs, made.outputs, list(made.run_facets)) == ([], [], ["agentic_template"])


def test_a_run_tells_what_it_read_and_wrote_and_nothing_that_anybody_wrote(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, told = write_source(run_folder), []
    kept = TellsLineage.note_lineage

    def note(operator: Any, record: Any) -> None:
        kept(operator, record)
        told.append((operator.task_id, extracted(operator)))

    monkeypatch.setattr(TellsLineage, "note_lineage", note)
    monkeypatch.setitem(sys.modules, telling._LINEAGE, sys)  # as if the provider had somewhere to send events
    with model_server() as server:
        monkeypatch.setenv("AIRFLOW_CONN_MODEL", server.connection())
        assert run_scripted(dag_of(template("lineage_run"), run_folder)).state == "success"
    last = dict(told)
    assert [(each["namespace"], each["name"]) for each in last["gathered"]["inputs"]] == [("file", str(source))]
    [written] = last["artifact"]["outputs"]
    assert (written["namespace"], written["name"].endswith("/observed/lineage_run.md")) == ("file", True)
    assert last["draft__1.draft"]["run_facets"]["agentic_usage"]["attempts"] == 2
    assert last["draft__2.draft"]["run_facets"]["agentic_template"]["rounds"] == [2]
    assert [said for said in (*SAID, SECRET) if said in json.dumps(told)] == []
