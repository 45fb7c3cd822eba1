"""Long waits on a real Airflow with one worker slot: it is free meanwhile, and no attempt is lost or made twice."""

from __future__ import annotations

import sqlite3
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.airflow_env import AirflowEnv
from support.pipelines import echo
from support.scripted_server import Call, Reply, ScriptedServer, retry_after_date, retry_after_seconds

from airflow_agentic.limits.settings import Limits
from airflow_agentic.limits.sqlite import SqliteStore
from airflow_agentic.limits.store import Ask
from airflow_agentic.local.rest import RestError
from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

# beside the session's Airflow, so that no more than these two run at the same time
pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("airflow")]

TEMPLATE = """\
version: 1
agents:
  api: {{type: http, connection: {connection}, endpoint: /, output: {{ok: boolean}}, timeout: 20s}}
stages:
  asked: {{agent: api, retry: {{attempts: 3, wait: 10ms}}}}
output: {{ok: "{{{{ asked.ok }}}}"}}
"""


class BusyServer(ScriptedServer):
    """Wants its callers to wait, for some seconds and until some time."""

    def reply_to(self, call: Call) -> Reply:
        """The third call is the first that is answered."""
        match len(self.calls):
            case 1:
                return Reply(status=429, headers=retry_after_seconds(12))
            case 2:
                return Reply(status=503, headers=retry_after_date(5))
        return Reply(body={"ok": True})


@pytest.fixture(scope="module")
def one_slot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowEnv]:
    """An Airflow that runs one task at a time, and hands over any wait of more than half a second."""
    folder = tmp_path_factory.mktemp("one_slot")
    settings = {"AIRFLOW__CORE__PARALLELISM": "1", "AIRFLOW__AGENTIC__INLINE_WAIT": "0.5"}
    environment = AirflowEnv(folder, source_roots=folder, environment=settings)
    try:
        environment.start()
        yield environment
    finally:
        environment.stop()


def task(airflow: AirflowEnv, dag_id: str, run_id: str) -> dict[str, Any]:
    return next(ti for ti in airflow.rest.task_instances(dag_id, run_id) if ti["task_id"] == "asked")


def seen(airflow: AirflowEnv, dag_id: str, run_id: str) -> tuple[dict[str, Any], str]:
    """Why the task waits: what people see, and what Airflow keeps but doesn't show."""
    told = airflow.rest.xcom(dag_id, run_id, "asked", "agentic_waiting")
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        query = "SELECT retry_reason FROM task_instance WHERE run_id = ? AND task_id = 'asked'"
        (reason,) = database.execute(query, (run_id,)).fetchone()
    return told, reason


def attempts(airflow: AirflowEnv, dag_id: str, run_id: str) -> list[AttemptRecord]:
    store = TraceStore(airflow.trace_url)
    found = [record for record in store.records(dag_id, run_id).values() if isinstance(record, AttemptRecord)]
    return sorted(found, key=lambda record: record.attempt)


def begin(airflow: AirflowEnv, name: str, server: ScriptedServer, **extra: Any) -> str:
    """Start a run, and wait until its task has handed over a wait."""
    airflow.add_connection(name, conn_type="http", host="127.0.0.1", port=server.port, extra=extra)
    airflow.put_template(f"{name}.yaml", TEMPLATE.format(connection=name))
    airflow.put_template("something_else.yaml", echo())
    airflow.wait_for_dag("something_else")
    airflow.wait_for_dag(name)
    run_id = airflow.rest.trigger(name)
    airflow.wait_until(
        lambda: task(airflow, name, run_id)["state"] == "up_for_retry", what="a wait that is handed over", timeout=60
    )
    return run_id


def test_the_slot_is_free_while_the_other_side_wants_us_to_wait(one_slot: AirflowEnv) -> None:
    name = "waits_for_reply"
    with BusyServer(Reply()) as server:
        run_id = begin(one_slot, name, server)
        why, reason = seen(one_slot, name, run_id)
        other = one_slot.run("something_else")
        assert other.state == "success", str(other)
        ran = one_slot.finish(name, run_id)
        assert ran.state == "success", str(ran)
        first, second, third = [call.at for call in server.calls]
    began = [ti["start_date"] for ti in one_slot.rest.task_instances("something_else", other.run_id)]
    assert first < datetime.fromisoformat(min(began)).timestamp() < second, "another run took the slot meanwhile"
    assert second - first >= 12
    assert third - second >= 4
    records = attempts(one_slot, name, run_id)
    assert [(record.attempt, record.try_number, record.state) for record in records] == [
        (1, 1, "retrying"),
        (2, 2, "retrying"),
        (3, 3, "success"),
    ]
    assert [record.next_wait for record in records] == [12, pytest.approx(5, abs=1.5), None]
    assert [record.waited for record in records] == [0, 0, 0]
    assert why["reason"] == reason
    assert reason.startswith("Attempt 1 failed (rate_limited): POST / of connection 'waits_for_reply' answered 429")
    assert reason.endswith("The next one starts in 12 s.")
    assert (why["attempt"], why["kind"]) == (1, "rate_limited")
    with pytest.raises(RestError, match="agentic_waiting"):
        seen(one_slot, name, run_id)  # nobody waits any more


def test_more_waits_for_a_limit_than_tries_lose_no_attempt(one_slot: AirflowEnv) -> None:
    """Somebody else holds the connection's only slot for longer than all tries of the task last."""
    name = "waits_for_limit"
    file = one_slot.home / "agentic" / "limits.db"
    file.parent.mkdir(exist_ok=True)
    store = SqliteStore(str(file))
    ask = Ask(connection=name, limits=Limits(max_concurrent=1), ticket="t", grant=uuid.uuid4().hex)
    assert store.ask(ask).granted
    with ScriptedServer(Reply(status=503), Reply(body={"ok": True})) as server:
        run_id = begin(one_slot, name, server, agentic={"max_concurrent": 1})
        why, _ = seen(one_slot, name, run_id)
        retries = one_slot.rest.call("GET", f"/dags/{name}/tasks/asked")["retries"]
        began = time.monotonic()

        def is_last_try() -> bool:
            store.renew(name, ask.grant)
            found = task(one_slot, name, run_id)
            return bool(found["try_number"] > retries and found["state"] == "running")

        one_slot.wait_until(is_last_try, what="the last try", timeout=120)
        time.sleep(1.5)
        held = time.monotonic() - began
        assert server.calls == []
        store.settle(name, ask.grant, None)
        ran = one_slot.finish(name, run_id)
        assert ran.state == "success", str(ran)
        assert len(server.calls) == 2
    records = attempts(one_slot, name, run_id)
    assert [(record.attempt, record.state) for record in records] == [(1, "retrying"), (2, "success")]
    assert held < records[0].waited < held + 10
    assert records[0].seconds < 5
    assert why["attempt"] == 0
    assert why["reason"].startswith("Waiting, without a failure: the connection 'waits_for_limit' is at its limit")
