"""Where two runs parted: real runs, in this process."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support import shown_agents
from support.scheduling import run_scripted
from support.traces import a_stage, a_trace, traced

from airflow_agentic.cli.diff_text import as_markdown, as_text
from airflow_agentic.factory.dag import build_dag_from_plan
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template
from airflow_agentic.trace.diff import diff

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.diff import RunDiff
    from airflow_agentic.trace.document import Trace

TEMPLATE = """\
version: 1
name: compared
inputs:
  topic: {type: string, default: Storage}
  min_score: {type: number, default: 0.8}
  count: {type: integer, default: 8}
  appendix: {type: boolean, default: false}
defaults: {retry: {attempts: 3, wait: 5ms, jitter: false}}
agents:
  gatherer: {type: python, callable: "support.shown_agents:gather"}
  checker: {type: python, callable: "support.shown_agents:check"}
  reviewer: {type: python, callable: "support.shown_agents:review", output: {score: number, problems: [string]}}
stages:
  gather: {agent: gatherer, input: {topic: "{{ inputs.topic }}", count: "{{ inputs.count }}"}}
  verify:
    agent: checker
    for_each: gather.sources
    max_items: 40
    tolerate: 3
    items_per_task: 3
    input: {source: "{{ item }}"}
  draft: {agent: gatherer, needs: [verify], input: {topic: "{{ inputs.topic }} {{ round }}", count: 1}}
  review:
    agent: reviewer
    input: {text: "{{ draft.sources[0].topic }}", round: "{{ round }}"}
    routes:
      - {when: review.score >= inputs.min_score, to: next}
      - {back_to: draft, max_rounds: 3, exhausted: fail}
  approve:
    needs: review
    human: {ask: "Publish {{ inputs.topic }}?", options: [Publish, Discard], timeout: 1h, on_timeout: Discard}
  appendix: {when: inputs.appendix, after: approve, agent: gatherer, input: {topic: x, count: 2}}
  both: {merge: {from: [draft, appendix], how: object}}
output: {score: "{{ review.score }}", choice: "{{ approve.choice }}", all: "{{ both }}"}
artifact:
  path: "{{ run.id | slug }}.md"
  content: "# {{ inputs.topic }}\\n\\n{{ verify.succeeded }} of {{ verify.total }} hold.\\n{{ approve.choice }}\\n"
