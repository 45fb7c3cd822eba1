"""The examples of ``docs/agents.md`` are what they say: templates that pass, connections that Airflow reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_agentic.template.parse import load_template

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def stage_of(name: str, agent: dict[str, Any]) -> dict[str, Any]:
    values = {"topic": "retries", "language": "en"}
    prompt = {"prompt": "Do it."} if agent["type"] == "llm" and "prompt" not in agent else {}
    return {"agent": name, "input": values, **prompt}


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_examples_pass_the_check(text: str, tmp_path: Path) -> None:
    shown = yaml.safe_load(text)
    agents = shown.get("agents") or {"any": {"type": "python", "callable": "a:b"}}
    stages = {f"use_{name}": stage_of(name, agent) for name, agent in agents.items()}
    template = tmp_path / "example.yaml"
    template.write_text(yaml.safe_dump({"version": 1, **shown, "agents": agents, "stages": stages}))
    assert load_template(template)


def test_connections_are_read_by_airflow() -> None:
    from airflow.sdk import Connection

    found = re.findall(r"export AIRFLOW_CONN_\w+='(.*?)'", "".join(blocks("bash")), re.DOTALL)
    assert len(found) == 7
    for text in found:
        connection = Connection.from_json(text)
        assert connection.conn_type in ("http", "pydanticai")
        assert connection.extra_dejson == json.loads(text)["extra"]
