"""
The catalogue of problems: what each code means, why it is one, an example, and what to write instead.

``docs/errors.md`` is made of it (``python -m airflow_agentic.template.codes``), and the tests run every example.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Code:
    """
    One code.

    :param example: a template (or the part of one that matters) with the problem; empty where it is no text.
    :param at: line and column of the problem in the example, from 1.
    :param instead: what to write instead.
    """

    code: str
    title: str
    why: str
    example: str = ""
    at: tuple[int, int] = (1, 1)
    instead: str = ""


def _code(code: str, title: str, why: str, example: str = "", at: tuple[int, int] = (1, 1), instead: str = "") -> Code:
    return Code(
        code=code,
        title=title,
        why=" ".join(why.split()),
        example=textwrap.dedent(example).lstrip("\n"),
        at=at,
        instead=" ".join(instead.split()),
    )


CODES = (
    _code(
        "AGT101",
        "The file can't be read",
        "It doesn't exist, is a folder, or may not be read.",
        instead="Check the path and its permissions.",
    ),
    _code(
        "AGT102",
        "Not UTF-8",
        "A template is UTF-8 text without control characters.",
        instead="Save the file as UTF-8.",
    ),
    _code(
        "AGT103",
        "Too large",
        "A template is at most 500 kB: a larger file is data, not a workflow.",
        instead="Hand data to a run as an input, or let a stage load it.",
    ),
    _code("AGT104", "Empty", "The file holds nothing.", instead="`airflow-agentic new NAME` writes a starter."),
    _code(
        "AGT105",
        "Nested too deeply",
        "Values are nested deeper than 60 levels, or an alias contains itself.",
        "stages: &a\n  again: *a\n",
        (1, 9),
        "Write the value out, without a circle.",
    ),
    _code(
        "AGT106",
        "Too many values",
        "With its aliases expanded, the file holds more than 20,000 values.",
        instead="Don't repeat large values by aliases of aliases.",
    ),
    _code(
        "AGT107",
        "Too many problems",
        "After 200 problems the search ends; the others aren't shown.",
        instead="Correct those that are shown first.",
    ),
    _code(
        "AGT110",
        "Not YAML",
        """The text breaks YAML's grammar. Most often a value with braces, a colon, an `@` or a
        `*` stands there without quotes; the hint then says so.""",
        "version: 1\nschedule: @daily\n",
        (2, 11),
        "Put quotes around the value, or write it as a block below `|`.",
    ),
    _code(
        "AGT111",
        "A tag",
        "A YAML tag (`!something`) asks for a type that a template doesn't have.",
        "version: !number 1\n",
        (1, 10),
        "Write a plain value.",
    ),
    _code(
        "AGT112",
        "Not a number that JSON has",
        "Infinity, not-a-number and numbers out of range can't be stored.",
        "version: 1\nmax_active_runs: .inf\n",
        (2, 18),
        "Write a finite number, or quotes around a text.",
    ),
    _code(
        "AGT113",
        "A key that is no text",
        "A mapping or list stands where a key belongs; usually unquoted braces.",
        """
        stages:
          draft:
            when: {{ inputs.go }}
        """,
        (3, 11),
        'Write the expression without braces, or in quotes: `"{{ inputs.go }}"`.',
    ),
    _code(
        "AGT114",
        "A key twice",
        "One of the two values would silently be lost.",
        "version: 1\nname: a\nname: b\n",
        (3, 1),
        "Remove one of them.",
    ),
    _code(
        "AGT115",
        "A wrong merge",
        "`<<` takes a mapping, or a list of mappings.",
        "version: 1\nstages:\n  <<: draft\n",
        (3, 3),
        "Write `<<: *anchor`.",
    ),
    _code(
        "AGT190",
        "A name taken",
        """Two templates of one folder have the same name, so only one of them can be the DAG of that name.""",
        instead="Rename one of them.",
    ),
    _code(
        "AGT191",
        "Refused by Airflow",
        "The template is in order, but Airflow won't take the DAG; the message is its own.",
        instead="Change what the message names.",
    ),
    _code(
        "AGT192",
        "A fault of this package",
        "The template broke the package instead of being judged by it.",
        instead="Please report it, with the template.",
    ),
    _code(
        "AGT201", "No mapping", "A template is a mapping of keys.", "- version: 1\n", (1, 1), "Start with `version: 1`."
    ),
    _code(
        "AGT202",
        "An unknown key",
        "Nothing would happen with it. The nearest known key is in the hint.",
        """
        stages:
          draft: {agent: writer, promt: Write.}
        """,
        (2, 26),
        "Use the key in the hint. Keys that start with `x-` are yours, at the top level.",
    ),
    _code(
        "AGT203",
        "A missing key",
        "The key is required there.",
        """
        agents:
          writer: {type: llm}
        """,
        (2, 11),
        "Add the key.",
    ),
    _code(
        "AGT204",
        "A wrong value",
        "The value has the wrong type or form.",
        """
        stages:
          draft: {agent: writer, prompt: Write., timeout: 5 minutes}
        """,
        (2, 51),
        "Write what the message asks for: here `5m`.",
    ),
    _code(
        "AGT205",
        "Not a name",
        """A stage's name is its task's id and a name in expressions: lower-case letters,
        digits and `_`, a letter first, no `__`. An input's name is like a variable's.""",
        """
        stages:
          Draft text: {agent: writer, prompt: Write.}
        """,
        (2, 3),
        "Write `draft_text`.",
    ),
    _code(
        "AGT206",
        "A reserved name",
        "The name means something else in expressions.",
        """
        stages:
          output: {agent: writer, prompt: Write.}
        """,
        (2, 3),
        "Choose another name.",
    ),
    _code(
        "AGT207", "No stages", "A template without stages does nothing.", "version: 1\nstages: {}\n", (2, 9), "Add one."
    ),
    _code(
        "AGT208",
        "An empty text",
        "An empty prompt or condition is a value that somebody forgot.",
        """
        stages:
          draft: {agent: writer, prompt: ""}
        """,
        (2, 34),
        "Write the text, or remove the key.",
    ),
    _code(
        "AGT209",
        "Not one kind",
        "A stage is exactly one of `agent`, `merge`, `human` and `pipeline`.",
        """
        stages:
          draft: {prompt: Write.}
        """,
        (2, 3),
        "Name an agent, or write one of the others.",
    ),
    _code(
        "AGT210",
        "A key of others",
        """The key exists, but not there: a merge has no prompt and no attempts, a stage for people no input, a
        pipeline no pool, a route that goes on no `max_rounds`; another agent can stand in only for an agent.""",
        """
        stages:
          draft: {agent: writer, prompt: Write.}
          all: {merge: {from: [draft], how: list}, retry: {attempts: 2}}
        """,
        (3, 44),
        "Remove the key, or put it where the hint says.",
    ),
    _code(
        "AGT211",
        "An agent twice",
        "This file and an included one, or two included ones, define the same agent.",
        instead="Rename one of them.",
    ),
    _code(
        "AGT212",
        "An include that can't be had",
        """An included file is missing, lies outside of the templates' folder,
        or is included twice.""",
        "version: 1\ninclude: [../secrets.yaml]\n",
        (2, 11),
        "Name a file in the templates' folder, relative to this one.",
    ),
    _code(
        "AGT213",
        "An include with more than agents",
        "Only agents are shared by including files.",
        instead="Move the rest into the template.",
    ),
    _code(
        "AGT214",
        "Not one of them",
        "A route is one of `to` and `back_to`, an entry of `on_error` one of `agent`, `value` and `to`.",
        """
        stages:
          draft: {agent: loader, routes: [{goto: check}]}
          check: {agent: loader}
        """,
        (2, 35),
        "Write `routes: [{to: check}]`.",
    ),
    _code(
        "AGT215",
        "A fan-out's key without a fan-out",
        "Without `for_each` there are no items that could be limited, worked on at once or tolerated.",
        """
        stages:
          check: {agent: loader, tolerate: 10%}
        """,
        (2, 26),
        "Add `for_each: draft.citations`, or remove the key.",
    ),
    _code(
        "AGT216",
        "A reserved word in a question",
        """An answer has `choice`, `by` and `timed_out` besides its fields, and `fail` is what `on_timeout` may say;
        each option is a button of its own.""",
        """
        stages:
          ask: {human: {ask: Go on?, options: [go, fail], timeout: 1d, on_timeout: go}}
        """,
        (2, 44),
        "Write `options: [go, stop]`.",
    ),
    _code(
        "AGT220",
        "Not a type",
        "The shorthand of an output has no such type.",
        """
        agents:
          writer: {type: llm, connection: c, output: {text: strng}}
        """,
        (2, 53),
        "Write `string`; any JSON Schema goes into `output_schema`.",
    ),
    _code(
        "AGT221",
        "Not a JSON Schema",
        "The schema itself is invalid.",
        """
        inputs:
          topic: {type: text}
        """,
        (2, 17),
        "Write `string`.",
    ),
    _code(
        "AGT222",
        "A default that doesn't fit",
        "A run with the default would be refused.",
        """
        inputs:
          count: {type: integer, default: many}
        """,
        (2, 35),
        "Write a value that the input's own schema takes.",
    ),
    _code(
        "AGT223",
        "Two outputs",
        "`output` is a shorthand for `output_schema`: only one of them can be true.",
        """
        agents:
          writer: {type: llm, connection: c, output: text, output_schema: {type: string}}
        """,
        (2, 52),
        "Keep one.",
    ),
    _code(
        "AGT224",
        "A value that doesn't fit",
        "What stands in for a stage's output after an error is read like the output.",
        """
        agents:
          score: {type: python, callable: "m:f", output: {score: number}}
        stages:
          qa: {agent: score, on_error: {value: {score: none}}}
        """,
        (4, 40),
        "Write `on_error: {value: {score: 0}}`.",
    ),
    _code(
        "AGT301",
        "Not an expression",
        "Jinja can't read the text.",
        """
        stages:
          draft: {agent: writer, prompt: Write., when: inputs.go = 1}
        """,
        (2, 48),
        "Write `==` to compare; `and`, `or`, `not` to combine.",
    ),
    _code(
        "AGT302",
        "Jinja that the language doesn't have",
        """There is no such filter, test or function, or the text calls
        a method: what agents wrote stays a value, and values have no methods.""",
        """
        inputs: {topic: string}
        stages:
          draft: {agent: writer, prompt: "About {{ inputs.topic.upper() }}"}
        """,
        (3, 57),
        "Use a filter: `inputs.topic | upper`.",
    ),
    _code(
        "AGT310",
        "Braces forgotten? (warning)",
        "The text is exactly a stage's path, and would be handed on literally.",
        """
        stages:
          load: {agent: loader}
          draft: {agent: loader, input: {source: load.text}}
        """,
        (3, 42),
        'Write `"{{ load.text }}"`.',
    ),
    _code(
        "AGT401",
        "An unknown name",
        """There is no such stage, or the name can't be read there: `item` only in a fan-out, `round` and `feedback`
        only in a loop, `error` only after one, and inside of a pipeline only its own stages.""",
        """
        stages:
          research: {agent: loader}
          draft: {agent: writer, prompt: "{{ reserch }}"}
        """,
        (3, 38),
        "Use the name in the hint; inputs are read as `inputs.name`.",
    ),
    _code(
        "AGT402",
        "An unknown input",
        "The template declares no such input.",
        """
        inputs: {topic: string}
        stages:
          draft: {agent: writer, prompt: "{{ inputs.topc }}"}
        """,
        (3, 38),
        "Use the name in the hint, or declare the input.",
    ),
    _code(
        "AGT403",
        "A path that isn't there",
        "What is read declares no such key.",
        """
        agents:
          loader: {type: python, callable: "m:f", output: {text: string}}
        stages:
          load: {agent: loader}
          draft: {agent: loader, input: {text: "{{ load.txt }}"}}
        """,
        (5, 44),
        "Use a declared key, or declare it in the agent's `output`.",
    ),
    _code(
        "AGT404",
        "An optional key, unguarded",
        "The key may be absent, and printing what isn't there is an error.",
        """
        agents:
          loader: {type: python, callable: "m:f", output: {"note?": string}}
        stages:
          load: {agent: loader}
          draft: {agent: loader, input: {note: "{{ load.note }}"}}
        """,
        (5, 44),
        "Write `load.note | default('')`, or `{% if load.note %}`.",
    ),
    _code(
        "AGT405",
        "An unknown agent",
        "No agent has that name.",
        """
        stages:
          draft: {agent: wirter, prompt: Write.}
        """,
        (2, 18),
        "Use the name in the hint, or declare the agent.",
    ),
    _code(
        "AGT406",
        "A result that may be missing",
        """A run may succeed without that stage, and its result has to say what then. The message says why: the stage
        has a `when`, stands on a route, may fail and be routed, or depends on one of that kind.""",
        """
        inputs: {go: boolean}
        stages:
          draft: {agent: writer, prompt: Write., when: inputs.go}
        output: {text: "{{ draft }}"}
        """,
        (4, 20),
        "Write `draft | default(none)`.",
    ),
    _code(
        "AGT407",
        "An error that may not be there",
        """The stage can be reached without an error too, and printing an `error` that isn't there is one.""",
        """
        stages:
          draft: {agent: loader, on_error: {to: ask}, routes: [{when: draft.odd, to: ask}, {to: next}]}
          ask: {agent: writer, prompt: "{{ error.message }}"}
        """,
        (3, 36),
        "Write `error.message | default('nothing failed')`, or `{% if error %}`.",
    ),
    _code(
        "AGT408",
        "A comparison that always comes out the same",
        """By what is declared, the two sides are of different kinds, or one of them never has that value: a text is no
        number, and `'0.8'` is a text.""",
        """
        inputs: {min_score: number}
        stages:
          draft: {agent: loader, when: inputs.min_score > '0.5'}
        """,
        (3, 32),
        "Write `inputs.min_score > 0.5`; for a text that holds a number, `x | float > 0.5`.",
    ),
    _code(
        "AGT410",
        "A circle",
        """Each of the stages would wait for the other. The only way back is a route with `back_to`, which has a
        bound; only a stage's own routes can read it.""",
        """
        stages:
          a: {agent: loader, input: {b: "{{ b }}"}}
          b: {agent: loader, input: {a: "{{ a }}"}}
        """,
        (2, 3),
        "Remove one of the reads, or go back: `routes: [{when: …, back_to: a, max_rounds: 3}, {to: next}]`.",
    ),
    _code(
        "AGT411",
        "A model without a prompt",
        "It would be asked nothing.",
        """
        stages:
          draft: {agent: writer}
        """,
        (2, 3),
        "Add `prompt:` to the stage, or to the agent.",
    ),
    _code(
        "AGT412",
        "A prompt for what reads none",
        "Only a language model has a prompt.",
        """
        stages:
          load: {agent: loader, prompt: Load it.}
        """,
        (2, 25),
        "Hand data in `input:`.",
    ),
    _code(
        "AGT413",
        "An agent that nobody uses (warning)",
        "No stage, no pipeline in place and no `on_error` names it. Perhaps one names another agent by mistake.",
        """
        agents:
          spare: {type: python, callable: "m:f"}
        """,
        (2, 3),
        "Use it, or remove it.",
    ),
    _code(
        "AGT414",
        "A merge that can't be",
        "`by`, `from` and `require` don't fit each other.",
        """
        stages:
          a: {agent: loader}
          b: {merge: {from: [a], how: best}}
        """,
        (3, 31),
        "Say what `best` maximizes: `by: item.score`.",
    ),
    _code(
        "AGT420",
        "Not a schedule",
        "Neither a preset nor a cron string.",
        "version: 1\nschedule: 6am\n",
        (2, 11),
        "Write `'0 6 * * *'`, or `'@daily'`.",
    ),
    _code(
        "AGT421",
        "Not a time zone",
        "The name isn't in the time zone database.",
        "version: 1\nschedule: {cron: '0 6 * * *', timezone: Paris}\n",
        (2, 41),
        "Write `Europe/Paris`.",
    ),
    _code(
        "AGT422",
        "A scheduled run without inputs",
        "A run that starts by itself has nobody to ask.",
        "version: 1\nschedule: '@daily'\ninputs: {topic: string}\n",
        (3, 10),
        "Give the input a default.",
    ),
    _code(
        "AGT423",
        "Not a date",
        "A start date is ISO 8601.",
        "version: 1\nstart_date: yesterday\n",
        (2, 13),
        "Write `2026-01-31`.",
    ),
    _code(
        "AGT424",
        "Not an asset's URI",
        "Airflow knows assets by a fixed URI with a scheme.",
        "version: 1\nschedule: {assets: [briefs]}\n",
        (2, 21),
        "Write `agentic://briefs`.",
    ),
    _code(
        "AGT440",
        "A path that leaves the store",
        "An artifact is written below the artifact store, nowhere else.",
        "version: 1\nartifact: {path: ../brief.md, content: x}\n",
        (2, 18),
        "Write a relative path.",
    ),
    _code(
        "AGT450",
        "Targets that don't go together",
        "`end` and `fail` say that the run doesn't go on there; a stage is named once.",
        """
        stages:
          draft: {agent: loader, routes: [{to: [publish, end]}]}
          publish: {agent: loader}
        """,
        (2, 50),
        "Write `to: publish`, or `to: end`.",
    ),
    _code(
        "AGT451",
        "A last route with a condition",
        "When it doesn't hold, nothing says where the run goes on.",
        """
        stages:
          draft: {agent: loader, routes: [{when: draft.good, to: publish}]}
          publish: {agent: loader}
        """,
        (2, 42),
        "Add `{to: next}`, `{to: end}` or `{to: fail}` behind it.",
    ),
    _code(
        "AGT452",
        "Never tried",
        "A route without a condition is always taken, and a value or target for all errors always recovers.",
        """
        stages:
          draft: {agent: loader, routes: [{to: publish}, {when: draft.bad, to: fail}]}
          publish: {agent: loader}
        """,
        (2, 35),
        "Put it last: `routes: [{when: draft.bad, to: fail}, {to: publish}]`.",
    ),
    _code(
        "AGT453",
        "A way back that can't be",
        """A route goes back to a stage that has run whenever this one runs, and by one route only: what lies between
        the two is repeated.""",
        """
        stages:
          draft: {agent: loader, routes: [{when: draft.bad, back_to: publish, max_rounds: 3}, {to: next}]}
          publish: {agent: loader, needs: draft}
        """,
        (2, 62),
        "Go on with `to:`, or go back to a stage before this one: `{back_to: draft, max_rounds: 3}`.",
    ),
    _code(
        "AGT454",
        "Loops in each other's way",
        """Two loops would wait for each other's end, or one would go back although the other one already has in the
        same round.""",
        """
        stages:
          a: {agent: loader}
          b: {agent: loader}
          c: {agent: loader, needs: [a, b], routes: [{when: c.bad, back_to: a, max_rounds: 2}, {to: next}]}
          d: {agent: loader, needs: [a, b], routes: [{when: d.bad, back_to: b, max_rounds: 2}, {to: next}]}
        """,
        (5, 69),
        "Let one loop come after the other (`d: {needs: [b, c]}`), or decide in one stage.",
    ),
    _code(
        "AGT455",
        "Stages that never both run",
        "They stand on different routes of one decision, so what requires both never runs.",
        """
        stages:
          draft: {agent: loader, routes: [{when: draft.long, to: shorten}, {to: publish}]}
          shorten: {agent: loader}
          publish: {agent: loader}
          report: {agent: loader, needs: [shorten, publish]}
        """,
        (5, 3),
        "Wait for both, `after: [shorten, publish]`, or read one of them guarded: `shorten | default(publish)`.",
    ),
    _code(
        "AGT456",
        "A stage that nothing reaches",
        "Routes replace the default: what depends on a stage with routes runs only if one of them leads there.",
        """
        stages:
          draft: {agent: loader, routes: [{when: draft.bad, to: fail}, {to: end}]}
          publish: {agent: loader, needs: draft}
        """,
        (3, 3),
        "Write `{to: next}` instead of `{to: end}`, or `to: publish`.",
    ),
    _code(
        "AGT457",
        "Not a list",
        "A fan-out works on the items of a list.",
        """
        inputs: {topic: string}
        stages:
          check: {agent: loader, for_each: inputs.topic}
        """,
        (3, 36),
        "Name a list: `for_each: draft.citations`; of another fan-out, its `outputs`.",
    ),
    _code(
        "AGT458",
        "More failures than are tolerated (warning)",
        "The stage has failed before the route asks, so the route is never taken.",
        """
        stages:
          check:
            agent: loader
            for_each: run.conf.list
            routes: [{when: check.failed_ratio > 0.2, to: end}, {to: next}]
        """,
        (5, 21),
        "Write `tolerate: 100%`, so that the route decides.",
    ),
    _code(
        "AGT459",
        "A question without an end",
        "When nobody answers in time, one of the options is taken, with the fields' defaults; or the stage fails.",
        """
        stages:
          ask: {human: {ask: Publish it?, options: [Yes, No], timeout: 2d, on_timeout: Later}}
        """,
        (2, 80),
        "Write `on_timeout: No`, or `on_timeout: fail`; give every field a default, or write `on_timeout: fail`.",
    ),
    _code(
        "AGT460",
        "A stand-in with another output",
        "Who reads the stage doesn't know which agent worked on it.",
        """
        agents:
          large: {type: python, callable: "m:f", output: {text: string}}
          small: {type: python, callable: "m:g", output: {answer: string}}
        stages:
          draft: {agent: large, on_error: {agent: small}}
        """,
        (5, 43),
        "Declare the same output for both.",
    ),
    _code(
        "AGT470",
        "A pipeline that can't be had",
        """No file beside the template is called so or names itself so, or it lies outside of the templates'
        folder.""",
        """
        stages:
          check: {pipeline: fact_check}
        """,
        (2, 21),
        "Write the name of a template beside this one, without `.yaml`; or the stages in place.",
    ),
    _code(
        "AGT471",
        "A pipeline in itself",
        "It would never end: a pipeline holds itself, perhaps through another file, or they stand more than 8 deep.",
        """
        stages:
          check: {pipeline: example}
        """,
        (2, 21),
        "To repeat stages, go back: `{back_to: draft, max_rounds: 3}`; for the items of a list: `for_each`.",
    ),
    _code(
        "AGT472",
        "What a pipeline takes",
        """A pipeline's `input` gives all inputs of the other file without a default, and no others, with values
        that fit.""",
        instead="""`check: {pipeline: fact_check, input: {claim: "{{ draft }}"}}`, where `fact_check.yaml` has
        `inputs: {claim: string}`.""",
    ),
    _code(
        "AGT473",
        "Repeated in what is repeated",
        """Airflow repeats single tasks and groups of tasks, but no group inside of a repeated group. An agent works on
        an inner list in one task.""",
        """
        stages:
          each:
            for_each: run.conf.list
            pipeline:
              stages:
                ask: {human: {ask: Right?, timeout: 1d, on_timeout: fail}, for_each: run.conf.people}
        """,
        (6, 68),
        "Flatten the two lists into one `for_each`, or let an agent work on the inner one.",
    ),
    _code(
        "AGT474",
        "Too many executions",
        "Every round is planned before a run: the rounds of loops in each other, and pipelines in pipelines, multiply.",
        """
        stages:
          a: {agent: loader, routes: [{when: a.bad, back_to: a, max_rounds: 50}, {to: next}]}
          b: {agent: loader, needs: a, routes: [{when: b.bad, back_to: a, max_rounds: 50}, {to: next}]}
        """,
        (2, 69),
        "Lower `max_rounds`, of inner loops first.",
    ),
    _code(
        "AGT480",
        "A cache for an agent with tools",
        """What tools find and do isn't in the question, so the same one may have another answer tomorrow; an answer
        that is used again doesn't ask them.""",
        """
        agents:
          searcher: {type: llm, connection: agentic_default, tools: [{mcp: web}]}
        stages:
          find: {agent: searcher, prompt: Find it., cache: {ttl: 7d}}
        """,
        (4, 45),
        "Write `cache: {ttl: 7d, tools: true}` if an old answer is good enough, or leave `cache` out.",
    ),
    _code(
        "AGT481",
        "A cache that changes nothing (warning)",
        """`tools: true` is for agents with tools, and the defaults' cache for stages whose agents have none and that
        have no cache of their own.""",
        """
        stages:
          load: {agent: loader, cache: {ttl: 1d, tools: true}}
        """,
        (2, 42),
        "Write `cache: {ttl: 1d}`.",
    ),
    _code(
        "AGT482",
        "A price that isn't known",
        """A budget in US dollars is kept by knowing before each call what it may cost. Prices are those of genai-prices
        (in the extra `llm`; where that isn't installed, a warning says that nothing was looked up), or a connection's
        own. A model that a connection names is judged when a run asks for it.""",
        """
        budget: {cost_usd: 5}
        agents:
          writer: {type: llm, connection: agentic_gateway, model: "openai-chat:our-model"}
        stages:
          draft: {agent: writer, prompt: Write.}
        """,
        (3, 59),
        """Name another model, write `budget: {tokens: 500000}`, or leave out `model` and write the model and its
        `prices` into the connection.""",
    ),
    _code(
        "AGT483",
        "A budget that doesn't count (warning)",
        """Tokens and cost are those of models; `http` and `python` agents count in `calls` only. And a run has the
        budget of its own template: that of another one, which is a pipeline in it, is for runs of that.""",
        """
        budget: {tokens: 200000}
        stages:
          load: {agent: loader}
        """,
        (1, 10),
        "Write `budget: {calls: 40}`, or leave it out; for a pipeline, write the budget in the template that uses it.",
    ),
    _code(
        "AGT484",
        "A budget that is too small (warning)",
        "Each stage that always runs calls its agent once at least, so no run gets by with less.",
        """
        budget: {calls: 1}
        stages:
          load: {agent: loader}
          check: {agent: loader, needs: load}
        """,
        (1, 17),
        "Write as many as a run needs; `airflow-agentic plan` says how many that can be.",
    ),
)

