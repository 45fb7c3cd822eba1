"""The DAG files that the bundle writes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from airflow.utils.file import might_contain_dag
from hypothesis import given
from hypothesis import strategies as st
from support.pipelines import BROKEN, echo, plan_of_text, write

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory import generated
from airflow_agentic.factory.load import plan_in
from airflow_agentic.planning.plan import PLAN_FORMAT

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.dag_processing.dagbag import DagBag


def bag(folder: Path) -> DagBag:
    """The files of a folder, taken as Airflow takes them."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(folder, bundle_path=folder)


def put(folder: Path, name: str, text: str) -> None:
    """Generate a template's files."""
    write(folder, **{name: text})
    (folder / f"{name}.yaml.py").write_bytes(generated.code(f"{name}.yaml", text.encode()))
    try:
        body = generated.plan_file(plan_in(folder, f"{name}.yaml"))
    except TemplateError as error:
        body = generated.problems_file(error)
    (folder / f"{name}.yaml.json").write_bytes(body)


def test_airflow_finds_the_dag_without_the_template(tmp_path: Path) -> None:
    put(tmp_path, "good", echo())
    (tmp_path / "good.yaml").unlink()
    found = bag(tmp_path)
    assert found.import_errors == {}
    assert list(found.dags) == ["good"]
    assert found.dags["good"].relative_fileloc == "good.yaml.py"


def test_a_broken_template_is_an_import_error_without_a_traceback(tmp_path: Path) -> None:
    put(tmp_path, "good", echo())
    put(tmp_path, "bad", BROKEN)
    found = bag(tmp_path)
    assert list(found.dags) == ["good"]
    assert list(found.import_errors) == ["bad.yaml.py"]
    text = found.import_errors["bad.yaml.py"]
    assert text.startswith("TemplateError: bad.yaml:3:18: AGT405")
    assert "first: {agent: nobody}" in text
    assert "Traceback" not in text


def test_what_airflow_refuses_is_an_import_error_too(tmp_path: Path) -> None:
    put(tmp_path, "bad", echo(top=f"tags: [{'x' * 101}]"))
    assert bag(tmp_path).import_errors["bad.yaml.py"].startswith("TemplateError: bad.yaml:1:1: AGT191")


def test_the_code_tab_shows_the_template(tmp_path: Path) -> None:
    put(tmp_path, "good", echo())
    assert echo() in (tmp_path / "good.yaml.py").read_text()


def test_a_plan_of_another_format_says_what_to_do(tmp_path: Path) -> None:
    put(tmp_path, "good", echo())
    file = tmp_path / "good.yaml.json"
    file.write_text(file.read_text().replace(f'"format":{PLAN_FORMAT}', '"format":0', 1))
    with pytest.raises(ValueError, match="build it again"):
        generated.dag_of_file(str(tmp_path / "good.yaml.py"))


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_template_can_break_or_become_the_code(content: bytes) -> None:
    tree = ast.parse(generated.code("x.yaml", content))
    kinds = [type(node).__name__ for node in tree.body]
    assert kinds in (["Assign", "ImportFrom", "Assign"], ["ImportFrom", "Assign"])


@pytest.mark.parametrize(
    "text",
    ["'''", '"""', "'''\n\"\"\"\nimport os\n", "a\\", "'", '"', "\\'''", "# coding: latin-1\n", "{path} {template}"],
)
def test_quotes_of_all_kinds(text: str) -> None:
    source = generated.code("x.yaml", text.encode()).decode()
    ast.parse(source)
    for line in text.strip().split("\n"):
        assert line in source


def test_a_path_is_only_a_comment() -> None:
    source = generated.code("a\nimport os\n# coding: utf-16.yaml", b"version: 1\n")
    assert [type(node).__name__ for node in ast.parse(source).body] == ["Assign", "ImportFrom", "Assign"]


def test_airflow_takes_the_file_for_a_dag_file(tmp_path: Path) -> None:
    put(tmp_path, "good", echo())
    assert might_contain_dag(str(tmp_path / "good.yaml.py"), safe_mode=True)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    from airflow_agentic.planning.plan import Plan

    plan = plan_of_text(tmp_path, echo(word="grüße 🎈"))
    assert Plan.from_json(generated.plan_file(plan)) == plan
