"""Valid templates that together use every key of the language, as texts by name."""

from __future__ import annotations

from textwrap import dedent

SMALLEST = """\
version: 1
stages:
  load: {agent: {type: python, callable: "my_project.agents:load"}}
"""

EVERY_KEY = """\
version: 1
name: every.key-of_it
description: Every key of the language once
doc: |
  # Every key
  This is *Markdown*.
owner: research
tags: [one, two]
schedule: {cron: "0 6 * * MON", timezone: Europe/Paris}
start_date: 2026-01-31T06:00:00+01:00
catchup: true
max_active_runs: 3
run_timeout: 2h
deadline:
  after: 90m
  notify:
    - {notifier: my_project.notify.Pager, text: "{{ run.id }} is late", to: [a, b]}
x-mine: {anything: [at, all]}
budget: {calls: 40, tokens: 200000, cost_usd: 1.50}
inputs:
  topic: {type: string, description: What to write about, minLength: 3, default: "tides"}
  words: {type: integer, minimum: 10, maximum: 5000, default: 300}
  sources: {type: array, items: {type: string}, default: []}
  options: {type: object, properties: {deep: {type: boolean}}, default: {deep: false}}
defaults:
  agent: writer
  retry: {attempts: 4, wait: 500ms, multiplier: 1.5, max_wait: 1m, jitter: false}
  timeout: 3m
  pool: default_pool
  queue: default
  priority: 2
  executor_config: {KubernetesExecutor: {image: "x"}}
  cache: {ttl: 12h}
agents:
  writer:
    type: llm
    description: Writes
    connection: agentic_default
    model: anthropic:claude-sonnet-5
    instructions: You write about {{ input.topic }}.
    prompt: "Write {{ input.words | default(100) }} words about {{ input.topic }}."
    settings: {temperature: 0, max_tokens: 1200}
    tools:
      - {python: my_project.tools.search, max_calls: 10}
      - {mcp: my_mcp_connection}
      - {sql: my_database, write: false, max_rows: 200}
    window: {max_tokens: 32000, overflow: truncate}
    retry: {attempts: 2}
    timeout: 30
    output: {text: string, "note?": string, citations: [{quote: string, "page?": integer}], kind: "draft | final"}
  api:
    type: http
    description: Looks up
    connection: my_api
    method: GET
    endpoint: "/verify/{{ input.lang }}"
    headers: {X-Tenant: research, X-Topic: "{{ input.topic }}"}
    select: data.result
    output_schema: {type: object, properties: {ok: {type: boolean}, why: {type: [string, "null"]}}, required: [ok]}
  code: &code
    type: python
    description: Counts
    callable: "my_project.agents:Counter.count"
    output: {score: number, tags: [string]}
  code_again:
    <<: *code
    description: Counts again
stages:
  first:
    description: The default agent's
    input: {topic: "{{ inputs.topic }}", words: "{{ inputs.words }}", nested: {list: ["{{ inputs.sources }}", 1, null]}}
  check:
    agent: api
    input: {lang: en, topic: "{{ inputs.topic }}", text: "{{ first.text }}"}
    when: inputs.words > 20 and first.citations
    accept: output.ok
    needs: first
    retry: {attempts: 1}
    timeout: 500ms
    pool: api
    queue: slow
    priority: 10
    executor_config: {a: 1}
    cache: {ttl: 7d}
  count: {agent: code, input: {text: "{{ first.text }}"}, when: true}
  count_again: {agent: code_again, cache: false, after: [count]}
  second:
    agent: writer
    prompt: |
      {% set parts = first.citations %}
      {% for part in parts %}
      - {{ loop.index }}: {{ part.quote }}{% if part.page %} (p. {{ part.page }}){% endif %}

      {% endfor %}
      {% if check is defined %}It was checked: {{ check.why | default("no reason") }}.{% endif %}
      {{ first.note | default("no note") }}
    cache: {ttl: 90s, tools: true}
  both:
    description: Merged
    merge: {from: [first, second], how: best, by: item.text | length, require: 1}
    when: "{{ inputs.words < 5000 }}"
    needs: [first]
    after: count
    pool: p
    queue: q
    priority: 1
    executor_config: {}
  all: {merge: {from: [count, count_again], how: object}}
  list: {merge: {from: [count, count_again], how: list}}
  concat: {merge: {from: [count, count_again], how: concat}}
  union: {merge: {from: [count, count_again], how: union, by: item}}
  votes: {merge: {from: [count, count_again], how: majority, by: "[item.score]"}}
  one: {merge: {from: [count, count_again], how: first}}
output:
  text: "{{ second.text }}"
  checked: "{{ check is defined }}"
  nested: {both: "{{ both.value.text | default(none) }}", plain: [1, true, null, "text"]}
  where: "{{ artifact }}"
artifact:
  - path: "briefs/{{ inputs.topic | slug }}.md"
    content: "{{ second.text }}"
    asset: "agentic://briefs"
  - {path: notes.txt, content: "{{ check.ok }}"}
notify:
  on_failure: [{notifier: my_project.notify.Pager, text: "{{ run.id }}"}]
  on_success: [{notifier: my_project.notify.Pager, text: "{{ second.text }}"}]
"""

