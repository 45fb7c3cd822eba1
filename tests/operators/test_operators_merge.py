"""Merge stages, run by Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_agentic.trace.record import FailureRecord, MergeRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.template_runs import Ran

    RunTemplate = Callable[..., Ran]

ECHO = '{type: python, callable: "support.scripted_agents:echo"}'
FAIL = '{type: python, callable: "support.scripted_agents:fail"}'
ONCE = "retry: {attempts: 1}"


def test_parts_that_were_skipped_do_not_count(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, input: {{value: 1}}}}
  b: {{agent: {ECHO}, when: "false", input: {{value: 2}}}}
  c: {{agent: {ECHO}, input: {{value: 3}}}}
  all: {{merge: {{from: [c, b, a], how: object}}}}
output: {{result: "{{{{ all }}}}"}}
""")
    assert ran.state == "success"
    assert ran.output() == {"result": {"c": 3, "a": 1}}
    [record] = ran.records(MergeRecord)
    assert (record.used, record.missing) == (("c", "a"), ({"from": "b", "state": "skipped"},))
    [merged] = [stage for stage in ran.trace.stages if stage.kind == "merge"]
    assert (merged.state, merged.tries) == ("success", 1)


def test_a_merge_of_nothing_is_skipped(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, when: "false", input: {{value: 1}}}}
  b: {{agent: {ECHO}, when: "false", input: {{value: 2}}}}
  all: {{merge: {{from: [a, b], how: list}}}}
  some: {{merge: {{from: [a, b], how: list, require: 1}}}}
output: {{all: "{{{{ all is defined }}}}", some: "{{{{ some is defined }}}}"}}
""")
    assert ran.state == "success"
    assert ran.states["all"] == ran.states["some"] == "skipped"
    assert ran.output() == {"all": False, "some": False}


def test_a_failed_part_stops_a_merge_of_all(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, input: {{value: 1}}}}
  b: {{agent: {FAIL}, {ONCE}}}
  all: {{merge: {{from: [a, b], how: list}}}}
""")
    assert ran.state == "failed"
    assert ran.states["all"] == "upstream_failed"


def test_a_failed_part_is_handled_when_enough_others_succeeded(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, input: {{value: [1, 2]}}}}
  b: {{agent: {FAIL}, {ONCE}}}
  c: {{agent: {ECHO}, input: {{value: [2, 3]}}}}
  some: {{merge: {{from: [a, b, c], how: union, require: 2}}}}
output: {{result: "{{{{ some }}}}"}}
""")
    assert ran.states["b"] == "failed"
    assert ran.state == "success"
    assert ran.output() == {"result": [1, 2, 3]}
    [record] = ran.records(MergeRecord)
    assert record.missing == ({"from": "b", "state": "failed"},)


def test_too_few_parts_fail_the_merge_and_the_run(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, input: {{value: 1}}}}
  b: {{agent: {FAIL}, input: {{message: b is down}}, {ONCE}}}
  c: {{agent: {ECHO}, when: "false", input: {{value: 3}}}}
  some: {{merge: {{from: [a, b, c], how: list, require: 2}}}}
""")
    assert ran.state == "failed"
    [failure] = ran.records(FailureRecord)
    expected = "Stage 'some' requires 2 of its 3 parts, and 1 succeeded. Missing: 'b' (failed), 'c' (skipped)."
    assert failure.error == {"type": "MergeError", "message": expected}
    assert "b is down" in (ran.trace.error or "")
    assert expected in (ran.trace.error or "")


@pytest.mark.parametrize(
    ("how", "by", "expected"),
    [
        ("first", None, {"s": 1, "k": "x"}),
        ("best", "item.s", {"value": {"s": 3, "k": "y"}, "from": "c"}),
        ("majority", "item.k", {"value": {"s": 1, "k": "x"}, "votes": 2, "of": 3}),
    ],
)
def test_by_is_an_expression_over_item(run_template: RunTemplate, how: str, by: str | None, expected: object) -> None:
    merging = json.dumps({"from": ["a", "b", "c"], "how": how, **({"by": by} if by else {})})
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, input: {{value: {{s: 1, k: x}}}}}}
  b: {{agent: {ECHO}, input: {{value: {{s: 2, k: x}}}}}}
  c: {{agent: {ECHO}, input: {{value: {{s: 3, k: y}}}}}}
  all: {{merge: {merging}}}
