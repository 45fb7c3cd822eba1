"""
The runs whose traces are looked at: real templates, run to their ends in this process.

``brief`` has a loop of two rounds, a fan-out of 30 items, retries, a stand-in, a person's answer, tools and an
artifact; ``refused`` fails; ``ledger`` has a thousand items. As a program it writes their traces as JSON::

    python -m support.shown_runs FOLDER
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import shown_agents
from support.openai_server import OpenAIServer, calls, good

if TYPE_CHECKING:
    from airflow_agentic.trace.document import Trace

FIRST = """\
Storage capacity in the north **grew by 30 %** last year, and most of it was built beside wind farms. Prices fell at the
same time, which nobody had expected, because lithium became cheaper faster than demand rose and because two tenders
were cancelled.

- Batteries were installed at 14 sites.
- Pumped hydro stayed where it was.
"""
SECOND = """\
Storage capacity in the north **grew by 30 %** last year [s03]. Prices fell by a tenth [s09].

## What changed

- Batteries were installed at 14 sites [s04], most of them beside wind farms [s11].
- Pumped hydro stayed where it was [s02].

| Year | Capacity (MWh) | Price (€/kWh) |
| --- | ---: | ---: |
| 2024 | 410 | 182 |
| 2025 | 533 | 164 |
"""

BRIEF = """\
version: 1
name: energy_brief
description: A brief on a topic, checked against its sources and approved by an editor
inputs:
  topic: {type: string, default: Grid storage}
  min_score: {type: number, default: 0.8}
  sources: {type: integer, default: 30}
  archive_password: {type: string, format: password, default: hunter2}
  appendix: {type: boolean, default: false}
budget: {calls: 200, cost_usd: 0.50}
defaults:
  retry: {attempts: 3, wait: 20ms, jitter: false}
agents:
  researcher: {type: python, callable: "support.shown_agents:gather"}
  checker: {type: python, callable: "support.shown_agents:check"}
  charts: {type: python, callable: "support.shown_agents:chart"}
  plain_charts: {type: python, callable: "support.shown_agents:plain_chart"}
  reviewer: {type: python, callable: "support.shown_agents:review", output: {score: number, problems: [string]}}
  writer:
    type: llm
    connection: shown_model
    instructions: You write briefs for people who have to decide. Keep to the sources that hold.
    tools:
      - python: "support.shown_agents:search"
stages:
  gather:
    description: Find sources
    agent: researcher
    input: {topic: "{{ inputs.topic }}", count: "{{ inputs.sources }}"}
  verify:
    description: Read each source again
    agent: checker
    for_each: gather.sources
    tolerate: 3
    items_per_task: 1
    input: {source: "{{ item }}"}
  draft:
    description: Write the brief
    agent: writer
    prompt: |
      Write a brief on {{ inputs.topic }}. {{ verify.succeeded }} sources hold.
      {% for problem in feedback.problems | default([]) %}
      - {{ problem }}
      {% endfor %}
  figures:
    description: Draw the chart
    agent: charts
    input: {points: "{{ verify.succeeded }}"}
    on_error: {agent: plain_charts, kinds: [unavailable]}
  review:
    description: Score the draft
    agent: reviewer
    input: {text: "{{ draft }}", round: "{{ round }}"}
    routes:
      - {when: review.score >= inputs.min_score, to: next}
      - back_to: draft
        max_rounds: 3
        with: {problems: "{{ review.problems }}"}
        exhausted: fail
  approve:
    description: An editor decides
    needs: [review, figures]
    human:
      ask: "Publish the brief on {{ inputs.topic }}?"
      body: "{{ draft }}"
      options: [Publish, Discard]
      fields: {note: {type: string, default: ""}}
      assignees: [editor]
      timeout: 2d
      on_timeout: Discard
    routes:
      - {when: approve.choice == 'Publish', to: next}
      - {to: end}
  appendix:
    description: Only where it is wanted
    when: inputs.appendix
    after: approve
    agent: researcher
    input: {topic: "{{ inputs.topic }}", count: 2}
output:
  text: "{{ draft }}"
  score: "{{ review.score }}"
