"""What stages make of agents: whose answers are kept, how often they are called at least, why stages may be missing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, assume, given, settings
from support.flow_templates import templates, to_yaml
from support.interpreter import interpret
from support.template_texts import template

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.parse import load_text
from airflow_agentic.template.uses import cache_of, least_calls, used_agents

ANY_FLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def loaded(stages, more=""):
    return load_text(template(stages, more=more), "t.yaml")


def least(stages, more=""):
    return least_calls(loaded(stages, more))


# --- agents -------------------------------------------------------------------------------------------------------


def test_used_agents_are_those_of_stages_stand_ins_and_inner_pipelines(tmp_path):
    used = used_agents(
        loaded(
            """
            a: {agent: tool, on_error: [{agent: model}, {value: 1}], prompt: x}
            b: {pipeline: {stages: {c: {agent: {type: http, connection: c}}}}}
            d: {merge: {from: [a], how: list}}
            """
        )
    )
    assert [agent.name for agent in used] == ["tool", "model", "b.c"]


# --- calls --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stages", "calls"),
    [
        ("a: {agent: tool}\nb: {agent: model, prompt: x}", 2),
        ("a: {agent: tool, retry: {attempts: 5}, on_error: {value: 1}}", 1),
        ("a: {agent: tool, when: run.conf.x}\nb: {agent: tool, needs: a}\nc: {agent: tool, after: a}", 1),
        ("a: {agent: tool, routes: [{back_to: a, max_rounds: 9, exhausted: end}]}", 1),
        ("a: {agent: tool, routes: [{when: a.x, to: b}, {to: next}]}\nb: {agent: tool}", 1),
        ("a: {agent: tool, for_each: run.conf.x}", 0),
        ("a: {agent: tool, cache: {ttl: 1d}}", 0),
        ("a: {human: {ask: x, timeout: 1d, on_timeout: fail}}", 0),
        ("a: {pipeline: {stages: {b: {agent: tool}, c: {agent: tool}, d: {agent: tool, when: run.conf.x}}}}", 2),
        ("a: {pipeline: {stages: {b: {agent: tool}}}, on_error: {value: {}}}", 0),
        ("a: {pipeline: {stages: {b: {agent: tool}}}}\nc: {merge: {from: [a], how: list, require: 1}}", 0),
        ("a: {pipeline: {stages: {b: {agent: tool}}}}\nc: {merge: {from: [a], how: list}}", 1),
    ],
)
def test_the_least_calls(stages, calls):
    assert least(stages) == calls


def test_what_the_defaults_keep_need_not_be_called():
    assert least("a: {agent: tool}\nb: {agent: tool, cache: false}", "defaults: {cache: {ttl: 1d}}\n") == 1


@ANY_FLOW
@given(templates())
def test_a_run_that_ends_well_makes_the_least_calls_and_runs_all_stages_but_optional_ones(spec):
    try:
        read = load_text(to_yaml(spec), "flow.yaml")
    except TemplateError:
        assume(False)
    run = interpret(spec, {})
    assume(run.output is not None)
    assert sum(len(execution.calls) for execution in run.executions) >= least_calls(read)
    begun = {execution.path for execution in run.executions if execution.state in ("ran", "failed")}
    assert set(read.stages) - read.optional_stages <= begun


# --- reasons ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stages", "reasons"),
    [
        ("a: {agent: tool, when: run.conf.x}", {"a": "it has a `when`"}),
        (
            "a: {agent: tool, when: run.conf.x}\nb: {agent: tool, needs: a}\nc: {agent: tool, needs: b}",
            dict.fromkeys("bc", "it depends on 'a', which has a `when`") | {"a": "it has a `when`"},
        ),
        (
            "a: {agent: tool, when: run.conf.x, routes: [{to: next}]}\nb: {agent: tool, after: a}",
            {"a": "it has a `when`", "b": "it depends on 'a', which has a `when`"},
        ),
        (
            "a: {agent: tool, routes: [{to: b}]}\nb: {agent: tool}\nc: {agent: tool, after: b}",
            {
                "b": "it runs only if 'a' goes on there",
                "c": "it depends on 'b', which runs only if 'a' goes on there",
            },
        ),
        (
            "a: {agent: tool, routes: [{when: a.x, to: end}, {to: next}]}\nb: {agent: tool, after: a}",
            {"b": "it comes after 'a', which may go on elsewhere"},
        ),
        (
            "a: {agent: tool, on_error: {to: b}}\nb: {agent: tool}",
            {"a": "it may fail, and the run go on at 'b'", "b": "it runs only if 'a' goes on there"},
        ),
        (
            "a: {agent: tool, when: run.conf.x}\nm: {merge: {from: [a], how: list}}",
            {"a": "it has a `when`", "m": "it merges only stages that need not have run"},
        ),
    ],
)
def test_why_a_stage_may_be_missing(stages, reasons):
    flow = loaded(stages).flow
    assert {name: reason.of(name) for name, reason in flow.reasons.items()} == reasons


# --- caches -------------------------------------------------------------------------------------------------------


def test_only_stages_with_agents_have_a_cache():
    read = loaded(
        "a: {agent: tool}\nb: {merge: {from: [a], how: list}}\nc: {agent: tool, cache: {ttl: 5}}",
        "defaults: {cache: {ttl: 1m}}\n",
    )
    caches = {name: cache_of(read, stage) for name, stage in read.stages.items()}
    assert {name: cache and cache.ttl for name, cache in caches.items()} == {"a": 60.0, "b": None, "c": 5.0}


# --- prices -------------------------------------------------------------------------------------------------------

MODEL = "agents: {m: {type: llm, connection: c, model: 'openai:no-such-model'}}\n"
STAGES = "stages: {a: {agent: m, prompt: x}}\n"


def test_without_the_package_of_prices_a_warning_says_that_none_was_looked_up(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    [problem] = load_text(f"version: 1\nbudget: {{cost_usd: 5}}\n{MODEL}{STAGES}", "t.yaml").warnings
    assert (problem.code, problem.severity, problem.line, problem.column) == ("AGT482", "warning", 2, 10)
    assert problem.message == "no price can be looked up: genai-prices isn't installed here"
    assert problem.hint == "pip install 'airflow-agentic[llm]'"


LOAD = """
import sys
from airflow_agentic.template.parse import load_text
load_text(sys.argv[1], "t.yaml")
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("genai_prices", "pydantic_ai")))
"""


@pytest.mark.parametrize(
    ("budget", "model"),
    [
        ("", MODEL),
        ("budget: {calls: 5, tokens: 5}\n", MODEL),
        ("budget: {cost_usd: 5}\n", "agents: {m: {type: llm, connection: c}}\n"),
    ],
)
def test_prices_are_loaded_only_where_a_template_needs_them(budget, model):
    text = f"version: 1\n{budget}{model}{STAGES}"
    done = subprocess.run([sys.executable, "-c", LOAD, text], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
