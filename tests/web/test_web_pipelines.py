"""The pipelines page, from the database and the trace store to the browser: what is counted, for whom, how quickly."""

from __future__ import annotations

import html
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from support.many_runs import FarFiles, MadeRun, a_summary, drawn_runs, far, put_dag, put_runs, put_summaries
from support.some_dags import SomeDagsAuthManager

from airflow_agentic.trace.document import UsageTrace
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.summaries import summaries_at
from airflow_agentic.web import template_dags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from httpx import Response
    from support.scheduling import ScriptedRun
    from support.web import Web

#: Of the measured page.
DAGS, RUNS = 20, 50
NOW = datetime.now(tz=UTC)
TEMPLATE = """
version: 1
name: NAME
agents:
  echo: {type: python, callable: "support.scripted_agents:echo", output: {text: string}}
stages:
  draft: {agent: echo, input: {value: 1}}
output: {text: "{{ draft.text }}"}
"""


@pytest.fixture(autouse=True)
def _everybody_sees_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "only", {})
    monkeypatch.setattr(SomeDagsAuthManager, "never", {})


@pytest.fixture
def put(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """``put(dag_id, runs)``: a template of that name with these runs, and their summaries."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path / "trace"))
    names: list[str] = []

    def add(dag_id: str, runs: list[MadeRun]) -> None:
        from airflow_agentic.factory.dag import build_dag_from_plan
        from airflow_agentic.planning.planner import make_plan
        from airflow_agentic.template.parse import load_template

        file = tmp_path / f"{dag_id}.yaml"
        file.write_text(TEMPLATE.replace("NAME", dag_id))
        with create_session(scoped=False) as session:
            put_dag(session, build_dag_from_plan(make_plan(load_template(file))))
            if runs:
                put_runs(session, runs)
        put_summaries(TraceStore(), runs)
        names.append(dag_id)

    yield add
    with create_session(scoped=False) as session:
        for name in names:
            found = session.get(DagModel, name)
            assert found is not None
            found.is_stale = True


def a_run(dag_id: str, number: int, state: str = "success", *, days: float = 1, cost: float | None = None) -> MadeRun:
    """A run of ten seconds; with a cost, one that left a summary."""
    started = NOW - timedelta(days=days)
    run_id = f"run {number}"
    usage = UsageTrace(calls=1, cost_usd=cost)
    return MadeRun(
        dag_id=dag_id,
        run_id=run_id,
        state=state,
        started=started,
        ended=started + timedelta(seconds=10),
        last_state=state,
        summary=a_summary(dag_id, run_id, state=state, usage=usage) if cost is not None else None,
    )


def rows_of(response: Response) -> dict[str, dict[str, str]]:
    """The cells by pipelines and columns."""
    assert response.status_code == 200
    body = response.text.partition("<tbody>")[2].partition("</tbody>")[0]
    return {text_of(re.findall(r"<a [^>]*>(.*?)</a>", row)[0]): cells_of(row) for row in body.split("<tr>")[1:]}


def cells_of(row: str) -> dict[str, str]:
    found = re.findall(r'<td class="(\w+)[^"]*"[^>]*>(.*?)</td>', row, re.DOTALL)
    return {key: text_of(re.sub(r"<title>.*?</title>", "", cell)) for key, cell in found}


def text_of(part: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", part)).split())


def test_runs_are_those_of_airflow_and_figures_those_of_summaries(web: Web, put: Callable[..., None]) -> None:
    put(
        "counted",
        [
            a_run("counted", 1, cost=1.0),
            a_run("counted", 2, cost=3.0, days=2),
            a_run("counted", 3, "failed", cost=5.0, days=3),
            # never got to its last task
            a_run("counted", 4, "failed", days=4),
            a_run("counted", 5, cost=7.0, days=8),
            a_run("counted", 6, cost=9.0, days=31),
        ],
    )
    week, month = (rows_of(web.get(f"/pipelines?days={days}"))["counted"] for days in (7, 30))
    assert (week["runs"], week["success"]) == ("4 1 without figures", "50 % 2 failed")
    assert (week["time"], week["cost"]) == ("10 s 95 %: 10 s", "$3.00 total $9.00")
    assert (month["runs"], month["cost"]) == ("5 1 without figures", "$4.00 total $16.00")


def test_the_last_try_of_the_last_task_has_the_figures(web: Web, put: Callable[..., None]) -> None:
    """A run that was cleared has a summary of each of its ends."""
    run = a_run("cleared", 1, cost=1.0)
    again = a_summary("cleared", "run 1", try_number=2, usage=UsageTrace(calls=1, cost_usd=2.5))
    put("cleared", [MadeRun(**{**vars(run), "tries": 2})])
    TraceStore().write_summary(again)
    assert rows_of(web.get("/pipelines"))["cleared"]["cost"] == "$2.50 total $2.50"


def test_a_run_that_really_ran_is_counted(web: Web, run: ScriptedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.dag import DagModel, DagTag
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        found = session.get(DagModel, run.dag_id)
        assert found is not None
        found.is_stale = False
        if not session.get(DagTag, ("agentic", run.dag_id)):
            session.add(DagTag(name="agentic", dag_id=run.dag_id))
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {run.dag_id}})
    row = rows_of(web.get("/pipelines"))[run.dag_id]
    assert row["success"].startswith("100 %")
    assert "without figures" not in row["runs"]


def test_a_dag_that_only_has_the_tag_is_none_of_ours(
    web: Web, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dag import DagModel
    from airflow.sdk import DAG
    from airflow.utils.session import create_session

    put("ours", [])
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"ours", "theirs"}})
    with create_session(scoped=False) as session:
        put_dag(session, DAG("theirs", tags=["agentic"], schedule=None))
    assert list(rows_of(web.get("/pipelines"))) == ["ours"]
    assert rows_of(web.get("/pipelines"))["ours"]["last"] == "none in 7 days"
    with create_session(scoped=False) as session:
        found = session.get(DagModel, "ours")
        assert found is not None
        found.is_stale = True
    assert ">ours<" not in web.get("/pipelines").text


def test_everybody_sees_only_what_they_may(web: Web, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    put("for_ann", [a_run("for_ann", 1, cost=1.0)])
    put("for_bob", [a_run("for_bob", 1, cost=2.0)])
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"for_ann"}, "eve": set()})
    seen = web.get("/pipelines", "ann")
    assert list(rows_of(seen)) == ["for_ann"]
    assert "for_bob" not in seen.text
    assert "$2.00" not in seen.text
    assert web.get("/pipelines", "eve").status_code == 403
    assert web.get("/pipelines", None).status_code == 401


@pytest.mark.parametrize("entity", [DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE])
def test_whoever_may_not_see_runs_sees_no_figures(
    web: Web, monkeypatch: pytest.MonkeyPatch, entity: DagAccessEntity
) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "never", {"ann": entity})
    assert web.get("/pipelines", "ann").status_code == 403
    assert web.get("/pipelines", "bob").status_code == 200


def test_odd_addresses_are_answered(web: Web) -> None:
    for query in ("?days=x&sort=%00&order=%FF", "?days=30&days=7", "?sort=name&order=", "?" + "a" * 2000):
        response = web.get(f"/pipelines{query}")
        assert response.status_code == 200
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")


def test_a_month_of_a_thousand_runs_is_there_at_once(
    web: Web, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near and far: the first page, when nothing is known yet, and those after it."""
    for number in range(DAGS):
        put(f"many_{number}", drawn_runs(f"many_{number}", RUNS, now=NOW, seed=number))
    summaries_at.cache_clear()
    template_dags._seen.clear()
    seconds = {"near, cold": took(web), "near, warm": min(took(web) for _ in range(3))}
    summaries_at.cache_clear()
    far(summaries_at(TraceStore().url)._store)
    seconds |= {"far, cold": took(web), "far, warm": min(took(web) for _ in range(3))}
    print({what: [round(value, 3) for value in values] for what, values in seconds.items()})
    assert max(seconds["near, cold"], seconds["far, cold"])[0] < 2, seconds
    assert max(seconds["near, warm"], seconds["far, warm"])[0] < 0.3, seconds


def test_of_very_many_runs_the_last_ones_have_figures(
    web: Web, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("busy", [a_run("busy", number, cost=float(number), days=number / 10) for number in range(1, 6)])
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"busy"}})
    monkeypatch.setattr("airflow_agentic.web.pipeline_runs.MOST", 3)
    row = rows_of(web.get("/pipelines"))["busy"]
    assert (row["runs"], row["success"]) == ("5 2 without figures", "100 %")
    assert row["cost"] == "$2.00 total $6.00"


