"""Routes, errors, fan-outs and people, as they are handed to the planner."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.template_texts import VALID, template

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.checks.flow_names import errors_seen
from airflow_agentic.template.checks.schemas import Schemas, kind_of
from airflow_agentic.template.output import step
from airflow_agentic.template.parse import load_text
from airflow_agentic.template.template import Recovery, Route

EXAMPLES = Path(__file__).parent / "examples"


def text_of(stages, more="", agents=""):
    return template(stages, more=more).replace("agents:\n", f"agents:\n{agents}", 1)


def loaded(stages, more="", agents=""):
    return load_text(text_of(stages, more, agents), "t.yaml")


def problems(stages, more="", agents=""):
    with pytest.raises(TemplateError) as caught:
        loaded(stages, more, agents)
    return [(problem.code, problem.message) for problem in caught.value.problems if problem.severity == "error"]


# --- examples -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["research_brief", "contract_clauses"])
def test_templates_of_the_field_load(name):
    text = (EXAMPLES / f"{name}.yaml").read_text()
    assert load_text(text, f"{name}.yaml").warnings == ()


# --- routes -------------------------------------------------------------------------------------------------------


def test_routes_are_read_in_order():
    stages = loaded(
        """
        a: {agent: tool}
        b:
          agent: tool
          needs: a
          routes:
            - {when: b.x, to: [c, d]}
            - {when: b.y, back_to: a, max_rounds: 4, with: {x: "{{ b.z }}"}, exhausted: [c, next]}
            - {when: b.z, back_to: b, max_rounds: 2}
            - {to: end}
        c: {agent: tool}
        d: {agent: tool}
        e: {agent: tool, needs: b}
        """
    ).stages
    loc = ("stages", "b", "routes")
    assert stages["b"].routes == (
        Route(when="b.x", to=("c", "d"), loc=(*loc, 0)),
        Route(when="b.y", to=("c", "next"), loc=(*loc, 1), back_to="a", max_rounds=4, with_={"x": "{{ b.z }}"}),
        Route(when="b.z", to=("fail",), loc=(*loc, 2), back_to="b", max_rounds=2),
        Route(when=None, to=("end",), loc=(*loc, 3)),
    )
    assert [name for name, stage in stages.items() if stage.decides] == ["b"]


def test_what_routes_read_the_stage_depends_on_and_itself_excepted():
    read = loaded(
        """
        a: {agent: tool}
        b: {agent: tool, routes: [{when: b.x and a.y, to: c}, {to: next}]}
        c: {agent: tool, on_error: {value: "{{ a }}"}}
        """
    )
    assert read.dependencies["b"].required == ()
    assert read.dependencies["b"].waiting == ("a",)
    assert read.dependencies["c"].required == ("a",)
    assert {reference.name for reference in read.part_reads["b"]["routes"]} == {"a", "b"}
    assert {reference.name for reference in read.part_reads["c"]["on_error"]} == {"a"}


def test_names_of_loops_are_kept_for_the_planner():
    read = load_text(VALID["control"], "control.yaml")
    assert "feedback" in {reference.name for reference in read.part_reads["qa"]["routes"]}
    assert "error" in {reference.name for reference in read.part_reads["ask_editor"]["human"]}
    assert read.dependencies["ask_editor"].required == ()


def test_next_to_a_stage_is_fine():
    assert loaded("a: {agent: tool, routes: [{to: [b, next]}]}\nb: {agent: tool}\nc: {agent: tool, needs: a}")


def test_a_condition_that_is_the_word_true_is_none():
    stages = "a: {agent: tool, routes: [{when: a.x, to: end}, {when: TRUE, to: next}]}"
    assert problems(stages.replace("TRUE", "a.y"))[0][0] == "AGT451"
    assert problems(stages.replace("a.x", "true"))[0][0] == "AGT452"


# --- errors -------------------------------------------------------------------------------------------------------


def test_entries_of_on_error_one_or_several():
    stages = loaded(
        """
        a: {agent: tool, on_error: {to: d}}
        b: {agent: tool, on_error: [{agent: tool, kinds: [timeout]}, {value: null}]}
        c: {agent: tool}
        d: {agent: tool}
        """
    ).stages
    assert stages["a"].recoveries == (Recovery(form="to", kinds=(), loc=("stages", "a", "on_error"), to="d"),)
    assert stages["b"].recoveries == (
        Recovery(form="agent", kinds=("timeout",), loc=("stages", "b", "on_error", 0), agent="tool"),
        Recovery(form="value", kinds=(), loc=("stages", "b", "on_error", 1), value=None),
    )
    assert (stages["a"].error_targets, stages["b"].decides, stages["c"].recoveries) == (("d",), False, ())


def test_agents_in_place_that_stand_in_get_names_that_are_free():
    read = loaded(
        """
        a:
          agent: a__backup
          on_error:
            - {agent: {type: python, callable: "a:b"}}
            - {agent: {type: python, callable: "a:c"}}
        """,
        agents="  a__backup: {type: python, callable: 'a:b'}\n",
    )
    assert [entry.agent for entry in read.stages["a"].recoveries] == ["a__backup_2", "a__backup_3"]
    assert read.agents["a__backup_3"].spec.callable == "a:c"
    assert "a__backup" not in str(read.warnings)


def test_entries_of_the_defaults_where_they_make_sense():
    stages = loaded(
        """
        a: {agent: tool}
        b: {merge: {from: [a], how: list}}
        own: {agent: tool, on_error: {value: 2}}
        off: {agent: tool, on_error: []}
        rescue: {agent: tool}
        after: {agent: tool, needs: rescue}
        inner: {pipeline: {stages: {x: {agent: tool}}, output: {}}}
        """,
        "defaults: {on_error: [{agent: tool, kinds: [bug]}, {to: rescue}]}\n",
    ).stages
    forms = {name: [entry.form for entry in stage.recoveries] for name, stage in stages.items()}
    assert forms == {
        "a": ["agent", "to"],
        "b": ["to"],
        "own": ["value"],
        "off": [],
        "rescue": ["agent"],
        "after": ["agent"],
        "inner": ["to"],
    }
    assert [entry.form for entry in stages["inner"].pipeline.stages["x"].recoveries] == ["agent"]


def test_who_runs_after_an_error_and_who_only_then():
    read = loaded(
        """
        a: {agent: tool, on_error: {to: only}}
        b: {agent: tool, needs: a, on_error: {to: both}, routes: [{when: b.x, to: both}, {to: next}]}
        only: {agent: tool}
        both: {agent: tool}
        needs_only: {agent: tool, needs: only}
        waits_only: {agent: tool, after: only}
        waits_more: {agent: tool, after: [only, a]}
        named: {agent: tool}
        deciding: {agent: tool, needs: only, routes: [{to: named}]}
        """
    )
    seen, sure = errors_seen(read)
    assert seen == {"only", "both", "needs_only", "waits_only", "waits_more", "named", "deciding"}
    assert sure == {"only", "needs_only", "waits_only", "named", "deciding"}


@pytest.mark.parametrize(
    "guarded",
    ["{{ error.kind | default('') }}", "{% if error %}{{ error.kind }}{% endif %}", "{{ 'x' if error is defined }}"],
)
def test_a_guarded_error(guarded):
    stages = "a: {agent: tool, on_error: {to: b}, routes: [{to: b}]}\nb: {agent: model, prompt: PROMPT}"
    assert loaded(stages.replace("PROMPT", f'"{guarded}"'))
    assert problems(stages.replace("PROMPT", '"{{ error.kind }}"'))[0][0] == "AGT407"


def test_a_value_with_expressions_is_judged_when_it_is_made():
    agents = "  n: {type: python, callable: 'a:b', output: {score: number}}\n"
    assert loaded('a: {agent: n, on_error: {value: {score: "{{ run.conf.x }}"}}}', agents=agents)
    assert problems('a: {agent: n, on_error: {value: {score: "x"}}}', agents=agents)[0][0] == "AGT224"


# --- fan-outs -----------------------------------------------------------------------------------------------------


AGENTS = "  w: {type: llm, connection: c, prompt: x, output: {parts: [{text: string}], 'more?': [string]}}\n"


def schemas(stages):
    read = loaded(stages, agents=AGENTS)
    return Schemas(read), read.stages


def test_what_readers_see_of_a_fan_out():
    found, stages = schemas(
        "w: {agent: w}\na: {agent: w, for_each: w.parts}\nb: {agent: model, prompt: x, for_each: a.outputs}"
    )
    whole = found.of(stages["a"])
    assert list(whole["properties"]) == [
        *("results", "outputs", "errors", "total", "succeeded", "failed", "failed_ratio")
    ]
    assert found.at(whole, ("outputs", "*", "parts", "*", "text")) == {"type": "string"}
    assert found.at(whole, ("results", "*", "item", "text")) == {"type": "string"}
    assert found.at(whole, ("errors", "*", "item", "text")) == {"type": "string"}
    assert found.item(stages["b"]) == found.output(stages["a"])
    assert found.at(found.of(stages["b"]), ("outputs", "*")) == {"type": "string"}
    assert step(found.at(found.of(stages["b"]), ("results", "*", "output")), "x").found == "absent"


@pytest.mark.parametrize(
    ("listed", "kind"),
    [
        ("w.parts", "list"),
        ("w['parts']", "list"),
        ("run.conf.x", None),
        ("w.parts | sort", None),
        ("inputs.names", "list"),
        ("[1, 2]", None),
    ],
)
def test_what_a_fan_out_is_over(listed, kind):
    text = text_of(f'w: {{agent: w}}\na: {{agent: tool, for_each: "{listed}"}}', agents=AGENTS)
    read = load_text(text + "inputs: {names: [string]}\n", "t.yaml")
    assert kind_of(Schemas(read).listed(read.stages["a"])) == kind


def test_long_chains_of_fan_outs_are_no_recursion():
    chain = "\n".join(f"a{n}: {{agent: tool, for_each: a{n - 1}.outputs}}" for n in range(1, 900))
    assert loaded("a0: {agent: tool, for_each: run.conf.x}\n" + chain)


def test_an_optional_list_is_read_guarded():
    assert problems("w: {agent: w}\na: {agent: tool, for_each: w.more}", agents=AGENTS)[0][0] == "AGT404"
    assert loaded("w: {agent: w}\na: {agent: tool, for_each: 'w.more | default([])'}", agents=AGENTS)


TOLERATED = [
    ("a.failed_ratio > 0.2", "20%", True),
    ("a.failed_ratio >= 0.2", "20%", False),
    ("a.failed_ratio > 0.2", "100%", False),
    ("0.2 < a.failed_ratio", "20%", True),
    ("a.failed > 0", "0", True),
    ("a.failed >= 1", "1", False),
    ("a.failed > 1", "20%", False),
    ("a.failed_ratio > 0.5", "3", False),
    ("a.failed_ratio < 0.5", "0", False),
    ("a.errors", "0%", True),
    ("a.errors", "1", False),
    ("not a.failed", "0", False),
    ("a.total > 0", "0", False),
]


@pytest.mark.parametrize(("when", "tolerate", "odd"), TOLERATED)
def test_a_route_that_can_not_hold_is_a_warning(when, tolerate, odd):
    stages = (
        f"a: {{agent: tool, for_each: run.conf.x, tolerate: {tolerate}, "
        f"routes: [{{when: {when}, to: end}}, {{to: next}}]}}"
    )
    assert ("AGT458" in {problem.code for problem in loaded(stages).warnings}) is odd


def test_what_is_tolerated_may_stand_in_the_defaults():
    stages = "a: {agent: tool, for_each: run.conf.x, routes: [{when: a.failed > 0, to: end}, {to: next}]}"
    codes = [{problem.code for problem in loaded(stages, more).warnings} for more in ("", "defaults: {tolerate: 2}\n")]
    assert ["AGT458" in found for found in codes] == [True, False]


# --- people -------------------------------------------------------------------------------------------------------


def test_fields_are_json_schema_with_their_defaults():
    human = (
        loaded(
            """
        a:
          human:
            ask: Well?
            fields: {note: {type: string, description: Why, default: ""}, count: integer, kind: "a | b"}
            timeout: 90m
            on_timeout: fail
        """
        )
        .stages["a"]
        .spec.human
    )
    assert human.fields == {
        "note": {"type": "string", "default": "", "description": "Why"},
        "count": {"type": "integer"},
        "kind": {"type": "string", "enum": ["a", "b"]},
    }
    assert (human.timeout, human.options) == (5400.0, [])


def test_the_one_button_of_a_question_without_options():
    assert loaded("a: {human: {ask: x, timeout: 1d, on_timeout: Submit}}\nb: {agent: tool, when: a.choice == 'Submit'}")
    assert problems("a: {human: {ask: x, timeout: 1d, on_timeout: fail}}\nb: {agent: tool, when: a.choice == 'OK'}")


def test_an_answer_has_its_fields():
    found, stages = schemas(
        "a: {human: {ask: x, fields: {n: integer}, timeout: 1d, on_timeout: fail}, for_each: run.conf.x}"
    )
    assert list(found.output(stages["a"])["properties"]) == ["n", "choice", "by", "timed_out"]
    assert kind_of(found.at(found.of(stages["a"]), ("outputs", "*", "n"))) == "number"


# --- comparisons --------------------------------------------------------------------------------------------------


COMPARED = [
    ("w.score > 1", None),
    ("w.score > '1'", "they have no order"),
    ("w.name > 1", "they have no order"),
    ("w.name == 1", "'==' is never true"),
    ("w.name != 1", "'!=' is always true"),
    ("1 == w.name", "'==' is never true"),
    ("w.name == 'x' and w.go == 1", None),
    ("w.go == 'yes'", "'==' is never true"),
    ("w.kind == 'c'", "is never 'c'"),
    ("'c' == w.kind", "is never 'c'"),
    ("w.kind == 'a'", None),
    ("w.kind in ['c']", None),
    ("w.names == 'x'", "'==' is never true"),
    ("w.names | length > 'x'", "they have no order"),
    ("w.name | int > 1", None),
    ("w.name | default(1) == 1", None),
    ("w.name == none", None),
    ("w.maybe == 1", None),
    ("w.score > -1 and w.name == -1", "'==' is never true"),
    ("1 < w.name < 3", "they have no order"),
    ("w.name ~ 'x' == 1", "'==' is never true"),
    ("w.any == 1 and w.any == 'x'", None),
]


@pytest.mark.parametrize(("when", "said"), COMPARED)
def test_comparisons_by_what_is_declared(when, said):
    output = "{score: number, name: string, go: boolean, kind: 'a | b', names: [string], "
    output += "maybe: 'string | integer', any: any}"
    agents = f"  w: {{type: python, callable: 'a:b', output: {output}}}\n"
    stages = f'w: {{agent: w}}\na: {{agent: tool, when: "{when}"}}'
    if said is None:
        assert loaded(stages, agents=agents)
    else:
        found = problems(stages, agents=agents)
        assert {code for code, _ in found} == {"AGT408"}
        assert said in found[0][1]
