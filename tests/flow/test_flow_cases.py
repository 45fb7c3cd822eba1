"""
Loops, routes, joins and failures by name: what random templates may miss, and what other engines got wrong.

Each template runs on Airflow's scheduling and in the reference interpreter, which must agree, and the test says beside
that what a person expects. A script of one entry does the same whenever it is played; what differs from round to
round is asked of ``round`` and ``feedback``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.agreement import compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.agreement import Seen

    Run = Callable[..., Seen]

HEAD = """
version: 1
defaults: {retry: {attempts: 1}}
agents:
  work: {type: python, callable: 'support.flow_agents:work'}
  lists: {type: python, callable: 'support.flow_agents:lists'}
  stand_in: {type: python, callable: 'support.flow_agents:stand_in'}
"""


@pytest.fixture
def run(flow_folder: Path) -> Run:
    """Run a template, without its head, in so many orders; what was seen in the last."""

    def run(text: str, orders: int = 3) -> Seen:
        spec = yaml.safe_load(HEAD + text)
        return [compare(spec, flow_folder, seed=seed) for seed in range(orders)][-1]

    return run


def rounds(seen: Seen, stage: str, state: str = "ran") -> list[tuple[int, ...]]:
    """In which rounds a stage ran."""
    return sorted(at for (path, at, _), found in seen.states.items() if (path, found) == (stage, state))


def given(seen: Seen, stage: str, *at: int) -> Any:
    """What an agent was given."""
    [(_, _, value)] = seen.calls[stage, at, None]
    return value.get("saw")


# -- loops that overlap ------------------------------------------------------------------------------------------------

OVERLAPPING = """
stages:
  style: {agent: work, input: {script: [1]}}
  research: {agent: work, input: {script: [1], saw: "{{ feedback }}"}}
  draft:
    agent: work
    input: {script: [1], saw: {style: "{{ style.saw }}", research: "{{ research.saw }}", feedback: "{{ feedback }}"}}
  verify:
    agent: work
    input: {script: [1], saw: ["{{ draft.saw }}", "{{ round }}"]}
    routes:
      - when: round == 2 and feedback.failed is not defined
        back_to: research
        max_rounds: 2
        with: {failed: "{{ verify.saw }}"}
        exhausted: ask_editor
      - {to: next}
  qa:
    agent: work
    needs: [verify]
    input: {script: [1], saw: ["{{ draft.saw }}", "{{ feedback }}"]}
    routes:
      - {when: round == 3, to: publish}
      - back_to: draft
        max_rounds: 3
        with: {constraints: "{{ feedback.constraints | default([]) + [round] }}"}
        exhausted: ask_editor
  ask_editor: {agent: work, input: {script: [1]}}
  publish: {agent: work, input: {script: [1], saw: "{{ draft.saw }}"}}
output: {published: "{{ publish is defined }}", asked: "{{ ask_editor is defined }}"}
"""


def test_overlapping_loops_nest_and_feed_back_on_both_levels(run: Run) -> None:
    seen = run(OVERLAPPING)
    assert rounds(seen, "style") == [()]
    assert rounds(seen, "research") == [(1,), (2,)]
    assert rounds(seen, "draft") == rounds(seen, "verify") == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    assert rounds(seen, "qa") == [(1, 1), (2, 1), (2, 2), (2, 3)]  # verify went back before it
    assert given(seen, "research", 1) == {}
    failed = given(seen, "research", 2)
    assert failed.keys() == {"failed"}
    assert given(seen, "draft", 1, 1)["feedback"] == {}
    assert given(seen, "draft", 1, 2)["feedback"] == {"constraints": [1]}
    assert given(seen, "draft", 2, 1)["feedback"] == failed  # the inner loop starts anew
    assert given(seen, "draft", 2, 3)["feedback"] == {**failed, "constraints": [1, 2]}
    assert seen.output == {"published": True, "asked": False}


def test_overlapping_loops_exhaust_each_by_itself(run: Run) -> None:
    seen = run(OVERLAPPING.replace("round == 3, to: publish", "round == 4, to: publish"))
    assert rounds(seen, "qa") == [(1, 1), (2, 1), (2, 2), (2, 3)]
    assert seen.decisions["qa", (2, 3), None] == (1, {})
    assert seen.output == {"published": False, "asked": True}


def test_an_inner_exit_does_not_end_the_outer_loop(run: Run) -> None:
    seen = run(
        """
