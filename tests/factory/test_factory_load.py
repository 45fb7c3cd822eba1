"""The Python front door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.pipelines import BROKEN, echo, write

from airflow_agentic import TemplateError, build_dag, load_templates

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_becomes_dags_by_name_in_the_order_of_paths(tmp_path: Path) -> None:
    write(tmp_path, b=echo(), a=echo(top="name: z"), sub__c=echo(), agents="agents: {}\n")
    dags = load_templates(tmp_path)
    assert list(dags) == ["z", "b", "c"]
    assert dags["b"].task_ids == ["first", "second", "run__finish"]


def test_all_problems_of_all_templates_are_reported_at_once(tmp_path: Path) -> None:
    write(tmp_path, a=BROKEN, b=echo(), sub__c=BROKEN)
    with pytest.raises(TemplateError) as caught:
        load_templates(tmp_path)
    assert [(problem.path, problem.line) for problem in caught.value.problems] == [
        (str(tmp_path / "a.yaml"), 3),
        (str(tmp_path / "sub" / "c.yaml"), 3),
    ]


def test_a_name_used_twice_names_both_files(tmp_path: Path) -> None:
    write(tmp_path, a=echo(top="name: brief"), brief=echo())
    with pytest.raises(TemplateError) as caught:
        load_templates(tmp_path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.path, problem.line) == ("AGT190", str(tmp_path / "a.yaml"), 2)
    assert str(tmp_path / "brief.yaml") in problem.message


def test_what_airflow_refuses_is_the_templates_problem(tmp_path: Path) -> None:
    tag = "x" * 101
    write(tmp_path, a=echo(top=f"tags: [{tag}]"))
    with pytest.raises(TemplateError) as caught:
        build_dag(tmp_path / "a.yaml")
    assert caught.value.problems[0].code == "AGT191"
    assert "tag cannot be longer" in str(caught.value)


def test_a_template_may_include_from_anywhere_in_the_folder(tmp_path: Path) -> None:
    shared = 'agents:\n  other: {type: python, callable: "support.scripted_agents:echo"}\n'
    text = "version: 1\ninclude: [../shared.yaml]\nstages:\n  only: {agent: other}\n"
    write(tmp_path, shared=shared, sub__c=text)
    assert list(load_templates(tmp_path)) == ["c"]


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    write(tmp_path, a=echo())
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(TemplateError, match="AGT101"):
        build_dag(tmp_path / "a.yaml")
