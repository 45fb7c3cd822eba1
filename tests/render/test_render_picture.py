"""What is in a picture, as an author thinks of a template; and that text in it stays text."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.flow_templates import templates, to_yaml

from airflow_agentic.errors import TemplateError
from airflow_agentic.render.mermaid import to_mermaid
from airflow_agentic.render.picture import Edge, Frame, Node, Picture, picture_of
from airflow_agentic.render.svg import to_svg
from airflow_agentic.template.parse import load_template, load_text

TEMPLATES = Path(__file__).parents[2] / "templates"
SVG = "{http://www.w3.org/2000/svg}"
SMALL = """\
version: 1
name: small
description: A <small> one
inputs: {lines: {type: array, default: []}, deep: {type: boolean, default: true}}
agents:
  worker: {type: python, callable: "a:b", output: {score: number, parts: [string]}}
  model: {type: llm, connection: c, prompt: Go}
  spare: {type: http, connection: h, output: text}
stages:
  look: {agent: worker, description: Looks around}
  each: {agent: worker, for_each: look.parts, input: {part: "{{ item }}"}, tolerate: 100%}
  write:
    agent: model
    input: {parts: "{{ each.outputs }}", more: "{{ extra | default('') }}"}
    on_error: [{agent: spare}, {to: ask, kinds: [timeout, bug]}]
  extra: {agent: model, when: "inputs.deep and look.score > 1"}
  judge:
    agent: worker
    input: {text: "{{ write }}"}
    routes:
      - {when: "judge.score >= 1 and '<&\\"' != 'x'", to: publish}
      - {when: judge.score < 0, to: fail}
      - {back_to: write, max_rounds: 3, exhausted: ask}
  ask:
    human: {ask: What now?, options: [Yes, No], timeout: 1h, on_timeout: No}
    routes: [{when: ask.choice == 'Yes', to: publish}, {to: end}]
  publish: {merge: {from: [write, look], how: first, require: 1}}
artifact: {path: "{{ run.date }}.md", content: "{{ publish.value }}"}
"""


@pytest.fixture
def small():
    return picture_of(load_text(SMALL, "small.yaml"))


def edges(picture, kind):
    return [(edge.source, edge.target, *edge.label) for edge in picture.edges if edge.kind == kind]


def test_every_stage_is_a_node_of_its_kind(small):
    shown = {node.id: (node.kind, node.frame, node.stacked) for node in small.nodes}
    assert shown == {
        "look": ("python", None, False),
        "each": ("python", None, True),
        "extra": ("llm", None, False),
        "write": ("llm", "write..judge", False),
        "judge": ("python", "write..judge", False),
        "ask": ("human", None, False),
        "publish": ("merge", None, False),
        "artifact.0": ("artifact", None, False),
        "judge/fail": ("fail", None, False),
        "ask/end": ("end", None, False),
    }


def test_notes_say_who_works_on_what_under_which_condition(small):
    notes = {node.id: node.notes for node in small.nodes}
    assert notes["each"] == ("worker · python agent", "for each look.parts")
    assert notes["extra"] == ("model · llm agent", "when inputs.deep and look.score > 1")
    assert notes["write"] == ("model · llm agent", "on error: spare")
    assert notes["ask"] == ("Yes / No",)
    assert notes["publish"] == ("merge: first, 1 of 2",)
    assert notes["artifact.0"] == ("{{ run.date }}.md",)


def test_routes_carry_their_conditions_and_lines_back_their_bounds(small):
    assert edges(small, "route") == [
        ("judge", "publish", "judge.score >= 1 and '<&\"' != 'x'"),
        ("judge", "judge/fail", "judge.score < 0"),
        ("judge", "ask", "after 3 rounds"),
        ("ask", "publish", "ask.choice == 'Yes'"),
        ("ask", "ask/end", "otherwise"),
    ]
    assert edges(small, "back") == [("judge", "write", "otherwise", "at most 3 rounds")]
    assert edges(small, "error") == [("write", "ask", "on error: timeout, bug")]


def test_reads_are_lines_unless_other_lines_say_as_much(small):
    assert edges(small, "required") == [
        ("look", "each"),
        ("look", "extra"),
        ("each", "write"),
        ("write", "judge"),
        ("publish", "artifact.0"),
    ]
    assert edges(small, "waiting") == [("extra", "write")]


def test_pipelines_are_frames_with_their_stages():
    picture = picture_of(load_template(TEMPLATES / "document_review.yaml"))
    assert [(frame.id, frame.kind, frame.frame, frame.stacked) for frame in picture.frames] == [
        ("review", "pipeline", None, True),
        ("review.find..judge", "loop", "review", False),
    ]
    assert {node.frame for node in picture.nodes if node.id.startswith("review.")} == {"review", "review.find..judge"}
    assert ("folder", "review") in edges(picture, "required")
    assert all(edge.source.startswith("review.") for edge in picture.edges if edge.kind == "back")


def test_loops_that_overlap_are_frames_in_each_other():
    picture = picture_of(load_template(TEMPLATES / "verified_brief.yaml"))
    assert [(frame.id, frame.frame) for frame in picture.frames] == [
        ("research..verify", None),
        ("draft..qa", "research..verify"),
    ]
    inside = [node.id for node in picture.nodes if node.frame == "draft..qa"]
    assert inside == ["draft", "verify", "qa"]


def test_next_leads_to_what_depends_and_not_through_it():
    text = (
        "version: 1\nagents: {a: {type: python, callable: 'm:f', output: {n: number}}}\nstages:\n"
        "  one: {agent: a, routes: [{when: one.n > 1, to: end}, {to: next}]}\n"
        "  two: {agent: a, input: {x: '{{ one.n }}'}}\n"
        "  three: {agent: a, input: {x: '{{ one.n }}', y: '{{ two.n }}'}}\n"
    )
    picture = picture_of(load_text(text, "next.yaml"))
    assert edges(picture, "route") == [("one", "one/end", "one.n > 1"), ("one", "two", "otherwise")]
    assert edges(picture, "required") == [("two", "three")]


def test_a_way_that_only_an_error_opens_hides_nothing():
    text = (
        "version: 1\nagents: {a: {type: python, callable: 'm:f', output: {n: number}}}\nstages:\n"
        "  one: {agent: a, on_error: {to: rescue}}\n"
        "  rescue: {agent: a}\n"
        "  last: {agent: a, input: {x: '{{ one.n | default(0) }}', y: '{{ rescue.n | default(0) }}'}}\n"
    )
    assert edges(picture_of(load_text(text, "error.yaml")), "waiting") == [("one", "last"), ("rescue", "last")]


def every_stage(template, prefix=""):
    for stage in template.stages.values():
        yield prefix + stage.name, stage
        if stage.pipeline is not None:
            yield from every_stage(stage.pipeline, f"{prefix}{stage.name}.")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(templates())
def test_every_stage_and_every_route_is_in_every_picture(spec):
    try:
        template = load_text(to_yaml(spec), "generated.yaml")
    except TemplateError:
        assume(False)
    picture = picture_of(template)
    ids = {unit.id for unit in picture.units}
    lines = {(edge.source, edge.target, edge.kind) for edge in picture.edges}
    assert len(ids) == len(picture.units)
    assert {name for line in lines for name in line[:2]} <= ids
    for name, stage in every_stage(template):
        assert name in ids
        prefix = name.removesuffix(stage.name)
        for route in stage.routes:
            if route.back_to is not None:
                assert (name, prefix + route.back_to, "back") in lines
            for target in route.to:
                wanted = f"{name}/{target}" if target in ("end", "fail") else prefix + target
                assert target == "next" or (name, wanted, "route") in lines
        for target in stage.error_targets:
            assert (name, prefix + target, "error") in lines
    assert ElementTree.fromstring(to_svg(picture)).tag == f"{SVG}svg"
    assert to_mermaid(picture).count("subgraph ") == len(picture.frames)


# -- as Mermaid ------------------------------------------------------------------------------------------------------


def test_mermaid_of_a_small_template(small):
    assert to_mermaid(small) == (Path(__file__).parent / "small.mmd").read_text(encoding="utf-8")


HOSTILE = (
    '"]; click A href "javascript:alert(1)"',
    "<script>alert(1)</script>",
    "`code` **bold** #quot; &amp; ;",
    "end",
    "subgraph x\nend",
    "%%{init: {}}%%",
    "{{ x }} | y }",
    "é 日本 \u202e x \x00\x1b[31m",
    "]]>",
    "<!--",
    "</style><style>*{display:none}",
)


def hostile_picture(text):
    nodes = [
        Node(id="a", kind="llm", title=text, notes=(text,), description=text),
        Node(id="b", kind="human", title=text, notes=(text,), stacked=True, frame="f"),
        Node(id="c", kind="artifact", title=text),
    ]
    frames = [Frame(id="f", kind="pipeline", title=text, notes=(text,), description=text)]
    lines = [Edge(source="a", target="b", kind="route", label=(text,)), Edge(source="b", target="c", kind="error")]
    return Picture(title=text, description=text, nodes=tuple(nodes), frames=tuple(frames), edges=tuple(lines))


def visible_text(element):
    return "".join(element.itertext())


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text_in_mermaid(text):
    drawn = to_mermaid(hostile_picture(text))
    plain = to_mermaid(hostile_picture("x"))
    assert len(drawn.splitlines()) == len(plain.splitlines())
    written = re.findall(r'"((?:<b>|)[^"]*)"', drawn)
    assert len(written) == 5
    for each in written:
        left = re.sub(r"</?b>|<br>|#\d+;", "", each)
        assert not set(left) & set('"<>&#;`{}[]|%\\*'), each


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(HOSTILE) | st.text(max_size=60))
def test_text_stays_text_in_svg(text):
    drawn = ElementTree.fromstring(to_svg(hostile_picture(text)))
    plain = ElementTree.fromstring(to_svg(hostile_picture("x")))
    tags = {element.tag for element in drawn.iter()}
    assert tags <= {element.tag for element in plain.iter()} | {f"{SVG}desc"}
    assert visible_text(drawn.find(f"{SVG}style")) == visible_text(plain.find(f"{SVG}style"))


def test_svg_shows_everything(small):
    drawn = ElementTree.fromstring(to_svg(small))
    told = "\n".join(element.text or "" for element in drawn.iter(f"{SVG}text"))
    for text in ("look", "model · llm agent", "for each look.parts", "judge.score >= 1 and", "at most 3 rounds", "end"):
        assert text in told
    titles = [element.text for element in drawn.iter(f"{SVG}title")]
    assert titles[0] == "small"
    assert "look: Looks around" in titles
    assert drawn.find(f"{SVG}desc").text == "A <small> one"


def test_svg_refers_to_nothing_and_has_colours_for_dark_pages(small):
    drawn = to_svg(small)
    assert re.findall(r"https?://[^\s\"]+", drawn) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in drawn
    assert "@media (prefers-color-scheme:dark)" in drawn


def test_equal_templates_give_equal_pictures(small):
    again = picture_of(load_text(SMALL, "small.yaml"))
    assert to_svg(again) == to_svg(small)
    assert to_mermaid(again) == to_mermaid(small)
