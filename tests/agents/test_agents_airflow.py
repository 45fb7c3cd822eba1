"""All kinds of agent in the worker of a real Airflow: connections come through its supervisor, not the environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.openai_server import OpenAIServer, calls, failing, good
from support.scripted_server import Reply, ScriptedServer

from airflow_agentic.trace.record import AttemptRecord
from airflow_agentic.trace.store import TraceStore

pytest.importorskip("pydantic_ai")
pytest.importorskip("openai")

if TYPE_CHECKING:
    from support.airflow_env import AirflowEnv

pytestmark = pytest.mark.airflow

TEMPLATE = """
version: 1
name: agents_check
defaults: {retry: {attempts: 4, wait: 10ms, jitter: false}, timeout: 60s}
agents:
  host: {type: python, callable: "support.worker_agents:host_of", output: {host: string}}
  login: {type: python, callable: "support.worker_agents:login_of", output: {login: string, run: string}}
  checker:
    type: http
    connection: agents_check_http
    endpoint: "/verify/{{ input.word }}"
    select: data
    output: {ok: boolean}
  writer:
    type: llm
    connection: agents_check_llm
    tools: [{python: "support.worker_agents:look_up", max_calls: 1}]
    output: {text: string}
  reader: {type: python, callable: "support.worker_agents:pages", output: {pages: [string]}}
  briefer:
    type: llm
    connection: agents_check_llm
    window: {max_tokens: 1000, overflow: truncate}
stages:
  host: {agent: host, input: {connection: agents_check_http}}
  login: {agent: login, input: {connection: agents_check_http}}
  check: {agent: checker, input: {word: "{{ host.host }}"}}
  write: {agent: writer, prompt: "Write for {{ login.login }}: {{ check.ok }}"}
  read: {agent: reader, input: {count: "{{ 3 }}"}}
  brief: {agent: briefer, for_each: read.pages, prompt: "In brief: {{ item }}", after: write}
output: {text: "{{ write.text }}"}
"""


def test_agents_in_a_worker(airflow: AirflowEnv) -> None:
    model = OpenAIServer(
        calls(("look_up", {"word": "a"})),
        good({"txt": "?"}),
        failing(503),
        good({"text": "done"}),
        rules=(("In brief", [good("Brief.")]),),
    )
    site = ScriptedServer(Reply(status=503), Reply(body={"data": {"ok": True}}))
    with model, site:
        http = {"host": "127.0.0.1", "port": site.port, "login": "ada", "password": "s3cret"}
        airflow.add_connection("agents_check_http", conn_type="http", **http, extra={"agentic": {}})
        airflow.add_connection("agents_check_llm", **json.loads(model.connection()))
        airflow.put_template("agents_check.yaml", TEMPLATE)
        run = airflow.run("agents_check")
    assert run.state == "success", str(run)
    assert [call.path for call in site.calls] == ["/verify/127.0.0.1"] * 2
    assert "authorization" in site.calls[0].headers
    assert len(model.requests) == 4 + 3
    assert model.requests[0]["messages"][-1] == {"role": "user", "content": "Write for ada: true"}
    assert ">a is at 127.0.0.1</data" in model.requests[1]["messages"][-1]["content"]
    assert "'text' is a required property" in model.requests[3]["messages"][-1]["content"]
    assert airflow.rest.xcom("agents_check", run.run_id, "write") == {"text": "done"}
    assert airflow.rest.xcom("agents_check", run.run_id, "login")["run"] == run.run_id
    assert_items_fit(airflow, run.run_id, [request["messages"][-1]["content"] for request in model.requests[4:]])


def assert_items_fit(airflow: AirflowEnv, run_id: str, prompts: list[str]) -> None:
    """Each item's prompt was cut by itself, inside of the mark around it, and the record says how."""
    records = TraceStore(airflow.trace_url).records("agents_check", run_id).values()
    briefs = [record for record in records if isinstance(record, AttemptRecord) and record.stage == "brief"]
    by_item = {record.item["index"]: record for record in briefs if record.item is not None}
    assert by_item[0].window is None
    for index in (1, 2):
        assert by_item[index].window is not None
        (cut,) = by_item[index].window["cuts"]
        assert (cut["path"], cut["of"]) == ("item", 31 + 30 * index)
        (said,) = [message["content"] for message in by_item[index].input["messages"]]
        assert said in prompts
        assert f"[… {cut['left_out']} of {cut['of']} paragraphs left out]\n</data" in said
