"""What the README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_agentic.cli.commands import COMMANDS
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_its_template_passes_the_checks(tmp_path: Path) -> None:
    [block] = _blocks("yaml")
    file = tmp_path / "readme.yaml"
    file.write_text(block)
    assert [task.stage for task in make_plan(load_template(file)).tasks][:2] == ["research", "draft"]


def test_its_commands_exist() -> None:
    commands = re.findall(r"^airflow-agentic (\w+)", "".join(_blocks("sh")), re.MULTILINE)
    assert sorted(commands) == sorted(command.name for command in COMMANDS if command.name != "schema")
    targets = set(re.findall(r"^make (\w+)", "".join(_blocks("sh")), re.MULTILINE))
    assert targets == {"demo", "test"}
    assert targets <= set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_its_links_lead_somewhere(target: str) -> None:
    assert (PROJECT / target).exists()


def test_its_python_runs() -> None:
    for block in _blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
