"""The examples of ``docs/library.md`` run, and its table names what exists."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from airflow_agentic import config
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template

PAGE = (Path(__file__).parents[3] / "docs" / "library.md").read_text()


def _example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_template_has_no_problems(tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(_example("yaml"))
    assert [task.task_id for task in make_plan(load_template(path)).tasks][:2] == ["load", "claims"]


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(_example("python"), "docs/library.md", "exec"), {})
    assert "retr" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("row", re.findall(r"^\| `(\w+):(\w+)` \| (.*?) \| .*? \|$", PAGE, re.MULTILINE))
def test_the_table_names_the_parameters(row: tuple[str, str, str]) -> None:
    module, name, described = row
    function = getattr(import_module(f"airflow_agentic.agents.library.{module}"), name)
    assert list(inspect.signature(function).parameters) == re.findall(r"`(\w+)`", described)


@pytest.mark.parametrize("option", re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]* \|$", PAGE, re.MULTILINE))
def test_the_options_exist(option: str) -> None:
    assert option in config.OPTIONS
