"""Small templates and the plans that follow from them, written by hand."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest
from support.template_texts import EVERY_KEY, SMALLEST, VALID, template

from airflow_agentic.planning.configs import DEFAULT_TIMEOUT
from airflow_agentic.planning.joins import start_of
from airflow_agentic.planning.plan import PLAN_FORMAT, Plan, canonical_json
from airflow_agentic.planning.planner import START_DATE, make_plan
from airflow_agentic.template.parse import load_template, load_text

GO = "inputs: {go: {type: boolean, default: true}}\n"


def plan_of(text, name="small.yaml"):
    return make_plan(load_text(text.replace("\r\n", "\n"), name))


def shown(plan):
    """A line per task: level, id, rule, upstream tasks, what it reads (``?``: may have been skipped)."""
    lines = []
    for task in plan.tasks:
        line = f"{task.level} {task.task_id}: {task.trigger_rule}({', '.join(task.upstream)})"
        if task.reads:
            line += " reads " + ", ".join(name + "?" * (name in task.guarded) for name in task.reads)
        lines.append(line)
    return "\n".join(lines)


PLANS = {
    "one stage": (
        "a: {agent: tool}",
        """
        0 a: all_success()
        1 run__finish: all_done(a)
        """,
    ),
    "stages side by side": (
        """
        b: {agent: tool}
        a: {agent: tool}
        """,
        """
        0 b: all_success()
        0 a: all_success()
        1 run__finish: all_done(b, a)
        """,
    ),
    "a chain, written backwards": (
        """
        c: {agent: tool, input: {x: "{{ b }}"}}
        b: {agent: tool, needs: a}
        a: {agent: tool}
        """,
        """
        0 a: all_success()
        1 b: all_success(a)
        2 c: all_success(b) reads b
        3 run__finish: all_done(a, b, c)
        """,
    ),
    "a diamond": (
        """
        a: {agent: model, prompt: x}
        b: {agent: model, prompt: "{{ a }}"}
        c: {agent: model, prompt: "{{ a }}", needs: [a]}
        d: {agent: model, prompt: "{{ c }} {{ b }}"}
        """,
        """
        0 a: all_success()
        1 b: all_success(a) reads a
        1 c: all_success(a) reads a
        2 d: all_success(b, c) reads b, c
        3 run__finish: all_done(a, b, c, d)
        """,
    ),
    "the template's order wherever it can be": (
        """
        late: {agent: tool, needs: early}
        other: {agent: tool}
        early: {agent: tool}
        last: {agent: tool, needs: other}
        """,
        """
        0 other: all_success()
        0 early: all_success()
        1 late: all_success(early)
        1 last: all_success(other)
        2 run__finish: all_done(other, early, late, last)
        """,
    ),
    "reads in conditions, accept, nested input": (
        """
        a: {agent: tool}
        b: {agent: tool}
        c: {agent: tool}
        d: {agent: tool, when: a.x > 1, accept: output.x == b.x, input: {x: [{y: "{{ c }}"}]}}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        0 c: all_success()
        1 d: all_success(a, b, c) reads a, b, c
        2 run__finish: all_done(a, b, c, d)
        """,
    ),
    "waiting for what always runs is requiring it": (
        """
        a: {agent: tool}
        b: {agent: tool, after: a}
        c: {agent: tool, input: {x: "{{ a | default(1) }}"}}
        """,
        """
        0 a: all_success()
        1 b: all_success(a)
        1 c: all_success(a) reads a
        2 run__finish: all_done(a, b, c)
        """,
    ),
    "requiring what may be skipped": (
        """
        a: {agent: tool, when: inputs.go}
        b: {agent: tool, needs: a}
        c: {agent: tool, input: {x: "{{ b }}"}}
        """,
        """
        0 a: all_success()
        1 b: all_success(a)
        2 c: all_success(b) reads b
        3 run__finish: all_done(a, b, c)
        """,
    ),
    "waiting for what may be skipped": (
        """
        a: {agent: tool, when: inputs.go}
        b: {agent: tool, after: a}
        c: {agent: tool, input: {x: "{{ a | default(1) }}"}}
        d: {agent: tool, needs: [b, c]}
        """,
        """
        0 a: all_success()
        1 b: none_failed(a)
        1 c: none_failed(a) reads a?
        2 d: all_success(b, c)
        3 run__finish: all_done(a, b, c, d)
        """,
    ),
    "requiring one and waiting for others": (
        """
        a: {agent: tool}
        b: {agent: tool, when: inputs.go}
        c: {agent: tool, when: inputs.go}
        d: {agent: tool, needs: a, after: [c, b], input: {x: "{{ b | default(1) }}"}}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        0 c: all_success()
        0 d__opt: none_failed(b, c)
        1 d: all_success(a, d__opt) reads b?
        2 run__finish: all_done(a, b, c, d)
        """,
    ),
    "a bare read of what is also read guarded": (
        """
        a: {agent: tool, when: inputs.go}
        b: {agent: tool, after: a, input: {x: "{{ a | default(1) }}", y: "{{ a }}"}}
        """,
        """
        0 a: all_success()
        1 b: all_success(a) reads a
        2 run__finish: all_done(a, b)
        """,
    ),
    "a merge": (
        """
        a: {agent: tool}
        b: {agent: tool, when: inputs.go}
        m: {merge: {from: [b, a], how: list}}
        n: {agent: tool, input: {x: "{{ m }}"}}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        1 m: none_failed(b, a) reads a, b?
        2 n: all_success(m) reads m
        3 run__finish: all_done(a, b, m, n)
        """,
    ),
    "a merge that may have nothing to merge": (
        """
        a: {agent: tool, when: inputs.go}
        b: {agent: tool, needs: a}
        m: {merge: {from: [a, b], how: list}}
        n: {agent: tool, after: m}
        """,
        """
        0 a: all_success()
        1 b: all_success(a)
        2 m: none_failed(a, b) reads a?, b?
        3 n: none_failed(m)
        4 run__finish: all_done(a, b, m, n)
        """,
    ),
    "a merge that copes with failures": (
        """
        a: {agent: tool}
        b: {agent: tool}
        m: {merge: {from: [a, b], how: first, require: 1}}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        1 m: all_done(a, b) reads a?, b?
        2 run__finish: all_done(a, b, m)
        """,
    ),
    "a merge that also requires and waits": (
        """
        a: {agent: tool}
        b: {agent: tool, when: inputs.go}
        c: {agent: tool}
        d: {agent: tool}
        m: {merge: {from: [a, c], how: first, require: 1}, needs: d, after: b}
        n: {merge: {from: [a, c], how: first}, needs: d, after: b}
        o: {merge: {from: [a, c], how: first}, after: b}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        0 c: all_success()
        0 d: all_success()
        0 m__opt: none_failed(b)
        0 m__parts: all_done(a, c)
        1 m: all_success(d, m__opt, m__parts) reads a?, c?
        0 n__parts: none_failed(b, a, c)
        1 n: all_success(d, n__parts) reads a, c
        1 o: none_failed(b, a, c) reads a, c
        2 run__finish: all_done(a, b, c, d, m, n, o)
        """,
    ),
    "a merge of what it requires": (
        """
        a: {agent: tool}
        b: {agent: tool}
        m: {merge: {from: [a, b], how: list}, needs: [a], after: [b]}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        0 m__parts: none_failed(b)
        1 m: all_success(a, m__parts) reads a, b
        2 run__finish: all_done(a, b, m)
        """,
    ),
    "a merge of what it requires and what may be skipped": (
        """
        a: {agent: tool}
        b: {agent: tool, when: inputs.go}
        m: {merge: {from: [a, b], how: list}, needs: [a]}
        n: {agent: tool, after: m}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        0 m__parts: none_failed(b)
        1 m: all_success(a, m__parts) reads a, b?
        2 n: all_success(m)
        3 run__finish: all_done(a, b, m, n)
        """,
    ),
    "artifacts and output": (
        """
        a: {agent: model, prompt: x}
        b: {agent: model, prompt: x, when: inputs.go}
        """,
        """
        0 a: all_success()
        0 b: all_success()
        1 artifact__0: all_success(a) reads a
        1 artifact__1: all_success(b) reads b?
        0 artifact__2__opt: none_failed(b)
        1 artifact__2: all_success(a, artifact__2__opt) reads a, b?
        0 artifact__3: all_success()
        2 run__finish: all_done(a, b, artifact__0, artifact__1, artifact__2, artifact__3) reads a?, b?
        """,
    ),
    "one artifact": (
        "a: {agent: model, prompt: x}",
        """
        0 a: all_success()
        1 artifact: all_success(a) reads a
        2 run__finish: all_done(a, artifact)
        """,
    ),
}
MORE = {
    "artifacts and output": """
        artifact:
          - {path: a, content: "{{ a }}"}
          - {path: "{{ b }}", content: x}
          - {path: c, content: "{{ a }}{{ b | default('') }}"}
          - {path: d, content: "{{ inputs.go }}"}
        output: {a: "{{ a }}", b: "{{ b | default('') }}", uri: "{{ artifact }}"}
        """,
    "one artifact": 'artifact: {path: a, content: "{{ a }}"}',
}


@pytest.mark.parametrize("name", PLANS)
def test_plans(name):
    stages, expected = PLANS[name]
    text = template(stages, more=GO + dedent(MORE.get(name, "")).strip() + "\n")
    assert shown(plan_of(text)) == dedent(expected).strip()


STARTS = [
    ({"required": ("a",), "waiting": ()}, ("a",), "all_success", []),
    ({"required": (), "waiting": ()}, (), "all_success", []),
    ({"required": (), "waiting": ("w",)}, ("w",), "none_failed", []),
    ({"required": ("a",), "waiting": ("w",)}, ("a", "x__opt"), "all_success", [("x__opt", ("w",), "none_failed")]),
    ({"required": (), "waiting": (), "parts": ("p",)}, ("p",), "none_failed", []),
    ({"required": (), "waiting": (), "parts": ("p",), "parts_rule": "all_done"}, ("p",), "all_done", []),
    ({"required": (), "waiting": ("w",), "parts": ("p",)}, ("w", "p"), "none_failed", []),
    (
        {"required": (), "waiting": ("w",), "parts": ("p",), "parts_rule": "all_done"},
        ("x__opt", "x__parts"),
        "all_success",
        [("x__opt", ("w",), "none_failed"), ("x__parts", ("p",), "all_done")],
    ),
]


@pytest.mark.parametrize(("given", "upstream", "rule", "joins"), STARTS)
def test_starts(given, upstream, rule, joins):
    start = start_of("x", **given)
    assert (start.upstream, start.trigger_rule) == (upstream, rule)
    assert [(join.task_id, join.upstream, join.trigger_rule) for join in start.joins] == joins


# --- what else stands in a plan -----------------------------------------------------------------------------------


def test_the_smallest_plan():
    plan = plan_of(SMALLEST, "folder/smallest.yaml")
    assert (plan.name, plan.file, plan.source) == ("smallest", "smallest.yaml", SMALLEST)
    assert plan.inputs == {}
    assert plan.dag == {
        "description": None,
        "doc": None,
        "owner": None,
        "tags": ["agentic"],
        "schedule": None,
        "start_date": START_DATE,
        "catchup": False,
        "max_active_runs": None,
        "run_timeout": None,
        "deadline": None,
        "notify": {"on_failure": [], "on_success": [], "on_escalation": []},
    }
    assert plan.agents == {"load": {"type": "python", "callable": "my_project.agents:load", "output_schema": {}}}
    assert plan.task("load").config == {
        "agent": "load",
        "prompt": None,
        "prompt_reads": "input",
        "instructions": None,
        "input": {},
        "when": None,
        "accept": None,
        "retry": {"attempts": 3, "wait": 2.0, "multiplier": 2.0, "max_wait": 300.0, "jitter": True},
        "timeout": DEFAULT_TIMEOUT,
        "airflow": {},
    }
    judged = [{"task": "load", "stage": "load", "tasks": ["load"], "route": None, "readers": {}}]
    assert plan.task("run__finish").config == {"output": {}, "artifact": None, "judged": judged}
    with pytest.raises(KeyError):
        plan.task("nobody")


def test_every_key_of_a_template_reaches_its_plan():
    plan = plan_of(EVERY_KEY)
    assert plan.name == "every.key-of_it"
    assert plan.dag == {
        "description": "Every key of the language once",
        "doc": "# Every key\nThis is *Markdown*.\n",
        "owner": "research",
        "tags": ["agentic", "one", "two"],
        "schedule": {"cron": "0 6 * * MON", "timezone": "Europe/Paris"},
        "start_date": "2026-01-31T06:00:00+01:00",
        "catchup": True,
        "max_active_runs": 3,
        "run_timeout": 7200.0,
        "deadline": {
            "after": 5400.0,
            "notify": [
                {
                    "notifier": "my_project.notify.Pager",
                    "arguments": {"text": "{{ run.id }} is late", "to": ["a", "b"]},
                }
            ],
        },
        "notify": {
            "on_failure": [{"notifier": "my_project.notify.Pager", "arguments": {"text": "{{ run.id }}"}}],
            "on_success": [{"notifier": "my_project.notify.Pager", "arguments": {"text": "{{ second.text }}"}}],
            "on_escalation": [],
        },
    }
    assert plan.inputs["topic"] == {
        "schema": {"type": "string", "minLength": 3},
        "required": False,
        "default": "tides",
        "description": "What to write about",
    }
    assert list(plan.agents) == ["writer", "api", "code", "code_again"]
    writer = plan.agents["writer"]
    assert {key: writer[key] for key in ("type", "connection", "model", "instructions", "prompt", "settings")} == {
        "type": "llm",
        "connection": "agentic_default",
        "model": "anthropic:claude-sonnet-5",
        "instructions": "You write about {{ input.topic }}.",
        "prompt": "Write {{ input.words | default(100) }} words about {{ input.topic }}.",
        "settings": {"temperature": 0, "max_tokens": 1200},
    }
    assert writer["output_schema"]["additionalProperties"] is False
    assert writer["output_schema"]["required"] == ["text", "citations", "kind"]
    assert writer["window"] == {"max_tokens": 32000, "overflow": "truncate"}
    assert plan.agents["api"]["output_schema"]["required"] == ["ok"]
    assert plan.agents["code_again"]["callable"] == "my_project.agents:Counter.count"
    both = plan.task("both")
    assert (both.kind, both.doc) == ("merge", "Merged")
    assert both.config == {
        "from": ["first", "second"],
        "how": "best",
        "by": "item.text | length",
        "require": 1,
        "when": "{{ inputs.words < 5000 }}",
        "airflow": {"pool": "p", "queue": "q", "priority_weight": 1, "executor_config": {}},
    }


BUDGETED = """\
version: 1
budget: {tokens: 200000, calls: 40}
inputs: {docs: {type: array, default: []}}
agents:
  tool: {type: python, callable: "a:b"}
  model: {type: llm, connection: c, prompt: Go}