stages:
  outer: {agent: work, input: {script: [1], saw: "{{ round }}"}}
  inner: {agent: work, input: {script: [1], saw: ["{{ outer.saw }}", "{{ round }}"]}}
  again:
    agent: work
    input: {script: [1], saw: "{{ inner.saw }}"}
    routes: [{when: round < 2, back_to: inner, max_rounds: 3}, {to: next}]
  last:
    agent: work
    input: {script: [1], saw: "{{ again.saw }}"}
    routes: [{back_to: outer, max_rounds: 3, exhausted: next}]
  after: {agent: work, needs: [last], input: {script: [1], saw: "{{ inner.saw }}"}}
"""
    )
    assert rounds(seen, "outer") == rounds(seen, "last") == [(1,), (2,), (3,)]
    assert rounds(seen, "inner") == [(outer, inner) for outer in (1, 2, 3) for inner in (1, 2)]
    assert rounds(seen, "after") == [()]


# -- bounds ------------------------------------------------------------------------------------------------------------

BOUND = """
stages:
  before: {agent: work, input: {script: [1]}}
  body: {agent: work, input: {script: [1], saw: ["{{ before.saw }}", "{{ round }}"]}}
  judge:
    agent: work
    input: {script: [0], saw: "{{ body.saw }}"}
    routes:
      - {when: judge.score > 0, to: [next, accepted]}
      - {back_to: body, max_rounds: MOST, with: {round: "{{ round }}"}EXHAUSTED}
  accepted: {agent: work, input: {script: [1]}}
  editor: {agent: work, needs: [judge], input: {script: [1], saw: "{{ body.saw }}"}}
  reader: {agent: work, input: {script: [1], saw: "{{ judge.saw }}"}}
output: {body: "{{ body.saw }}", reader: "{{ reader is defined }}"}
"""
#: What `exhausted` says → the run's state, and which of the readers run.
ENDS = {
    "": ("failed", set()),
    "fail": ("failed", set()),
    "end": ("success", set()),
    "next": ("success", {"editor", "reader"}),
    "editor": ("success", {"editor"}),
    "[editor, reader]": ("success", {"editor", "reader"}),
}


@pytest.mark.parametrize("exhausted", ENDS)
@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_a_body_whose_condition_never_holds_runs_exactly_so_often(run: Run, most: int, exhausted: str) -> None:
    text = BOUND.replace("MOST", str(most)).replace("EXHAUSTED", f", exhausted: {exhausted}" if exhausted else "")
    seen = run(text, orders=1)
    state, ran = ENDS[exhausted]
    assert rounds(seen, "body") == rounds(seen, "judge") == [(number,) for number in range(1, most + 1)]
    assert seen.state == state
    assert {name for name in ("accepted", "editor", "reader") if rounds(seen, name)} == ran
    assert rounds(seen, "before") == [()]


def test_a_self_loop_runs_so_often_as_it_says(run: Run) -> None:
    seen = run(
        """
stages:
  only:
    agent: work
    input: {script: [1], saw: "{{ feedback }}"}
    routes: [{back_to: only, max_rounds: 4, with: {all: "{{ feedback.all | default([]) + [round] }}"}, exhausted: end}]
"""
    )
    assert [given(seen, "only", at) for at in (1, 2, 3, 4)] == [{}, {"all": [1]}, {"all": [1, 2]}, {"all": [1, 2, 3]}]


def test_two_targets_of_one_stage_are_two_loops(run: Run) -> None:
    seen = run(
        """
stages:
  far: {agent: work, input: {script: [1], saw: "{{ feedback }}"}}
  near: {agent: work, input: {script: [1], saw: ["{{ far.saw }}", "{{ feedback }}"]}}
  judge:
    agent: work
    input: {script: [1], saw: "{{ near.saw }}"}
    routes:
      - {when: round < 2, back_to: near, max_rounds: 2, with: {near: "{{ round }}"}}
      - {back_to: far, max_rounds: 2, with: {far: "{{ feedback.near | default(0) }}"}, exhausted: next}
