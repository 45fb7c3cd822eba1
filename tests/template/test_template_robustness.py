"""Whatever a file holds: a template or a :class:`TemplateError` comes out, soon, and the process lives."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.template_texts import SMALLEST, VALID, template

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.codes import BY_CODE
from airflow_agentic.template.parse import load_template, load_text

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.template.problems import Problem

SECONDS = 1.0


def refused(path) -> TemplateError:
    """The error of a template that can't be loaded, and is refused in time."""
    started = time.process_time()
    with pytest.raises(TemplateError) as caught:
        load_template(path)
    assert time.process_time() - started < SECONDS
    return caught.value


def first(path) -> tuple[str, int, int]:
    """Code, line and column of the first problem."""
    problem = refused(path).problems[0]
    return problem.code, problem.line, problem.column


def test_a_missing_file(tmp_path):
    assert first(tmp_path / "no.yaml") == ("AGT101", 1, 1)


def test_a_folder(tmp_path):
    assert first(tmp_path) == ("AGT101", 1, 1)


@pytest.mark.parametrize("name", ["a\0b.yaml", "a" * 5000])
def test_a_name_that_no_file_can_have(tmp_path, name):
    assert first(tmp_path / name) == ("AGT101", 1, 1)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "secret.yaml"
    path.write_text(VALID["smallest"])

    def refuse(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    assert "Permission denied" in str(refused(path))


BYTES = {
    "nothing": (b"", "AGT104", 1, 1),
    "only spaces": (b"  \n \n", "AGT104", 1, 1),
    "only a comment": (b"# nothing\n", "AGT104", 1, 1),
    "only a mark": (b"\xef\xbb\xbf", "AGT104", 1, 1),
    "utf-16 with a mark": ("version: 1\n".encode("utf-16"), "AGT102", 1, 1),
    "utf-16 without a mark": ("version: 1\n".encode("utf-16-le"), "AGT102", 1, 2),
    "utf-32": ("version: 1\n".encode("utf-32"), "AGT102", 1, 1),
    "latin-1": ("version: 1\n# ok\nname: über\n".encode("latin-1"), "AGT102", 3, 7),
    "latin-1 and Windows' line ends": ("version: 1\r\n# ok\r\nname: é".encode("latin-1"), "AGT102", 3, 7),
    "half a character": (b"version: 1\nname: \xc3", "AGT102", 2, 7),
    "a surrogate": (b"name: \xed\xa0\x80", "AGT102", 1, 7),
    "an overlong slash": (b"name: \xc0\xaf", "AGT102", 1, 7),
    "a zero": (b"version: 1\nname: a\0b\n", "AGT102", 2, 8),
    "a zero after letters with accents": ("# ééé\nname: 'é\0'\n".encode(), "AGT102", 2, 9),
    "a bell": (b"version: 1\n\aname: a\n", "AGT102", 2, 1),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "AGT102", 1, 1),
    "a zip": (b"PK\x03\x04\x14\0\0\0\x08\0", "AGT102", 1, 3),
    "too large": (b"version: 1\nstages: {}\n" + b"# padding\n" * 500_000, "AGT103", 1, 1),
    "too large, and one line": (b"a" * 5_000_000, "AGT103", 1, 1),
    "two documents": (b"version: 1\n---\nversion: 1\n", "AGT110", 2, 1),
    "a tag": (SMALLEST.encode() + b"name: !!python/object/apply:os.system ['true']\n", "AGT111", 4, 7),
    "an unknown alias": (b"version: 1\nname: *nobody\n", "AGT110", 2, 7),
    "a tab": (b"version: 1\nstages:\n\tload: {}\n", "AGT110", 3, 1),
    "a list": (b"- version: 1\n", "AGT201", 1, 1),
    "a word": (b"version\n", "AGT201", 1, 1),
    "null": (b"null\n", "AGT201", 1, 1),
    "a marker": (b"---\n...\n", "AGT201", 2, 1),
}


@pytest.mark.parametrize(("data", "code", "line", "column"), BYTES.values(), ids=BYTES.keys())
def test_bytes_that_are_no_template(tmp_path, data, code, line, column):
    path = tmp_path / "broken.yaml"
    path.write_bytes(data)
    assert first(path) == (code, line, column)


