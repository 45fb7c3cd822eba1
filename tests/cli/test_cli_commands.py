"""The commands that need no Airflow: check, plan, schema, new; and how errors reach a person."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_agentic.cli.airflow import get_agentic_cli_commands
from airflow_agentic.cli.commands import COMMANDS
from airflow_agentic.cli.main import main

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


def test_plan_prints_stages_levels_and_digest(folder, capsys):
    assert main(["plan", "good.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line[:5].strip().isdigit()]
    assert [row[:3] for row in rows] == [
        ["0", "load", "agent"],
        ["1", "use", "agent"],
        ["2", "run__finish", "finish"],
    ]
    assert lines[-1].startswith("digest ")
    assert len(lines[-1].split()[1]) == 64


def test_plan_as_json_is_the_plan(folder, capsys):
    assert main(["plan", "good.yaml", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["name"] == "good"
    assert [task["task_id"] for task in data["tasks"]] == ["load", "use", "run__finish"]


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
    monkeypatch.setattr("airflow_agentic.cli.schema.language_schema", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["schema"])


def test_airflow_gets_the_same_commands():
    (group,) = get_agentic_cli_commands()
    assert group.name == "agentic"
    assert [command.name for command in group.subcommands] == [command.name for command in COMMANDS]
    for ours, theirs in zip(COMMANDS, group.subcommands, strict=True):
        assert [argument.flags for argument in theirs.args] == [argument.flags for argument in ours.arguments]


@pytest.mark.parametrize("arguments", [["check", "good.yaml"], ["plan", "good.yaml"], ["schema"], ["new", "other"]])
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


def test_trace_of_an_unknown_run_as_json(folder, capsys, monkeypatch):
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(folder / "trace"))
    assert main(["trace", "nothing", "never", "--json"]) == 1
    assert "no records of the run 'never'" in json.loads(capsys.readouterr().out)["error"]