output: {{result: "{{{{ all }}}}"}}
""")
    result = ran.output()["result"]
    if how == "majority":
        result.pop("candidates")
    assert result == expected


def test_an_expression_that_fails_names_the_key(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, input: {{value: {{k: x}}}}}}
  all: {{merge: {{from: [a], how: best, by: item.score}}}}
""")
    [failure] = ran.records(FailureRecord)
    assert failure.error["message"].startswith("Stage 'all', by: 'score' is undefined")


def test_a_fan_out_gives_each_of_its_outputs_as_a_part(run_template: RunTemplate) -> None:
    stages = "\n".join(
        f"  {how}: {{merge: {{from: [votes, other], how: {how}{', by: item.n' if how == 'best' else ''}}}}}"
        for how in ("object", "list", "majority", "first", "best")
    )
    ran = run_template(f"""
stages:
  votes: {{agent: {ECHO}, for_each: "[{{'n': 1}}, {{'n': 2}}, {{'n': 2}}]", input: {{value: "{{{{ item }}}}"}}}}
  other: {{agent: {ECHO}, input: {{value: {{n: 1}}}}}}
{stages}
output:
  object: "{{{{ object.votes.outputs | length }}}}"
  list: "{{{{ list }}}}"
  majority: "{{{{ majority }}}}"
  first: "{{{{ first }}}}"
  best: "{{{{ best }}}}"
""")
    one, two = {"n": 1}, {"n": 2}
    output = ran.output()
    assert (output["object"], output["list"], output["first"]) == (3, [one, two, two, one], one)
    assert output["best"] == {"value": two, "from": "votes"}
    assert (output["majority"]["value"], output["majority"]["votes"], output["majority"]["of"]) == (one, 2, 4)
    assert [each["from"] for each in output["majority"]["candidates"]] == ["votes", "votes", "votes", "other"]


def test_the_outputs_of_a_fan_out_are_put_together(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  parts: {{agent: {ECHO}, for_each: "[[1, 2], [], [2, 3]]", input: {{value: "{{{{ item }}}}"}}}}
  concat: {{merge: {{from: [parts], how: concat}}}}
  union: {{merge: {{from: [parts], how: union}}}}
output: {{concat: "{{{{ concat }}}}", union: "{{{{ union }}}}"}}
""")
    assert ran.output() == {"concat": [1, 2, 2, 3], "union": [1, 2, 3]}


def test_of_an_empty_list_there_is_nothing_to_choose_from(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  empty: {{agent: {ECHO}, for_each: "[]", input: {{value: 1}}}}
  all: {{merge: {{from: [empty], how: list}}}}
  any: {{merge: {{from: [empty], how: first}}}}
  helped: {{merge: {{from: [empty], how: first}}, on_error: {{value: {{n: "{{{{ all | length }}}}"}}}}}}
output: {{all: "{{{{ all }}}}", helped: "{{{{ helped }}}}"}}
""")
    assert ran.states["all"] == ran.states["helped"] == "success"
    assert ran.states["any"] == "failed"
    [told] = [failure for failure in ran.records(FailureRecord) if failure.stage == "any"]
    assert told.error["message"] == "'first' has nothing to choose from: none of the stages has left an output."


def test_a_value_stands_in_for_a_merge_short_of_parts(run_template: RunTemplate) -> None:
    ran = run_template(f"""
stages:
  a: {{agent: {ECHO}, input: {{value: 1}}}}
  b: {{agent: {FAIL}, {ONCE}}}
  both:
    merge: {{from: [a, b], how: list, require: 2}}
    on_error: [{{kinds: [timeout], value: []}}, {{value: ["{{{{ a }}}}"]}}]
output: {{result: "{{{{ both }}}}"}}
""")
    assert ran.state == "success"
    assert ran.output() == {"result": [1]}
    assert ran.xcoms("both")["agentic"]["recovered"] == "value"
    [record] = [record for record in ran.records(FailureRecord) if record.stage == "both"]
    assert record.recovered
    assert [stage.state for stage in ran.trace.stages if stage.stage == "both"] == ["success"]
