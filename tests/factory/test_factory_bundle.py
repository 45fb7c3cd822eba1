"""The template bundle on disk: versions, the store, what the dag processor and a worker find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.utils.file import list_py_file_paths
from support.pipelines import BROKEN, echo, write

from airflow_agentic import TemplateDagBundle
from airflow_agentic.errors import ConfigError
from airflow_agentic.factory import version as versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.dag_processing.dagbag import DagBag

#: Two templates with others in them.
OUTER = "version: 1\nstages:\n  all: {pipeline: middle}\n"
MIDDLE = "version: 1\nstages:\n  some: {pipeline: inner}\n"
Bundle = "Callable[..., TemplateDagBundle]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of templates."""
    folder = tmp_path / "templates"
    folder.mkdir()
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Go to another machine: its own bundle storage, the same version store."""

    def go(name: str) -> None:
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH", str(tmp_path / name))

    go("dag_processor")
    return go


@pytest.fixture
def bundle(tmp_path: Path, folder: Path, machine: Any) -> Callable[..., TemplateDagBundle]:
    """A bundle as Airflow makes it."""

    def make(version: str | None = None, path: Path = folder) -> TemplateDagBundle:
        url = f"file://{tmp_path}/store"
        return TemplateDagBundle(name="templates", version=version, path=str(path), version_url=url)

    return make


def refreshed(made: TemplateDagBundle) -> str:
    """Bring a bundle up to date; its version."""
    made.initialize()
    current = made.get_current_version()
    assert current is not None
    return current.version


def bag(made: TemplateDagBundle) -> DagBag:
    """What Airflow makes of a bundle."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(made.path, bundle_path=made.path, bundle_name=made.name)


def dag_files(made: TemplateDagBundle) -> list[str]:
    """The files that the dag processor lists."""
    return sorted(str(Path(file).relative_to(made.path)) for file in list_py_file_paths(made.path))


def test_a_file_per_template(bundle: Any, folder: Path) -> None:
    write(folder, good=echo(), sub__other=echo(), bad=BROKEN, agents="agents: {}\n")
    made = bundle()
    refreshed(made)
    assert dag_files(made) == ["bad.yaml.py", "good.yaml.py", "sub/other.yaml.py"]
    found = bag(made)
    assert sorted(found.dags) == ["good", "other"]
    assert list(found.import_errors) == ["bad.yaml.py"]


def test_a_version_reaches_a_worker_without_the_templates(bundle: Any, folder: Path, machine: Any) -> None:
    write(folder, good=echo("tea"))
    version = refreshed(bundle())
    write(folder, good=echo("coffee"))
    newer = refreshed(bundle())
    assert newer != version
    machine("worker")
    for asked, word in ((version, "tea"), (newer, "coffee"), (version, "tea")):
        worker = bundle(asked, path=Path("/nowhere"))
        worker.initialize()
        assert refreshed(worker) == asked
        assert bag(worker).dags["good"].get_task("first").planned.config["input"] == {"value": word}


def test_equal_folders_are_equal_versions(bundle: Any, folder: Path, machine: Any, tmp_path: Path) -> None:
    write(folder, a=echo(), sub__b=BROKEN)
    version = refreshed(bundle())
    other = tmp_path / "other"
    other.mkdir()
    write(other, sub__b=BROKEN, a=echo())
    machine("another")
    assert refreshed(bundle(path=other)) == version


