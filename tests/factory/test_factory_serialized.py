"""
Equal templates give equal bytes, in any process and with any hash seed.

Airflow iterates over sets of field names when it serializes any DAG, so the keys of a mapping come in any order; lists
and values are compared as they come.
"""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from support.pipelines import write

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = """\
version: 1
description: Everything that could come in another order
owner: research
tags: [zeta, alpha, beta, gamma, delta]
schedule: {any_asset: ["agentic://z", "agentic://a", "agentic://m"]}
inputs:
  zebra: {type: string, default: z}
  apple: {type: array, items: {type: string}, default: [b, a]}
  mango: {type: object, default: {y: 1, x: 2}}
agents:
  echo: {type: python, callable: "support.scripted_agents:echo", output: {text: string, "more?": [string]}}
stages:
  start: {agent: echo, input: {value: "{{ inputs.zebra }}"}}
  d: {agent: echo, input: {value: "{{ start.text }}"}, when: inputs.apple}
  c: {agent: echo, input: {value: "{{ start.text }}"}}
  b: {agent: echo, input: {value: "{{ start.text }}"}}
  a: {agent: echo, input: {value: "{{ start.text }}"}}
  join: {merge: {from: [d, c, b, a], how: object, require: 2}}
  last: {agent: echo, needs: [c], after: [d], input: {value: "{{ join }} {{ d.text | default('') }}"}}
output: {text: "{{ last.text }}", other: "{{ c.text }}"}
artifact: {path: "{{ inputs.zebra | slug }}.md", content: "{{ last.text }} {{ b.text }}", asset: "agentic://out"}
deadline: {after: 2h, notify: [{notifier: some.module.Notifier, zulu: 1, alpha: {b: 1, a: 2}}]}
notify: {on_failure: [{notifier: some.module.Notifier, text: "{{ inputs.zebra }}"}]}
"""
CONTROL_FLOW = """\
version: 1
inputs:
  rows: {type: array, items: {type: string}, default: [b, a]}
agents:
  echo: {type: python, callable: "support.scripted_agents:echo", output: {text: string, "n?": number}}
stages:
  draft: {agent: echo, input: {value: "{{ feedback.more | default(inputs.rows) }}"}, on_error: [{to: editor}]}
  verify: {agent: echo, for_each: inputs.rows, max_parallel: 3, needs: draft, input: {value: "{{ item }}"}}
  qa:
    agent: echo
    input: {value: "{{ verify.results }}"}
    routes:
      - {when: verify.total > 2, back_to: draft, max_rounds: 3, with: {more: "{{ verify.errors }}"}, exhausted: editor}
      - {when: qa.n is defined, to: [left, right]}
      - {to: next}
  left: {agent: echo}
  right: {agent: echo}
  editor:
    human: {ask: "Well?", options: [b, a], fields: {z: {type: string, default: ""}}, timeout: 2d, on_timeout: a}
    routes: [{when: "editor.choice == 'b'", to: left}, {to: end}]
  each:
    for_each: inputs.rows
    input: {row: "{{ item }}"}
    max_parallel: 2
    pipeline:
      stages:
        try_it: {agent: echo, input: {value: "{{ inputs.row }}"}}
        judge:
          agent: echo
          needs: try_it
          routes: [{when: judge.text == 'y', to: end}, {back_to: try_it, max_rounds: 2, exhausted: end}]
      output: {text: "{{ try_it.text }}"}
output: {text: "{{ left.text | default('') }}", all: "{{ each.outputs }}"}
"""
SCRIPT = """
import json, sys
from airflow.serialization.serialized_objects import DagSerialization
from airflow_agentic import build_dag
dag = build_dag(sys.argv[1])
dag.fileloc = dag.relative_fileloc = "pipeline.yaml.py"
print(json.dumps(DagSerialization.to_dict(dag), sort_keys=True))
"""


def serialized(file: Path, seed: str) -> str:
    """The serialized DAG, as another process makes it."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-c", SCRIPT, str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("template", [TEMPLATE, CONTROL_FLOW], ids=["plain", "control_flow"])
def test_serialized_dags_are_equal_to_the_byte(tmp_path: Path, template: str) -> None:
    write(tmp_path, pipeline=template)
    found = [serialized(tmp_path / "pipeline.yaml", seed) for seed in ("0", "1", "4711")]
    assert len(found[0]) > 5000
    assert len({sha256(text.encode()).hexdigest() for text in found}) == 1
