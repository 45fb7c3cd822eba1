"""Lists inside of lists: pipelines under ``for_each``, in which an agent works on a list of its own in one task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.item_agents import calls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from support.template_runs import Ran

    RunTemplate = Callable[..., Ran]

NESTED = """
inputs: {{rows: {{type: array, items: {{}}}}}}
agents:
  worker: {worker}
stages:
  outer:
    for_each: inputs.rows
    input: {{row: "{{{{ item }}}}"}}
    tolerate: {tolerate}
    pipeline:
      stages:
        work:
          agent: worker
          for_each: inputs.row
          max_parallel: 4
          input: {{value: "{{{{ item }}}}", {more}}}
          retry: {{attempts: 2, wait: 10ms}}
          {settings}
      output: {{got: "{{{{ work.outputs }}}}"}}
output: {{all: "{{{{ outer }}}}"}}
"""


def nested(function: str, *, tolerate: int = 0, more: str = "", settings: str = "") -> str:
    worker = json.dumps({"type": "python", "callable": f"support.item_agents:{function}"})
    return NESTED.format(worker=worker, tolerate=tolerate, more=more, settings=settings)


def test_each_pipeline_works_on_its_own_list(run_template: RunTemplate) -> None:
    ran = run_template(nested("double"), rows=[[1, 2], [3], []])
    assert ran.state == "success"
    output = ran.output()["all"]
    assert output["outputs"] == [{"got": [2, 4]}, {"got": [6]}, {"got": []}]
    found = {(record.map_index, (record.item or {})["index"]): record.output for record in ran.attempts("outer.work")}
    assert found == {(0, 0): 2, (0, 1): 4, (1, 0): 6}


def test_a_pipelines_failure_is_an_item_of_the_outer_list(run_template: RunTemplate) -> None:
    ran = run_template(nested("double", tolerate=2), rows=[[1], [1, -1], [4], [13]])
    output = ran.output()["all"]
    assert output["outputs"] == [{"got": [2]}, {"got": [8]}]
    assert [(error["index"], error["item"], error["kind"]) for error in output["errors"]] == [
        (1, [1, -1], "failed"),
        (3, [13], "failed"),
    ]
    assert "item 1 (rejected): no negative numbers" in output["errors"][0]["message"]
    assert ran.state == "success"


def test_items_of_inner_lists_are_recovered(run_template: RunTemplate) -> None:
    settings = "on_error: [{value: {lost: '{{ item }}'}}]"
    ran = run_template(nested("double", settings=settings), rows=[[1, -1], [13]])
    assert ran.output()["all"]["outputs"] == [{"got": [2, {"lost": -1}]}, {"got": [{"lost": 13}]}]


def test_a_retry_in_a_mapped_group_makes_exactly_the_missing_calls(
    run_template: RunTemplate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__INLINE_WAIT", "0.2")
    text = nested("later", tolerate=0, more=f'folder: "{tmp_path}"', settings="tolerate: 1")
    rows: list[Any] = [[1, 2, 5], [3, 4], [6]]
    ran = run_template(text, rows=rows)
    assert ran.output()["all"]["outputs"] == [{"got": [1, 2]}, {"got": [3, 4]}, {"got": [6]}]
    assert calls(tmp_path) == {"later 1": 2, "later 2": 1, "later 3": 2, "later 4": 1, "later 5": 1, "later 6": 1}
