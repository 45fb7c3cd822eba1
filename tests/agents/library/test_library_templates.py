"""The shipped templates, from YAML to an ended run (``dag.test``)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.openai_server import OpenAIServer, failing, good, limited
from support.template_runs import run_plan

from airflow_agentic.planning.planner import make_plan
from airflow_agentic.template.parse import load_template

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.template_runs import Ran

TEMPLATES = Path(__file__).parents[3] / "templates"
SHIPPED = sorted(TEMPLATES.glob("*.yaml"))

NOTES = """\
# Waiting

A task that failed is tried again after its retry delay. The retry delay is 300 seconds unless the task sets it.

Exponential backoff doubles the retry delay after each attempt, and a maximum delay keeps it within bounds.

The retry policy looks at the exception and may decide that another retry is useless.
"""
CLAIMS = [
    {
        "text": "Unless a task says otherwise, five minutes (300 seconds) pass before a retry.",
        "quote": "The retry delay is 300 seconds unless the task sets it.",
        "source": "s1",
    },
    {
        "text": "Backoff doubles the delay.",
        "quote": "Exponential backoff doubles the retry delay after each attempt",
        "source": "s1",
    },
    {"text": "Retries are free.", "quote": "Every retry is free of charge for everybody.", "source": "s1"},
]
DRAFT = {
    "text": "# Retries\n\nA retry waits for 300 seconds [1]. Backoff doubles the delay [2].",
    "citations": [
        {"number": 1, "claim": "A retry waits for 300 seconds.", "quote": CLAIMS[0]["quote"], "source": "s1"},
        {"number": 2, "claim": "Backoff doubles the delay.", "quote": CLAIMS[1]["quote"], "source": "s1"},
    ],
}
ANALYSIS = {"summary": "Waiting.", "sections": [{"title": "Delay", "points": ["It doubles."]}], "gaps": ["Jitter."]}


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__AGENTIC__ARTIFACT_URL", str(tmp_path / "artifacts"))
    (tmp_path / "notes.md").write_text(NOTES)
    return "notes.md"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_template_has_no_problems(path: Path) -> None:
    template = load_template(path)
    assert template.warnings == ()
    assert make_plan(template).name == path.stem


def test_research_brief(notes: str, tmp_path: Path, run_dag: Callable[..., Any]) -> None:
    plan = make_plan(load_template(TEMPLATES / "research_brief.yaml"))
    ran = run_plan(plan, run_dag, {"topic": "retry delay", "sources": [notes, "missing.md"], "max_words": 60})
    assert ran.state == "success"
    output = ran.output()
    assert output["skipped"] == [{"uri": "missing.md", "reason": "there is no such file"}]
    assert output["score"] > 0.8
    assert not any("has no citation" in problem for problem in output["problems"])
    text = (tmp_path / "artifacts" / "briefs" / "retry-delay.md").read_text()
    assert text.startswith("# Retry delay\n")
    assert "300 seconds unless the task sets it [" in text
    assert "## Where to read on\n\n- Waiting\n" in text
    assert "Not read: missing.md (there is no such file)." in text


def test_research_brief_llm(
    notes: str, tmp_path: Path, run_dag: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = (
        ("Find up to 25 claims", [limited(0), good({"claims": CLAIMS})]),
        ("Analyse these claims", [failing(500), good(ANALYSIS)]),
        ("Write a brief on", [good({"text": "no citations"}), good(DRAFT)]),
        ("Score this brief", [good({"score": 0.7, "problems": ["Say more about jitter."]})]),
    )
    with OpenAIServer(rules=rules) as server:
        monkeypatch.setenv("AIRFLOW_CONN_AGENTIC_DEFAULT", server.connection())
        plan = make_plan(load_template(TEMPLATES / "research_brief_llm.yaml"))
        ran = run_plan(plan, run_dag, {"topic": "retry delay", "sources": [notes]})
    assert ran.state == "success"
    assert len(server.requests) == 7
    prompts = [str(request["messages"]) for request in server.requests]
    assert "Exponential backoff doubles the retry delay" in prompts[0]
    assert not any("Retries are free" in prompt for prompt in prompts[2:])
    output = ran.output()
    assert output["score"] == 0.7
    assert "Say more about jitter." in output["problems"]
    text = (tmp_path / "artifacts" / "briefs" / "retry-delay-llm.md").read_text()
    assert "- [1] Waiting: “The retry delay is 300 seconds unless the task sets it.”" in text
    assert "2 of 2 citations hold." in text


@pytest.fixture
def shipped_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Agents may read what is shipped with the templates; the folder that artifacts go to."""
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", str(TEMPLATES.parent))
    monkeypatch.setenv("AIRFLOW__AGENTIC__ARTIFACT_URL", str(tmp_path))
    return tmp_path


