"""Many runs at once on one small machine: SQLite, LocalExecutor, the settings that we recommend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.airflow_env import AirflowEnv

RUNS = 20
TEMPLATE = """
version: 1
name: soak
inputs: {word: string}
agents: {capitals: {type: python, callable: "string:capwords", output: text}}
stages:
  a: {agent: capitals, input: {s: "{{ inputs.word }}"}}
  b: {agent: capitals, input: {s: "{{ a }} b"}}
  c: {agent: capitals, input: {s: "{{ a }} c"}}
  d: {agent: capitals, input: {s: "{{ a }} d"}}
  e: {agent: capitals, input: {s: "{{ b }} {{ c }} {{ d }}"}}
output: {text: "{{ e }}"}
"""


@pytest.mark.long
def test_many_runs_at_once(airflow: AirflowEnv) -> None:
    airflow.put_template("soak.yaml", TEMPLATE)
    airflow.wait_for_dag("soak")
    runs = {f"w{number}": airflow.rest.trigger("soak", {"word": f"w{number}"}) for number in range(RUNS)}
    for word, run_id in runs.items():
        run = airflow.finish("soak", run_id, timeout=900)
        assert run.state == "success", str(run)
        text = " ".join(f"{word.upper()} {part}" for part in "BCD")
        assert airflow.rest.xcom("soak", run_id, "run__finish") == {"text": text}