@pytest.mark.parametrize("start", ["\ufeff", "%YAML 1.2\n---\n", "---\n", "\n\n# x\n"])
def test_starts_that_are_fine(tmp_path, start):
    path = tmp_path / "fine.yaml"
    path.write_bytes((start + VALID["smallest"] + "...\n").encode())
    load_template(path)


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_line_ends_of_other_systems_count_as_one(tmp_path, ends):
    path = tmp_path / "windows.yaml"
    path.write_bytes(f"version: 1{ends}# x{ends}stagse: 1{ends}stages: {{}}{ends}".encode())
    assert [(problem.code, problem.line, problem.column) for problem in refused(path).problems] == [
        ("AGT202", 3, 1),
        ("AGT207", 4, 9),
    ]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "é", "\U0001f600", "日", "e\u0301"])
def test_lines_and_columns_are_an_editors(character):
    """YAML 1.1 counts some of these as ends of lines, and bytes aren't characters: an editor does neither."""
    text = f"# {character * 3}\nversion: 1\nstages: {{a: {{agent: nobody, description: '{character}', x: 1}}}}\n"
    with pytest.raises(TemplateError) as caught:
        load_text(text, "x.yaml")
    agent, unknown = caught.value.problems
    assert (agent.code, agent.line, agent.column) == ("AGT405", 3, 21)
    line = text.split("\n")[2]
    assert (unknown.code, unknown.line, unknown.column) == ("AGT202", 3, line.index("x: 1") + 1)
    assert unknown.source_line == line


def test_a_key_that_is_no_text_after_odd_line_ends():
    with pytest.raises(TemplateError) as caught:
        load_text("# \u2028\u2028\u2028\n? {a: 1}\n: 2\n", "x.yaml")
    assert ("AGT113", 2, 3) in [(problem.code, problem.line, problem.column) for problem in caught.value.problems]


