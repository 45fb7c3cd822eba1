"""Artifact stages: where they may write, and what they leave."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.operators.artifact import ArtifactPathError, checked_path
from airflow_agentic.trace.record import ArtifactRecord, FailureRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.template_runs import Ran

    RunTemplate = Callable[..., Ran]

ECHO = '{type: python, callable: "support.scripted_agents:echo"}'

DRAFT = '{type: python, callable: "support.scripted_agents:echo", output: {text: string, n: integer}}'


@pytest.mark.parametrize("path", ["a.md", "briefs/a b.md", "ä/ö.md", "a..b/.hidden", "...", "ab:c", "x/~y", "50%.md"])
def test_paths_that_stay_inside(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", "./a", "a//b", "a/", "~", "~root/x", "c:/x", "C:x"),
        *("a\\b", "..\\x", "a\0b", "a\nb", "a\x7fb", "a\u2028b", "s3://bucket/key", "file:///etc/x", "a/./b"),
        "n" * 256,
    ],
)
def test_paths_that_do_not(path: str) -> None:
    with pytest.raises(ArtifactPathError):
        checked_path(path)


@given(st.text(st.sampled_from("a./\\~:\n é"), max_size=8))
def test_no_accepted_path_leaves_its_root(path: str) -> None:
    import posixpath

    try:
        checked_path(path)
    except ArtifactPathError:
        return
    whole = posixpath.normpath(f"/root/{path}")
    assert whole == f"/root/{path}"


def test_an_artifact_is_written_with_its_provenance(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(
        f"""
inputs: {{topic: string}}
stages:
  draft: {{agent: {DRAFT}, input: {{value: {{text: "Größe: {{{{ inputs.topic }}}}", n: 3}}}}}}
  both: {{merge: {{from: [draft], how: object}}}}
output: {{where: "{{{{ artifact.uri }}}}"}}
artifact:
  path: "briefs/{{{{ inputs.topic | slug }}}}.md"
  content: "# {{{{ inputs.topic }}}}\\n{{{{ draft.text }}}} {{{{ both.draft.n }}}} {{{{ run.id }}}}"
  asset: "agentic://briefs"
""",
        topic="Green Tea",
    )
    assert ran.state == "success"
    file = tmp_path / "artifacts" / "briefs" / "green-tea.md"
    content = file.read_text(encoding="utf-8")
    assert content == f"# Green Tea\nGröße: Green Tea 3 {ran.run_id}"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    size = len(file.read_bytes())
    assert ran.output("artifact") == {"uri": f"file://{file}", "bytes": size, "sha256": digest}
    assert ran.output() == {"where": f"file://{file}"}
    [record] = ran.records(ArtifactRecord)
    assert [content[passage.start : passage.end] for passage in record.passages] == [
        "Green Tea",
        "Größe: Green Tea",
        "3",
        ran.run_id,
    ]
    topic, text, number, run = record.passages
    assert topic.sources == ({"name": "inputs", "path": ["topic"]},)
    assert run.sources == ({"name": "run", "path": ["id"]},)
    [source] = text.sources
    assert (source["name"], source["path"], source["task_id"], source["attempt"]) == ("draft", ["text"], "draft", 1)
    assert source["record"].endswith("/attempts/draft.-1.1.1.json")
    assert number.sources[0]["record"].endswith("/merges/both.-1.1.json")
    assert ran.trace.artifacts[0].uri == f"file://{file}"


def test_the_asset_event_says_what_was_written(run_template: RunTemplate, tmp_path: Path) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    ran = run_template(f"""
stages:
  one: {{agent: {ECHO}, input: {{value: x}}}}
artifact: {{path: one.txt, content: "{{{{ one }}}}", asset: "agentic://event-test"}}
""")
    with create_session() as session:
        events = session.query(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        [event] = events.filter(AssetModel.name == "agentic://event-test").all()
        extra = event.extra
    assert (event.source_task_id, event.source_run_id) == ("artifact", ran.run_id)
    assert extra["uri"] == f"file://{tmp_path}/artifacts/one.txt"
    assert extra["sha256"] == hashlib.sha256(b"x").hexdigest()
    assert extra["record"].endswith("/artifacts/artifact.1.json")


def test_data_can_not_lead_out_of_the_store(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(
        """
inputs: {name: string}
stages:
  one: {agent: {type: python, callable: "support.scripted_agents:echo"}, input: {value: x}}
artifact: {path: "a/{{ inputs.name }}", content: "{{ one }}"}
""",
        name="../../outside.txt",
    )
    assert ran.state == "failed"
    assert ran.states["artifact"] == "failed"
    [failure] = ran.records(FailureRecord)
    assert failure.error["type"] == "ArtifactPathError"
    assert "'a/../../outside.txt'" in failure.error["message"]
    assert not list(tmp_path.rglob("outside.txt"))


def test_an_artifact_of_a_skipped_stage_is_not_written(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(f"""
stages:
  one: {{agent: {ECHO}, when: "false", input: {{value: x}}}}
output: {{written: "{{{{ artifact is defined }}}}"}}
artifact: {{path: one.txt, content: "{{{{ one }}}}"}}
""")
    assert ran.states["artifact"] == "skipped"
    assert ran.output() == {"written": False}
    assert not (tmp_path / "artifacts").exists()


def test_a_list_of_artifacts(run_template: RunTemplate, tmp_path: Path) -> None:
    ran = run_template(f"""
stages:
  one: {{agent: {ECHO}, input: {{value: x}}}}
output: {{uris: "{{{{ artifact | map(attribute='uri') | list }}}}"}}
artifact:
  - {{path: a.txt, content: "{{{{ one }}}}"}}
  - {{path: b.txt, content: "{{{{ one }}}}"}}
""")
    assert ran.output() == {"uris": [f"file://{tmp_path}/artifacts/{name}.txt" for name in "ab"]}


def test_provenance_tells_rounds_and_items(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  draft: {{agent: {ECHO}, input: {{value: "draft {{{{ round }}}}"}}}}
  qa:
    agent: {ECHO}
    input: {{value: "{{{{ draft }}}}"}}
    routes: [{{when: round == 2, to: next}}, {{back_to: draft, max_rounds: 3}}]
  each: {{agent: {ECHO}, after: qa, for_each: "['a', 'b']", input: {{value: "{{{{ item }}}}"}}}}
artifact: {{path: out.md, content: "{{{{ draft }}}} {{{{ each.outputs }}}}"}}
""")
    [record] = ran.records(ArtifactRecord)
    draft, each = (passage.sources[0] for passage in record.passages)
    attempts = {attempt.round: attempt for attempt in ran.attempts("draft")}
    assert (draft["task_id"], draft["round"], draft["attempt"]) == ("draft__2.draft", 2, 1)
    assert attempts[2].output == "draft 2"
    assert (each["name"], each["path"]) == ("each", ["outputs"])
    [(task_id, items)] = record.items.items()
    assert task_id == each["task_id"]
    assert [(item["index"], item["attempt"]) for item in items] == [(0, 1), (1, 1)]
    assert all("/attempts/" in item["record"] for item in items)
