"""The JSON Schema of the language, which editors read: it takes what is right, and refuses what is shaped wrongly."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support.template_texts import VALID

from airflow_agentic.template.parse import load_text
from airflow_agentic.template.schema import language_schema
from airflow_agentic.template.source import parse_source, to_data

ROOT = Path(__file__).parents[2]
SHIPPED = {path.name: path.read_text() for path in sorted((ROOT / "templates").glob("*.yaml"))}
SCHEMA = language_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def data_of(text):
    data, problems = to_data(parse_source(text.replace("\r\n", "\n"), "x.yaml"))
    assert problems == []
    return data


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_is_the_same_every_time():
    assert json.dumps(language_schema()) == json.dumps(language_schema())


def test_every_reference_in_it_leads_somewhere():
    text = json.dumps(SCHEMA)
    for part in text.split('"#/$defs/')[1:]:
        assert part.split('"')[0] in SCHEMA["$defs"]


@pytest.mark.parametrize("name", [*VALID, *SHIPPED])
def test_it_takes_every_valid_template(name):
    text = {**VALID, **SHIPPED}[name]
    assert [error.message for error in VALIDATOR.iter_errors(data_of(text))] == []


@pytest.mark.parametrize("name", VALID)
def test_the_valid_templates_are_valid(name):
    load_text(VALID[name].replace("\r\n", "\n"), f"{name}.yaml")


WRONG = [
    ("version", None),
    ("version", 2),
    ("version", "1"),
    ("stages", None),
    ("stages", {}),
    ("stages", []),
    ("stages.Draft", {"agent": "writer"}),
    ("stages.first.promt", "x"),
    ("stages.first.agent", 5),
    ("stages.first.input", "x"),
    ("stages.first.merge", {"from": ["a"], "how": "list"}),
    ("stages.check.timeout", "5 minutes"),
    ("stages.check.timeout", 0),
    ("stages.check.when", 5),
    ("stages.check.needs", {"a": 1}),
    ("stages.check.retry", 3),
    ("stages.check.retry", {"atempts": 3}),
    ("stages.check.retry", {"attempts": 0}),
    ("stages.check.for_each", 5),
    ("stages.check.tolerate", "20 %"),
    ("stages.check.tolerate", -1),
    ("stages.check.items_per_task", "all"),
    ("stages.check.max_items", 0),
    ("stages.check.routes", []),
    ("stages.check.routes", ["next"]),
    ("stages.check.routes", [{"goto": "first"}]),
    ("stages.check.routes", [{"to": "next", "max_rounds": 2}]),
    ("stages.check.routes", [{"back_to": "first"}]),
    ("stages.check.routes", [{"back_to": "first", "max_rounds": 1000}]),
    ("stages.check.on_error", {"agnet": "code"}),
    ("stages.check.on_error", [{"value": 1, "kinds": ["slow"]}]),
    ("stages.check.human", {}),
    ("stages.person", {"human": {"ask": "x", "timeout": "1d"}}),
    ("stages.person", {"human": {"ask": "x", "timeout": "1d", "on_timeout": "fail"}, "prompt": "x"}),
    ("stages.inner", {"pipeline": {"stages": {}}}),
    ("stages.inner", {"pipeline": {"stages": {"a": {"agnet": "code"}}}}),
    ("stages.inner", {"pipeline": 5}),
    ("stages.both.for_each", "first"),
    ("stages.check.cache", "7d"),
    ("stages.check.cache", True),
    ("stages.check.cache", {}),
    ("stages.check.cache", {"ttl": 0}),
    ("stages.check.cache", {"ttl": "7d", "tool": True}),
    ("stages.both.cache", {"ttl": "7d"}),
    ("defaults.cache", False),
    ("defaults.cache", {"tools": True}),
    ("defaults.on_error", {"agnet": "code"}),
    ("stages.both.merge.how", "lists"),
    ("stages.both.merge.from", None),
    ("stages.both.merge.from", []),
    ("stages.both.merge.from", "a"),
    ("stages.both.merge.require", 0),
    ("stages.both.prompt", "x"),
    ("agents.writer", "llm"),
    ("agents.writer.type", "lmm"),
    ("agents.writer.type", None),
    ("agents.writer.connection", None),
    ("agents.writer.window", 32000),
    ("agents.writer.window", {}),
    ("agents.writer.window", {"max_tokens": 0}),
    ("agents.writer.window", {"max_tokens": 1, "overflow": "cut"}),
    ("agents.api.window", {"max_tokens": 1}),
    ("agents.writer.tools", [{"pyhton": "a.b"}]),
    ("agents.writer.tools", [{"python": "a.b", "sql": "c"}]),
    ("agents.writer.tools", [{"mcp": "c", "only": []}]),
    ("agents.writer.tools", [{"sql": "c", "only": ["query"]}]),
    ("agents.code.callable", "a.b.c"),
    ("agents.code.connection", "x"),
    ("agents.api.method", "get"),
    ("agents.api.headers", {"X": 1}),
    ("name", "my brief"),
    ("tags", "one"),
    ("catchup", "yes"),
    ("max_active_runs", 0),
    ("schedule", {"crom": "* * * * *"}),
    ("schedule", {"cron": "* * * * *", "every": "5m"}),
    ("schedule", ["@daily"]),
    ("deadline", {"after": "5m"}),
    ("deadline", {"after": "5m", "notify": []}),
    ("notify", {"on_fail": []}),
    ("notify", {"on_failure": [{"notifier": "Pager"}]}),
    ("artifact", "a.md"),
    ("artifact", {"path": "a.md"}),
    ("artifact", [{"path": "a.md", "content": "x", "asst": "x"}]),
    ("include", "agents.yaml"),
    ("inputs", ["topic"]),
    ("output", ["a"]),
    ("defaults", {"timout": "3m"}),
    ("defaults", {"prompt": "x"}),
    ("budget", 4),
    ("budget", {}),
    ("budget", {"calls": 0}),
    ("budget", {"tokens": 1.5}),
    ("budget", {"cost_usd": 0}),
    ("budget", {"cost": 5}),
    ("schedul", None),
    ("anything", 1),
]


def changed(path, value):
    data = copy.deepcopy(data_of(VALID["every_key"]))
    *parents, last = path.split(".")
    inner = data
    for parent in parents:
        inner = inner[parent]
    if value is None and last in inner:
        del inner[last]
    else:
        inner[last] = value
    return data


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_it_refuses_what_is_shaped_wrongly(path, value):
    assert list(VALIDATOR.iter_errors(changed(path, value))) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stages.check.when", True),
        ("stages.check.needs", ["first", "count"]),
        ("stages.check.timeout", 2.5),
        ("stages.check.for_each", "first.citations"),
        ("stages.check.tolerate", "12.5%"),
        ("stages.check.items_per_task", 5),
        ("stages.check.routes", [{"when": True, "to": ["first", "next"]}, {"back_to": "first", "max_rounds": 3}]),
        ("stages.check.on_error", {"agent": {"type": "python", "callable": "a:b"}}),
        ("stages.check.on_error", [{"value": None, "kinds": ["timeout"]}, {"to": "first"}]),
        ("stages.person", {"human": {"ask": "x", "timeout": 5, "on_timeout": "fail"}, "for_each": "first.citations"}),
        ("stages.inner", {"pipeline": {"stages": {"a": {"agent": "code"}}, "output": {"x": 1}}, "input": {"y": 1}}),
        ("stages.inner", {"pipeline": "other"}),
        ("defaults.on_error", [{"value": 1}]),
        ("stages.check.cache", {"ttl": "7d"}),
        ("stages.check.cache", {"ttl": 60, "tools": True}),
        ("agents.writer.tools", [{"mcp": "c", "only": ["search"]}]),
        ("stages.check.cache", False),
        ("defaults.cache", {"ttl": "7d"}),
        ("agents.writer.window", {"max_tokens": 1}),
        ("agents.writer.window", {"max_tokens": 32000, "overflow": "summarize"}),
        ("budget", {"calls": 4}),
        ("budget", {"calls": 4, "tokens": 5, "cost_usd": 0.5}),
        ("budget", {"cost_usd": 5}),
        ("schedule", "@daily"),
        ("schedule", {"every": 60}),
        ("x-more", [1]),
        ("stages.check.agent", {"type": "python", "callable": "a:b"}),
        ("agents.code.output", "any"),
        ("artifact", {"path": "a", "content": "b"}),
        ("inputs", {"a": "string", "b": ["integer"]}),
    ],
)
def test_it_takes_what_is_right(path, value):
    assert [error.message for error in VALIDATOR.iter_errors(changed(path, value))] == []