def _rounds(ran: Ran, stage: str) -> list[str]:
    """The rounds in which a stage succeeded: outer and inner."""
    tasks = [name for name, state in ran.states.items() if state == "success"]
    return [".".join(re.findall(r"__(\d)", name)) for name in tasks if name.endswith(f".{stage}")]


def test_verified_brief_goes_back_for_sources_and_for_a_better_draft(
    shipped_documents: Path, run_dag: Callable[..., Any]
) -> None:
    ran = run_plan(make_plan(load_template(TEMPLATES / "verified_brief.yaml")), run_dag)
    assert ran.state == "success"
    assert _rounds(ran, "research") == ["1", "2"]
    assert _rounds(ran, "draft") == ["1.1", "2.1", "2.2"]
    assert _rounds(ran, "qa") == ["2.1", "2.2"]
    output = ran.output()
    assert (output["published"], output["decided_by"]) == (True, "the review")
    reasons = [entry["reason"] for entry in output["replaced"]]
    assert "installed no file 'airflow/models/baseoperator.py'" in reasons[0]
    assert "the quote's numbers are not the source's (3, 5)" in reasons[1]
    assert [entry["source"] for entry in output["left_out"]] == ["dist:our-airflow-handbook"]
    first, second = (attempt.output for attempt in ran.attempts("qa"))
    assert first["score"] < 0.9 <= second["score"] == output["score"]
    last = ran.attempts("draft")[-1].output
    assert last["kept_to"] == [entry["text"] for entry in first["constraints"]]
    assert last["words"] <= 150
    text = (shipped_documents / "briefs" / "retries-in-airflow-verified.md").read_text()
    assert text.startswith(output["text"])
    assert "4 of 4 sources were read again and say what is quoted." in text
    assert "not verified" not in text


def test_verified_brief_does_without_what_failed_and_adds_up_constraints(
    shipped_documents: Path, run_dag: Callable[..., Any]
) -> None:
    plan = make_plan(load_template(TEMPLATES / "verified_brief.yaml"))
    ran = run_plan(plan, run_dag, {"max_failed": 1, "max_words": 100, "min_score": 0.94})
    assert ran.state == "success"
    assert _rounds(ran, "draft") == ["1.1", "1.2", "1.3"]
    drafts = [attempt.output for attempt in ran.attempts("draft")]
    assert set(drafts[1]["kept_to"]) < set(drafts[2]["kept_to"])
    assert "Do without dist:our-airflow-handbook." in drafts[1]["kept_to"]
    scores = [attempt.output["score"] for attempt in ran.attempts("qa")]
    assert scores == sorted(scores)
    assert ran.output()["replaced"] == []


def test_document_review(shipped_documents: Path, run_dag: Callable[..., Any]) -> None:
    ran = run_plan(make_plan(load_template(TEMPLATES / "document_review.yaml")), run_dag)
    assert ran.state == "success"
    output = ran.output()
    assert [Path(uri).stem for uri in output["complete"]] == ["checkout", "invoices", "search-index"]
    assert [Path(uri).stem for uri in output["incomplete"]] == ["thumbnails"]
    text = (shipped_documents / "reviews" / "templates-documents-runbooks.md").read_text()
    assert "| Thumbnails | yes | **open** | yes | **open** |" in text
    assert "restore the previous snapshot: `index use yesterday`, done in 4 minutes. (found in round 2)" in text
    assert "- Not an answer to “Who owns it?”: “Owner: TBD.” (it is a placeholder).\n" in text


def test_a_document_in_which_everything_found_is_no_answer(
    notes: str, tmp_path: Path, run_dag: Callable[..., Any]
) -> None:
    (tmp_path / "draft.md").write_text("".join(f"Owner {number}: TBD.\n\n" for number in range(9)))
    questions = [{"question": "Who?", "words": ["owner"]}]
    plan = make_plan(load_template(TEMPLATES / "review_document.yaml"))
    ran = run_plan(plan, run_dag, {"document": "draft.md", "questions": questions})
    assert ran.state == "success"
    assert _rounds(ran, "judge") == ["1", "2", "3"]
    output = ran.output()
    assert output["open"] == ["Who?"]
    assert [entry["quote"] for entry in output["rejected"]] == [f"Owner {number}: TBD." for number in range(3)]
