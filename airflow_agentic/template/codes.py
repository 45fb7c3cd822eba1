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
        "A stage is exactly one of `agent` and `merge`.",
        """
        stages:
          draft: {prompt: Write.}
        """,
        (2, 3),
        "Name an agent, or write `merge:`.",
    ),
    _code(
        "AGT210",
        "A key of agents only",
        "A merge has no prompt, no input and no attempts: it only merges.",
        """
        stages:
          draft: {agent: writer, prompt: Write.}
          all: {merge: {from: [draft], how: list}, retry: {attempts: 2}}
        """,
        (3, 44),
        "Remove the key, or put it on the stages that are merged.",
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
        "The expression reads a stage that doesn't exist, or a name it can't read there.",
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
        """A run may succeed without that stage (it has a `when`, or needs one
        that has), and its result has to say what then.""",
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
        "AGT410",
        "A circle",
        "Each of the stages would wait for the other.",
        """
        stages:
          a: {agent: loader, input: {b: "{{ b }}"}}
          b: {agent: loader, input: {a: "{{ a }}"}}
        """,
        (2, 3),
        "Remove one of the reads.",
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
        "Perhaps a stage names another one by mistake.",
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
        "AGT901",
        "Not supported yet",
        "The language has it, this version doesn't run it.",
        """
        stages:
          draft: {agent: writer, prompt: Write., for_each: inputs.topics}
        """,
        (2, 42),
        "Leave it out, or wait for a later version.",
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
