"""The commands that need no Airflow: check, plan, schema, new; and how errors reach a person."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.records import RUN, attempt

from airflow_agentic.cli.airflow import get_agentic_cli_commands
from airflow_agentic.cli.commands import COMMANDS
from airflow_agentic.cli.main import main
from airflow_agentic.trace.store import TraceStore

ROOT = Path(__file__).parents[2]
GOOD = """\
version: 1
agents:
  loader: {type: python, callable: "m:f", output: {text: string}}
stages:
  load: {agent: loader}
  use: {agent: loader, input: {text: "{{ load.text }}"}}
output: {text: "{{ use.text }}"}
"""
BAD = GOOD.replace("load.text", "laod.text").replace("version: 1", "version: 1\nnmae: x")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def test_check_says_everything_and_exits_with_1(folder, capsys):
    assert main(["check", "good.yaml", "bad.yaml"]) == 1
    said = capsys.readouterr()
    assert "bad.yaml:2:1: AGT202 there is no key 'nmae' here" in said.out
    assert "hint: did you mean 'name'?" in said.out
    assert "bad.yaml:7:42: AGT401 there is no stage 'laod'" in said.out
    assert said.err == "2 templates: 2 errors, 0 warnings\n"


def test_check_of_a_folder_finds_templates_below_it(folder, capsys):
    (folder / "bad.yaml").unlink()
    (folder / "below").mkdir()
    (folder / "below" / "more.yml").write_text(GOOD)
    (folder / "compose.yaml").write_text("services: {}\n")
    assert main(["check", "."]) == 0
    assert capsys.readouterr().err == "2 templates: 0 errors, 0 warnings\n"


def test_check_of_a_folder_without_templates_is_an_error(tmp_path, capsys):
    assert main(["check", str(tmp_path)]) == 1
    assert "there is no template in this folder" in capsys.readouterr().err


def test_check_as_json(folder, capsys):
    assert main(["check", "--json", "bad.yaml"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["files"] == 1
    assert [(problem["code"], problem["line"], problem["column"]) for problem in data["problems"]] == [
        ("AGT202", 2, 1),
        ("AGT401", 7, 42),
    ]


def test_a_missing_file_is_one_message(capsys):
    assert main(["plan", "nothing.yaml"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "airflow-agentic: nothing.yaml:1:1: AGT101 the file can't be read: No such file or directory\n"


def test_plan_prints_stages_bounds_and_digest(folder, capsys):
    assert main(["plan", "good.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]][:3] == [
        ["stage", "works", "attempts", "calls", "starts", "after"],
        ["load", "loader", "(python)", "3", "3"],
        ["use", "loader", "(python)", "3", "3", "load"],
    ]
    assert lines[4:7] == [
        "2 stages, 3 tasks on 3 levels",
        "at most 2 stage executions, 6 agent calls",
        "critical path: 2 executions: load → use",
    ]
    assert lines[-1].startswith("digest ")
    assert len(lines[-1].split()[1]) == 64


def test_plan_of_tasks_prints_them_with_their_levels(folder, capsys):
    assert main(["plan", "good.yaml", "--tasks"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line[:5].strip().isdigit()]
    assert [row[:3] for row in rows] == [
        ["0", "load", "agent"],
        ["1", "use", "agent"],
        ["2", "run__finish", "finish"],
    ]


LOOPS = """\
version: 1
inputs: {docs: {type: array, default: [a, b]}}
agents:
  worker: {type: python, callable: "m:f", output: {n: number}}
  model: {type: llm, connection: c, prompt: Go}
stages:
  read: {agent: worker, for_each: inputs.docs, max_items: 5}
  draft: {agent: model, input: {all: "{{ read.outputs }}"}}
  check:
    agent: worker
    input: {text: "{{ draft }}"}
    routes:
      - {when: check.n > 1, to: next}
      - {back_to: draft, max_rounds: 3, exhausted: ask}
  ask: {human: {ask: What now?, timeout: 1h, on_timeout: fail}}
  last: {merge: {from: [draft, check], how: list}}
