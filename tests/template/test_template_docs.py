"""The examples of ``docs/language.md`` pass the check: whole templates, and stages that stand for themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_agentic.template.parse import load_template

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)

#: What the stages of an example may name.
AROUND = """\
version: 1
inputs:
  topic: {type: string, default: tides}
  min_score: {type: number, default: 0.8}
  clauses: {type: array, items: {type: string}, default: []}
agents:
  loader: {type: python, callable: "a:b"}
  fact_checker: {type: http, connection: c, output: {supported: boolean}}
  reviewer: {type: python, callable: "a:b", output: {score: number, problems: [string]}}
  writer: &writer {type: llm, connection: c, output: {text: string, citations: [{quote: string, source: string}]}}
  small_writer: *writer
  reader: &reader {type: python, callable: "a:b", output: {text: string}}
  second_reader: *reader
"""
STAGES = {
    "research": "{agent: loader}",
    "draft": "{agent: writer, prompt: x, needs: research, on_error: {to: ask_editor}}",
    "by_search": "{agent: loader}",
    "by_archive": "{agent: loader}",
    "publish": "{agent: loader}",
    "ask_editor": "{human: {ask: x, timeout: 1d, on_timeout: fail}, routes: [{to: publish}]}",
}
FACT_CHECK = """\
version: 1
inputs: {claims: {type: array}}
stages: {check: {agent: {type: python, callable: "a:b"}, input: {claims: "{{ inputs.claims }}"}}}
"""


def whole(block: str) -> str:
    """The example as a template: stages among others, or keys of the top level beside stages."""
    if block.startswith("version:"):
        return block
    shown = re.findall(r"^  (\w+):", block, re.MULTILINE) if block.startswith("  ") else []
    others = "".join(f"  {name}: {stage}\n" for name, stage in STAGES.items() if name not in shown)
    return AROUND + ("" if shown else block) + "stages:\n" + (block if shown else "") + others


@pytest.mark.parametrize("block", BLOCKS, ids=[block.split(":")[0].strip() for block in BLOCKS])
def test_an_example_passes(block: str, tmp_path: Path) -> None:
    (tmp_path / "fact_check.yaml").write_text(FACT_CHECK)
    file = tmp_path / "example.yaml"
    file.write_text(whole(block))
    warnings = [problem for problem in load_template(file).warnings if problem.code != "AGT413"]
    assert warnings == []


def test_the_page_has_examples_of_everything() -> None:
    text = "".join(BLOCKS)
    keys = (
        "for_each",
        "routes",
        "back_to",
        "exhausted",
        "on_error",
        "human",
        "pipeline",
        "merge",
        "artifact",
        "accept",
        "budget",
        "cache",
        "window",
    )
    assert [key for key in keys if not re.search(rf"\b{key}:", text)] == []
