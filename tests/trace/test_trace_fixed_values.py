"""A value that a template's author wrote down, and no agent gave, is told as such where an artifact has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.scheduling import run_scripted
from support.traces import traced

from airflow_agentic.factory.load import build_dag
from airflow_agentic.view.markdown import trace_markdown
from airflow_agentic.view.provenance import told_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.document import Trace

TEMPLATE = """\
version: 1
name: fixed
agents:
  echo: {type: python, callable: "support.scripted_agents:echo", output: string}
defaults: {retry: {attempts: 1}}
stages:
  count:
    agent: echo
    for_each: "['SKU-0', 7, 'SKU-2']"
    input: {value: "{{ item }}"}
    on_error: {value: made up}
  alone: {agent: echo, input: {value: 7}, on_error: {value: nothing}}
  gone: {agent: echo, when: "count.total > 9", input: {value: x}}
  both: {merge: {from: [alone, gone], how: list, require: 2}, on_error: {value: [nothing]}}
output: {}
artifact:
  path: fixed.md
  content: |
    {% for one in count.outputs %}{{ one }}, {% endfor %} {{ alone }} {{ both }}
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory, metadata_database: Path) -> Trace:
    from support.agreement import environment

    folder = tmp_path_factory.mktemp("fixed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        file = folder / "fixed.yaml"
        file.write_text(TEMPLATE)
        run = run_scripted(build_dag(str(file)))
        assert run.state == "success", run.errors
        return traced(run)


def test_stages_and_items_for_which_a_value_stood_in_are_named(trace: Trace) -> None:
    [artifact] = trace.artifacts
    passage = told_of(artifact).passages[0]
    [_, _, _, alone, both] = told_of(artifact).passages
    assert alone.words == "alone, where a fixed value stood in"
    assert both.words == "both, where a fixed value stood in"
    assert passage.words == "count: outputs.*; a fixed value stood in for item 2"
    parts = passage.origins[0].parts
    assert [part.recovered for part in parts] == [None, "value", None]
    assert parts[0].words.startswith("count (item 1, SKU-0): outputs.*")
    assert parts[1].words == "count (item 2): outputs.*, where a fixed value stood in"
    assert "a fixed value stood in for item 2" in trace_markdown(trace)