"""
    )
    assert rounds(seen, "far") == [(1,), (2,)]
    assert rounds(seen, "near") == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert given(seen, "near", 2, 2)[1] == {"far": 1, "near": 1}


def test_two_sources_of_one_target_are_two_loops(run: Run) -> None:
    seen = run(
        """
stages:
  top: {agent: work, input: {script: [1], saw: "{{ feedback }}"}}
  first:
    agent: work
    input: {script: [1], saw: "{{ top.saw }}"}
    routes: [{when: round < 2, back_to: top, max_rounds: 3, with: {first: "{{ round }}"}}, {to: next}]
  second:
    agent: work
    input: {script: [1], saw: "{{ first.saw }}"}
    routes: [{back_to: top, max_rounds: 2, with: {second: "{{ round }}"}, exhausted: end}]
"""
    )
    assert rounds(seen, "top") == rounds(seen, "first") == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert rounds(seen, "second") == [(1,), (2,)]
    assert given(seen, "top", 2, 2) == {"second": 1, "first": 1}


# -- what a round sees -------------------------------------------------------------------------------------------------


def test_nothing_of_an_earlier_round_is_seen_in_a_later_one(run: Run) -> None:
    seen = run(
        """
stages:
  top: {agent: work, input: {script: [1], saw: "{{ round }}"}}
  once: {agent: work, when: round == 1, input: {script: [1], saw: "{{ top.saw }}"}}
  last:
    agent: work
    needs: [top]
    input: {script: [1], saw: "{{ once.saw | default('nothing') }}"}
    routes: [{when: round < 3, back_to: top, max_rounds: 3}, {to: next}]
  after: {agent: work, needs: [last], input: {script: [1], saw: "{{ once.saw | default('nothing') }}"}}
"""
    )
    first = given(seen, "last", 1)
    assert first != "nothing"
    assert given(seen, "last", 2) == given(seen, "last", 3) == "nothing"
    assert given(seen, "after") == first  # outside: the last round in which it ran


def test_a_retry_in_a_loop_goes_on_in_its_round(flow_folder: Path, tmp_path: Path) -> None:
    from support.agreement import planned
    from support.scheduling import run_scripted

    from airflow_agentic.factory.dag import build_dag_from_plan

    spec = yaml.safe_load(
        f"""
version: 1
agents: {{flaky: {{type: python, callable: 'support.scripted_agents:fail_until'}}}}
stages:
  top:
    agent: flaky
    input: {{counter: "{tmp_path}/top-{{{{ round }}}}", succeed_at: 1, value: "{{{{ feedback }}}}"}}
  flaky:
    agent: flaky
    needs: [top]
    retry: {{attempts: 3, wait: 1h, jitter: false}}
    input: {{counter: "{tmp_path}/flaky-{{{{ round }}}}", succeed_at: 3, value: "{{{{ round }}}}"}}
    routes: [{{when: round < 3, back_to: top, max_rounds: 3, with: {{seen: "{{{{ flaky }}}}"}}}}, {{to: next}}]
output: {{flaky: "{{{{ flaky }}}}", top: "{{{{ top }}}}"}}
"""
    )
    run = run_scripted(build_dag_from_plan(planned(spec, flow_folder)), seed=5)
    assert run.state == "success"
    assert run.xcom("run__finish") == {"flaky": 3, "top": {"seen": 2}}
    counts = {file.name: int(file.read_text()) for file in tmp_path.iterdir()}
    assert counts == {f"{name}-{at}": calls for name, calls in (("top", 1), ("flaky", 3)) for at in (1, 2, 3)}


# -- failures ----------------------------------------------------------------------------------------------------------


def test_a_starved_stage_does_not_end_green(run: Run) -> None:
    """Its reader could run another way, and everything else is done: the failure still counts."""
    seen = run(
        """