SHORTHANDS = """\
version: 1
schedule: "@daily"
catchup: false
inputs:
  flag: {type: boolean, default: true}
artifact: {path: "{{ run.date }}.txt", content: "{{ load }}"}
agents:
  plain: {type: llm, connection: c, prompt: "Say {{ input.word }}.", output: text}
  any: {type: python, callable: "a:b", output: any}
  list: {type: python, callable: "a:b", output: [{a: "string | null", b: "integer | number"}]}
stages:
  load: {agent: plain, input: {word: hello}}
  any: {agent: any, when: inputs.flag, input: {a: "{{ load }}", b: "{{ load | upper }} and {{ 1 + 1 }}"}}
  list: {agent: list, after: any}
  last: {agent: plain, prompt: "{{ list[0].a }} {{ list | length }} {{ any.what.ever | default('-') }}"}
output: {uri: "{{ artifact.uri | default(none) }}", any: "{{ any | default(none) }}"}
"""

ASSETS = """\
version: 1
schedule: {any_asset: [agentic://briefs, "s3://bucket/key"]}
stages:
  load: {agent: {type: http, connection: c}, input: {events: "{{ run.assets }}"}}
"""

EVERY = """\
version: 1
schedule: {every: 6h}
inputs: {}
agents: {}
output: {}
stages:
  load: {agent: {type: python, callable: "a.b:c"}}
"""

REQUIRED_INPUTS = """\
version: 1
schedule: null
inputs:
  topic: string
  words: integer
  kind: "short | long"
  parts: [{title: string, "text?": string}]
  text: text
stages:
  write:
    agent: {type: llm, connection: c}
    prompt: "{{ inputs.kind }} {{ inputs.words }}: {{ inputs.parts[0].title }} {{ inputs.text }} {{ inputs.topic }}"
"""

ALL_ASSETS = """\
# A comment, and Windows' line ends
version: 1
schedule: {assets: [agentic://briefs]}
max_active_runs: 1
stages: {load: {agent: {type: python, callable: "a.b:c"}}}
""".replace("\n", "\r\n")

CONTROL = """\
version: 1
inputs:
  topic: {type: string, default: tides}
  min_score: {type: number, default: 0.8}
defaults:
  max_items: 50
  max_parallel: 4
  tolerate: 10%
  items_per_task: auto
  on_error: [{to: ask_editor, kinds: [unavailable, timeout]}]
agents:
  research: {type: python, callable: "a:b", output: {claims: [{text: string, source: string}]}}
  check: {type: http, connection: c, output: {supported: boolean, "reason?": string}}
  writer: {type: llm, connection: c, output: {text: string, citations: [{quote: string, source: string}]}}
  backup: {type: python, callable: "a:b", output: any}
  reviewer: {type: python, callable: "a:b", output: {score: number, problems: [string], kind: "draft | final"}}
stages:
  research:
    agent: research
    input: {topic: "{{ inputs.topic }}", again: "{{ feedback.failed | default([]) }}", round: "{{ round }}"}
    on_error: []
  draft:
    agent: writer
    prompt: |
      {{ research.claims }}
      {% if feedback.constraints %}{{ feedback.constraints }} {{ feedback.previous }}{% endif %}
      {% if round > 1 %}{{ feedback.failed | default([]) }}{% endif %}
    on_error:
      - {agent: {type: python, callable: "a:b", output: {text: string, citations: [{quote: string, source: string}]}}}
      - {agent: {type: llm, connection: d, output: {text: string, citations: [{quote: string, source: string}]}}}
      - {value: {text: "{{ inputs.topic }}", citations: []}, kinds: [malformed_output]}
      - {to: ask_editor}
  verify:
    agent: check
    for_each: draft.citations
    input: {number: "{{ index }}", claim: "{{ item.quote }}", source: "{{ item.source }}", round: "{{ round }}"}
    accept: output.supported and item.quote != ''
    max_items: 500
    max_parallel: 8
    tolerate: 100%
    items_per_task: 5
    on_error: {value: {supported: false, reason: "{{ index }}"}}
    routes:
      - when: verify.failed_ratio > 0.2
        back_to: research
        max_rounds: 2
        with: {failed: "{{ verify.errors }}"}
        exhausted: ask_editor
      - {to: next}
  qa:
    agent: reviewer
    needs: verify
    input: {text: "{{ draft.text }}"}
    routes:
      - {when: "{{ qa.score >= inputs.min_score and qa.kind == 'final' }}", to: publish}
      - back_to: draft
        max_rounds: 3
        with: {constraints: "{{ feedback.constraints | default([]) + qa.problems }}", previous: "{{ draft.text }}"}
        exhausted: [ask_editor]
  ask_editor:
    human:
      ask: "{{ error.stage | default('the review') }} needs a decision"
      body: "{{ draft.text | default('There is no draft.') }} {{ error.message if error is defined }}"
      options: [Publish, Discard]
      fields: {note: {type: string, description: Why, default: ""}, urgent: {type: boolean, default: false}}
      assignees: [editor, "{{ inputs.topic }}"]
      timeout: 2d
      on_timeout: Discard
    routes:
      - {when: "ask_editor.choice == 'Publish' and draft is defined and not ask_editor.timed_out", to: publish}
      - {when: ask_editor.note == 'stop', to: fail}
      - {to: end}
    pool: people
  publish: {agent: backup, input: {text: "{{ draft.text }}"}}
output:
  text: "{{ publish | default(none) }}"
  by: "{{ ask_editor.by | default(none) }}"
  results: "{% for r in verify.results | default([]) %}{{ r.item.quote }}{{ r.output.supported if r.ok }}{% endfor %}"
artifact: {path: a.md, content: "{{ publish }}"}
notify: {on_escalation: [{notifier: a.B, text: "{{ run.id }} {{ draft.text | default('') }}"}]}
"""

