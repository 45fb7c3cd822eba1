"""Tasks of a real Airflow that race for their run's budget; the calls are counted at the server that they call."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from support.scripted_server import Reply, ScriptedServer

from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.airflow_env import AirflowEnv, FinishedRun

pytestmark = pytest.mark.airflow

#: for which each call is at work
SECONDS = 1.0
STAGES = tuple(f"s{number}" for number in range(8))
#: Eight stages that wait for nothing, and so start at the same time.
TEMPLATE = """\
version: 1
name: {name}
budget: {{calls: 5}}
agents:
  api: {{type: http, connection: budget_api, endpoint: /work, output: {{ok: boolean}}}}
stages:
{stages}
{more}
output: {{done: "{done}"}}
"""


@pytest.fixture
def server(airflow: AirflowEnv) -> Iterator[ScriptedServer]:
    """An API that takes a while, so that all who may call do so at the same time."""
    with ScriptedServer(Reply(body={"ok": True}, delay=SECONDS)) as server:
        airflow.add_connection("budget_api", conn_type="http", host="127.0.0.1", port=server.port)
        yield server


def template(name: str, *, on_error: str = "", more: str = "", optional: bool = False) -> str:
    keys = f", on_error: {on_error}" if on_error else ""
    lines = [f"  {stage}: {{agent: api, input: {{stage: {stage}}}{keys}}}" for stage in STAGES]
    ok = [f"{stage}.ok | default(false)" if optional else f"{stage}.ok" for stage in STAGES]
    done = "{{ [" + ", ".join(ok) + "] }}"
    return TEMPLATE.format(name=name, stages="\n".join(lines), more=more, done=done)


def attempts(airflow: AirflowEnv, run: FinishedRun) -> list[AttemptRecord]:
    records = TraceStore(airflow.trace_url).records(run.dag_id, run.run_id).values()
    return [record for record in records if isinstance(record, AttemptRecord)]


def check(airflow: AirflowEnv, run: FinishedRun, server: ScriptedServer) -> None:
    """Exactly five calls arrived, and the records say who made them and why the others did not."""
    assert len(server.calls) == 5, run
    times = sorted(call.at for call in server.calls)
    assert any(later - earlier < SECONDS for earlier, later in itertools.pairwise(times)), "they do race"
    records = attempts(airflow, run)
    callers = sorted(call.json["stage"] for call in server.calls)
    assert sorted(record.stage for record in records if record.state == "success") == callers
    refused = [record for record in records if record.state == "failed"]
    assert sorted([*callers, *(record.stage for record in refused)]) == sorted(STAGES)
    for record in refused:
        assert record.error is not None
        assert record.error["kind"] == "budget_exceeded"
        assert "calls: 5 of 5 used, 1 wanted" in record.error["message"]
        assert record.error["details"] == {
            "budget": {"calls": 5},
            "used": {"calls": 5},
            "reserved": {"calls": 0},
            "wanted": {"calls": 1},
        }


def test_the_sixth_call_is_never_made_and_the_run_fails(airflow: AirflowEnv, server: ScriptedServer) -> None:
    airflow.put_template("budget_fails.yaml", template("budget_fails"))
    run = airflow.run("budget_fails")
    check(airflow, run, server)
    assert run.state == "failed"
    assert sum(run.tasks[stage] == "failed" for stage in STAGES) == 3
    assert "The run's budget doesn't allow another call" in run.logs


def test_values_stand_in_for_what_the_budget_refused(airflow: AirflowEnv, server: ScriptedServer) -> None:
    on_error = "[{agent: api, kinds: [budget_exceeded]}, {value: {ok: false}}]"
    airflow.put_template("budget_values.yaml", template("budget_values", on_error=on_error))
    run = airflow.run("budget_values")
    assert run.state == "success", run
    assert len(server.calls) == 5
    refused = [record for record in attempts(airflow, run) if record.state == "failed"]
    assert len(refused) == 6, "the stand-in was refused, too"
    done = airflow.rest.xcom("budget_values", run.run_id, "run__finish")["done"]
    assert sorted(done) == [False] * 3 + [True] * 5


def test_the_run_goes_on_elsewhere_when_the_budget_is_used_up(airflow: AirflowEnv, server: ScriptedServer) -> None:
    ask = "{ask: 'Out of money: {{ error.kind }}', timeout: 2s, on_timeout: Stop, options: [Go, Stop]}"
    more = f"  ask: {{human: {ask}}}"
    airflow.put_template("budget_to.yaml", template("budget_to", on_error="{to: ask}", more=more, optional=True))
    run = airflow.run("budget_to")
    check(airflow, run, server)
    assert run.state == "success", run
    assert run.tasks["ask"] == "success"
    assert sum(run.tasks[stage] == "failed" for stage in STAGES) == 3