stages:
  gate: {agent: work, input: {script: [1]}, routes: [{to: [good, bad]}]}
  good: {agent: work, input: {script: [1]}}
  bad: {agent: work, input: {script: [rejected]}}
  starved: {agent: work, input: {script: [1], saw: "{{ bad.saw }}"}}
  happy: {agent: work, input: {script: [1], saw: "{{ good.saw }}"}}
"""
    )
    assert seen.state == "failed"
    assert rounds(seen, "happy") == [()]
    assert rounds(seen, "starved") == []


def test_a_failure_whose_readers_are_on_a_route_not_taken_fails_the_run(run: Run) -> None:
    seen = run(
        """
stages:
  bad: {agent: work, input: {script: [rejected]}}
  gate: {agent: work, input: {script: [1]}, routes: [{when: gate.score > 1, to: reader}, {to: end}]}
  reader: {agent: work, needs: [bad], input: {script: [1]}}
"""
    )
    assert seen.state == "failed"


ROUTED = """
stages:
  before: {agent: work, input: {script: [1]}}
  bad:
    agent: work
    needs: [before]
    input: {script: [SCRIPT]}
    on_error: [{to: rescue}]
  reader: {agent: work, input: {script: [1], saw: "{{ bad.saw }}"}}
  waits: {agent: work, after: [bad], input: {script: [1]}}
  rescue: {agent: work, input: {script: [1], saw: ["{{ error.stage }}", "{{ error.kind }}"]}}
  both: {agent: work, input: {script: [1], saw: ["{{ rescue.saw | default('-') }}", "{{ bad.saw | default('-') }}"]}}
output: {rescued: "{{ rescue is defined }}", read: "{{ reader is defined }}"}
"""


def test_a_failure_that_is_routed_leaves_the_run_green_and_the_stage_red(run: Run) -> None:
    seen = run(ROUTED.replace("SCRIPT", "unavailable"))
    assert seen.state == "success"
    assert rounds(seen, "bad", "failed") == [()]
    assert given(seen, "rescue") == ["bad", "unavailable"]
    assert rounds(seen, "reader") == rounds(seen, "waits") == []
    assert rounds(seen, "both") == [()]  # it waits for the target
    assert seen.output == {"rescued": True, "read": False}


def test_a_stage_that_might_be_routed_and_succeeds_goes_on_to_next(run: Run) -> None:
    seen = run(ROUTED.replace("SCRIPT", "1"))
    assert seen.output == {"rescued": False, "read": True}
    assert rounds(seen, "waits") == rounds(seen, "both") == [()]


def test_a_routed_failure_leaves_its_loop(run: Run) -> None:
    seen = run(
        """
stages:
  top: {agent: work, input: {script: [1], saw: "{{ round }}"}}
  shaky:
    agent: work
    needs: [top]
    input: {script: [1], saw: "{{ round }}"}
    for_each: "[1, 2] if round == 1 else 3"
    on_error: [{to: rescue}]
  last: {agent: work, needs: [shaky], input: {script: [1]}, routes: [{back_to: top, max_rounds: 3, exhausted: next}]}
  rescue: {agent: work, input: {script: [1], saw: "{{ error.stage }}"}}
  after: {agent: work, needs: [last], input: {script: [1]}}
"""
    )
    assert seen.state == "success"
    assert rounds(seen, "top") == [(1,), (2,)]
    assert rounds(seen, "shaky", "failed") == [(2,)]
    assert rounds(seen, "rescue") == [()]


def test_to_fail_skips_what_waits_even_if_it_could_be_reached_another_way(run: Run) -> None:
    seen = run(
        """
stages:
  judge: {agent: work, input: {script: [0]}, routes: [{when: judge.score > 0, to: next}, {to: fail}]}
  other: {agent: work, input: {script: [1]}}
  waits: {agent: work, after: [judge, other], input: {script: [1]}}
  free: {agent: work, needs: [other], input: {script: [1]}}
"""
    )
    assert seen.state == "failed"
    assert rounds(seen, "waits") == []
    assert rounds(seen, "free") == [()]


def test_to_fail_in_a_loop_skips_what_waits_for_the_loop(run: Run) -> None:
    seen = run(
        """
