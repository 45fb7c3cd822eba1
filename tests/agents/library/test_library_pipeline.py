"""The agents together: the brief that the shipped template makes of the documents that every installation has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.brief_pipeline import brief

TESTS = Path(__file__).parents[2]
TEMPLATE = TESTS.parent / "templates" / "research_brief.yaml"
INPUTS = yaml.safe_load(TEMPLATE.read_text())["inputs"]
TOPIC, SOURCES = INPUTS["topic"]["default"], INPUTS["sources"]["default"]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return brief(TOPIC, *SOURCES)


def test_the_brief_says_what_the_sources_say_about_retries(made: dict[str, Any]) -> None:
    text = made["draft"]["text"]
    assert made["load"]["skipped"] == []
    assert text.startswith("# Retries in Airflow\n")
    assert "number of retries that should be performed before failing the task" in text
    assert "retry_exponential_backoff" in text
    assert "`AirflowFailException` and `AirflowSensorTimeout` always fail the task immediately" in text
    assert "default is `86400`" in text


def test_every_citation_of_the_brief_holds(made: dict[str, Any]) -> None:
    texts = {source["id"]: source["text"] for source in made["load"]["sources"]}
    assert made["verify"]["problems"] == []
    assert len(made["draft"]["citations"]) > 15
    for citation in made["draft"]["citations"]:
        at = citation["offset"]
        assert texts[citation["source"]][at : at + len(citation["quote"])] == citation["quote"]


def test_the_brief_is_in_order_and_no_longer_than_asked(made: dict[str, Any]) -> None:
    assert len(made["analysis"]["sections"]) >= 3
    assert 300 < made["draft"]["words"] <= 500
    assert made["score"]["score"] > 0.9
    assert made["score"]["redundancy"] == 0.0


def test_nothing_of_the_pages_around_the_text_is_in_the_brief(made: dict[str, Any]) -> None:
    text = made["draft"]["text"]
    for unwanted in ("img.shields.io", "Licensed", "pip install", "](http", "<!--", ":class:", "``", "Slack"):
        assert unwanted not in text


def test_everything_is_plain_data(made: dict[str, Any]) -> None:
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_the_same_input_gives_the_same_output_in_every_process(made: dict[str, Any]) -> None:
    outputs = []
    for seed in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(TESTS)}
        command = [sys.executable, "-m", "support.brief_pipeline", TOPIC, *SOURCES]
        done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
        outputs.append(json.loads(done.stdout))
    assert outputs[0] == outputs[1] == made


def test_prose_makes_a_brief_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", str(TESTS.parent))
    made = brief("how output is validated", str(TESTS.parent / "docs" / "language.md"), max_words=200)
    assert made["verify"]["ratio"] == 1.0
    assert made["draft"]["words"] <= 200