stages:
  one: {agent: model}
  many: {agent: tool, for_each: inputs.docs}
  ask: {human: {ask: x, timeout: 1d, on_timeout: fail}}
  asked: {human: {ask: x, timeout: 1d, on_timeout: fail}, for_each: inputs.docs}
  all: {merge: {from: [one, many], how: list}}
  again: {agent: tool, routes: [{back_to: again, max_rounds: 2, exhausted: end}]}
  inner: {pipeline: {stages: {deep: {agent: tool}, deeper: {pipeline: {stages: {deepest: {agent: tool}}}}}}}
  each:
    for_each: inputs.docs
    input: {docs: "{{ item }}"}
    pipeline: {stages: {part: {agent: tool}, parts: {agent: tool, for_each: inputs.docs}}}
  other: {pipeline: other}
  others: {pipeline: other, for_each: inputs.docs}
"""
OTHER = """\
version: 1
budget: {calls: 3, cost_usd: 1}
agents: {tool: {type: python, callable: "a:b"}}
stages: {load: {agent: tool}, use: {agent: tool, for_each: load}}
"""
ASKING = ["again__1.again", "again__2.again", "each.item.part", "each.item.parts", "inner.deep"]
ASKING += ["inner.deeper.deepest", "many.item", "one", "other.load", "other.use.item"]
ASKING += ["others.item.load", "others.item.use"]


def test_every_task_that_asks_agents_knows_the_budget_of_the_run_and_no_other_task(tmp_path):
    (tmp_path / "other.yaml").write_text(OTHER)
    (tmp_path / "root.yaml").write_text(BUDGETED)
    tasks = make_plan(load_template(tmp_path / "root.yaml")).tasks
    assert sorted(task.task_id for task in tasks if "budget" in task.config) == ASKING
    assert sorted(task.task_id for task in tasks if "agent" in task.config) == ASKING
    budgets = [task.config["budget"] for task in tasks if "budget" in task.config]
    assert budgets == [{"calls": 40, "tokens": 200_000}] * len(ASKING)


def test_a_pipelines_own_budget_is_not_the_runs(tmp_path):
    (tmp_path / "other.yaml").write_text(OTHER)
    (tmp_path / "root.yaml").write_text(BUDGETED.replace("budget: {tokens: 200000, calls: 40}\n", ""))
    template = load_template(tmp_path / "root.yaml")
    assert [problem.code for problem in template.warnings] == ["AGT483", "AGT483"]
    assert [task.task_id for task in make_plan(template).tasks if "budget" in task.config] == []
    alone = make_plan(load_template(tmp_path / "other.yaml"))
    assert alone.task("load").config["budget"] == {"calls": 3, "cost_usd": 1.0}


CACHED = """\
version: 1
defaults: {cache: DEFAULT}
agents:
  plain: {type: llm, connection: c, prompt: Go}
  searcher: {type: llm, connection: c, prompt: Go, tools: [{mcp: m}], window: {max_tokens: 5}}