artifact:
  path: "briefs/{{ inputs.topic | slug }}.md"
  content: |
    # {{ inputs.topic }}

    {{ draft }}

    ## About this brief

    {{ verify.succeeded }} of {{ verify.total }} sources hold; two examples: {{ verify.outputs[0].quote }}
    Score: {{ review.score }}. {{ "Approved by " ~ approve.by if approve.by else "Not approved" }}: {{ approve.note }}
  asset: "agentic://briefs"
"""

REFUSED = """\
version: 1
name: claims_intake
description: Reads a claim and files it
inputs:
  claim: {type: string, default: "C-2291"}
agents:
  reader: {type: python, callable: "support.shown_agents:gather"}
  ledger: {type: python, callable: "support.shown_agents:chart"}
defaults: {retry: {attempts: 3, wait: 10ms, jitter: false}}
stages:
  read: {agent: reader, input: {topic: "{{ inputs.claim }}", count: 3}}
  file_claim: {description: Write it into the ledger, agent: ledger, input: {claim: "{{ read.sources }}"}}
  tell: {agent: reader, input: {topic: "{{ file_claim }}", count: 1}}
output: {filed: "{{ tell.sources }}"}
"""

LEDGER = """\
version: 1
name: ledger_check
description: Looks at every record of a ledger
inputs:
  records: {type: integer, default: 1000}
agents:
  counter: {type: python, callable: "support.shown_agents:count", output: {number: integer, amount: number}}
defaults: {retry: {attempts: 2, wait: 1ms, jitter: false}}
stages:
  count:
    agent: counter
    for_each: range(inputs.records) | list
    max_items: 2000
    items_per_task: 250
    tolerate: 5%
    input: {number: "{{ item }}"}
output: {failed: "{{ count.failed }}"}
artifact:
  path: ledger.txt
  content: "{{ count.succeeded }} records have an amount, {{ count.failed }} have none."
"""


def brief(folder: Path, sources: int = 30) -> Trace:
    """A run with a bit of everything."""
    shown_agents.forget()
    usage = ({"prompt_tokens": 1840, "completion_tokens": 212, "total_tokens": 2052},)
    replies = (
        calls(("search", {"query": "grid storage"})),
        good(FIRST, usage=usage[0]),
        good(SECOND, usage={"prompt_tokens": 2210, "completion_tokens": 240, "total_tokens": 2450}),
    )
    prices = {"agentic": {"prices": {"input_per_million": 2.5, "output_per_million": 10.0}}}
    with OpenAIServer(*replies) as server:
        os.environ["AIRFLOW_CONN_SHOWN_MODEL"] = server.connection(**prices)
        return _ran(
            folder, BRIEF, {"sources": sources}, lambda _: ("Publish", {"note": "Good work; mind the second table."})
        )


def refused(folder: Path) -> Trace:
    """A run that failed."""
    shown_agents.forget()
    return _ran(folder, REFUSED, {})


def ledger(folder: Path, records: int = 1000) -> Trace:
    """A run of many items."""
    shown_agents.forget()
    return _ran(folder, LEDGER, {"records": records})


def _ran(folder: Path, text: str, conf: dict[str, Any], answer: Any = None) -> Trace:
    # what imports Airflow: not before its environment is set
    from support.scheduling import run_scripted
    from support.traces import traced

    from airflow_agentic.factory.dag import build_dag_from_plan
    from airflow_agentic.planning.planner import make_plan
    from airflow_agentic.template.parse import load_template

    file = folder / "template.yaml"
    file.write_text(text, encoding="utf-8")
    plan = make_plan(load_template(file))
    return traced(run_scripted(build_dag_from_plan(plan), conf, seed=3, answer=answer))


def main(target: Path) -> None:
    """Write all of them."""
    import json

    from airflow_agentic.local.database import new_database
    from airflow_agentic.local.inprocess import throw_away_environment
    from airflow_agentic.trace.document import to_data

    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(throw_away_environment(folder) | {"AIRFLOW_HOME": name})
        from support.agreement import environment

        os.environ.update(environment(folder))
        new_database(folder / "airflow.db")
        for run in (brief, refused, ledger):
            data = json.dumps(to_data(run(folder)), ensure_ascii=False)
            (target / f"{run.__name__}.json").write_text(data, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
