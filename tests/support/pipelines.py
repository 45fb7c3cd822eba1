"""Small templates for tests of the factory, and the files around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.planning.plan import Plan

ECHO = """\
version: 1
{top}
agents:
  echo: {{type: python, callable: "support.scripted_agents:echo"}}
stages:
  first: {{agent: echo, input: {{value: "{word}"}}}}
  second: {{agent: echo, input: {{value: "{{{{ first }}}}"}}}}
"""
BROKEN = """\
version: 1
stages:
  first: {agent: nobody}
"""


def echo(word: str = "tea", top: str = "") -> str:
    """A template of two stages in a row."""
    return ECHO.format(word=word, top=top)


def write(folder: Path, **texts: str) -> Path:
    """Write files named by keywords (``sub__x`` is ``sub/x.yaml``)."""
    for name, text in texts.items():
        file = folder / (name.replace("__", "/") + ".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def plan_of_text(folder: Path, text: str, name: str = "pipeline") -> Plan:
    """The plan of a template's text."""
    write(folder, **{name: text})
    return make_plan(load_template(folder / f"{name}.yaml"))