@pytest.mark.parametrize("change", ["template", "included", "module", "deleted", "broken", "inner"])
def test_whatever_shapes_a_run_is_a_new_version(bundle: Any, folder: Path, change: str) -> None:
    shared = 'agents:\n  other: {{type: python, callable: "{}"}}\n'
    includes = "version: 1\ninclude: [shared.yaml]\nstages:\n  only: {agent: other}\n"
    write(folder, good=echo(), includes=includes, shared=shared.format("json:loads"))
    write(folder, outer=OUTER, middle=MIDDLE, inner=echo())
    (folder / "helper.py").write_text("X = 1\n")
    made = bundle()
    before = refreshed(made)
    if change == "template":
        write(folder, good=echo("more"))
    elif change == "included":
        write(folder, shared=shared.format("json:dumps"))
    elif change == "module":
        (folder / "helper.py").write_text("X = 2\n")
    elif change == "deleted":
        (folder / "good.yaml").unlink()
    elif change == "inner":
        write(folder, inner=echo("more"))
    else:
        write(folder, good=BROKEN)
    made.refresh()
    assert refreshed(made) != before


def agent_inputs(made: TemplateDagBundle, dag_id: str) -> list[Any]:
    """What the agents of a DAG are given."""
    tasks = bag(made).dags[dag_id].tasks
    return [task.planned.config["input"] for task in tasks if getattr(task, "planned", task).kind == "agent"]


def test_an_edit_of_an_inner_template_reaches_the_outer_one(bundle: Any, folder: Path, machine: Any) -> None:
    write(folder, outer=OUTER, middle=MIDDLE, inner=echo("tea"), other=echo("milk"))
    made = bundle()
    version = refreshed(made)
    assert {"value": "tea"} in agent_inputs(made, "outer")
    planned = {name: (made.path / f"{name}.yaml.json").read_bytes() for name in ("outer", "middle", "other")}
    write(folder, inner=echo("coffee"))
    made.refresh()
    changed = [name for name, plan in planned.items() if (made.path / f"{name}.yaml.json").read_bytes() != plan]
    assert changed == ["outer", "middle"]
    assert {"value": "coffee"} in agent_inputs(made, "outer")
    machine("worker")
    (folder / "inner.yaml").unlink()
    worker = bundle(version)
    worker.initialize()
    assert {"value": "tea"} in agent_inputs(worker, "outer")


def test_a_broken_inner_template_is_everybodys_import_error(bundle: Any, folder: Path) -> None:
    write(folder, outer=OUTER, middle=MIDDLE, inner=BROKEN, other=echo())
    made = bundle()
    refreshed(made)
    found = bag(made)
    assert sorted(found.dags) == ["other"]
    assert sorted(found.import_errors) == ["inner.yaml.py", "middle.yaml.py", "outer.yaml.py"]
    for text in found.import_errors.values():
        assert text.startswith("TemplateError: inner.yaml:3:18: AGT405")
    write(folder, inner=echo())
    made.refresh()
    assert bag(made).import_errors == {}


def test_an_inner_template_may_come_later(bundle: Any, folder: Path) -> None:
    write(folder, outer=OUTER, middle=MIDDLE)
    made = bundle()
    refreshed(made)
    assert sorted(bag(made).import_errors) == ["middle.yaml.py", "outer.yaml.py"]
    write(folder, inner=echo())
    made.refresh()
    assert sorted(bag(made).dags) == ["inner", "middle", "outer"]


def test_what_shapes_no_run_is_no_version(bundle: Any, folder: Path) -> None:
    write(folder, good=echo())
    made = bundle()
    before = refreshed(made)
    (folder / "notes.md").write_text("hello")
    write(folder, values="a: b\n")
    made.refresh()
    assert refreshed(made) == before