"""


_runs: dict[str, Trace] = {}


def ran(
    folder: Path, conf: dict[str, Any] | None = None, *, choice: str = "Publish", seed: int = 1, **text: str
) -> Trace:
    """The trace of a run; of the same run another time, the same trace."""
    key = repr((conf, choice, seed, text))
    if key not in _runs:
        shown_agents.forget()
        file = folder / f"{text.get('name', 'compared')}.yaml"
        file.write_text(TEMPLATE.replace(text.get("old", "\0"), text.get("new", "")))
        dag = build_dag_from_plan(make_plan(load_template(file)))
        _runs[key] = traced(run_scripted(dag, conf or {}, seed=seed, answer=lambda _: (choice, {})))
    return _runs[key]


def sides(found: RunDiff) -> list[tuple[str, str, str | None]]:
    return [(step.what, step.name, step.only) for step in found.steps]


def test_two_runs_that_differ_in_times_only_are_the_same(run_folder: Path) -> None:
    a, b = ran(run_folder, seed=1), ran(run_folder, seed=2)
    assert a.started != b.started
    found = diff(a, b)
    assert (found.same, found.first, found.steps, found.output) == (True, None, (), ())
    assert as_text(found).startswith(
        f"A (compared {a.run_id}: success) and B (compared {b.run_id}: success) are the same"
    )
    assert {stage.name for stage in found.stages} >= {"gather", "draft (round 1)", "draft (round 2)", "approve"}


def test_another_answer_is_where_they_part(run_folder: Path) -> None:
    found = diff(ran(run_folder), ran(run_folder, choice="Discard"))
    assert found.first == (
        "approve: in A, approve was answered 'Publish' by editor; in B, approve was answered 'Discard' by editor"
    )
    assert sides(found) == [("answer", "approve", None)]
    assert [(change.path, change.a, change.b) for change in found.output] == [("choice", "Publish", "Discard")]
    [[artifact]] = found.artifacts.values()
    assert artifact.lines is not None
    assert {"-Publish", "+Discard"} <= set(artifact.lines)


def test_another_input_changes_the_path_and_the_first_decision_says_why(run_folder: Path) -> None:
    found = diff(ran(run_folder), ran(run_folder, {"min_score": 0.5}))
    assert found.first is not None
    assert found.first.startswith("they were given other inputs at inputs.min_score: 0.8 in A, 0.5 in B; then review")
    first, *others = found.steps
    assert (first.what, first.name, first.only) == ("decision", "review (round 1)", None)
    assert "0.71 >= 0.8: false" in first.words
    assert "0.71 >= 0.5: true" in first.words
    alone = {(step.what, step.name) for step in others if step.only == "A"}
    assert alone == {("work", "draft (round 2)"), ("work", "review (round 2)"), ("decision", "review (round 2)")}
    assert [change.path for change in found.usage] == ["calls"]


def test_a_stage_that_only_one_of_them_has_is_told(run_folder: Path) -> None:
    found = diff(ran(run_folder), ran(run_folder, {"appendix": True}))
    assert ("work", "appendix", "B") in sides(found)
    assert ("decision", "appendix", "A") in sides(found)
    assert ("merge", "both", None) in sides(found)


def test_items_that_are_more_are_told_one_by_one(run_folder: Path) -> None:
    found = diff(ran(run_folder), ran(run_folder, {"count": 10}))
    only = [step.name for step in found.steps if step.only == "B"]
    assert sorted(only) == ["verify (item 10)", "verify (item 9)"]
    assert not [step for step in found.steps if step.only is None and step.stage == "verify"]


def test_items_in_which_the_same_differs_are_told_together_in_their_order(run_folder: Path) -> None:
    a = ran(run_folder)
    # the items of a list end in any order
    late = [replace(each, started="9") if each.item and each.item["index"] == 0 else each for each in a.attempts]
    items = [replace(each, sent={"pace": 0}) if each.stage == "verify" else each for each in late]
    found = diff(
        replace(a, attempts=tuple(replace(each, sent={"pace": 1}) for each in late)), replace(a, attempts=tuple(items))
    )
    told = [step.name for step in found.steps if step.stage == "verify"]
    assert told == [f"verify (item {number})" for number in range(1, 9)]
    text = as_text(found)
    assert text.count("input: pace 1 → 0") == 1
    assert "    and 7 more alike, up to verify (item 8)" in text


def test_a_fixed_value_that_stood_in_is_told_as_such(run_folder: Path) -> None:
    a = ran(run_folder)

    def failed(recovered_by: str | None) -> Trace:
        attempts = [
            replace(each, state="failed", output=None, recovered_by=recovered_by) if each.stage == "gather" else each
            for each in a.attempts
        ]
        return replace(a, attempts=tuple(attempts))  # type: ignore[arg-type]

    [step] = diff(a, failed("value")).steps
    assert step.words == (
        'gather: it ended in another state: "success" in A, "failed, and a fixed value stood in" in B'
    )
    assert set(step.changes) == {"state"}
    assert set(diff(a, failed(None)).steps[0].changes) == {"state", "output"}


def test_another_template_of_another_dag_is_told_line_by_line(run_folder: Path) -> None:
    other = ran(run_folder, name="other", old="name: compared", new="name: other  # {{ 7*7 }}")
    found = diff(ran(run_folder), other)
    assert {"-name: compared", "+name: other  # {{ 7*7 }}"} <= set(found.template)
    assert found.first == "they were made from templates that differ"
    assert found.steps == ()


def test_an_output_that_differs_is_found_at_its_first_stage(run_folder: Path) -> None:
    a = ran(run_folder)
    attempts = [
        replace(each, output={"sources": [{**each.output["sources"][0], "title": "Forged"}]})
        if each.stage == "draft" and each.rounds == (1,)
        else each
        for each in a.attempts
    ]
    found = diff(a, replace(a, attempts=tuple(attempts)))
    assert found.first is not None
    assert found.first.startswith(
        "draft (round 1): it gave another output for the same input at output.sources[0].title"
    )
    assert len(found.steps) == 1


def test_the_documents_are_json_and_survive_it(run_folder: Path) -> None:
    found = diff(ran(run_folder), ran(run_folder, {"min_score": 0.5}))
    data = json.loads(json.dumps(found.to_data()))
    assert data["same"] is False
    assert data["steps"][0]["words"] == found.steps[0].words


HOSTILE = "</code><script>alert(1)</script>\n```\n# x\n[click](javascript:alert(1)) \x1b[31m | @all"


def test_what_agents_wrote_is_text_in_every_form() -> None:
    a, b = a_trace(a_stage(), output={"text": HOSTILE}), a_trace(a_stage(), output={"text": HOSTILE + HOSTILE})
    found = replace(diff(a, b), first=HOSTILE)
    assert "\x1b" not in as_text(found)
    page = as_markdown(found)
    assert "\x1b" not in page
    from markdown_it import MarkdownIt

    html = MarkdownIt().render(page)
    assert "<script" not in html
    assert 'href="javascript' not in html


def test_usage_alone_is_a_difference_and_told_as_such() -> None:
    a = a_trace(a_stage())
    found = diff(a, replace(a, usage=replace(a.usage, calls=3, cost_usd=0.25), seconds=9.0, run_id="r2"))
    assert found.first == "they did the same, and used other amounts at usage.calls: 0 in A, 3 in B"
    assert (found.same, found.steps) == (False, ())


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_run_that_goes_on_is_noted(state: Any) -> None:
    a = a_trace(a_stage())
    assert "B hasn't ended." in diff(a, replace(a, state=state)).notes
