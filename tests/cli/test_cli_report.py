"""What people see of a run: the stage table, and the progress while it goes on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from support.traces import a_decision, a_stage, a_trace

from airflow_agentic.cli.progress import Progress
from airflow_agentic.cli.report import local_path, print_report
from airflow_agentic.planning.plan import Plan, PlannedTask
from airflow_agentic.trace.document import AttemptTrace, Trace, UsageTrace


def _printed(trace: Trace) -> str:
    stream = io.StringIO()
    print_report(Console(file=stream, width=200, highlight=False), trace)
    return stream.getvalue()


def test_what_no_stage_has_is_no_column() -> None:
    text = _printed(a_trace(a_stage()))
    assert text.splitlines()[0] == "brief success in 2.0 s  (run r1)"
    assert text.splitlines()[1].split() == ["Stage", "Agent", "State", "Attempts", "Seconds"]
    assert text.splitlines()[2].split() == ["draft", "writer", "success", "2", "1.50"]


def test_models_tokens_and_cost_are_shown_where_known() -> None:
    known = UsageTrace(calls=1, input_tokens=10, output_tokens=2, cost_usd=0.0125)
    text = _printed(a_trace(a_stage(model="m-1", usage=known), a_stage("plain")))
    assert "Tokens in / out" in text
    assert text.splitlines()[2].split()[-5:] == ["m-1", "10", "/", "2", "0.0125"]


def test_what_agents_wrote_neither_formats_nor_steers_the_terminal() -> None:
    error = {"kind": "bug", "message": "[red]no\x1b[2Jmarkup\r"}
    text = _printed(a_trace(a_stage(state="failed", error=error), output={"a": "[b]\x07{{ x }}"}))
    assert "draft: bug: [red]no�[2Jmarkup�" in text
    assert "a: [b]�{{ x }}" in text


def test_an_error_is_told_once() -> None:
    failed = a_stage(state="failed", error={"kind": "bug", "message": "no bees"})
    assert _printed(a_trace(failed, state="failed", error="The run failed: 'draft': no bees")).count("no bees") == 1
    assert _printed(a_trace(failed, error=None)).count("draft: bug: no bees") == 1


def test_people_take_no_time_but_are_waited_for() -> None:
    people = a_stage("ask", kind="human", agent=None, tries=1, seconds=0.0, waited=75.25)
    lines = _printed(a_trace(a_stage(), people)).splitlines()
    assert lines[1].split()[-2:] == ["Seconds", "Waited"]
    assert lines[2].split() == ["draft", "writer", "success", "2", "1.50"]
    assert lines[3].split() == ["ask", "(human)", "success", "1", "75.2"]


def test_a_long_output_is_shortened() -> None:
    text = _printed(a_trace(output={"text": "\n".join(str(number) for number in range(100)), "data": {"é": 1}}))
    assert "… (70 more lines; --json prints all)" in text
    assert 'data: {"é": 1}' in text


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/a/b.md", "/a/b.md"),
        ("file:///a/b%20c.md", "/a/b c.md"),
        ("b.md", str(Path.cwd() / "b.md")),
        ("s3://bucket/b.md", "s3://bucket/b.md"),
    ],
)
def test_local_artifacts_are_paths(uri: str, path: str) -> None:
    assert local_path(uri) == path


def test_rounds_items_and_decisions() -> None:
    votes = [a_decision("each.vote", map_index=index, shown=shown) for index, shown in enumerate(("next", "a", "a"))]
    decisions = [
        a_decision("draft", task_id="draft__2", round=2, max_rounds=3, shown="back to draft", outcome="again_draft"),
        a_decision("draft", task_id="draft__3"),
        *votes,
    ]
    text = _printed(
        a_trace(
            a_stage(name="draft (round 1.2)", rounds=(1, 2), items={"total": 5, "failed": 2, "recovered": 1}),
            a_stage(items={"total": 4, "failed": 0, "recovered": 0}),
            decisions=tuple(decisions),
        )
    )
    assert text.splitlines()[1].split() == ["Stage", "Agent", "State", "Items", "Attempts", "Seconds"]
    assert text.splitlines()[2].split() == [
        "draft",
        "(round",
        "1.2)",
        "writer",
        "success",
        *["3", "of", "5,", "1", "recovered", "2", "1.50"],
    ]
    assert text.splitlines()[3].split()[3] == "4"
    assert text.splitlines()[4:6] == [
        "draft, round 2 of 3 → back to draft",
        "each.vote → next (items: 1), a (items: 2)",
    ]


def _attempt(agent: str, state: str, recovered_by: str | None = None) -> AttemptTrace:
    return AttemptTrace(
        id=f"{agent}-{state}",
        record=None,
        stage="draft",
        task_id="draft",
        kind="agent",
        map_index=-1,
        try_number=1,
        attempt=1,
        rounds=(),
        item=None,
        agent=agent,
        agent_type="python",
        state=state,  # type: ignore[arg-type]
        started=None,
        ended=None,
        queued_seconds=None,
        waited=0.0,
        seconds=1.0,
        recovered_by=recovered_by,
    )


@pytest.mark.parametrize(
    ("attempts", "row"),
    [
        ([("writer", "success", None)], "draft writer success 2 1.50"),
        (
            [("writer", "failed", "agent"), ("second", "success", None)],
            "draft second for writer success (recovered) 2 1.50",
        ),
        ([("writer", "failed", "value")], "draft writer success (recovered: a fixed value) 2 1.50"),
    ],
)
def test_who_really_did_it_is_told(attempts: list[tuple[str, str, str | None]], row: str) -> None:
    made = tuple(_attempt(*each) for each in attempts)
    stage = a_stage(attempts=tuple(each.id for each in made))
    assert " ".join(_printed(a_trace(stage, attempts=made)).splitlines()[2].split()) == row


def test_what_airflow_was_not_asked_for_and_what_cant_be_read_is_said() -> None:
    text = _printed(a_trace(a_stage(), complete=False, problems=("attempts/x.json can't be read\x1b",)))
    assert text.startswith("brief success in 2.0 s from its first record to its last  (run r1)")
    assert "Problem: attempts/x.json can't be read�" in text


def _progress(stream: io.StringIO, *, terminal: bool) -> Progress:
    tasks = tuple(
        PlannedTask(task_id=name, kind=kind, stage=name, level=0)  # type: ignore[arg-type]
        for name, kind in (("a", "agent"), ("j", "join"), ("b", "merge"))
    )
    plan = Plan(name="p", digest="", source="", file="", dag={}, inputs={}, agents={}, tasks=tasks)
    return Progress(plan, Console(file=stream, width=80, force_terminal=terminal, highlight=False))


def test_without_a_terminal_each_change_is_a_line() -> None:
    stream = io.StringIO()
    with _progress(stream, terminal=False) as progress:
        progress.note("Starting …")
        for state in ("scheduled", "running", "running", "success"):
            progress.update("a", state)
        progress.update("j", "success")
        progress.update("b", "upstream_failed")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["Starting …", "a: running"]
    assert lines[2].startswith("a: success  0.")
    assert lines[3:] == ["b: upstream failed"]


ROUNDS = (
    PlannedTask(task_id="l__1.draft", kind="agent", stage="draft", level=0, rounds=(1,)),
    PlannedTask(task_id="l__1.verify.items", kind="items", stage="verify", level=0, rounds=(1,)),
    PlannedTask(
        task_id="l__1.verify.item",
        kind="item",
        stage="verify",
        level=0,
        rounds=(1,),
        config={"items": "l__1.verify.items"},
    ),
    PlannedTask(
        task_id="l__1.verify.collect",
        kind="collect",
        stage="verify",
        level=0,
        rounds=(1,),
        config={"item": "l__1.verify.item"},
    ),
    PlannedTask(task_id="l__2.draft", kind="agent", stage="draft", level=0, rounds=(2,)),
    PlannedTask(task_id="l__3.draft", kind="agent", stage="draft", level=0, rounds=(3,)),
    PlannedTask(task_id="editor", kind="human", stage="editor", level=0),
)


def test_mapped_tasks_are_one_stage_and_rounds_not_run_none() -> None:
    stream = io.StringIO()
    plan = Plan(name="p", digest="", source="", file="", dag={}, inputs={}, agents={}, tasks=ROUNDS)
    with Progress(plan, Console(file=stream, width=80, highlight=False)) as progress:
        progress.update("l__1.draft", "running")
        progress.update("l__1.draft", "success")
        for index, state in enumerate(("success", "failed", "success")):
            progress.update("l__1.verify.item", "running", index)
            progress.update("l__1.verify.item", state, index)
        progress.update("l__1.verify.collect", "running")
        progress.update("l__2.draft", "running")
        progress.update("l__2.draft", "success")
        progress.update("l__1.verify.item", "skipped", 3)
        progress.update("l__3.draft", "skipped")
        progress.update("editor", "skipped")
    assert [line.partition("  ")[0] for line in stream.getvalue().splitlines()] == [
        "draft (round 1): running",
        "draft (round 1): success",
        "verify (round 1): running",
        "verify (round 1): 2 success, 1 failed",
        "draft (round 2): running",
        "draft (round 2): success",
        "editor: skipped",
    ]


def test_rounds_appear_on_a_terminal_when_they_come() -> None:
    stream = io.StringIO()
    plan = Plan(name="p", digest="", source="", file="", dag={}, inputs={}, agents={}, tasks=ROUNDS)
    with Progress(plan, Console(file=stream, width=80, force_terminal=True, highlight=False)) as progress:
        progress.update("l__2.draft", "running")
        progress.update("l__3.draft", "skipped")
    assert "draft (round 2)" in stream.getvalue()
    assert "draft (round 3)" not in stream.getvalue()


@pytest.mark.parametrize("last", ["items", "item"])
def test_a_list_that_failed_is_its_stages_failure(last: str) -> None:
    stream = io.StringIO()
    tasks = (
        PlannedTask(task_id="verify.items", kind="items", stage="verify", level=0),
        PlannedTask(task_id="verify.item", kind="item", stage="verify", level=0, config={"items": "verify.items"}),
    )
    plan = Plan(name="p", digest="", source="", file="", dag={}, inputs={}, agents={}, tasks=tasks)
    with Progress(plan, Console(file=stream, width=80, highlight=False)) as progress:
        progress.update("verify.items", "running")
        progress.update("verify.items", "failed")
        # both are told once more at the run's end
        progress.update("verify.item", "upstream_failed")
        progress.update(f"verify.{last}", "failed" if last == "items" else "upstream_failed")
    assert stream.getvalue().splitlines() == ["verify: failed"]


def test_on_a_terminal_the_stages_are_shown_and_gone_at_the_end() -> None:
    stream = io.StringIO()
    with _progress(stream, terminal=True) as progress:
        progress.update("a", "running")
        progress.update("a", "failed")
    assert "✗" in stream.getvalue()
    assert "join" not in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K") or "\x1b[1A" in stream.getvalue()
