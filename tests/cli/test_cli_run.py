"""``run`` and ``trace`` as a user calls them."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.command_line import CommandLine

TEMPLATE = """
version: 1
name: greeting
inputs:
  name: {type: string, minLength: 2, description: Who is greeted}
  year: {type: string, default: ""}
  times: {type: integer, default: 1}
agents:
  greeter: {type: python, callable: "greeters:greet", output: {text: string}}
  counter: {type: python, callable: "counters:count", output: {n: integer}, retry: {attempts: 2, wait: 10ms}}
stages:
  greet: {agent: greeter, input: {name: "{{ inputs.name }}", year: "{{ inputs.year }}"}}
  count: {agent: counter, input: {text: "{{ greet.text }}"}}
  rarely: {agent: counter, when: inputs.times > 1, input: {text: "{{ greet.text }}"}}
output: {text: "{{ greet.text }}", n: "{{ count.n }}"}
artifact: {path: "{{ inputs.name | slug }}.md", content: "# {{ greet.text }}"}
"""

GREETERS = """
import os, time
print("a module that talks")
def greet(name, year):
    print("an agent that talks")
    os.write(1, b"to the file descriptor")
    return {"text": f"Hello {name} {{{{ 7*7 }}}} [bold]{year}"}
"""

COUNTERS = """
def count(text):
    if "nobody" in text:
        raise ValueError("there is nobody to count")
    return {"n": len(text)}
"""


@pytest.fixture
def shell(tmp_path: Path) -> CommandLine:
    (tmp_path / "greeting.yaml").write_text(TEMPLATE)
    (tmp_path / "greeters.py").write_text(GREETERS)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "counters.py").write_text(COUNTERS)
    return CommandLine(folder=tmp_path)


def test_a_run_prints_one_document_and_its_trace_is_found_later(shell: CommandLine) -> None:
    arguments = ("run", "greeting.yaml", "--input", "name=Ada", "--input", "year=2026", "--json")
    ran = shell.call(*arguments, PYTHONPATH="elsewhere")
    assert ran.code == 0, ran.err
    document = ran.document
    assert list(document)[:5] == ["state", "run_id", "output", "artifact", "stages"]
    assert document["state"] == "success"
    assert document["output"] == {"text": "Hello Ada {{ 7*7 }} [bold]2026", "n": 30}
    assert document["artifact"] == str(shell.folder / "artifacts" / "ada.md")
    assert Path(document["artifact"]).read_text() == "# Hello Ada {{ 7*7 }} [bold]2026"
    states = {stage["stage"]: (stage["state"], stage["tries"]) for stage in document["stages"]}
    assert states["greet"] == states["count"] == ("success", 1)
    assert states["rarely"] == ("skipped", 0)
    assert all(stage["seconds"] >= 0 for stage in document["stages"])
    assert "greet: running" in ran.err
    assert shell.temporary_files() == []
    assert [entry.name for entry in (shell.home / "airflow").iterdir()] == ["agentic"]

    found = shell.call("trace", "greeting", document["run_id"], "--json").document

    def known_without_airflow(stage: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in stage.items() if key != "queued"}

    assert list(map(known_without_airflow, found["stages"])) == list(map(known_without_airflow, document["stages"]))
    text = shell.call("trace", "greeting", document["run_id"]).out
    assert re.search(r"count +counter +success +1 ", text)
    assert "text: Hello Ada {{ 7*7 }} [bold]2026" in text


def test_a_failed_run_says_what_failed_and_keeps_the_log(shell: CommandLine) -> None:
    """Called through Airflow's own command line, which has imported Airflow by then."""
    ran = shell.call(
        *("agentic", "run", "greeting.yaml", "--input", "name=nobody"),
        module="airflow",
        PYTHONPATH="elsewhere",
        AIRFLOW_HOME=str(shell.folder / "own-airflow"),
    )
    assert ran.code == 1
    assert re.search(r"count +counter +failed +2 ", ran.out)
    assert ran.out.count("counters:count raised ValueError: there is nobody to count") == 1
    assert "Traceback" not in ran.out + ran.err
    [log] = re.findall(r"Airflow's log of the run: (.+)", ran.err)
    assert "an agent that talks" in Path(log).read_text()
    assert (shell.folder / "own-airflow" / "agentic" / "trace" / "greeting").is_dir()
    assert not (shell.home / "airflow").exists()


