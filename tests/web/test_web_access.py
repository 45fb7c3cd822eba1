"""Who may see what of a run: every route of the app, asked by all sorts of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount
from support.some_dags import SomeDagsAuthManager
from support.web import Web, page_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.scheduling import ScriptedRun

#: Routes that show nothing of a single DAG.
OF_NO_DAG = ("/assets/{digest}/{name}", "/pipelines")


@pytest.fixture(autouse=True)
def _nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "only", {})
    monkeypatch.setattr(SomeDagsAuthManager, "never", {})


def routes_of(web: Web) -> list[Any]:
    """Of our app, as it is mounted in Airflow's."""
    mount = next(route for route in web.app.routes if isinstance(route, Mount) and route.path == "/agentic")
    assert isinstance(mount.app, FastAPI)
    return list(mount.app.routes)


def paths(routes: Iterable[Any], run: ScriptedRun) -> list[str]:
    """Addresses that the routes answer to."""
    names = {"dag_id": run.dag_id, "run_id": run.run_id, "name": "frame.css", "digest": "x"}
    return [route.path.format_map({**dict.fromkeys(route.param_convertors, "x"), **names}) for route in routes]


def test_all_routes_are_known_kinds_and_change_nothing(web: Web) -> None:
    routes = routes_of(web)
    assert all(isinstance(route, APIRoute) and route.methods == {"GET"} for route in routes)
    assert {route.path for route in routes if "{dag_id}" not in route.path} <= set(OF_NO_DAG)


def test_nobody_sees_anything_without_signing_in(web: Web, run: ScriptedRun) -> None:
    for path in paths(routes_of(web), run):
        assert (path, web.get(path, None).status_code) == (path, 401)
        assert (path, web.get(path, None, Authorization="Bearer x.y.z").status_code) == (path, 403)


@pytest.mark.parametrize("cookie", [True, False])
def test_whoever_may_not_see_the_dag_sees_nothing_of_its_runs(
    web: Web, run: ScriptedRun, monkeypatch: pytest.MonkeyPatch, cookie: bool
) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"another"}, "bob": {run.dag_id}})
    of_dags = [route for route in routes_of(web) if "{dag_id}" in route.path]
    assert len(of_dags) >= 7
    for path in paths(of_dags, run):
        assert (path, web.get(path, "ann", cookie=cookie).status_code) == (path, 403)
        assert (path, web.get(path, "bob", cookie=cookie).status_code in (200, 404)) == (path, True)


@pytest.mark.parametrize(
    "entity",
    [
        DagAccessEntity.RUN,
        DagAccessEntity.TASK_INSTANCE,
        DagAccessEntity.XCOM,
        DagAccessEntity.TASK_LOGS,
        DagAccessEntity.HITL_DETAIL,
        DagAccessEntity.CODE,
    ],
)
def test_whoever_may_not_see_a_part_of_what_is_shown_sees_nothing(
    web: Web, run: ScriptedRun, monkeypatch: pytest.MonkeyPatch, entity: DagAccessEntity
) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "never", {"ann": entity})
    for path in paths((route for route in routes_of(web) if "{dag_id}" in route.path), run):
        assert (path, web.get(path, "ann").status_code) == (path, 403)


@pytest.mark.parametrize(("role", "status"), [(None, 403), ("VIEWER", 200), ("USER", 200), ("OP", 200), ("ADMIN", 200)])
def test_roles_of_the_simple_auth_manager(web: Web, run: ScriptedRun, role: str | None, status: int) -> None:
    assert web.get(page_of(run), role=role).status_code == status
    assert web.get(page_of(run, "trace.json"), role=role).status_code == status


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_refusal_doesnt_say_whether_the_dag_or_the_run_is_there(
    web: Web, run: ScriptedRun, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"another"}})
    there, no_run, no_dag = (
        web.get(f"/trace/{dag_id}/{run_id}/", accept=accept)
        for dag_id, run_id in ((run.dag_id, run.run_id), (run.dag_id, "none"), ("none", "none"))
    )
    for reply in (no_run, no_dag):
        assert (reply.status_code, reply.content) == (403, there.content)
        assert reply.headers == there.headers
    assert run.dag_id not in there.text


def test_a_tilde_is_no_dag(web: Web, run: ScriptedRun) -> None:
    """Airflow's check takes it for all DAGs."""
    assert web.get(f"/trace/~/{run.run_id}/").status_code == 404


def test_the_path_and_not_the_query_says_which_dag_is_asked_for(
    web: Web, run: ScriptedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"another"}})
    assert web.get(f"{page_of(run)}?dag_id=another").status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_only_reading(web: Web, run: ScriptedRun, method: str) -> None:
    from fastapi.testclient import TestClient

    client = TestClient(web.app, headers={"Authorization": f"Bearer {web.token('ann', 'ADMIN')}"})
    assert client.request(method, f"/agentic{page_of(run)}").status_code == 405