stages:
  top: {agent: work, input: {script: [1], saw: "{{ round }}"}}
  judge:
    agent: work
    needs: [top]
    input: {script: [1]}
    routes: [{when: round == 1, back_to: top, max_rounds: 3}, {when: round == 2, to: fail}, {to: next}]
  other: {agent: work, input: {script: [1]}}
  waits: {agent: work, after: [top, other], input: {script: [1]}}
"""
    )
    assert seen.state == "failed"
    assert rounds(seen, "judge") == [(1,), (2,)]
    assert rounds(seen, "waits") == []


# -- joins -------------------------------------------------------------------------------------------------------------

#: How → the rest of the merge.
MERGES = {
    "object": "",
    "list": "",
    "first": "",
    "concat": "",
    "union": ", by: item",
    "majority": "",
    "best": ", by: item | length",
}


@pytest.mark.parametrize("require", ["", ", require: 1", ", require: 2"])
@pytest.mark.parametrize("chosen", ["left", "right", "[left, right]"])
@pytest.mark.parametrize("how", MERGES)
def test_merges_after_routes(run: Run, how: str, chosen: str, require: str) -> None:
    seen = run(
        f"""
stages:
  gate: {{agent: work, input: {{script: [1]}}, routes: [{{to: {chosen}}}, ]}}
  spare: {{agent: work, input: {{script: [0]}}, routes: [{{when: spare.score > 0, to: [left, right]}}, {{to: end}}]}}
  left: {{agent: lists, input: {{script: [2]}}}}
  right: {{agent: lists, input: {{script: [2], saw: 1}}}}
  merged: {{merge: {{from: [left, right], how: {how}{MERGES[how]}{require}}}}}
output: {{merged: "{{{{ merged | default('none') }}}}"}}
""",
        orders=1,
    )
    enough = chosen.startswith("[") or "2" not in require
    assert seen.state == ("success" if enough else "failed")
    assert bool(rounds(seen, "merged")) == enough


JOIN = """
inputs: {left: {type: boolean, default: LEFT}, right: {type: boolean, default: RIGHT}}
stages:
  gate: {agent: work, input: {script: [1]}, routes: [{to: TO}]}
  spare: {agent: work, input: {script: [0]}, routes: [{when: spare.score > 0, to: [a, b]}, {to: end}]}
  a: {agent: work, when: inputs.left, input: {script: [1]}}
  b: {agent: work, when: inputs.right, input: {script: [2]}}
  join: {agent: work, input: {script: [1], saw: ["{{ a.score | default(0) }}", "{{ b.score | default(0) }}"]}}
  strict: {agent: work, needs: [a, b], input: {script: [1]}}
"""


@pytest.mark.parametrize("to", ["a", "b", "[a, b]"])
@pytest.mark.parametrize(("left", "right"), [(True, True), (True, False), (False, False)])
def test_a_waiting_join_runs_if_the_flow_comes_through_one_branch(run: Run, to: str, left: bool, right: bool) -> None:
    text = JOIN.replace("LEFT", str(left).lower()).replace("RIGHT", str(right).lower()).replace("TO", to)
    seen = run(text, orders=1)
    assert seen.state == "success"
    ran = {name for name, wanted in (("a", left), ("b", right)) if wanted and name in to}
    # A stage that its own `when` skipped lets the flow pass; one that wasn't chosen doesn't.
    assert given(seen, "join") == [int("a" in ran), 2 * int("b" in ran)]
    assert bool(rounds(seen, "strict")) == (ran == {"a", "b"})


def test_a_join_of_branches_that_were_not_chosen_does_not_run(run: Run) -> None:
    text = (
        JOIN.replace("LEFT", "true")
        .replace("RIGHT", "true")
        .replace("[{to: TO}]", "[{when: gate.score > 1, to: [a, b]}, {to: end}]")
    )
    seen = run(text)
    assert seen.state == "success"
    assert rounds(seen, "join") == rounds(seen, "strict") == []


SKIPPED_AND_WAITED_FOR = """
inputs: {go: {type: boolean, default: GO}}
stages:
  gate: {agent: work, when: inputs.go, input: {script: [1]}, routes: [{to: next}]}
  behind: {agent: work, after: gate, input: {script: [1]}}
  other: {agent: work, input: {script: [1]}}
  last: {agent: work, needs: other, after: behind, input: {script: [1]}}
