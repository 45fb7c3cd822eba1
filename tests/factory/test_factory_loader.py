"""The loader for dags folders: what the dag processor and a worker get of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.pipelines import BROKEN, echo, write

from airflow_agentic.factory import loader

if TYPE_CHECKING:
    from airflow.dag_processing.processor import DagFileParsingResult

LOADER = Path(__file__).parents[2] / "dags" / "agentic_templates.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dags folder with the loader in it."""
    shutil.copy(LOADER, tmp_path)
    return tmp_path


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The templates that were parsed."""
    paths: list[str] = []
    plan_in = loader.plan_in
    monkeypatch.setattr(loader, "plan_in", lambda root, path: paths.append(path) or plan_in(root, path))
    return paths


def parse(folder: Path) -> DagFileParsingResult:
    """What the dag processor's child process makes of the loader."""
    import structlog
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

    file = str(folder / LOADER.name)
    request = DagFileParseRequest(file=file, bundle_path=folder, bundle_name="dags-folder")
    result = _parse_file(request, structlog.get_logger())
    assert result is not None
    return result


def in_worker(folder: Path, dag_id: str) -> list[str]:
    """The DAGs that a worker gets which is to run a task of that DAG."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

    with _airflow_parsing_context_manager(dag_id=dag_id, task_id="first"):
        file = folder / LOADER.name
        bag = BundleDagBag(file, safe_mode=False, load_op_links=False, bundle_path=folder, bundle_name="dags-folder")
    assert bag.import_errors == {}
    return list(bag.dags)


def test_every_template_becomes_a_dag_of_the_loaders_file(folder: Path) -> None:
    write(folder, a=echo(), sub__b=echo(top="name: brief"), agents="agents: {}\n")
    result = parse(folder)
    assert result.import_errors == {}
    found = {dag.dag_id: dag.relative_fileloc for dag in result.serialized_dags}
    assert found == {"a": LOADER.name, "brief": LOADER.name}


def test_a_broken_template_has_its_own_error_and_the_others_none(folder: Path) -> None:
    """An error under the loader's own path would mark all of its DAGs as stale: Airflow would not schedule them."""
    write(folder, good=echo(), sub__bad=BROKEN, worse="version: 1\nstages: [")
    result = parse(folder)
    assert [dag.dag_id for dag in result.serialized_dags] == ["good"]
    errors = result.import_errors
    assert errors is not None
    assert sorted(errors) == ["sub/bad.yaml", "worse.yaml"]
    assert "this template is broken:\n\nsub/bad.yaml:3:18: AGT405" in errors["sub/bad.yaml"]
    assert errors["sub/bad.yaml"].count('  File "') <= 2
    assert "direct cause" not in errors["sub/bad.yaml"]


def test_a_template_that_fails_otherwise_is_reported_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan_in = loader.plan_in

    def fail(root: Path, path: str) -> object:
        if path == "bad.yaml":
            raise RuntimeError("a bug of ours")
        return plan_in(root, path)

    monkeypatch.setattr(loader, "plan_in", fail)
    write(folder, good=echo(), bad=echo())
    result = parse(folder)
    assert [dag.dag_id for dag in result.serialized_dags] == ["good"]
    assert "AGT192" in (result.import_errors or {})["bad.yaml"]


def test_a_name_used_twice_is_the_second_files_error(folder: Path) -> None:
    write(folder, a=echo(top="name: brief"), brief=echo(word="coffee"))
    result = parse(folder)
    assert [dag.dag_id for dag in result.serialized_dags] == ["brief"]
    assert "AGT190 the name 'brief' is taken by brief.yaml" in (result.import_errors or {})["a.yaml"]
    assert in_worker(folder, "brief") == ["brief"]


def test_a_worker_parses_only_the_template_it_needs(folder: Path, planned: list[str]) -> None:
    write(folder, **{f"pipeline_{number}": echo() for number in range(50)}, bad=BROKEN)
    write(folder, sub__named=echo(top="name: brief"))
    assert in_worker(folder, "pipeline_7") == ["pipeline_7"]
    assert in_worker(folder, "brief") == ["brief"]
    assert planned == ["pipeline_7.yaml", "sub/named.yaml"]


def test_a_worker_opens_one_file_when_that_is_called_by_the_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read = loader.find.read_candidate
    monkeypatch.setattr(loader.find, "read_candidate", lambda root, path: opened.append(path) or read(root, path))
    write(folder, **{f"pipeline_{number}": echo() for number in range(50)})
    assert in_worker(folder, "pipeline_7") == ["pipeline_7"]
    assert opened == ["pipeline_7.yaml"]


def test_a_file_called_by_the_name_of_another_template_is_passed_over(folder: Path) -> None:
    write(folder, brief=echo(top="name: other"), other_file=echo(top="name: brief"))
    assert in_worker(folder, "brief") == ["brief"]


def test_a_worker_gets_nothing_for_a_dag_that_is_broken_or_gone(folder: Path) -> None:
    write(folder, bad=BROKEN, good=echo())
    assert in_worker(folder, "bad") == []
    assert in_worker(folder, "gone") == []
