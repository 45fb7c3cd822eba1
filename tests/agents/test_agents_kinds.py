"""Which class is behind a type, and what is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_agentic.agents.kinds import make_agent
from airflow_agentic.errors import ConfigError

HEAVY = ("aiohttp", "airflow", "jsonschema", "jinja2", "openai", "pydantic", "pydantic_ai", "tenacity")


def imported_after(code: str) -> list[str]:
    report = f"import json, sys; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def test_importing_the_door_imports_nothing_heavy() -> None:
    assert imported_after("import airflow_agentic.agents.kinds, airflow_agentic.agents.attempts") == []


def test_making_an_agent_imports_no_model_library() -> None:
    code = (
        "from airflow_agentic.agents.kinds import make_agent\n"
        "make_agent({'type': 'python', 'callable': 'a:b'})\n"
        "make_agent({'type': 'llm', 'connection': 'c'})"
    )
    assert imported_after(code) == []


def test_an_unknown_type_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="no agents of type 'oracle'; there are: http, llm, python"):
        make_agent({"type": "oracle"})