BOMBS = {
    "lists": "x-0: &a0 [l, l, l, l, l, l, l, l, l]\n"
    + "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    "mappings": "x-0: &a0 {a: b, c: d}\n"
    + "".join(f"x-{n}: &a{n} {{{', '.join(f'k{k}: *a{n - 1}' for k in range(9))}}}\n" for n in range(1, 12)),
    "merges": "x-0: &a0 {k: 1}\n" + "".join(f"x-{n}: &a{n} {{<<: *a{n - 1}, k{n}: 1}}\n" for n in range(1, 2000)),
    "scalars": "x-0: &a [x]\nx-1: [" + "*a, " * 100_000 + "]\n",
    "items": "x-0: [" + "a," * 200_000 + "]\n",
    "keys": "x-0: {" + ",".join(f"k{n}: 1" for n in range(40_000)) + "}\n",
    "lines": "".join(f"x-{n}: 1\n" for n in range(40_000)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(tmp_path, bomb):
    path = tmp_path / "bomb.yaml"
    path.write_text(VALID["smallest"] + BOMBS[bomb])
    assert refused(path).problems[0].code == "AGT106"


@pytest.mark.parametrize("text", ["x-0: &a [*a]\n", "x-0: &a {b: *a}\n", "x-0: &a\n  <<: *a\n"])
def test_values_that_hold_themselves(tmp_path, text):
    path = tmp_path / "circle.yaml"
    path.write_text(VALID["smallest"] + text)
    assert first(path)[0] == "AGT105"


#: Each of these ended the process, or would without the depth being checked before anything recurses.
DEEP = {
    "flow lists": "[" * 400_000,
    "flow mappings": "{a: " * 100_000,
    "flow lists, closed": "x: " + "[" * 100_000 + "]" * 100_000,
    "brackets in quotes": '["]",' * 90_000,
    "brackets in comments": "[ # ]\n" * 80_000,
    "braces in quotes": '{"}":' * 90_000,
    "many scalars deep down": "[" * 2_990 + "a," * 200_000,
    "compact lists": "- " * 200_000,
    "compact keys": "? " * 200_000,
    "compact lists and keys": "- ? " * 100_000,
    "compact lists after a colon": "? a\n: " + "- " * 200_000,
    "blocks": "\n".join(" " * n + "a:" for n in range(900)),
    "blocks and lists": "\n".join("  " * n + "a:\n" + "  " * n + "- b: 1" for n in range(400)),
    "anchors": "".join(f"&a{n} [" for n in range(40_000)),
    "just too deep": "x-0: " + "[" * 61 + "]" * 61,
}


LOAD_ALL = """
import sys, time
from airflow_agentic.template.parse import load_template
from airflow_agentic.errors import TemplateError

for path in sys.argv[1:]:
    started, code = time.process_time(), "loaded"
    try:
        load_template(path)
    except TemplateError as error:
        code = error.problems[0].code
    print(code, time.process_time() - started, flush=True)
"""


def test_deep_nesting_is_refused_and_the_process_lives(tmp_path):
    names = list(DEEP)
    for number, name in enumerate(names):
        (tmp_path / f"{number}.yaml").write_text(DEEP[name])
    paths = [str(tmp_path / f"{number}.yaml") for number in range(len(names))]
    done = subprocess.run([sys.executable, "-c", LOAD_ALL, *paths], capture_output=True, text=True, check=False)
    results = [line.split() for line in done.stdout.splitlines()]
    assert len(results) == len(names), f"the process ended at {names[len(results)]!r}: {done.stderr[-500:]}"
    assert done.returncode == 0
    assert {name: code for name, (code, _) in zip(names, results, strict=True) if code != "AGT105"} == {}
    assert {name: seconds for name, (_, seconds) in zip(names, results, strict=True) if float(seconds) > SECONDS} == {}


def test_sixty_levels_are_fine():
    load_text(VALID["smallest"] + "x-0: " + "[" * 59 + "]" * 59 + "\n", "x.yaml")


STAGE = "{agent: {type: python, callable: 'a:b'}}"
MANY = {
    "unknown keys": VALID["smallest"] + "".join(f"stagex{n}: 1\n" for n in range(15_000)),
    "keys twice": VALID["smallest"] + "name: a\n" * 15_000,
    "stages without an agent": "version: 1\nstages:\n" + "".join(f"  a{n}: {{agent: b{n}}}\n" for n in range(6_000)),
    "unknown stages": "version: 1\nstages:\n" + "".join(f"  a{n}: {{agent: t, needs: b{n}}}\n" for n in range(5_000)),
    "unknown keys in stages": "version: 1\nstages:\n" + "".join(f"  a{n}: {{agnet: x}}\n" for n in range(6_000)),
    "unknown keys in one stage": "version: 1\nstages: {a: {agent: x"
    + "".join(f", n{n}: 1" for n in range(15_000))
    + "}}",
    "unknown inputs": template("a: {agent: model, prompt: PROMPT}").replace(
        "PROMPT", "'" + "".join(f"{{{{ inputs.x{n} }}}}" for n in range(9_000)) + "'"
    ),
    "unknown filters": template("a: {agent: model, prompt: PROMPT}").replace(
        "PROMPT", "'" + "".join(f"{{{{ 1|f{n} }}}}" for n in range(9_000)) + "'"
    ),
    "wrong types": "version: 1\nstages:\n" + "".join(f"  a{n}: [1]\n" for n in range(9_000)),
    "names that can't be": "version: 1\nstages:\n" + "".join(f"  A{n}: {STAGE}\n" for n in range(4_000)),
}


@pytest.mark.parametrize("many", MANY)
def test_thousands_of_problems_end_after_some(tmp_path, many):
    path = tmp_path / "many.yaml"
    path.write_text(MANY[many])
    problems = refused(path).problems
    assert 200 <= len([problem for problem in problems if problem.severity == "error"]) <= 202
    assert "AGT107" in {problem.code for problem in problems}


def test_two_hundred_warnings_are_no_error():
    agents = "".join(f"  a{n}: {{type: python, callable: 'a:b'}}\n" for n in range(300))
    loaded = load_text(f"version: 1\nagents:\n{agents}stages: {{x: {{agent: a0}}}}\n", "x.yaml")
    assert len(loaded.warnings) == 299


def test_a_thousand_stages_load_in_time():
    """In a chain and against it: nothing in the checks is quadratic."""
    names = [f"a{n}" for n in range(1_500)]
    chain = ["  a0: {agent: {type: python, callable: 'a:b'}}"]
    chain += [f"  {name}: {{agent: tool, needs: {before}}}" for before, name in pairwise(names)]
    head = "version: 1\nagents: {tool: {type: python, callable: 'a:b'}}\nstages:\n"
    for lines in (chain, chain[::-1]):
        started = time.process_time()
        load_text(head + "\n".join(lines), "x.yaml")
        assert time.process_time() - started < SECONDS


MODEL = "agents: {model: {type: llm, connection: c}}\n"
HARD_TEXTS = {
    "parentheses": "{{ " + "(" * 100_000,
    "not": "{{ " + "not " * 100_000 + "1 }}",
    "sums": "{{ " + "1 + " * 10_000 + "1 }}",
    "dots": "{{ run" + ".a" * 10_000 + " }}",
    "filters": "{{ 1" + "|int" * 10_000 + " }}",
    "ifs": "{% if a %}" * 20_000,
    "loops": "{% for a in b %}" * 25 + "{% endfor %}" * 25,
    "brackets": "{{ " + "[" * 50_000 + " }}",
    "a long number": "{{ " + "9" * 5_000 + " }}",
    "a long text": "{{ '" + "x" * 100_000 + " }}",
    "a bad escape": "{{ '\\x' }}",
    "unclosed": "{{ " * 10_000,
    "ends first": "}} %} #} {{",
    "a comment without an end": "{# " * 10_000,
    "raw without an end": "{% raw %}" * 10_000,
    "sums that Python can't nest": "{{ " + "inputs + " * 250 + "inputs }}",
    "nots that Python can't nest": "{{ " + "not " * 250 + "inputs }}",
    "dots that Python can't nest": "{{ run.conf" + ".a" * 250 + " }}",
    "ifs that Python can't nest": "{% if inputs %}" * 120 + "{% endif %}" * 120,
}


@pytest.mark.parametrize("key", ["prompt", "when"])
@pytest.mark.parametrize("text", HARD_TEXTS)
def test_texts_that_no_parser_likes(tmp_path, text, key):
    """Refused when checked, so that they don't break when a run is on its way."""
    path = tmp_path / "hard.yaml"
    more = "" if key == "prompt" else "prompt: x, "
    text = template(f"a: {{agent: model, {more}{key}: TEXT}}", agents=False).replace("TEXT", repr(HARD_TEXTS[text]))
    path.write_text(text + MODEL)
    assert {problem.code for problem in refused(path).problems} == {"AGT301"}


# --- hypothesis ---------------------------------------------------------------------------------------------------

NASTY = [
    *("{{", "}}", "{%", "%}", "{#", "#}", "{", "}", "[", "]", ":", ": ", "- ", "? ", "|", ">", "&a", "*a", "<<: *a"),
    *(
        "!",
        "!!x",
        "%",
        "@",
        "`",
        "'",
        '"',
        "#",
        " #",
        "\t",
        "\n",
        "\r",
        "\0",
        "\ufeff",
        "\x85",
        "\u2028",
        "---\n",
        "...",
    ),
    *("null", "true", "1e999", ".inf", "0x", "-", "__class__", "$ref: '#'", "items: true", "pattern: '('", "{}", "[]"),
    *("stages:", "agent:", "merge:", "when:", "inputs", "é", "\U0001f600", "version", "output", "| default", "loop"),
]


@st.composite
def mutated(draw):
    text = draw(st.sampled_from(sorted(VALID.values())))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from((0, 0, 1, 3, 20, 200))))
        kind = draw(st.sampled_from(("insert", "copy", "cut", "swap")))
        if kind == "insert":
            text = text[:start] + draw(st.sampled_from(NASTY)) + text[end:]
        elif kind == "copy":
            other = draw(st.integers(0, len(text)))
            text = text[:other] + text[start:end] + text[other:]
        elif kind == "cut":
            text = text[:start] + text[end:]
        else:
            lines = text.split("\n")
            first, second = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
            lines[first], lines[second] = lines[second], lines[first]
            text = "\n".join(lines)
    return text