PIPELINES = """\
version: 1
inputs: {documents: {type: array, items: {type: object, properties: {name: {type: string}}}, default: []}}
defaults: {retry: {attempts: 2}, agent: reader}
agents:
  reader: {type: python, callable: "a:b", output: {text: string, good: boolean}}
  judge: {type: python, callable: "a:b"}
stages:
  each:
    for_each: inputs.documents
    max_parallel: 2
    tolerate: 1
    input: {document: "{{ item }}", number: "{{ index }}"}
    on_error: {value: {text: "", sure: false}}
    pipeline:
      stages:
        read: {input: {document: "{{ inputs.document }}", hint: "{{ feedback.hint | default('') }}"}}
        parts: {agent: judge, for_each: "read.text | list"}
        again:
          agent: judge
          input: {text: "{{ read.text }}", parts: "{{ parts.outputs }}"}
          on_error: {to: lawyer}
          routes:
            - {when: read.good, to: end}
            - {when: "round < 3", back_to: read, max_rounds: 3, with: {hint: "{{ again }}"}, exhausted: end}
            - {to: lawyer}
        lawyer: {human: {ask: "Which? {{ error.kind | default('') }}", timeout: 3d, on_timeout: fail}}
        inner: {pipeline: {stages: {last: {agent: {type: python, callable: "a:b"}}}}, after: lawyer}
      output: {text: "{{ read.text }}", sure: "{{ lawyer is not defined }}"}
  summary:
    merge: {from: [each], how: object}
  report: {agent: judge, input: {all: "{{ each.outputs }}", failed: "{{ summary.each.failed }}"}}
  ask: {human: {ask: "{{ item.text }}?", fields: {why: string}, timeout: 60, on_timeout: fail}, for_each: each.outputs}
  asked: {agent: judge, for_each: ask.outputs, when: ask.total > 0, input: {choice: "{{ item.choice }}"}}
output: {report: "{{ report }}", names: "{{ each.errors }}"}
"""

VALID = {
    "smallest": SMALLEST,
    "every_key": EVERY_KEY,
    "shorthands": SHORTHANDS,
    "any_asset": ASSETS,
    "every": EVERY,
    "required_inputs": REQUIRED_INPUTS,
    "all_assets": ALL_ASSETS,
    "control": CONTROL,
    "pipelines": PIPELINES,
}


def template(stages: str, *, agents: bool = True, more: str = "") -> str:
    """A template of some stages, with the agents ``model`` (llm, text) and ``tool`` (python, anything)."""
    text = "version: 1\n"
    if agents:
        text += "agents:\n  model: {type: llm, connection: c}\n  tool: {type: python, callable: 'a.b:c'}\n"
    return text + dedent(more) + "stages:\n" + "".join(f"  {line}\n" for line in dedent(stages).strip().splitlines())
