"""The flow graph by hand-made templates: loops and their nesting, outcomes, what may not run, what can't be meant."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.parse import load_text

if TYPE_CHECKING:
    from airflow_agentic.template.flow import Flow, Loop

HEAD = """version: 1
agents: {tool: {type: python, callable: "a:b"}}
inputs: {go: {type: boolean, default: true}}
stages:
"""


def flow_of(stages: str, rest: str = "") -> Flow:
    return load_text(HEAD + textwrap.indent(textwrap.dedent(stages), "  ") + rest, "flow.yaml").flow


def chain(*names: str, **more: str) -> str:
    """Stages of which each requires the one before, with more keys for some."""
    lines = []
    for before, name in zip((None, *names), names, strict=False):
        needs = f", needs: {before}" if before else ""
        lines.append(f"{name}: {{agent: tool{needs}{', ' + more[name] if name in more else ''}}}")
    return "\n".join(lines)


def back(to: str, rounds: int = 2, exhausted: str = "next", when: str = "inputs.go") -> str:
    return f'{{when: "{when}", back_to: {to}, max_rounds: {rounds}, exhausted: {exhausted}}}'


def loops(flow: Flow) -> list[str]:
    return [f"{loop.source}->{loop.target}: {' '.join(sorted(loop.body))}" for loop in flow.loops]


def region(flow: Flow, loop: Loop | None = None) -> list[str]:
    return [unit if isinstance(unit, str) else f"({unit.target}..{unit.source})" for unit in flow.region(loop)]


def problems(stages: str, rest: str = "") -> list[str]:
    with pytest.raises(TemplateError) as error:
        load_text(HEAD + textwrap.indent(textwrap.dedent(stages), "  ") + rest, "flow.yaml")
    return [problem.message for problem in error.value.problems if problem.severity == "error"]


# --- loops --------------------------------------------------------------------------------------------------------


def test_a_loop_is_its_target_its_source_and_all_between():
    flow = flow_of(
        chain("a", "b", "c", "d", "e", d=f"routes: [{back('b')}, {{to: next}}]")
        + "\nside: {agent: tool, needs: b}\nbranch: {agent: tool, needs: [b]}"
    )
    assert loops(flow) == ["d->b: b c d"]
    assert region(flow) == ["a", "(b..d)", "e", "side", "branch"]
    assert region(flow, flow.loops[0]) == ["b", "c", "d"]


def test_a_stage_may_go_back_to_itself():
    assert loops(flow_of(chain("a", "b", a=f"routes: [{back('a')}, {{to: next}}]"))) == ["a->a: a"]


def test_loops_that_share_a_stage_nest_by_their_targets():
    """The seed of the language: verify goes back to research, and qa after it back to draft, which is between."""
    flow = flow_of(
        chain(
            "style", "research", "draft", "verify", "qa", "publish",
            verify=f"routes: [{back('research')}, {{to: next}}]",
            qa=f"routes: [{back('draft', 3)}, {{to: next}}]",
        )
    )  # fmt: skip
    assert loops(flow) == ["verify->research: draft qa research verify", "qa->draft: draft qa verify"]
    assert region(flow) == ["style", "(research..verify)", "publish"]
    assert region(flow, flow.loops[0]) == ["research", "(draft..qa)"]
    assert [loop.target for loop in flow.loops_of["verify"]] == ["research", "draft"]


def test_of_two_loops_with_one_target_the_later_source_is_the_outer():
    flow = flow_of(
        """
        a: {agent: tool}
        b: {agent: tool, needs: a, routes: [{when: inputs.go, back_to: a, max_rounds: 2, exhausted: next}, {to: next}]}
        c: {agent: tool, needs: a, routes: [{when: inputs.go, back_to: a, max_rounds: 3, exhausted: next}, {to: next}]}
        """
    )
    assert loops(flow) == ["c->a: a b c", "b->a: a b"]


def test_one_source_may_have_two_targets():
    flow = flow_of(chain("a", "b", "c", c=f"routes: [{back('a')}, {back('b', 3)}, {{to: next}}]"))
    assert loops(flow) == ["c->a: a b c", "c->b: b c"]


def test_a_loop_that_grows_takes_in_what_lies_between():
    flow = flow_of(
        f"""
        a: {{agent: tool}}
        b: {{agent: tool, needs: a}}
        between: {{agent: tool, needs: a}}
        c: {{agent: tool, needs: b, routes: [{back("a")}, {{to: next}}]}}
        d: {{agent: tool, needs: [c, between], routes: [{back("b", 3)}, {{to: next}}]}}
        """
    )
    assert loops(flow) == ["c->a: a b between c d", "d->b: b c d"]


def test_loops_side_by_side_share_nothing():
    flow = flow_of(
        chain("a", "b", "c", "d", b=f"routes: [{back('a')}, {{to: next}}]", d=f"routes: [{back('c')}, {{to: next}}]")
    )
    assert loops(flow) == ["b->a: a b", "d->c: c d"]
    assert region(flow) == ["(a..b)", "(c..d)"]


# --- outcomes -------------------------------------------------------------------------------------------------------

ROUTED = f"""
a: {{agent: tool, on_error: {{to: rescue}}, routes: [{{when: inputs.go, to: x}}, {back("a")}, {{to: [next, y]}}]}}
x: {{agent: tool}}
y: {{agent: tool}}
rescue: {{agent: tool}}
reader: {{agent: tool, needs: a}}
after_x: {{agent: tool, after: [a, x]}}
"""


def test_outcomes_and_what_is_alive_under_them():
    flow = flow_of(ROUTED)
    assert {name: outcome.targets for name, outcome in flow.outcomes["a"].items()} == {
        "to_x": ("x",),
        "again_a": (),
        "next": ("reader", "after_x"),
        "to_y_and_next": ("y", "reader", "after_x"),
        "error_to_rescue": ("rescue",),
    }
    assert flow.alive("a", "reader") == {"next", "to_y_and_next"}
    assert flow.alive("a", "after_x") == {"to_x", "next", "to_y_and_next"}, "it depends on x, too"
    assert flow.naming("a", "y") == {"to_y_and_next"}
    assert flow.alive("x", "after_x") == frozenset(), "x decides nothing"


def test_what_a_failure_leads_to_is_not_alive_after_success():
    flow = flow_of(
        """
        a: {agent: tool, on_error: {to: rescue}}
        rescue: {agent: tool}
        both: {agent: tool, after: [a, rescue]}
        """
    )
    assert flow.alive("a", "both") == {"next", "error_to_rescue"}
    assert flow.alive_after_success("a", "both") == {"next"}


SKIPPED = "a: {agent: tool, when: inputs.go, routes: [{to: next}]}\n"
AFTER_ERRORS = "d: {agent: tool}\na: {agent: tool, needs: d, on_error: {to: c}}\n"


@pytest.mark.parametrize(
    ("stages", "optional"),
    [
        ("a: {agent: tool, when: inputs.go}\nb: {agent: tool, needs: a}\nc: {agent: tool, after: a}", {"a", "b"}),
        ("a: {agent: tool, routes: [{to: b}]}\nb: {agent: tool}\nc: {agent: tool, after: b}", {"b", "c"}),
        (f"a: {{agent: tool, routes: [{back('a')}, {{to: next}}]}}\nb: {{agent: tool, needs: a}}", set()),
        ("a: {agent: tool, routes: [{when: inputs.go, to: end}, {to: next}]}\nb: {agent: tool, needs: a}", {"b"}),
        ("a: {agent: tool, routes: [{when: inputs.go, to: fail}, {to: next}]}\nb: {agent: tool, needs: a}", set()),
        ("a: {agent: tool, on_error: {to: b}}\nb: {agent: tool}\nc: {agent: tool, needs: a}", {"a", "b", "c"}),
        ("a: {agent: tool, when: inputs.go}\nm: {merge: {from: [a], how: list}}", {"a", "m"}),
        (f"{SKIPPED}b: {{agent: tool, after: a}}", {"a", "b"}),
        (f"{SKIPPED}b: {{agent: tool, after: [a, c]}}\nc: {{agent: tool}}", {"a"}),
        (f"{AFTER_ERRORS}b: {{agent: tool, after: a}}\nc: {{agent: tool}}", {"a", "b", "c"}),
        ("a: {agent: tool, when: inputs.go}\nb: {agent: tool}\nm: {merge: {from: [a, b], how: list}}", {"a"}),
    ],
)  # fmt: skip
def test_what_may_not_have_run(stages, optional):
    assert flow_of(stages).optional == optional


# --- what can't be meant ------------------------------------------------------------------------------------------


def test_a_way_back_leads_to_what_has_run():
    assert problems(chain("a", "b", a=f"routes: [{back('b')}, {{to: next}}]")) == [
        "'a' can't go back to 'b', which doesn't come before it"
    ]
    stages = f"""
    a: {{agent: tool, when: inputs.go}}
    b: {{agent: tool, after: a, routes: [{back("a")}, {{to: next}}]}}
    """
    assert problems(stages) == ["'a' need not have run when 'b' runs"]


def test_a_way_back_over_a_join_of_branches_is_one():
    flow = flow_of(
        f"""
        a: {{agent: tool}}
        b: {{agent: tool, needs: a, routes: [{{when: inputs.go, to: x}}, {{to: y}}]}}
        x: {{agent: tool}}
        y: {{agent: tool}}
        join: {{agent: tool, after: [x, y], routes: [{back("a")}, {{to: next}}]}}
        """
    )
    assert loops(flow) == ["join->a: a b join x y"]


def test_one_way_back_per_target():
    stages = chain("a", "b", b=f"routes: [{back('a')}, {back('a', 3)}, {{to: next}}]")
    assert problems(stages) == ["'b' goes back to 'a' by more than one route"]


def test_loops_must_not_wait_for_each_other():
    stages = f"""
    a1: {{agent: tool}}
    b1: {{agent: tool}}
    a2: {{agent: tool, needs: [a1, b1], routes: [{back("a1")}, {{to: next}}]}}
    b2: {{agent: tool, needs: [b1, a1], routes: [{back("b1")}, {{to: next}}]}}
    """
    assert problems(stages) == ["the loops 'a1' to 'a2' and 'b1' to 'b2' wait for each other's end"]


def test_nothing_goes_back_inside_a_loop_that_has_begun_its_next_round():
    stages = f"""
    research: {{agent: tool}}
    draft: {{agent: tool, needs: research}}
    verify: {{agent: tool, needs: draft, routes: [{back("research")}, {{to: next}}]}}
    qa: {{agent: tool, needs: draft, after: verify, routes: [{back("draft")}, {{to: next}}]}}
    """
    message = "'qa' may go back to 'draft' although 'verify' has gone back to 'research' in the same round"
    assert problems(stages) == [message]
    flow_of(stages.replace("after: verify", "").replace("needs: draft, ,", "needs: [draft, verify],"))


def test_rounds_are_bounded_in_all():
    stages = chain("a", "b", "c", c=f"routes: [{back('a', 40)}, {back('b', 20)}, {{to: next}}]")
    assert problems(stages) == ["all rounds together are 1640 executions of stages, more than 1000"]
    assert flow_of(stages.replace("20", "10")).executions == 840


def test_two_ways_of_one_decision_can_not_both_be_required():
    stages = """
    a: {agent: tool, routes: [{when: inputs.go, to: x}, {to: y}]}
    x: {agent: tool}
    y: {agent: tool}
    z: {agent: tool, needs: [x, y]}
    """
    assert problems(stages) == ["'z' requires 'x' and 'y', which never both run"]


def test_a_list_of_targets_runs_both():
    flow_of(
        """
        a: {agent: tool, routes: [{when: inputs.go, to: [x, y]}, {to: y}]}
        x: {agent: tool}
        y: {agent: tool}
        z: {agent: tool, needs: [x, y]}
        """
    )


def test_different_rounds_may_take_different_ways():
    flow_of(
        f"""
        a: {{agent: tool, routes: [{{when: inputs.go, to: x}}, {{to: y}}]}}
        x: {{agent: tool}}
        y: {{agent: tool}}
        again: {{agent: tool, after: [x, y], routes: [{back("a")}, {{to: next}}]}}
        z: {{agent: tool, needs: [x, y, again]}}
        """
    )


def test_every_stage_can_be_reached():
    stages = "a: {agent: tool, routes: [{to: x}]}\nx: {agent: tool}\nb: {agent: tool, needs: a}"
    assert problems(stages) == ["no route of 'a' leads to 'b', which depends on it"]
    artifact = 'artifact: {path: a, content: "{{ a }}"}\n'
    assert problems("a: {agent: tool, routes: [{to: end}]}\n", artifact) == [
        "no route of 'a' leads to 'artifact.0', which depends on it"
    ]
    stages = "a: {agent: tool, on_error: {to: b}}\nb: {agent: tool, needs: a}"
    assert len(problems(stages)) == 1


def test_a_named_stage_may_wait_for_what_runs_under_another_outcome():
    flow_of(
        """
        s0: {agent: tool, routes: [{when: inputs.go, to: s2}, {to: next}], on_error: [{to: s1}]}
        s1: {agent: tool}
        s2: {agent: tool, input: {x: "{{ s1 | default(0) }}"}}
        """
    )


def test_a_stage_is_reached_by_one_way_although_another_is_closed():
    stages = """
    a: {agent: tool, routes: [{to: x}]}
    x: {agent: tool}
    closed: {agent: tool, needs: a}
    b: {agent: tool, after: [closed, x]}
    """
    assert problems(stages) == ["no route of 'a' leads to 'closed', which depends on it"]