def problems_of(path: Path) -> tuple[Problem, ...]:
    """What is wrong with a template; nothing but a TemplateError may come out of loading it, and soon."""
    started = time.process_time()
    try:
        found = load_template(path).warnings
    except TemplateError as error:
        found = error.problems
    assert time.process_time() - started < SECONDS
    return found


def judge(path: Path) -> None:
    lines = re.split(r"\r\n|\r|\n", path.read_bytes().decode("utf-8-sig", "replace"))
    for problem in problems_of(path):
        assert problem.code in BY_CODE
        assert str(problem).startswith(f"{path}:{problem.line}:{problem.column}: {problem.code}")
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("hypothesis") / "any.yaml"


@settings(max_examples=150)
@given(data=st.binary(max_size=300))
def test_random_bytes(file, data):
    file.write_bytes(data)
    judge(file)


@settings(max_examples=150)
@given(text=st.text(st.sampled_from("ab1:-?{}[]|>&*!%@'\"#,. \n\t{}<"), max_size=120))
def test_random_yaml(file, text):
    file.write_bytes(text.encode())
    judge(file)


@settings(max_examples=400)
@given(text=mutated())
def test_mutated_templates(file, text):
    file.write_bytes(text.encode())
    judge(file)


@settings(max_examples=200)
@given(text=st.text(st.sampled_from("{}%#|.()[]' abx1=+~,:-\n") | st.sampled_from("aé\\"), max_size=60))
def test_random_expressions(file, text):
    body = template("a: {agent: model, prompt: x, when: PLACE}\nb: {agent: model, prompt: PLACE, needs: a}")
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    file.write_bytes(body.replace("PLACE", quoted).encode())
    judge(file)