stages:
  a: {agent: plain}
  b: {agent: plain, cache: {ttl: 7d}}
  c: {agent: plain, cache: false}
  d: {agent: searcher}
  e: {agent: searcher, cache: {ttl: 1h, tools: true}}
  f: {agent: plain, on_error: {agent: searcher}}
  g: {for_each: run.conf.list, pipeline: {stages: {h: {agent: plain}, i: {agent: searcher}}}}
  j: {agent: plain, for_each: run.conf.list}
  k: {human: {ask: x, timeout: 1d, on_timeout: fail}}
"""


@pytest.mark.parametrize(
    ("default", "kept"),
    [
        ("{ttl: 2h}", {"a": (7200.0, False), "d": None, "i": None}),
        ("{ttl: 2h, tools: true}", {"a": (7200.0, True), "d": (7200.0, True), "i": (7200.0, True)}),
    ],
)
def test_stages_have_their_own_cache_or_that_of_the_defaults(default, kept):
    tasks = plan_of(CACHED.replace("DEFAULT", default)).tasks
    found = {task.task_id.removeprefix("g.item."): task.config.get("cache") for task in tasks}
    caches = {name: found[name] and (found[name]["ttl"], found[name]["tools"]) for name in "abcdefhi"}
    own = {"b": (604_800.0, False), "c": None, "e": (3600.0, True)}
    assert caches == {**own, **kept, "f": kept["a"], "h": kept["a"]}
    assert found["j.item"] == found["a"]
    assert [name for name in found if found[name] and name not in (*"abdefhi", "j.item")] == []


def test_without_budget_cache_and_window_nothing_of_them_is_in_a_plan():
    text = plan_of(template("a: {agent: model, prompt: x}\nb: {agent: tool, for_each: run.conf.list}")).to_json()
    assert [word for word in ("budget", "cache", "window") if f'"{word}"' in text] == []


def test_a_window_without_an_overflow_fails():
    assert plan_of(CACHED.replace("DEFAULT", "{ttl: 2h}")).agents["searcher"]["window"] == {
        "max_tokens": 5,
        "overflow": "fail",
    }


def test_settings_of_a_stage_win_over_its_agents_and_those_over_the_defaults():
    text = """\
