"""One budget for all of a run: stages, items of lists, pipelines, tries, and what stands in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.item_agents import calls

from airflow_agentic.trace.record import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.template_runs import Ran

TEMPLATE = """\
budget: {{calls: {calls}}}
agents:
  worker: {{type: python, callable: "support.item_agents:noted", output: any}}
defaults: {{retry: {{attempts: 2, wait: 1ms}}}}
stages:
{stages}
output: {{result: "{{{{ {result} }}}}"}}
"""
GIVEN = 'input: {{folder: "{folder}", value: {value}}}'


@pytest.fixture
def run(run_template: Any) -> Callable[..., Ran]:
    """Run stages whose agents note each call."""

    def run(stages: str, *, budget: int, result: str = "1") -> Ran:
        ran: Ran = run_template(TEMPLATE.format(calls=budget, stages=stages, result=result))
        return ran

    return run


def given(tmp_path: Path, value: object) -> str:
    return GIVEN.format(folder=tmp_path, value=value)


def called(tmp_path: Path) -> int:
    return sum(calls(tmp_path).values())


def refused(ran: Ran) -> list[AttemptRecord]:
    attempts = ran.records(AttemptRecord)
    return [record for record in attempts if record.error and record.error["kind"] == "budget_exceeded"]


def test_items_of_a_list_share_it(run: Callable[..., Ran], tmp_path: Path) -> None:
    work = given(tmp_path, '"{{ item }}"')
    ran = run(
        f"""\
  many: {{agent: worker, for_each: "{{{{ [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }}}}", {work}, on_error: {{value: none}}}}
""",
        budget=4,
        result="many.outputs",
    )
    assert ran.state == "success"
    assert called(tmp_path) == 4
    outputs = ran.output()["result"]
    assert len(outputs) == 10
    assert outputs.count("none") == 6
    assert len(refused(ran)) == 6, "once each: it isn't repeated"


def test_stages_pipelines_and_tries_share_it(run: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run(
        f"""\
  first: {{agent: worker, {given(tmp_path, 1)}}}
  bad: {{agent: worker, {given(tmp_path, -1)}, after: [first], on_error: {{value: 0}}}}
  inner:
    after: [bad]
    pipeline:
      stages:
        one: {{agent: worker, {given(tmp_path, 2)}}}
        two: {{agent: worker, {given(tmp_path, 3)}, after: [one]}}
      output: {{x: "{{{{ two }}}}"}}
""",
        budget=4,
    )
    assert ran.state == "failed"
    assert dict(calls(tmp_path)) == {"1": 1, "-1": 2, "2": 1}
    (record,) = refused(ran)
    assert record.task_id == "inner.two"
    assert record.error is not None
    assert record.error["details"]["used"] == {"calls": 4}


def test_runs_have_budgets_of_their_own(run: Callable[..., Ran], tmp_path: Path) -> None:
    stage = f"  one: {{agent: worker, {given(tmp_path, 1)}}}\n"
    for _ in range(2):
        assert run(stage, budget=1).state == "success"
    assert called(tmp_path) == 2