"""


@pytest.fixture
def loops(folder):
    (folder / "loops.yaml").write_text(LOOPS)
    return folder


def test_plan_groups_rounds_and_tells_loops_and_the_worst_case(loops, capsys):
    assert main(["plan", "loops.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines[2:7]]
    assert [row[0] for row in rows] == ["read", "draft", "check", "ask", "last"]
    assert rows[0][1:] == ["worker", "(python),", "for", "each", "inputs.docs", "2", "3", "6"]
    assert rows[1][1:] == ["model", "(llm)", "3", "3", "9", "read"]
    assert rows[3][1:] == ["a", "person", "chosen", "by", "check"]
    text = "\n".join(lines[7:])
    assert text.startswith("Loops:\n  check back to draft, at most 3 rounds: draft, check\n5 stages, ")
    assert "\nat most 10 stage executions, 24 agent calls, 1 question to people\n" in text
    assert "\ncritical path: 8 executions: read → 3 x (draft → check) → ask\n" in text


def test_plan_with_inputs_knows_how_long_lists_are(loops, capsys):
    assert main(["plan", "loops.yaml", "--input", 'docs=["a","b","c"]']) == 0
    assert "at most 11 stage executions, 27 agent calls" in capsys.readouterr().out
    assert main(["plan", "loops.yaml", "--input", "docs=[1,2,3,4,5,6]"]) == 0
    assert (
        "read: its list holds 6 items, more than max_items: it will fail before any of them" in capsys.readouterr().out
    )


def test_plan_refuses_inputs_that_a_run_would_refuse(loops, capsys):
    assert main(["plan", "loops.yaml", "--input", "docs=1", "--input", "dogs=2"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "dogs: there is no such input; did you mean 'docs'?" in said.err
    assert "docs: 1 is not of type 'array'" in said.err


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("{calls: 20}", "20 calls (the worst case is 24)"),
        ("{calls: 24, tokens: 200000, cost_usd: 1.50}", "24 calls, 200,000 tokens, 1.50 US dollars"),
        ("{calls: 1}", "1 call (too few: a run that ends well makes at least 2)"),
        ("{cost_usd: 1000}", "1,000.00 US dollars"),
        ("{cost_usd: 0.005}", "0.005 US dollars"),
    ],
)
def test_plan_puts_the_budget_beside_the_worst_case(loops, budget, said, capsys):
    (loops / "loops.yaml").write_text(f"{LOOPS}budget: {budget}\n")
    assert main(["plan", "loops.yaml"]) == 0
    worst, found = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("at most", "budget"))]
    assert worst == "at most 10 stage executions, 24 agent calls, 1 question to people"
    assert found == f"budget of a run: {said}"


def test_plan_as_json_says_the_budget(loops, capsys):
    (loops / "loops.yaml").write_text(f"{LOOPS}budget: {{calls: 20}}\n")
    assert main(["plan", "loops.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"] == {"calls": 20}


def test_plan_as_json_is_the_plan_with_the_worst_case(loops, capsys):
    from airflow_agentic.planning.plan import Plan

    assert main(["plan", "loops.yaml", "--json", "--input", "docs=[1]"]) == 0
    data = json.loads(capsys.readouterr().out)
    worst = data.pop("worst_case")
    assert data.pop("budget") == {}
    assert (worst["executions"], worst["calls"], worst["questions"]) == (9, 21, 1)
    assert worst["critical_path"] == ["read", *["draft", "check"] * 3, "ask"]
    assert worst["stages"][1] == {
        "stage": "draft",
        "kind": "agent",
        "rounds": [3],
        "items": None,
        "executions": 3,
        "attempts": 3,
        "calls": 9,
    }
    assert Plan.from_json(json.dumps(data)).task("draft__2.check").rounds == (2,)


def test_render_prints_mermaid(loops, capsys):
    assert main(["render", "loops.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("%% loops\nflowchart TD\n")
    assert 's_check ==>|"otherwise<br>at most 3 rounds"| s_draft' in out


def test_render_writes_svg(loops, capsys):
    assert main(["render", "loops.yaml", "--format", "svg", "--output", "loops.svg"]) == 0
    assert capsys.readouterr().out == ""
    assert (loops / "loops.svg").read_text().startswith("<svg xmlns=")


def test_render_says_what_it_cannot_write(loops, capsys):
    assert main(["render", "loops.yaml", "--output", "missing/loops.mmd"]) == 1
    assert "missing/loops.mmd can't be written: No such file or directory" in capsys.readouterr().err


def test_schema_is_a_json_schema(capsys):
    from jsonschema import Draft202012Validator

    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    assert set(schema["required"]) == {"version", "stages"}


def test_new_writes_a_starter_that_passes_check(folder, capsys):
    assert main(["new", "my_brief"]) == 0
    capsys.readouterr()
    assert main(["check", "my_brief.yaml"]) == 0
    assert capsys.readouterr().err == "1 template: 0 errors, 0 warnings\n"
    assert "name: my_brief\n" in Path("my_brief.yaml").read_text()


def test_new_overwrites_nothing(folder, capsys):
    assert main(["new", "good.yaml"]) == 1
    assert "good.yaml is there already" in capsys.readouterr().err
    assert Path("good.yaml").read_text() == GOOD


@pytest.mark.parametrize("name", ["a b", "../x", "", ".hidden", "x" * 251])
def test_new_refuses_what_cant_be_a_dags_name(folder, capsys, name):
    assert main(["new", name]) == 1
    assert "can't be a template's name" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["bad.yaml", "good.yaml"]


def test_a_bug_is_not_hidden_as_a_users_mistake(monkeypatch):
    monkeypatch.setattr("airflow_agentic.template.schema.language_schema", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["schema"])


def test_airflow_gets_the_same_commands():
    (group,) = get_agentic_cli_commands()
    assert group.name == "agentic"
    assert [command.name for command in group.subcommands] == [command.name for command in COMMANDS]
    for ours, theirs in zip(COMMANDS, group.subcommands, strict=True):
        assert [argument.flags for argument in theirs.args] == [argument.flags for argument in ours.arguments]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "good.yaml"],
        ["plan", "good.yaml"],
        ["render", "good.yaml", "--format", "svg"],
        ["schema"],
        ["new", "other"],
    ],
)
def test_commands_without_airflow_dont_import_it_and_take_less_than_a_second(folder, arguments):
    code = (
        "import sys; from airflow_agentic.cli.main import main; code = main(sys.argv[1:]);"
        "sys.exit(code or 3 * any(name.split('.')[0] in ('airflow', 'pydantic_ai') for name in sys.modules))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code, *arguments]
    subprocess.run(command, env=environment, check=False, capture_output=True)  # writes bytecode where there is none
    if arguments[0] == "new":
        (folder / "other.yaml").unlink()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1.0


def test_a_closed_pipe_is_no_traceback(folder):
    command = f"{shlex.quote(sys.executable)} -m airflow_agentic.cli.main schema | head -1"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True)
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_with_json_an_error_is_a_document_too(folder, capsys):
    assert main(["plan", "bad.yaml", "--json"]) == 1
    said = capsys.readouterr()
    assert [problem["code"] for problem in json.loads(said.out)["problems"]] == ["AGT202", "AGT401"]
    assert "AGT401" in said.err


def test_trace_lists_runs_and_takes_the_names_of_their_folders(folder, capsys, monkeypatch):
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(folder / "trace"))
    TraceStore().write(attempt())
    TraceStore().write(attempt(run=replace(RUN, run_id="b\x1b[1m")))
    assert main(["trace", RUN.dag_id]) == 0
    listed = capsys.readouterr().out
    assert listed.splitlines() == [f"{'b�[1m':{len(RUN.run_id)}}  running", f"{RUN.run_id}  running"]
    assert main(["trace", RUN.dag_id, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["runs"][1] == {"run_id": RUN.run_id, "state": "running", "sealed": None}
    for name in (RUN.run_id, "manual__2026-01-01T00%3A00%3A00%2B00%3A00"):
        assert main(["trace", RUN.dag_id, name, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["run_id"] == RUN.run_id
    assert main(["trace", "nothing"]) == 1
    assert "There are no records of 'nothing' in" in capsys.readouterr().err


def test_trace_of_an_unknown_run_as_json(folder, capsys, monkeypatch):
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(folder / "trace"))
    assert main(["trace", "nothing", "never", "--json"]) == 1
    assert "no records of the run 'never'" in json.loads(capsys.readouterr().out)["error"]
