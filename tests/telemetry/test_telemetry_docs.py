"""``docs/telemetry.md`` shows the tables that are sent."""

from __future__ import annotations

from pathlib import Path

import attr

from airflow_agentic.config import OPTIONS
from airflow_agentic.telemetry.conventions import ATTRIBUTES, EVENTS, LONGEST_CONTENT, SPANS, VERSION, Attribute
from airflow_agentic.telemetry.lineage_facets import RUN_FACETS
from airflow_agentic.telemetry.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")


def code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def table(head: str) -> list[str]:
    """The rows of the page's tables with this head."""
    parts = PAGE.split(f"| {head} |\n")[1:]
    return [line for part in parts for line in part.split("\n\n")[0].splitlines()[1:]]


def short(on: str) -> str:
    """A span by the first word of its name."""
    return SPANS[on][0].partition(" ")[0] if on in SPANS else on


def row(attribute: Attribute) -> str:
    return f"| `{attribute.name}` | {code(*map(short, attribute.on))} | {attribute.meaning} |"


def test_spans_and_events() -> None:
    assert table("span | of") == [f"| `{name}` | {meaning} |" for name, meaning in SPANS.values()]
    assert table("event | of the span | meaning") == [
        f"| `{name}` | `{short(of)}` | {meaning} |" for name, (of, meaning) in EVENTS.items()
    ]
    assert f"conventions {VERSION}" in PAGE


def test_attributes_first_those_without_content() -> None:
    listed = sorted(ATTRIBUTES, key=lambda attribute: attribute.content)
    assert table("attribute | on | meaning") == list(map(row, listed))
    assert f"{LONGEST_CONTENT:,} characters" in PAGE


def test_metrics() -> None:
    assert table("metric | type | meaning | tags beside `dag_id`, `stage`") == [
        f"| `{metric.name}` | {metric.type} | {metric.meaning} | {code(*metric.tags)} |" for metric in METRICS
    ]


def test_facets_and_options() -> None:
    for name, facet in RUN_FACETS.items():
        assert f"`{name}`" in PAGE
        own = [field.name for field in attr.fields(facet) if not field.name.startswith("_")]
        assert [field for field in own if f"`{field}`" not in PAGE] == []
    assert f"[agentic] {OPTIONS['telemetry_content'].name} = True" in PAGE