def test_why_figures_cannot_be_read_is_in_the_log_only(
    web: Web, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("s3://key:secret@host refused")

    put("closed", [a_run("closed", 1, cost=1.0)])
    summaries_at.cache_clear()
    monkeypatch.setattr(summaries_at(TraceStore().url)._store, "read_many", refuse)
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"closed"}})
    response = web.get("/pipelines")
    assert "The figures of 1 of 1 run can't be read" in text_of(response.text)
    assert "secret" not in response.text
    assert "secret" in caplog.text


def test_a_store_that_is_too_slow_delays_nobody(
    web: Web, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SomeDagsAuthManager, "only", {"ann": {"late", "slow"}})
    put("late", [a_run("late", number, cost=1.0, days=number / 10) for number in range(1, 6)])
    put("slow", [a_run("slow", number, cost=1.0, days=6) for number in range(1, 6)])
    monkeypatch.setattr(FarFiles, "delay", 4.0)
    monkeypatch.setattr("airflow_agentic.trace.summaries._BATCH", 5)
    summaries_at.cache_clear()
    far(summaries_at(TraceStore().url)._store)
    began = time.monotonic()
    response = web.get("/pipelines")
    assert time.monotonic() - began < 3
    rows = rows_of(response)
    assert "5 not read yet" in rows["late"]["runs"]
    assert "The figures of 10 of 10 runs are still being read" in text_of(response.text)
    assert rows["late"]["success"] == "100 %"
    time.sleep(max(0.0, 4.5 - (time.monotonic() - began)))
    rows = rows_of(web.get("/pipelines"))
    # the newest ones first
    assert rows["late"]["cost"] == "$1.00 total $5.00"
    assert "5 not read yet" in rows["slow"]["runs"]


def took(web: Web) -> tuple[float, float]:
    """
    Seconds of work and by the clock. Only the work is told from others': the machine may be busy.

    That far summaries are read at the same time has a test of its own, with those of the store.
    """
    began, worked = time.monotonic(), time.process_time()
    response = web.get("/pipelines?days=30")
    seconds = time.process_time() - worked, time.monotonic() - began
    assert len([name for name in rows_of(response) if name.startswith("many_")]) == DAGS
    return seconds
