"""
Secrets of connections, inputs that are passwords, and headers, after a run whose agents tell all they know.

Nothing of what the run leaves behind may hold them: records, logs, what Airflow's REST API (and so its UI) shows.
Airflow itself shows a run's ``conf`` as it was given, so a password that somebody gives a run by REST stands there;
and values that the template hands on as data stand in XComs.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from support.command_line import CommandLine
from support.echo_server import EchoServer

pytest.importorskip("pydantic_ai")
pytest.importorskip("openai")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.airflow_env import AirflowEnv, FinishedRun

TOKEN = "tok-given-to-the-run-81"
BASIC = base64.b64encode(b"ada:pw-of-a-connection-17").decode()
SECRETS = {
    "the password of a connection": "pw-of-a-connection-17",
    "basic authentication": BASIC,
    "an extra of a connection": "key-in-an-extra-23",
    "a bearer token in an extra": "bearer-in-an-extra-29",
    "a model's key": "sk-of-a-model-37",
    "a header of the template": "key-in-a-template-41",
    "a default of the template": "default-of-an-input-43",
}

TEMPLATE = """
version: 1
name: secrets_check
inputs:
  token: {type: string, format: password}
  other: {type: string, format: password, default: default-of-an-input-43}
defaults: {retry: {attempts: 1}, timeout: 60s}
agents:
  api:
    type: http
    connection: secrets_http
    endpoint: "/{{ input.path }}"
    headers: {X-Api-Key: key-in-a-template-41, X-Run-Token: "{{ input.token }}"}
  bare: {type: http, connection: secrets_headers}
  model: {type: llm, connection: secrets_model, instructions: "Use {{ input.token }}.", prompt: "As {{ input.token }}"}
  told: {type: python, callable: "support.secret_agents:told", output: {text: string}}
  raised: {type: python, callable: "support.secret_agents:raised"}
  same: {type: python, callable: "support.secret_agents:same", output: {given: any}}
stages:
  echo: {agent: api, input: {path: echo, token: "{{ inputs.token }}", other: "{{ inputs.other }}"}}
  bare: {agent: bare, input: {word: x}}
  refused: {agent: api, input: {path: refused, token: "{{ inputs.token }}"}, on_error: {to: person}}
  told: {agent: told, input: {connection: secrets_http, token: "{{ inputs.token }}"}}
  raised:
    agent: raised
    input: {connection: secrets_http, token: "{{ inputs.token }}"}
    on_error: {value: {}}
  raised_each:
    agent: raised
    for_each: "[1, 2]"
    tolerate: 2
    input: {connection: secrets_http, token: "{{ inputs.token }}"}
  ask: {agent: model, input: {token: "{{ inputs.token }}", told: "{{ told.text }}"}}
  gathered:
    agent: same
    input:
      all: "{{ echo }} {{ bare }} {{ told }} {{ ask }} {{ raised_each.errors }} {{ raised }}"
    routes:
      - {when: gathered.given.all == inputs.token, to: fail}
      - {to: next}
  inner:
    input: {token: "{{ inputs.token }}", all: "{{ gathered.given.all }}"}
    pipeline:
      stages:
        again: {agent: same, input: {token: "{{ inputs.token }}", all: "{{ inputs.all }}"}}
      output: {all: "{{ again.given }}"}
  person:
    human:
      ask: "{{ error.message }} with {{ inputs.token }}"
      body: "{{ error.message }} with {{ inputs.token }} and {{ inputs.other }}"
      timeout: 1s
      on_timeout: Submit
