"""The runs that a browser looks at in Airflow's own UI: templates, and what has to be there for them."""

from __future__ import annotations

#: Two rounds, 30 items of which some are tried again and two fail, a stand-in, a person's answer, an artifact.
STORY = """
version: 1
name: NAME
description: A brief, checked and approved
inputs:
  topic: {type: string, default: "Grid <img src=x onerror=alert(1)> storage"}
defaults: {retry: {attempts: 3, wait: 20ms, jitter: false}}
agents:
  researcher: {type: python, callable: "support.shown_agents:gather"}
  checker: {type: python, callable: "support.shown_agents:check"}
  charts: {type: python, callable: "support.shown_agents:chart"}
  plain_charts: {type: python, callable: "support.shown_agents:plain_chart"}
  writer: {type: python, callable: "support.web_agents:write", output: {text: string}}
  reviewer: {type: python, callable: "support.shown_agents:review", output: {score: number, problems: [string]}}
stages:
  gather: {agent: researcher, input: {topic: "{{ inputs.topic }}", count: 30}}
  verify:
    description: Read each source again
    agent: checker
    for_each: gather.sources
    tolerate: 3
    items_per_task: 15
    input: {source: "{{ item }}"}
  figures:
    agent: charts
    input: {points: "{{ gather.sources | length }}"}
    on_error: {agent: plain_charts, kinds: [unavailable]}
  draft: {agent: writer, input: {topic: "{{ inputs.topic }}, {{ verify.succeeded }} sources"}}
  review:
    agent: reviewer
    input: {text: "{{ draft.text }}", round: "{{ round }}"}
    routes:
      - {when: review.score >= 0.8, to: next}
      - {back_to: draft, max_rounds: 3, exhausted: fail}
  approve:
    needs: [review, figures]
    human:
      ask: "Publish the brief?"
      body: "{{ draft.text }}"
      options: [Publish, Discard]
      fields: {note: {type: string, default: ""}}
      timeout: 1h
      on_timeout: Discard
output: {text: "{{ draft.text }}"}
artifact:
  path: "NAME.md"
  content: |
    # Brief

    {{ draft.text }}

    {{ verify.succeeded }} of {{ verify.total }} sources hold. {{ approve.note }}
"""

#: A thousand items in two tasks, so that another run has workers, too.
MANY = """
version: 1
name: NAME
agents: {counter: {type: python, callable: "support.shown_agents:count", output: {number: integer, amount: number}}}
defaults: {retry: {attempts: 2, wait: 1ms, jitter: false}}
stages:
  count:
    agent: counter
    for_each: range(1000) | list
    max_items: 2000
    items_per_task: 500
    tolerate: 5%
    input: {number: "{{ item }}"}
output: {failed: "{{ count.failed }}"}
"""
