"""What the api-server sends of a run."""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from support.web import Web, page_of
from support.web_agents import LONG

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.document import Trace, from_data

if TYPE_CHECKING:
    from pathlib import Path

    from support.scheduling import ScriptedRun

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


@pytest.fixture(scope="module")
def trace(web: Web, run: ScriptedRun) -> Trace:
    return from_data(web.get(page_of(run, "trace.json")).json())


def test_the_page(web: Web, run: ScriptedRun) -> None:
    reply = web.get(page_of(run), accept="text/html")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"] == POLICY
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "private, no-cache"
    assert "wind &amp; &lt;b&gt;sun" in reply.text
    assert "<b>sun" not in reply.text


def test_the_page_has_only_assets_that_are_there(web: Web, run: ScriptedRun) -> None:
    import re

    found = re.findall(r'"\.\./\.\./\.\.(/assets/[^"]+)"', web.get(page_of(run)).text)
    assert found
    for path in found:
        reply = web.get(path)
        assert (path, reply.status_code) == (path, 200)
        assert reply.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert reply.headers["content-type"].startswith(("text/css", "text/javascript"))


def test_an_asset_of_another_version_isnt_kept(web: Web) -> None:
    reply = web.get("/assets/0123/frame.css")
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "private, no-cache")
    assert web.get("/assets/0123/other.css").status_code == 404


@pytest.mark.parametrize("below", ["", "sections"])
def test_what_a_browser_has_isnt_sent_again(web: Web, run: ScriptedRun, below: str) -> None:
    first = web.get(page_of(run, below))
    again = web.get(page_of(run, below), If_None_Match=f'"other", W/{first.headers["etag"]}')
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert web.get(page_of(run, below), If_None_Match='"other"').content == first.content


def test_an_attempt(web: Web, run: ScriptedRun, trace: Trace) -> None:
    first = trace.attempts[0]
    assert first.stage == "draft"
    assert "writer" in web.get(page_of(run, f"attempts/{first.id}")).text
    assert web.get(page_of(run, "attempts/none")).status_code == 404


def test_whole_values_are_text_and_nothing_else(web: Web, run: ScriptedRun, trace: Trace) -> None:
    reply = web.get(page_of(run, f"values/{trace.attempts[0].id}/output"))
    assert json.loads(reply.text) == {"text": "On wind & <b>sun</b>: it <i>grew</i>."}
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'self'; sandbox"
    assert reply.headers["cache-control"] == "private, no-store"
    assert "content-disposition" not in reply.headers
    assert web.get(page_of(run, "values/run/template")).text.startswith("\nversion: 1")
    for path in ("values/none/output", f"values/{trace.attempts[0].id}/__class__", "values/run/none"):
        assert (path, web.get(page_of(run, path)).status_code) == (path, 404)


def test_large_values_are_files(web: Web, run: ScriptedRun, trace: Trace) -> None:
    last = trace.attempts[-1]
    reply = web.get(page_of(run, f"values/{last.id}/output"))
    assert reply.text.endswith(LONG + '"\n}')
    assert reply.headers["content-disposition"] == f"attachment; filename*=UTF-8''{last.id}.output.json"


def test_artifacts_are_files(web: Web, run: ScriptedRun, trace: Trace) -> None:
    reply = web.get(page_of(run, f"artifacts/{trace.artifacts[0].id}"))
    assert reply.text.startswith("<script>alert(1)</script>On wind")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["content-disposition"] == f"attachment; filename*=UTF-8''{run.dag_id}.html"
    assert web.get(page_of(run, "artifacts/none")).status_code == 404


def test_downloads(web: Web, run: ScriptedRun, trace: Trace) -> None:
    assert (trace.dag_id, trace.run_id, trace.state, trace.complete) == (run.dag_id, run.run_id, "success", True)
    as_json, as_html = (web.get(page_of(run, name)) for name in ("trace.json", "trace.html"))
    name = f"attachment; filename*=UTF-8''{run.dag_id}.{run.run_id}.trace"
    assert as_json.headers["content-disposition"] == f"{name}.json"
    assert as_html.headers["content-disposition"] == f"{name}.html"
    assert "sandbox" in as_html.headers["content-security-policy"]
    assert "/assets/" not in as_html.text


def test_the_audit_bundle(web: Web, run: ScriptedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import zipfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reply = web.get(page_of(run, "bundle.zip"))
    assert reply.status_code == 200
    assert reply.headers["content-disposition"] == f"attachment; filename*=UTF-8''{run.dag_id}.{run.run_id}.zip"
    assert reply.headers["cache-control"] == "private, no-store"
    assert "ro-crate-metadata.json" in zipfile.ZipFile(io.BytesIO(reply.content)).namelist()
    assert web.get("/trace/none/none/bundle.zip").status_code == 404
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("accept", "start"), [("text/html", "<!doctype html>"), ("*/*", '{"detail":"This run has no')])
def test_a_run_that_isnt_there(web: Web, accept: str, start: str) -> None:
    reply = web.get("/trace/none/none/", accept=accept)
    assert reply.status_code == 404
    assert reply.text.startswith(start)
    assert "This run has no trace" in reply.text
    assert reply.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize(
    ("error", "status"), [(TraceError("s3://key:hunter2@store is away"), 503), (ValueError("hunter2"), 500)]
)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_what_went_wrong_is_in_the_log_only(
    web: Web,
    run: ScriptedRun,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    accept: str,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("airflow_agentic.web.traces.Traces.of", fail)
    reply = web.get(page_of(run), accept=accept)
    assert reply.status_code == status
    assert "hunter2" not in reply.text
    assert "Traceback" not in reply.text
    assert "hunter2" in caplog.text
    assert reply.headers["content-security-policy"] == POLICY


def test_run_ids_as_airflow_makes_them(web: Web) -> None:
    for run_id in ("manual__2026-11-22T20%3A00%3A00.1%2B00%3A00", "scheduled__2026-11-22T20:00:00+00:00", "a%25b"):
        assert web.get(f"/trace/none/{run_id}/", accept="text/html").status_code == 404
