"""
The page of a run, and what it fetches: the parts that change, one attempt's details, whole values, downloads.

All addresses are relative to the page's own, which ends with a slash, so that they are right wherever Airflow is.
Routes are plain functions: FastAPI runs them in threads, so that reading records stops nobody else.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from airflow_agentic.web.access import MAY_SEE_RUNS
from airflow_agentic.web.assets import assets_digest
from airflow_agentic.web.headers import NOT_KEPT
from airflow_agentic.web.traces import Rendered, Traces, facts_of

if TYPE_CHECKING:
    from airflow_agentic.trace.document import Trace
    from airflow_agentic.view.page import LiveLinks

router = APIRouter(prefix="/trace/{dag_id}/{run_id}", dependencies=MAY_SEE_RUNS)

#: Characters of a value above which a browser doesn't show it, but stores it.
_SHOWN = 1024 * 1024
_HTML, _TEXT, _JSON = "text/html; charset=utf-8", "text/plain; charset=utf-8", "application/json"

_traces = Traces()


#: Label and address of what a page offers to store.
_DOWNLOADS = (("JSON", "trace.json"), ("HTML", "trace.html"), ("Audit bundle", "bundle.zip"))
#: Seconds. How far behind the end of the timeline of a run that goes on may be: until then, the page is the same.
_BEHIND = 5


@router.get("/")
def page(dag_id: str, run_id: str, request: Request) -> Response:
    """The whole page."""
    from airflow_agentic.view.page import trace_page

    links = _links(dag_id, run_id)
    shown = _traces.of(dag_id, run_id).rendered("page", lambda trace: trace_page(trace, live=links))
    return _unless_known(shown, request)


@router.get("/sections")
def sections(dag_id: str, run_id: str, request: Request) -> Response:
    """What changes while the run goes on; asked again and again."""
    from airflow_agentic.view.page import trace_sections

    links = _links(dag_id, run_id)
    shown = _traces.of(dag_id, run_id).rendered("sections", lambda trace: trace_sections(trace, live=links))
    return _unless_known(shown, request)


@router.get("/attempts/{attempt_id}")
def attempt(dag_id: str, run_id: str, attempt_id: str, request: Request) -> Response:
    """The details of one attempt."""
    from airflow_agentic.view.page import attempt_details

    trace = _traces.of(dag_id, run_id).trace
    try:
        found = attempt_details(trace, attempt_id, live=_links(dag_id, run_id))
    except KeyError:
        raise HTTPException(404) from None
    return _unless_known(Rendered(found.encode("utf-8", "replace")), request)


@router.get("/values/{item_id}/{name}")
def value(dag_id: str, run_id: str, item_id: str, name: str) -> Response:
    """A whole value: text as it is, anything else as JSON; never as what it says that it is."""
    from airflow_agentic.view.values import whole_value

    try:
        found = whole_value(_traces.of(dag_id, run_id).trace, item_id, name)
    except KeyError:
        raise HTTPException(404) from None
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, indent=2)
    ending = "txt" if isinstance(found, str) else "json"
    return _inert(text, _TEXT, f"{item_id}.{name}.{ending}" if len(text) > _SHOWN else None)


@router.get("/artifacts/{artifact_id}")
def artifact(dag_id: str, run_id: str, artifact_id: str) -> Response:
    """An artifact as a file."""
    trace = _traces.of(dag_id, run_id).trace
    found = next((each for each in trace.artifacts if each.id == artifact_id), None)
    if found is None or found.content is None:
        raise HTTPException(404)
    return _inert(found.content, _TEXT, found.uri.rstrip("/").rpartition("/")[2] or "artifact.txt")


@router.get("/trace.json")
def trace_json(dag_id: str, run_id: str) -> Response:
    """The trace as a file, by its published JSON Schema."""
    from airflow_agentic.trace.document import to_data

    def made(trace: Trace) -> str:
        return json.dumps(to_data(trace), ensure_ascii=False, indent=1)

    return _download(_traces.of(dag_id, run_id).rendered("json", made), _JSON, f"{dag_id}.{run_id}.trace.json")


@router.get("/trace.html")
def trace_html(dag_id: str, run_id: str) -> Response:
    """The page as one file that needs nothing else."""
    from airflow_agentic.view.page import trace_page

    return _download(_traces.of(dag_id, run_id).rendered("html", trace_page), _HTML, f"{dag_id}.{run_id}.trace.html")


@router.get("/bundle.zip")
def bundle(dag_id: str, run_id: str) -> Response:
    """All of a run for auditors, whose intactness ``airflow-agentic verify`` tells without Airflow."""
    from airflow_agentic.trace.export import export
    from airflow_agentic.trace.store import TraceStore

    _traces.of(dag_id, run_id)  # or else it says that there is none
    folder = Path(tempfile.mkdtemp(prefix="airflow-agentic-"))
    try:
        export(TraceStore(), dag_id, run_id, facts_of(dag_id, run_id), folder / "bundle.zip")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        folder / "bundle.zip",
        media_type="application/zip",
        headers={**NOT_KEPT, **_as_file(f"{dag_id}.{run_id}.zip")},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _links(dag_id: str, run_id: str) -> LiveLinks:
    from airflow_agentic.view.page import LiveLinks

    run = f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    return LiveLinks(
        sections="sections",
        attempt="attempts/{id}",
        value="values/{id}/{name}",
        assets=f"../../../assets/{assets_digest()}",
        task=f"../../../../{run}/tasks/{{task_id}}/mapped/{{map_index}}",
        artifact="artifacts/{id}",
        now=datetime.fromtimestamp(time.time() // _BEHIND * _BEHIND, UTC).isoformat(),
        downloads=_DOWNLOADS,
    )


def _unless_known(shown: Rendered, request: Request) -> Response:
    """The text, or that the browser has it already."""
    headers = {"ETag": shown.etag}
    known = request.headers.get("if-none-match", "")
    if shown.etag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(shown.content, media_type=_HTML, headers=headers)


def _download(shown: Rendered, media_type: str, name: str) -> Response:
    return _inert(shown.content, media_type, name)


def _inert(content: Any, media_type: str, download: str | None) -> Response:
    """Text in which nothing may do anything; with a name, as a file."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    headers = dict(NOT_KEPT)
    if download is not None:
        headers |= _as_file(download)
    return Response(data, media_type=media_type, headers=headers)


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