version: 1
defaults: {agent: two, retry: {attempts: 7}, timeout: 7s, pool: seven, priority: 7}
agents:
  one: {type: python, callable: "a:b", retry: {attempts: 5}, timeout: 5s}
  two: {type: llm, connection: c, prompt: the agent's}
stages:
  a: {agent: one, retry: {attempts: 3, wait: 1s}, timeout: 3s, pool: three, priority: 0}
  b: {agent: one}
  c: {prompt: the stage's}
  d: {merge: {from: [a, b], how: list}}
  e: {}
"""
    plan = plan_of(text)
    found = {
        name: (config["retry"]["attempts"], config["timeout"], config["airflow"])
        for name in "abc"
        for config in [plan.task(name).config]
    }
    defaults = {"pool": "seven", "priority_weight": 7}
    assert found == {
        "a": (3, 3.0, {"pool": "three", "priority_weight": 0}),
        "b": (5, 5.0, defaults),
        "c": (7, 7.0, defaults),
    }
    assert plan.task("a").config["retry"] == {
        "attempts": 3,
        "wait": 1.0,
        "multiplier": 2.0,
        "max_wait": 300.0,
        "jitter": True,
    }
    assert plan.task("d").config["airflow"] == defaults
    prompts = [(plan.task(name).config["prompt"], plan.task(name).config["prompt_reads"]) for name in "ce"]
    assert prompts == [("the stage's", "stages"), ("the agent's", "input")]


def test_only_agents_that_serve_a_stage_are_in_a_plan():
    text = template("a: {agent: tool}\nb: {agent: {type: http, connection: c}}")
    assert list(plan_of(text).agents) == ["tool", "b"]


def test_readers_say_who_copes_with_a_failure():
    text = template(
        """
        a: {agent: model, prompt: x}
        b: {agent: model, prompt: "{{ a }}"}
        m: {merge: {from: [a, b], how: list, require: 1}}
        n: {merge: {from: [a], how: list}, after: [b]}
        """
    )
    text += 'output: {x: "{{ b | default(1) }}"}\nartifact: {path: a, content: "{{ b }}"}\n'
    text += 'notify: {on_failure: [{notifier: a.B, x: "{{ a | default(1) }}"}]}\n'
    readers = {entry["task"]: entry["readers"] for entry in plan_of(text).task("run__finish").config["judged"]}
    assert readers["a"] == {"b": "stage", "m": "merge", "n": "stage"}, "a notification stops nothing"
    assert readers["b"] == {"m": "merge", "n": "stage", "artifact": "stage"}, "the output copes without b"


# --- plans as text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALID)
def test_a_plan_can_be_written_and_read(name):
    plan = plan_of(VALID[name], f"{name}.yaml")
    text = plan.to_json()
    again = Plan.from_json(text)
    assert again == plan
    assert again.to_json() == text
    assert Plan.from_json(text.encode()) == plan
    assert json.loads(text)["format"] == PLAN_FORMAT
    assert canonical_json(plan.to_data()) == text


@pytest.mark.parametrize("change", [{"format": PLAN_FORMAT + 1}, {"format": None}, {"format": "1"}])
def test_a_plan_of_another_format_is_refused(change):
    data = {**plan_of(SMALLEST).to_data(), **change}
    with pytest.raises(ValueError, match="build it again"):
        Plan.from_json(json.dumps(data))


def test_a_plan_keeps_texts_as_they_are():
    hostile = "{{ 7*7 }} {% raw %} é \U0001f600 \\ \" '"
    text = template(
        f"a: {{agent: tool, input: {{x: {json.dumps('{% raw %}' + hostile + '{% endraw %}', ensure_ascii=False)}}}}}"
    )
    plan = plan_of(text)
    assert plan.task("a").config["input"]["x"] == "{% raw %}" + hostile + "{% endraw %}"
    assert Plan.from_json(plan.to_json()) == plan
