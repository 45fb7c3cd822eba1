"""Airflow's api-server in this process, and the runs that are looked at through it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow.sdk import DAG
    from fastapi import FastAPI
    from httpx import Response
    from support.scheduling import ScriptedRun

TEMPLATE = """
version: 1
name: NAME
inputs: {topic: {type: string, default: "wind & <b>sun</b>"}}
defaults: {retry: {attempts: 2, wait: 1ms, jitter: false}}
agents:
  writer: {type: python, callable: "support.web_agents:write", output: {text: string}}
  long: {type: python, callable: "support.web_agents:long", output: {text: string}}
stages:
  draft: {agent: writer, input: {topic: "{{ inputs.topic }}"}}
  more: {agent: long, input: {text: "{{ draft.text }}"}}
output: {text: "{{ draft.text }}"}
artifact: {path: "NAME.html", content: "<script>alert(1)</script>{{ draft.text }}"}
"""


@dataclass(frozen=True)
class Web:
    """All of Airflow's api-server, as somebody's browser or program sees it."""

    app: FastAPI

    def get(
        self, path: str, user: str | None = "ann", role: str | None = "VIEWER", *, cookie: bool = False, **headers: str
    ) -> Response:
        """
        Ask for a path below ``/agentic``.

        :param user: None for somebody who isn't signed in.
        :param cookie: signed in as browsers are; else as programs.
        """
        from fastapi.testclient import TestClient

        token = self.token(user, role) if user is not None else None
        cookies = {"_token": token} if token and cookie else {}
        if token and not cookie:
            headers["Authorization"] = f"Bearer {token}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return TestClient(self.app, cookies=cookies, raise_server_exceptions=False).get(f"/agentic{path}", headers=sent)

    def token(self, user: str, role: str | None) -> str:
        """Of somebody who is signed in."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        signed: str = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=role))
        return signed


@contextlib.contextmanager
def web_app(more: Mapping[str, str] | None = None) -> Iterator[FastAPI]:
    """Airflow's own app, with the plugin as Airflow finds it."""
    from airflow.api_fastapi.app import create_app, purge_cached_app

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "support.some_dags.SomeDagsAuthManager")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "for tests only " * 5)
        for name, value in (more or {}).items():
            patch.setenv(name, value)
        purge_cached_app()
        try:
            yield create_app(apps="core")
        finally:
            purge_cached_app()


def a_run(folder: Path, name: str = "shown_run", text: str = TEMPLATE) -> ScriptedRun:
    """Run a template in this process; its run is in the metadata database, its records where the settings say."""
    from support.scheduling import run_scripted

    from airflow_agentic.factory.dag import build_dag_from_plan
    from airflow_agentic.planning.planner import make_plan
    from airflow_agentic.template.parse import load_template

    file = folder / f"{name}.yaml"
    file.write_text(text.replace("NAME", name), encoding="utf-8")
    dag = build_dag_from_plan(make_plan(load_template(file)))
    _store(dag)
    return run_scripted(dag)


def _store(dag: DAG) -> None:
    """As the dag processor does: the api-server shows tasks from the serialized DAG."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    with create_session() as session:
        if session.get(DagBundleModel, "scripted") is None:
            session.add(DagBundleModel(name="scripted"))
            session.flush()
        if session.get(DagModel, dag.dag_id) is None:
            session.add(DagModel(dag_id=dag.dag_id, bundle_name="scripted", fileloc="", is_stale=False))
            session.flush()
        SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name="scripted", session=session)


def page_of(run: Any, below: str = "") -> str:
    """Where a run's page is, or something of it."""
    return f"/trace/{quote(run.dag_id, safe='')}/{quote(run.run_id, safe='')}/{below}"
