"""Where passages are from when stages have it from others: fan-outs, merges, inner pipelines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.scheduling import run_scripted
from support.traces import traced

from airflow_agentic.factory.load import build_dag
from airflow_agentic.trace.document import to_data

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.document import ArtifactTrace, Trace

TEMPLATE = """\
version: 1
name: {name}
inputs: {{many: {{type: integer, default: 30}}}}
agents:
  echo: {{type: python, callable: "support.scripted_agents:echo", output: string}}
stages:
  alone:
    pipeline:
      stages:
        one: {{agent: echo, input: {{value: "{{{{ inputs.given }}}} one"}}}}
        two: {{agent: echo, input: {{value: number two}}}}
        both: {{merge: {{from: [one, two], how: object}}}}
        deep:
          pipeline:
            stages:
              core: {{agent: echo, input: {{value: the core}}}}
            output: {{text: "{{{{ core }}}}"}}
      output: {{first: "{{{{ one }}}}", all: "{{{{ both }}}} {{{{ deep.text }}}}", given: "{{{{ inputs.given }}}}"}}
    input: {{given: x}}
  each:
    for_each: "['a', 'b']"
    pipeline:
      stages:
        low: {{agent: echo, input: {{value: "{{{{ inputs.letter }}}}"}}}}
        high: {{agent: echo, input: {{value: "{{{{ low | upper }}}}"}}}}
      output: {{text: "{{{{ high }}}}", other: "{{{{ low }}}}"}}
    input: {{letter: "{{{{ item }}}}"}}
  some: {{agent: echo, for_each: range(3) | list, input: {{value: "{{{{ item | string }}}}"}}}}
  many: {{agent: echo, for_each: range(inputs.many) | list, input: {{value: "{{{{ item | string }}}}"}}}}
output: {{}}
artifact:
  path: {name}.md
  content: |
    {{{{ alone.first }}}}
    {{{{ alone.all }}}}
    {{{{ alone.given }}}}
    {{{{ each.outputs[1].text }}}}
    {{% for one in some.outputs %}}{{{{ one }}}}{{% endfor %}}
    {{% for one in many.outputs %}}{{{{ one }}}}{{% endfor %}}
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory, metadata_database: Path) -> Trace:
    from support.agreement import environment

    folder = tmp_path_factory.mktemp("origins")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        file = folder / "origins.yaml"
        file.write_text(TEMPLATE.format(name="origins"))
        run = run_scripted(build_dag(str(file)))
        assert run.state == "success", run.errors
        return traced(run)


@pytest.fixture
def artifact(trace: Trace) -> ArtifactTrace:
    [artifact] = trace.artifacts
    return artifact


def parts(artifact: ArtifactTrace, expression: str) -> list[dict[str, Any]]:
    passage = next(passage for passage in artifact.passages if passage.expression == expression)
    [source] = passage.sources
    found: list[dict[str, Any]] = source["parts"]
    return found


def stages(artifact: ArtifactTrace, expression: str) -> list[str]:
    return [part["stage"] for part in parts(artifact, expression)]


def test_a_pipelines_output_is_from_the_inner_stages_that_it_reads(trace: Trace, artifact: ArtifactTrace) -> None:
    assert stages(artifact, "alone.first") == ["alone.one"]
    assert stages(artifact, "alone.all") == ["alone.one", "alone.two", "alone.deep.core"]
    assert stages(artifact, "alone.given") == []
    attempts = {attempt.id: attempt for attempt in trace.attempts}
    for part in parts(artifact, "alone.all"):
        assert attempts[part["attempt"]].stage == part["stage"]
        assert part["agent"] == "echo"


def test_a_pipeline_for_each_item_has_a_part_for_each(trace: Trace, artifact: ArtifactTrace) -> None:
    found = parts(artifact, "each.outputs[1].text")
    assert [(part["stage"], part["item"]) for part in found] == [("each.high", 0), ("each.high", 1)]
    attempts = {attempt.id: attempt for attempt in trace.attempts}
    assert [attempts[part["attempt"]].output for part in found] == ["A", "B"]


def test_what_many_passages_share_is_told_once(artifact: ArtifactTrace) -> None:
    of = {
        passage.sources[0]["name"]: passage.sources[0] for passage in artifact.passages if passage.expression == "one"
    }
    assert len(of["some"]["parts"]) == 3
    assert of["some"]["parts_of"] is None
    assert of["many"]["parts"] == []
    shared = artifact.parts[of["many"]["parts_of"]]
    assert [part["item"] for part in shared] == list(range(30))
    assert len({part["attempt"] for part in shared}) == 30


def test_a_long_list_does_not_make_a_trace_grow_with_its_square(trace: Trace) -> None:
    size = len(json.dumps(to_data(trace)["artifacts"]))
    assert size < 40_000