def test_only_changed_templates_are_planned_again(bundle: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[str] = []
    plan_in = versions.plan_in
    monkeypatch.setattr(versions, "plan_in", lambda root, path: planned.append(path) or plan_in(root, path))
    write(folder, a=echo(), b=echo(), c=BROKEN)
    made = bundle()
    refreshed(made)
    assert planned == ["a.yaml", "b.yaml", "c.yaml"]
    made.refresh()
    bundle().refresh()
    assert len(planned) == 3
    write(folder, b=echo("other"))
    made.refresh()
    assert planned[3:] == ["b.yaml"]


def test_only_changed_files_look_changed_to_the_dag_processor(bundle: Any, folder: Path) -> None:
    write(folder, a=echo(), b=echo())
    made = bundle()
    refreshed(made)
    old = time.time() - 1000
    for file in made.path.glob("*.py"):
        os.utime(file, (old, old))
    write(folder, b=echo("other"))
    made.refresh()
    changed = {file.name: file.stat().st_mtime > old + 1 for file in made.path.glob("*.py")}
    assert changed == {"a.yaml.py": False, "b.yaml.py": True}
    (folder / "helper.py").write_text("X = 1\n")
    made.refresh()
    assert all(file.stat().st_mtime > time.time() - 10 for file in made.path.glob("*.yaml.py"))


def test_modules_come_along_but_are_no_dag_files(bundle: Any, folder: Path, machine: Any) -> None:
    write(folder, good=echo())
    (folder / "sub").mkdir()
    for name in ("helper.py", "sub/helper.py"):
        (folder / name).write_text("from airflow.sdk import DAG\nDAG('of_a_helper')\n")
    made = bundle()
    version = refreshed(made)
    assert dag_files(made) == ["good.yaml.py"]
    machine("worker")
    worker = bundle(version)
    worker.initialize()
    assert (worker.path / "sub" / "helper.py").read_text().startswith("from airflow")


def test_modules_are_ignored_in_either_syntax(bundle: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAG_IGNORE_FILE_SYNTAX", "regexp")
    write(folder, good=echo(), sub__other=echo())
    (folder / "helper.py").write_text("from airflow.sdk import DAG\n")
    made = bundle()
    refreshed(made)
    assert dag_files(made) == ["good.yaml.py", "sub/other.yaml.py"]


def test_deleted_templates_disappear(bundle: Any, folder: Path) -> None:
    write(folder, a=echo(), b=echo())
    made = bundle()
    refreshed(made)
    (folder / "b.yaml").unlink()
    made.refresh()
    assert dag_files(made) == ["a.yaml.py"]


def test_a_name_used_twice_is_the_second_files_error(bundle: Any, folder: Path) -> None:
    write(folder, a=echo(top="name: brief"), brief=echo(), c=echo())
    made = bundle()
    refreshed(made)
    found = bag(made)
    assert sorted(found.dags) == ["brief", "c"]
    assert "a.yaml:2:1: AGT190 the name 'brief' is taken by brief.yaml" in found.import_errors["a.yaml.py"]
    (folder / "brief.yaml").unlink()
    made.refresh()
    assert bag(made).import_errors == {}


def test_a_planner_that_fails_is_one_templates_problem(
    bundle: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_in = versions.plan_in

    def fail(root: Path, path: str) -> Any:
        if path == "a.yaml":
            raise RuntimeError("a bug of ours")
        return plan_in(root, path)

    monkeypatch.setattr(versions, "plan_in", fail)
    write(folder, a=echo(), b=echo())
    made = bundle()
    refreshed(made)
    found = bag(made)
    assert list(found.dags) == ["b"]
    assert "AGT192" in found.import_errors["a.yaml.py"]
    assert "a bug of ours" in found.import_errors["a.yaml.py"]


def test_links_do_not_lead_outside(bundle: Any, folder: Path, tmp_path: Path) -> None:
    write(tmp_path, secret=echo())
    (tmp_path / "secret.py").write_text("PASSWORD = 1\n")
    for name in ("secret.yaml", "secret.py"):
        (folder / name).symlink_to(tmp_path / name)
    write(folder, good=echo())
    made = bundle()
    refreshed(made)
    assert sorted(path.name for path in made.path.iterdir() if not path.name.startswith(".")) == [
        "good.yaml.json",
        "good.yaml.py",
    ]


def test_the_path_stays_while_versions_come_and_old_ones_go(bundle: Any, folder: Path) -> None:
    made = bundle()
    paths = set()
    for word in ("a", "b", "c"):
        write(folder, good=echo(word))
        made.refresh()
        paths.add(made.path)
    assert len(paths) == 1
    assert len(list((made.base_dir / "heads").iterdir())) == 1


def test_a_folder_that_is_gone_is_an_error_and_leaves_the_dags(bundle: Any, folder: Path) -> None:
    write(folder, good=echo())
    made = bundle()
    refreshed(made)
    (folder / "good.yaml").unlink()
    folder.rmdir()
    with pytest.raises(ConfigError, match="no folder of templates"):
        made.refresh()
    assert list(bag(made).dags) == ["good"]


def test_an_unversioned_worker_gets_the_latest(bundle: Any, folder: Path, machine: Any) -> None:
    write(folder, good=echo("tea"))
    refreshed(bundle())
    machine("worker")
    worker = bundle(path=Path("/nowhere"))
    worker.initialize()
    assert list(bag(worker).dags) == ["good"]
    machine("dag_processor")
    write(folder, good=echo("coffee"))
    newer = refreshed(bundle())
    machine("worker")
    worker = bundle(path=Path("/nowhere"))
    assert refreshed(worker) == newer


def test_a_version_that_the_store_does_not_have(bundle: Any) -> None:
    with pytest.raises(ConfigError, match="version_url"):
        bundle("0" * 40).initialize()
    with pytest.raises(ConfigError, match="no folder of templates"):
        bundle(path=Path("/nowhere")).initialize()


def test_a_version_that_was_changed_in_the_store(bundle: Any, folder: Path, machine: Any, tmp_path: Path) -> None:
    import zipfile

    write(folder, good=echo())
    version = refreshed(bundle())
    with zipfile.ZipFile(tmp_path / "store" / "templates" / f"{version}.zip", "a") as archive:
        archive.writestr("../../evil.py", "EVIL = 1")
        archive.writestr("evil.py", "EVIL = 1")
    machine("worker")
    with pytest.raises(ConfigError, match="not what was published"):
        bundle(version).initialize()
    assert not list(tmp_path.rglob("evil.py"))


def test_any_store_that_fsspec_knows(folder: Path, machine: Any) -> None:
    write(folder, good=echo())
    url = f"memory://versions-{os.getpid()}"
    made = TemplateDagBundle(name="my templates", path=str(folder), version_url=url)
    version = refreshed(made)
    machine("worker")
    worker = TemplateDagBundle(name="my templates", version=version, path="/nowhere", version_url=url)
    worker.initialize()
    assert list(bag(worker).dags) == ["good"]


def test_a_store_that_is_none_is_a_configuration_error(folder: Path, machine: Any) -> None:
    write(folder, good=echo())
    made = TemplateDagBundle(name="templates", path=str(folder), version_url="nosuch://x")
    with pytest.raises(ConfigError, match="nosuch"):
        made.refresh()


def test_many_processes_at_once(bundle: Any, folder: Path, tmp_path: Path) -> None:
    write(folder, **{f"pipeline_{number}": echo(str(number)) for number in range(5)})
    script = textwrap.dedent(
        """
        import json, sys
        from airflow_agentic import TemplateDagBundle
        folder, url = sys.argv[1:]
        made = TemplateDagBundle(name="templates", path=folder, version_url=url)
        made.initialize()
        version = made.get_current_version().version
        worker = TemplateDagBundle(name="templates", version=version, path="/nowhere", version_url=url)
        worker.initialize()
        print(json.dumps([version, sorted(path.name for path in worker.path.glob("*.py"))]))
        """
    )
    command = [sys.executable, "-c", script, str(folder), f"file://{tmp_path}/store"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    results = [json.loads(process.communicate(timeout=60)[0].splitlines()[-1]) for process in processes]
    assert {result[0] for result in results} == {refreshed(bundle())}
    assert all(len(result[1]) == 5 for result in results)
