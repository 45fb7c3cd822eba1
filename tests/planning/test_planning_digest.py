"""The digest: equal for equal meaning, in every process; another one for every change of what shapes a run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from support.generated_templates import templates
from support.template_texts import EVERY_KEY, VALID

from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template, load_text

TESTS = Path(__file__).parents[1]


def digest(text, name="t.yaml"):
    return make_plan(load_text(text.replace("\r\n", "\n"), name)).digest


PRINT_PLANS = """
import hashlib, json, sys
from support.template_texts import VALID
from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_text
plans = {name: make_plan(load_text(text.replace("\\r\\n", "\\n"), name + ".yaml")) for name, text in VALID.items()}
found = {name: (plan.digest, hashlib.sha256(plan.to_json().encode()).hexdigest()) for name, plan in plans.items()}
print(json.dumps(found))
"""


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_other_processes_with_other_hash_seeds_make_the_same_plans(seed):
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", PRINT_PLANS], env=environment, capture_output=True, check=True)
    plans = {name: make_plan(load_text(text.replace("\r\n", "\n"), f"{name}.yaml")) for name, text in VALID.items()}
    here = {name: [plan.digest, hashlib.sha256(plan.to_json().encode()).hexdigest()] for name, plan in plans.items()}
    assert json.loads(done.stdout) == here


def test_a_digest_is_a_sha256():
    assert len(digest(EVERY_KEY)) == 64
    int(digest(EVERY_KEY), 16)


#: Each makes another run, or another DAG: old text, new text.
CHANGES = [
    ("name: every.key-of_it", "name: every.key-of-it"),
    ("description: Every key", "description: Each key"),
    ("This is *Markdown*", "This is Markdown"),
    ("owner: research", "owner: search"),
    ("tags: [one, two]", "tags: [one]"),
    ('cron: "0 6 * * MON"', 'cron: "0 7 * * MON"'),
    ("timezone: Europe/Paris", "timezone: UTC"),
    ("start_date: 2026-01-31T06", "start_date: 2026-01-31T07"),
    ("catchup: true", "catchup: false"),
    ("max_active_runs: 3", "max_active_runs: 4"),
    ("run_timeout: 2h", "run_timeout: 3h"),
    ("after: 90m", "after: 80m"),
    ("is late", "is very late"),
    ("to: [a, b]", "to: [b, a]"),
    ("description: What to write about", "description: About what"),
    ("minLength: 3", "minLength: 2"),
    ('default: "tides"', 'default: "moons"'),
    ("default: []", "default: [x]"),
    ("attempts: 4", "attempts: 5"),
    ("wait: 500ms", "wait: 600ms"),
    ("multiplier: 1.5", "multiplier: 1.6"),
    ("max_wait: 1m", "max_wait: 2m"),
    ("jitter: false", "jitter: true"),
    ("timeout: 3m", "timeout: 4m"),
    ("pool: default_pool", "pool: other_pool"),
    ("queue: default\n", "queue: other\n"),
    ("cache: {ttl: 12h}", "cache: {ttl: 13h}"),
    ("cache: {ttl: 12h}", "cache: {ttl: 12h, tools: true}"),
    ("cache: {ttl: 7d}", "cache: {ttl: 8d}"),
    ("cache: {ttl: 7d}", "cache: false"),
    ("cache: false, ", ""),
    ("cache: {ttl: 90s, tools: true}", "cache: false"),
    ("calls: 40", "calls: 41"),
    ("calls: 40, ", ""),
    ("tokens: 200000", "tokens: 200001"),
    ("cost_usd: 1.50", "cost_usd: 1.51"),
    ("max_tokens: 32000", "max_tokens: 32001"),
    ("overflow: truncate", "overflow: summarize"),
    ("    window: {max_tokens: 32000, overflow: truncate}\n", ""),
    ("priority: 2\n", "priority: 3\n"),
    ('image: "x"', 'image: "y"'),
    ("connection: agentic_default", "connection: agentic_other"),
    ("model: anthropic:claude-sonnet-5", "model: openai:gpt-5"),
    ("You write about", "You think about"),
    ("words about {{ input.topic }}.", "words on {{ input.topic }}."),
    ("temperature: 0", "temperature: 1"),
    ("max_calls: 10", "max_calls: 11"),
    ("mcp: my_mcp_connection", "mcp: other_mcp_connection"),
    ("write: false", "write: true"),
    ("max_rows: 200", "max_rows: 201"),
    ("attempts: 2}\n    timeout: 30", "attempts: 3}\n    timeout: 30"),
    ("timeout: 30\n", "timeout: 31\n"),
    ('"note?": string', "note: string"),
    ('kind: "draft | final"', 'kind: "draft | last"'),
    ("method: GET", "method: PUT"),
    ("/verify/", "/check/"),
    ("X-Tenant: research", "X-Tenant: search"),
    ("select: data.result", "select: data"),
    ("why: {type: [string", "why: {type: [integer"),
    ("required: [ok]", "required: [ok, why]"),
    ("my_project.agents:Counter.count", "my_project.agents:count"),
    ("score: number", "score: integer"),
    ("description: The default agent's", "description: The agent of defaults"),
    ('words: "{{ inputs.words }}"', 'words: "{{ inputs.words + 1 }}"'),
    ("1, null]}", "2, null]}"),
    ("lang: en", "lang: fr"),
    ("inputs.words > 20", "inputs.words > 21"),
    ("accept: output.ok", "accept: not output.ok"),
    ("after: [count]}", "needs: [count]}"),
    ("timeout: 500ms", "timeout: 501ms"),
    ("priority: 10", "priority: 11"),
    ("It was checked", "Checked"),
    ('default("no note")', 'default("nothing")'),
    ("how: best", "how: majority"),
    ("by: item.text | length", "by: item.text"),
    ("require: 1}", "require: 2}"),
    ("from: [first, second]", "from: [second, first]"),
    ("{{ inputs.words < 5000 }}", "{{ inputs.words < 5001 }}"),
    ("how: object", "how: list"),
    ('text: "{{ second.text }}"\n  checked', 'text: "{{ first.text }}"\n  checked'),
    ('[1, true, null, "text"]', '[2, true, null, "text"]'),
    ("briefs/{{", "notes/{{"),
    ("asset: \"agentic://briefs\"", "asset: \"agentic://others\""),
    ("path: notes.txt", "path: note.txt"),
    ('content: "{{ check.ok }}"', 'content: "{{ check.ok }}."'),
    ("on_failure: [{notifier: my_project.notify.Pager", "on_failure: [{notifier: my_project.notify.Other"),
    ("on_success: [{notifier: my_project.notify.Pager, text", "on_success: [{notifier: my_project.notify.Pager, body"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=[new for _, new in CHANGES])
def test_every_change_of_meaning_changes_it(old, new):
    assert old in EVERY_KEY
    assert digest(EVERY_KEY.replace(old, new, 1)) != digest(EVERY_KEY)


def test_every_change_gives_another_digest():
    digests = [digest(EVERY_KEY.replace(old, new, 1)) for old, new in CHANGES]
    assert len(set(digests)) == len(digests)


CODE = """\
    type: python
    callable: "my_project.agents:Counter.count"
    output: {score: number, tags: [string]}