BY_CODE = {code.code: code for code in CODES}

_AGENTS = {
    "writer": "{type: llm, connection: agentic_default}",
    "loader": '{type: python, callable: "my_project.agents:load"}',
}


def whole_example(code: Code) -> str:
    """The example as a whole template: what it leaves out comes after it, so that positions stay."""
    text = code.example
    if text.startswith("- "):
        return text
    if "version:" not in text:
        text += "version: 1\n"
    if "stages:" not in text:
        text += (
            "stages: {load: {agent: loader}}\n"
            if "agents:" not in text
            else "stages: {load: {agent: {type: python, callable: 'm:f'}}}\n"
        )
    if "agents:" not in text:
        text += "agents: {" + ", ".join(f"{name}: {agent}" for name, agent in _AGENTS.items()) + "}\n"
    return text


def page() -> str:
    """The page of all codes, in Markdown."""
    parts = [
        "# Errors\n",
        "Everything that can be known to be wrong with a template is said before a run, all of it at once, as\n"
        "`file:line:column: CODE message`, with the line and a hint. `airflow-agentic check PATH` prints it; Airflow\n"
        "shows it as the template's import error. A warning doesn't stop a template from being used.\n",
        "This page is made of the catalogue in `airflow_agentic/template/codes.py`.\n",
    ]
    for code in CODES:
        parts.append(f"## {code.code}: {code.title}\n\n{code.why}\n")
        if code.example:
            parts.append(f"```yaml\n{code.example.rstrip()}\n```\n")
        if code.instead:
            parts.append(f"Instead: {code.instead}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