output: {all: "{{ gathered.given.all }}", inner: "{{ inner.all }}"}
artifact: {path: secrets.md, content: "{{ gathered.given.all }} {{ inner.all }}"}
"""


def connections(echo: EchoServer) -> dict[str, dict[str, Any]]:
    http = {"conn_type": "http", "host": "127.0.0.1", "port": echo.port}
    return {
        "secrets_http": {**http, "login": "ada", "password": "pw-of-a-connection-17"},
        "secrets_headers": {
            **http,
            "extra": {"X-Api-Key": "key-in-an-extra-23", "Authorization": "Bearer bearer-in-an-extra-29"},
        },
        "secrets_model": {
            "conn_type": "pydanticai",
            "host": f"{echo.url}/v1",
            "password": "sk-of-a-model-37",
            "extra": {"model": "openai-chat:gpt-test"},
        },
    }


def found(where: dict[str, str], *, token: bool = True) -> dict[str, list[str]]:
    """Which secrets are where."""
    secrets = {**SECRETS, "an input": TOKEN} if token else SECRETS
    holders = {name: [place for place, text in where.items() if secret in text] for name, secret in secrets.items()}
    return {name: places for name, places in holders.items() if places}


def files(folder: Path) -> dict[str, str]:
    return {str(file): file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def run(airflow_env: AirflowEnv) -> Iterator[FinishedRun]:
    with EchoServer() as echo:
        for name, fields in connections(echo).items():
            airflow_env.add_connection(name, **fields)
        airflow_env.put_template("secrets_check.yaml", TEMPLATE)
        yield airflow_env.run("secrets_check", {"token": TOKEN})
    airflow_env.clear()


@pytest.mark.airflow
def test_the_run_went_through_all_of_it(run: FinishedRun, airflow_env: AirflowEnv) -> None:
    assert run.state == "success", str(run)
    assert run.tasks["refused"] == "failed"
    echoed = airflow_env.rest.xcom("secrets_check", run.run_id, "echo")["headers"]
    assert echoed["authorization"] == "Basic ***"
    assert echoed["x-api-key"] == echoed["x-run-token"] == "***"
    assert airflow_env.rest.xcom("secrets_check", run.run_id, "told")["text"] == "the password is ***, the token ***"
    assert json.loads(airflow_env.rest.xcom("secrets_check", run.run_id, "ask"))["authorization"] == "Bearer ***"


@pytest.mark.airflow
def test_no_record_and_no_artifact_holds_them(run: FinishedRun, airflow_env: AirflowEnv) -> None:
    records = {path: text for path, text in files(Path(airflow_env.trace_url)).items() if "secrets_check" in path}
    assert any("echo" in path for path in records)
    assert found(records) == {}
    assert found({"artifact": (airflow_env.artifacts / "secrets.md").read_text()}) == {}


@pytest.mark.airflow
def test_no_log_holds_them(run: FinishedRun, airflow_env: AirflowEnv) -> None:
    logs = {path: text for path, text in files(airflow_env.home).items() if path.endswith(".log")}
    assert any("task_id=raised" in path for path in logs)
    assert any("scheduler" in path for path in logs)
    assert any("printed ***" in text for text in logs.values())
    assert found({path: without_prints(text) for path, text in logs.items()}) == {}


@pytest.mark.airflow
def test_airflow_shows_none_of_them(run: FinishedRun, airflow_env: AirflowEnv) -> None:
    shown = {path: json.dumps(airflow_env.rest.call("GET", path)) for path in pages(run, airflow_env)}
    assert "X-Api-Key" in shown["/dagSources/secrets_check"]
    assert "X-Api-Key" in shown["/dags/secrets_check/details"]
    assert found({path: text for path, text in shown.items() if not may_hold_inputs(path)}) == {}
    assert found(shown, token=False).keys() <= {"a default of the template"}


def without_prints(text: str) -> str:
    """
    A log without what a callable printed, as Airflow's LocalExecutor copies it to the scheduler's own output.

    There, and only there, Airflow masks nothing; what the package says is masked before.
    """
    return "\n".join(line for line in text.splitlines() if not line.endswith(("[task.stdout]", "[task.stderr]")))


def pages(run: FinishedRun, airflow_env: AirflowEnv) -> Iterator[str]:
    """What the UI's pages of the DAG and of the run are made of."""
    dag, one = f"/dags/{run.dag_id}", f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id)}"
    yield from (dag, f"{dag}/details", f"{dag}/tasks", f"/dagSources/{run.dag_id}", f"{dag}/dagVersions")
    yield from (one, f"{one}/taskInstances", f"{one}/hitlDetails", "/eventLogs", "/importErrors", "/assets/events")
    for ti in airflow_env.rest.task_instances(run.dag_id, run.run_id):
        task, mapped = f"{one}/taskInstances/{ti['task_id']}", f"/{ti['map_index']}" if ti["map_index"] >= 0 else ""
        yield from (f"{task}{mapped}", f"{task}{mapped}/tries")
        if not mapped:
            yield from (f"{task}/xcomEntries", f"{task}/links")
            entries = airflow_env.rest.call("GET", f"{task}/xcomEntries", limit=100)["xcom_entries"]
            yield from (f"{task}/xcomEntries/{quote(entry['key'])}" for entry in entries if entry["map_index"] < 0)


def may_hold_inputs(path: str) -> bool:
    """A run's conf, a param's default, and the inputs that a template hands to a pipeline, are shown as they are."""
    return path.rpartition("/")[0].endswith("dagRuns") or path.endswith("/details") or "/inner.pipeline__start/" in path


def test_the_command_line_tells_none_of_them(tmp_path: Path) -> None:
    shell = CommandLine(folder=tmp_path)
    shell.home.mkdir()
    (tmp_path / "secrets_check.yaml").write_text(TEMPLATE)
    with EchoServer() as echo:
        known = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in connections(echo).items()}
        environment = {**known, "PYTHONPATH": str(Path(__file__).parent.parent)}
        ended = shell.call("run", "secrets_check.yaml", "--input", f"token={TOKEN}", **environment)
    assert ended.code == 0, ended.err + ended.out
    traces = [path.parent for path in (shell.home / "airflow").rglob("manifest*")]
    assert traces
    assert found({"out": ended.out, "err": ended.err, **files(shell.home / "airflow")}) == {}