def test_wrong_inputs_are_all_named_before_anything_runs(shell: CommandLine) -> None:
    started = time.monotonic()
    ran = shell.call("run", "greeting.yaml", "--input", "nmae=Ada", "--input", "times=often", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["error"].startswith("greeting can't run with these inputs:")
    assert "nmae: there is no such input; did you mean 'name'?" in ran.err
    assert "name: is required (Who is greeted)" in ran.err
    assert "times: 'often' is not of type 'integer'" in ran.err
    assert "Traceback" not in ran.err
    assert time.monotonic() - started < 5
    assert shell.temporary_files() == []


def test_a_broken_template_is_reported_before_anything_runs(shell: CommandLine) -> None:
    (shell.folder / "broken.yaml").write_text("version: 1\nstages: {a: {agnet: x}}\n")
    ran = shell.call("run", "broken.yaml")
    assert ran.code == 1
    assert ran.err.startswith("airflow-agentic: broken.yaml:2:")
    assert "Traceback" not in ran.err


SLOW = """
version: 1
agents: {sleeper: {type: python, callable: "time:sleep", output: any}}
stages:
  nap: {agent: {type: python, callable: "naps:nap"}}
  after: {agent: {type: python, callable: "naps:nap"}, needs: nap}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_run_that_is_ended_leaves_a_record_and_no_process(shell: CommandLine, number: signal.Signals) -> None:
    (shell.folder / "slow.yaml").write_text(SLOW)
    (shell.folder / "naps.py").write_text("import time\ndef nap():\n    for _ in range(600): time.sleep(0.1)\n")
    process = shell.start("run", "slow.yaml")
    assert process.stderr is not None
    while "nap: running" not in process.stderr.readline():
        assert process.poll() is None
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    time.sleep(0.5)
    process.send_signal(number)
    process.wait(timeout=60)
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert gone
    assert not alive
    [record] = (shell.home / "airflow").glob("agentic/trace/slow/*/attempts/*.json")
    assert json.loads(record.read_text())["state"] == "killed"
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted" in process.stderr.read()
        assert shell.temporary_files() == []


def test_a_named_database_is_used_and_what_it_serves_is_not_overwritten(shell: CommandLine) -> None:
    from airflow_agentic.local.database import new_database

    database = shell.folder / "own.db"
    new_database(database)
    (shell.folder / "dags").mkdir()
    environment = {
        "PYTHONPATH": "elsewhere",
        "AIRFLOW_HOME": str(shell.folder / "own-airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(shell.folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    ran = shell.call("run", "greeting.yaml", "--input", "name=Ada", **environment)
    assert ran.code == 0, ran.err
    (shell.folder / "moved.yaml").write_text(TEMPLATE)
    ran = shell.call("run", "moved.yaml", "--input", "name=Ada", **environment)
    assert ran.code == 1
    assert f"the DAG 'greeting' from {shell.folder / 'greeting.yaml'}: trigger it there" in ran.err


def test_a_run_that_left_nothing_has_no_trace(shell: CommandLine) -> None:
    ran = shell.call("trace", "greeting", "no-such-run")
    assert ran.code == 1
    assert "There are no records of the run 'no-such-run' of 'greeting'" in ran.err
    assert "Traceback" not in ran.err


ROUNDS = """
version: 1
agents:
  greeter: {type: python, callable: "greeters:greet", output: {text: string}}
stages:
  draft: {agent: greeter, input: {name: Ada, year: "{{ round }}"}}
  check:
    agent: greeter
    for_each: "[1, 2, 3]"
    input: {name: "{{ item }}", year: "{{ draft.text }}"}
    routes: [{when: round == 2, to: next}, {back_to: draft, max_rounds: 3}]
  pages:
    for_each: "['a', 'b']"
    input: {page: "{{ item }}"}
    pipeline:
      stages:
        page: {agent: greeter, input: {name: "{{ inputs.page }}", year: "{{ inputs.page }}"}}
      output: {text: "{{ page.text }}"}
output: {n: "{{ check.total }}", pages: "{{ pages.succeeded }}"}
"""


def test_a_run_is_told_by_stages_and_rounds(shell: CommandLine) -> None:
    (shell.folder / "rounds.yaml").write_text(ROUNDS)
    ran = shell.call("run", "rounds.yaml", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["output"] == {"n": 3, "pages": 2}
    rows = [(row["stage"], row["rounds"], row["kind"], row["items"]) for row in ran.document["stages"]]
    assert sorted(rows, key=str) == [
        ("check", [1], "agent", {"total": 3, "failed": 0, "recovered": 0}),
        ("check", [2], "agent", {"total": 3, "failed": 0, "recovered": 0}),
        ("draft", [1], "agent", None),
        ("draft", [2], "agent", None),
        ("pages", [], "pipeline", {"total": 2, "failed": 0, "recovered": 0}),
        ("pages.page", [], "agent", {"total": 2, "failed": 0, "recovered": 0}),
    ]
    told = [line.partition("  ")[0] for line in ran.err.splitlines() if line.partition(":")[0] != "Starting Airflow …"]
    assert sorted(told) == [
        "check (round 1): 3 success",
        "check (round 1): running",
        "check (round 2): 3 success",
        "check (round 2): running",
        "draft (round 1): running",
        "draft (round 1): success",
        "draft (round 2): running",
        "draft (round 2): success",
        "pages.page: 2 success",
        "pages.page: running",
    ]