"""
NOTHING_CHANGED = [
    ("stages:\n", "# a comment\n\nstages:   # and one more\n"),
    ("x-mine: {anything: [at, all]}\n", ""),
    ("tags: [one, two]\n", "tags:\n  - one\n  - 'two'\n"),
    ("run_timeout: 2h", "run_timeout: 120m"),
    ("run_timeout: 2h", "run_timeout: 7200"),
    ("timeout: 30\n", "timeout: 30.0\n"),
    ("catchup: true", "catchup: True"),
    ("calls: 40, tokens: 200000, cost_usd: 1.50", "cost_usd: 1.5, tokens: 200000, calls: 40"),
    ("cache: {ttl: 7d}", "cache: {ttl: 168h, tools: false}"),
    ("cache: {ttl: 12h}", "cache: {tools: false, ttl: 720m}"),
    ("max_tokens: 32000, overflow: truncate", "overflow: truncate, max_tokens: 32000"),
    ("needs: first\n", "needs: [first]\n"),
    ("needs: [first]\n", "needs: first\n"),
    ("owner: research\ntags: [one, two]\n", "tags: [one, two]\nowner: research\n"),
    ("tags: [one, two]\nschedule", "tags: [one,\n  two]\nschedule"),
    ("attempts: 4, wait: 500ms", "wait: 500ms, attempts: 4"),
    ("path: notes.txt, content: \"{{ check.ok }}\"", "content: \"{{ check.ok }}\", path: notes.txt"),
    ("from: [first, second], how: best", "how: best, from: [first, second]"),
    ("agent: code, input: {text: \"{{ first.text }}\"}", "input: {text: \"{{ first.text }}\"}, agent: code"),
    ("    <<: *code\n", CODE),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), NOTHING_CHANGED, ids=[new[:40] for _, new in NOTHING_CHANGED])
def test_what_means_the_same_has_the_same_digest(old, new):
    assert old in EVERY_KEY
    assert digest(EVERY_KEY.replace(old, new, 1)) == digest(EVERY_KEY)


def _section(text, key):
    start = text.index(f"\n{key}:") + 1
    lines = text[start:].split("\n")
    end = next(
        (index for index, line in enumerate(lines[1:], 1) if line and not line.startswith((" ", "#"))), len(lines)
    )
    return "\n".join(lines[:end]).rstrip("\n") + "\n"


@pytest.mark.parametrize("key", ["inputs", "defaults", "budget", "agents", "output", "artifact", "notify", "deadline"])
def test_sections_can_stand_anywhere(key):
    section = _section(EVERY_KEY, key)
    assert digest(EVERY_KEY.replace(section, "") + section) == digest(EVERY_KEY)


def test_agents_can_stand_in_any_order():
    one, two = "  one: {type: python, callable: 'a:b'}\n", "  two: {type: python, callable: 'c:d'}\n"
    stages = "stages: {x: {agent: two}, y: {agent: one}}\n"
    assert digest(f"version: 1\nagents:\n{one}{two}{stages}") == digest(f"version: 1\nagents:\n{two}{one}{stages}")


def test_an_agent_that_nobody_uses_shapes_no_run():
    text = "version: 1\nagents:\n  a: {type: python, callable: 'a:b'}\nSPAREstages: {x: {agent: a}}\n"
    spare = "  spare: {type: python, callable: 'c:d'}\n"
    assert digest(text.replace("SPARE", "")) == digest(text.replace("SPARE", spare))


def test_only_the_stem_of_the_files_name_counts_and_only_without_a_name():
    text = "version: 1\nstages: {x: {agent: {type: python, callable: 'a:b'}}}\n"
    assert digest(text, "one.yaml") == digest(text, "folder/one.yml")
    assert digest(text, "one.yaml") != digest(text, "two.yaml")
    assert digest(f"name: n\n{text}", "one.yaml") == digest(f"name: n\n{text}", "two.yaml")


INCLUDED = "agents:\n  writer: {type: llm, connection: c, prompt: Write., output: {text: string}}\n"


@pytest.fixture
def with_include(tmp_path):
    main = tmp_path / "main.yaml"
    main.write_text("version: 1\ninclude: [agents.yaml]\nstages: {x: {agent: writer}}\n")

    def digest_with(included):
        (tmp_path / "agents.yaml").write_text(included)
        return make_plan(load_template(main)).digest

    return digest_with


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Write.", "Write!"),
        ("connection: c", "connection: d"),
        ("text: string", "text: integer"),
        ("}}", "}, timeout: 3}"),
    ],
)
def test_a_change_in_an_included_file_changes_it(with_include, old, new):
    assert with_include(INCLUDED.replace(old, new, 1)) != with_include(INCLUDED)


def test_a_comment_in_an_included_file_does_not(with_include):
    assert with_include("# shared\n" + INCLUDED) == with_include(INCLUDED)


@settings(max_examples=50)
@given(generated=templates())
def test_the_order_of_keys_inside_a_stage_never_counts(generated):
    """The generator shuffles them; here they are sorted."""
    lines = []
    for line in generated.text.split("\n"):
        if line.startswith("  s") and ": {" in line:
            name, _, keys = line.partition(": {")
            parts = _top_level(keys[:-1])
            line = f"{name}: {{{', '.join(sorted(parts))}}}"
        lines.append(line)
    assert digest("\n".join(lines)) == digest(generated.text)


def _top_level(text):
    """The parts of a flow mapping, split at its own commas."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and not depth:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()]
