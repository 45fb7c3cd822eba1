"""No two boxes overlap, frames hold what is in them, and lines lead from box to box without crossing any."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.flow_templates import templates, to_yaml

from airflow_agentic.errors import TemplateError
from airflow_agentic.render.layers import longest_paths
from airflow_agentic.render.layout import lay_out
from airflow_agentic.render.picture import picture_of
from airflow_agentic.render.shapes import Box, Frame, Link, Rect
from airflow_agentic.render.svg import shapes_of
from airflow_agentic.template.parse import load_template, load_text

SHIPPED = sorted((Path(__file__).parents[2] / "templates").glob("*.yaml"))
#: Coordinates are rounded to tenths.
CLOSE = 0.2


def overlap(one: Rect, other: Rect) -> bool:
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return across > CLOSE and down > CLOSE


def holds(outer: Rect, inner: Rect) -> bool:
    return (
        outer.x <= inner.x + CLOSE
        and outer.y <= inner.y + CLOSE
        and outer.x + outer.width >= inner.x + inner.width - CLOSE
        and outer.y + outer.height >= inner.y + inner.height - CLOSE
    )


def on_border(rect: Rect, point: tuple[float, float]) -> bool:
    x, y = point
    beside = min(abs(x - rect.x), abs(x - rect.x - rect.width)) <= CLOSE and rect.y <= y <= rect.y + rect.height
    above = min(abs(y - rect.y), abs(y - rect.y - rect.height)) <= CLOSE and rect.x <= x <= rect.x + rect.width
    return beside or above


def strokes(points):
    """What a line covers: the rectangles around the parts between its points, of which curves stay inside."""
    for (x, y), (next_x, next_y) in pairwise(points):
        yield Rect(x=min(x, next_x), y=min(y, next_y), width=abs(x - next_x), height=abs(y - next_y))


def crosses(stroke: Rect, box: Rect) -> bool:
    grown = Rect(x=stroke.x - 0.5, y=stroke.y - 0.5, width=stroke.width + 1, height=stroke.height + 1)
    shrunk = Rect(x=box.x + 1, y=box.y + 1, width=box.width - 2, height=box.height - 2)
    return overlap(grown, shrunk)


def check(boxes, frames, links):
    layout = lay_out(boxes, frames, links)
    places = layout.boxes | layout.frames
    around = {unit.id: unit.frame for unit in (*boxes, *frames)}
    whole = Rect(x=0, y=0, width=layout.width, height=layout.height)
    for name, place in places.items():
        assert holds(places[around[name]] if around[name] else whole, place), name
    for one, other in combinations(around, 2):
        if around[one] == around[other]:
            assert not overlap(places[one], places[other]), (one, other)
    labels = [line.label for line in layout.lines if line.label is not None]
    for link, line in zip(links, layout.lines, strict=True):
        assert on_border(places[link.source], line.points[0]), link
        assert on_border(places[link.target], line.points[-1]), link
        assert (line.label is not None) == bool(link.width)
        for stroke in strokes(line.points):
            assert not [name for name, box in layout.boxes.items() if crosses(stroke, box)], link
    for label in labels:
        assert holds(whole, label)
        assert not [name for name, box in layout.boxes.items() if overlap(label, box)]
    assert not [pair for pair in combinations(labels, 2) if overlap(*pair)]
    assert lay_out(boxes, frames, links) == layout
    return layout


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(templates(largest=10))
def test_every_template_has_a_clear_picture(spec):
    try:
        template = load_text(to_yaml(spec), "generated.yaml")
    except TemplateError:
        assume(False)
    check(*shapes_of(picture_of(template)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_templates_have_clear_pictures(path):
    check(*shapes_of(picture_of(load_template(path))))


@st.composite
def drawings(draw):
    """Boxes in nested frames, with any lines down, and lines back in their frame."""
    count = draw(st.integers(1, 14))
    sizes = st.tuples(st.floats(10, 200), st.floats(10, 90))
    boxes, frames = [], []
    open_frames = [None]
    for index in range(count):
        if len(open_frames) < 4 and draw(st.integers(0, 3)) == 0:
            frames.append(Frame(id=f"f{index}", width=60, height=20, frame=open_frames[-1]))
            open_frames.append(f"f{index}")
        width, height = draw(sizes)
        boxes.append(Box(id=f"b{index}", width=width, height=height, frame=open_frames[-1]))
        if len(open_frames) > 1 and draw(st.booleans()):
            open_frames.pop()
    links = []
    for upper, lower in combinations(range(count), 2):
        if draw(st.integers(0, 5)) == 0:
            links.append(Link(source=f"b{upper}", target=f"b{lower}", width=draw(st.sampled_from((0, 80))), height=15))
    for index in draw(st.lists(st.integers(0, count - 1), max_size=3)):
        target = draw(st.integers(0, index))
        links.append(Link(source=f"b{index}", target=f"b{target}", width=70, height=30, back=True))
    return boxes, frames, links


@settings(max_examples=60, deadline=None)
@given(drawings())
def test_any_boxes_in_any_frames_have_clear_places(drawing):
    boxes, frames, links = drawing
    try:
        check(boxes, frames, links)
    except ValueError:
        assume(False)


def test_a_cycle_of_lines_down_is_an_error():
    boxes = [Box(id=name, width=10, height=10) for name in "ab"]
    with pytest.raises(ValueError, match="cycle"):
        lay_out(boxes, [], [Link(source="a", target="b"), Link(source="b", target="a")])


def test_a_box_alone_and_nothing_at_all():
    layout = lay_out([Box(id="a", width=50, height=20)], [], [])
    assert (layout.boxes["a"].width, layout.boxes["a"].height) == (50, 20)
    assert lay_out([], [], []).boxes == {}


def test_layers_follow_the_longest_way_and_roots_stay_near():
    # 0 → 1 → 2 → 3, and 4 → 3: 4 needs only to be above 3
    assert longest_paths(5, [(0, 1), (1, 2), (2, 3), (4, 3)]) == [0, 1, 2, 3, 2]


def test_a_line_back_runs_at_the_right_of_everything_in_its_frame():
    boxes = [Box(id=name, width=60, height=30, frame="f") for name in "abc"]
    links = [Link(source="a", target="b"), Link(source="b", target="c"), Link(source="c", target="a", back=True)]
    layout = check(boxes, [Frame(id="f", width=40, height=20)], links)
    right = max(place.x + place.width for place in layout.boxes.values())
    lane = max(x for x, _ in layout.lines[2].points)
    assert right < lane < layout.frames["f"].x + layout.frames["f"].width
    assert layout.lines[2].points[0][1] > layout.lines[2].points[-1][1]
