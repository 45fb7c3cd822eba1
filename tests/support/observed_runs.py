"""A template that does all that telemetry tells of, and the words in it that may not be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.openai_server import OpenAIServer, calls, failing, good

from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import DAG

#: Password of the model's connection.
SECRET = "model-key-4711-for-tests"
#: What people, agents and models write, each at another place.
SAID = ("CANARY-topic", "CANARY-prompt", "CANARY-brief", "CANARY-tool", "CANARY-answer", "CANARY-api", "CANARY-source")

TEMPLATE = """
version: 1
name: NAME
inputs:
  topic: {type: string, default: CANARY-topic}
agents:
  writer:
    type: llm
    connection: model
    instructions: CANARY-brief
    prompt: "CANARY-prompt {{ input.topic }} {{ input.size }}"
    output: {text: string}
    tools: [{python: "support.telemetry_agents:word_count"}]
stages:
  gathered:
    agent: {type: python, callable: "airflow_agentic.agents.library.sources:load"}
    input: {sources: [source.md]}
  draft:
    agent: writer
    input: {topic: "{{ inputs.topic }}", size: "{{ gathered.characters }}"}
    retry: {attempts: 3, wait: 0.05}
    routes:
      - {when: "draft.text | length > 20", back_to: draft, max_rounds: 2}
      - {to: measured}
  measured:
    agent: {type: python, callable: "support.telemetry_agents:fails", output: {words: integer}}
    input: {text: "{{ draft.text }}"}
    retry: {attempts: 1}
    on_error: [{value: {words: 3}}]
artifact:
  path: "observed/NAME.md"
  content: "{{ draft.text }}: {{ measured.words }}"
"""


def template(name: str) -> str:
    """The template under a name of its own."""
    return TEMPLATE.replace("NAME", name)


def model_server() -> OpenAIServer:
    """A model that is out of order, calls a tool, writes too much, and writes less in the next round."""
    return OpenAIServer(
        failing(503, message="CANARY-api"),
        calls(("word_count", {"text": f"CANARY-tool {SECRET}"})),
        good({"text": "CANARY-answer, which is too long"}),
        good({"text": "CANARY-answer"}),
    )


def write_source(folder: Path) -> Path:
    """What the template's first stage reads."""
    source = folder / "source.md"
    source.write_text("# A title\n\nCANARY-source: some words that are read, but not told of.\n", encoding="utf-8")
    return source


def dag_of(text: str, folder: Path, **more: Any) -> DAG:
    """The DAG of a template."""
    file = folder / "template.yaml"
    file.write_text(text, encoding="utf-8")
    return build_dag_from_plan(make_plan(load_template(file)), **more)
