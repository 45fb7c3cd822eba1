"""Records that name as an artifact what is none: nothing is asked, and nothing is read without end."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from support.records import RUN
from support.sealed_runs import SealedRun, sealed_run

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import written
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.record import ArtifactRecord
from airflow_agentic.trace.verify import digest_at_uri

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.document import ArtifactTrace


@pytest.fixture
def run(tmp_path: Path) -> SealedRun:
    return sealed_run(tmp_path)


def artifact_at(run: SealedRun, **changes: object) -> ArtifactTrace:
    """What the trace says of the run's artifact, after its record was changed."""
    [path] = (run.folder / "artifacts").glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    [found] = assembled(RUN.dag_id, RUN.run_id, None, run.store).artifacts
    return found


def digest_at(uri: str) -> str | TraceError:
    record = ArtifactRecord(run=RUN, task_id="x", try_number=1, uri=uri, bytes=1, sha256="", asset=None, written="")
    return digest_at_uri("artifacts/x.1.json", record)


def test_devices_and_pipes_are_not_read(run: SealedRun, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for uri in ("/dev/zero", "file:///dev/zero", str(pipe), str(tmp_path)):
        found = artifact_at(run, uri=uri, bytes=1 << 40)
        assert (found.content, found.problem) == (None, f"The artifact {uri} can't be read: it is no file")
        assert isinstance(digest_at(uri), TraceError)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:9/latest/meta-data",
        "ftp://127.0.0.1:9/x",
        "zip://x::/etc/hostname",
        "simplecache::http://127.0.0.1:9/x",
        "reference::/etc/hostname",
        "none://x",
    ],
)
def test_no_store_is_asked_that_no_artifact_is_in(run: SealedRun, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(url: str) -> None:
        raise AssertionError(url)

    monkeypatch.setattr("airflow_agentic.trace.written.storage.open_url", fail)
    assert artifact_at(run, uri=uri).content is None
    assert isinstance(digest_at(uri), TraceError)


def test_what_is_configured_is_asked(monkeypatch: pytest.MonkeyPatch, run: SealedRun) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__ARTIFACT_URL", "simplecache::http://127.0.0.1:9/")
    problem = artifact_at(run, uri="https://127.0.0.1:9/x").problem
    assert problem is not None
    assert "only stores" not in problem


def test_no_more_is_read_than_was_written(run: SealedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as opened:
        opened.truncate(1 << 40)
    assert "its digest is another one" in str(artifact_at(run, uri=str(sparse)).problem)
    assert "it has more than" in str(artifact_at(run, uri=str(sparse), bytes=1 << 40).problem)
    monkeypatch.setattr(written, "_MOST_WHOLE", 1 << 20)
    small = tmp_path / "small"
    small.write_bytes(b"")
    assert "its digest is another one" in str(artifact_at(run, uri=str(small), bytes=1 << 40).problem)


def test_a_password_in_the_stores_url_is_in_no_trace(run: SealedRun) -> None:
    (run.folder / "attempts/gone.json").symlink_to("/nowhere")
    run.store.url = "ftp://ada:hunter2@host/x"
    problems = assembled(RUN.dag_id, RUN.run_id, None, run.store).problems
    assert "ftp://***@host/x" in str(problems)
    assert "hunter2" not in str(problems)
    assert "hunter2" not in str(artifact_at(run, uri="ftp://ada:hunter2@host/x").problem)