"""


@pytest.mark.parametrize("go", [True, False])
def test_what_waits_behind_a_skipped_decision_holds_up_nobody(run: Run, go: bool) -> None:
    """A deciding stage that was skipped takes none of its routes; who only waits for what is behind it runs."""
    seen = run(SKIPPED_AND_WAITED_FOR.replace("GO", str(go).lower()))
    assert seen.state == "success"
    assert bool(rounds(seen, "behind")) == go
    assert rounds(seen, "last") == [()]


MAPPED = """
inputs: {numbers: {type: array, default: [1, 2, 3]}}
stages:
  each:
    for_each: inputs.numbers
    input: {number: "{{ item }}"}
    pipeline:
      stages:
        try: {agent: work, input: {script: [1], saw: ["{{ inputs.number }}", "{{ feedback }}"]}}
        judge:
          agent: work
          needs: [try]
          input: {script: [1], saw: "{{ try.saw }}"}
          routes:
            - {when: round < inputs.number, back_to: try, max_rounds: 2, with: {at: "{{ round }}"}, exhausted: given_up}
            - {to: next}
        given_up: {agent: work, input: {script: [0]}}
        good: {agent: work, needs: [judge], input: {script: [1]}}
      output: {good: "{{ good is defined }}", tries: "{{ try.saw }}"}
  after: {agent: work, input: {script: [1], saw: "{{ each.outputs | map(attribute='good') | list }}"}}
"""


def test_what_a_stage_does_in_a_pipeline_for_each_item(run: Run) -> None:
    """Routes and a loop of its own in every item, as far as each needs."""
    seen = run(MAPPED)
    assert given(seen, "after") == [True, True, False]
    tried = {(at, item) for (path, at, item) in seen.states if path == "each.try"}
    assert tried == {((1,), 0), ((1,), 1), ((2,), 1), ((1,), 2), ((2,), 2)}


def test_a_mapped_pipeline_in_a_loop_reads_its_feedback(run: Run) -> None:
    seen = run(
        """
inputs: {numbers: {type: array, default: [1, 2]}}
stages:
  each:
    for_each: inputs.numbers
    input: {number: "{{ item }}", told: "{{ feedback }}"}
    pipeline:
      stages:
        try: {agent: work, input: {script: [1], saw: ["{{ inputs.number }}", "{{ inputs.told }}", "{{ feedback }}"]},
              routes: [{when: round < 2, back_to: try, max_rounds: 2, with: {mine: "{{ round }}"}}, {to: next}]}
      output: {saw: "{{ try.saw }}"}
    routes: [{back_to: each, max_rounds: 2, with: {round: "{{ round }}"}, exhausted: next}]
"""
    )
    told = {(at, item): call[2]["saw"] for (path, at, item), [call] in seen.calls.items() if path == "each.try"}
    assert told == {
        ((outer, inner), item): [item + 1, {"round": 1} if outer == 2 else {}, {"mine": 1} if inner == 2 else {}]
        for outer in (1, 2)
        for inner in (1, 2)
        for item in (0, 1)
    }


def test_a_merge_whose_parts_all_failed_fails_itself(run: Run) -> None:
    """Also where the parts come out of loops: what it says about errors applies."""
    seen = run(
        """
stages:
  a:
    agent: work
    input: {script: [timeout]}
    routes: [{when: round < 2, back_to: a, max_rounds: 2}, {to: next}]
  b: {agent: work, input: {script: [1], saw: "{{ a.saw }}"}}
  merged: {merge: {from: [a, b], how: list, require: 1}, on_error: [{to: rescue}]}
  rescue: {agent: work, input: {script: [1], saw: "{{ error.stage }}"}}
"""
    )
    assert seen.state == "failed"  # of `a`, which nobody handled
    assert rounds(seen, "merged", "failed") == rounds(seen, "rescue") == [()]
