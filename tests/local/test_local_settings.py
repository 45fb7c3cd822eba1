"""The settings, and the page that shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_agentic.local.settings import (
    RECOMMENDED,
    SEVERAL_MACHINES,
    SINGLE_MACHINE,
    Setting,
    bundle_list,
    clean_environment,
    recommended_environment,
)

ALL = (*RECOMMENDED, *SINGLE_MACHINE, *SEVERAL_MACHINES)
PAGE = Path(__file__).parents[2] / "docs" / "airflow-settings.md"


@pytest.mark.parametrize("setting", ALL, ids=lambda setting: setting.option)
def test_the_page_shows_every_setting(setting: Setting) -> None:
    row = f"| `[{setting.section}] {setting.option}` | `{setting.value}` | {setting.why} |"
    assert row in PAGE.read_text(encoding="utf-8")


def test_the_page_shows_no_other_settings() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `[")]
    assert len(rows) == len(ALL)
    exports = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("export ")]
    assert exports == [f"export {setting.variable}={setting.value}" for setting in RECOMMENDED]


# Those for several machines are options of providers that only `make test-distributed` has, and are tested there.
@pytest.mark.parametrize("setting", [*RECOMMENDED, *SINGLE_MACHINE], ids=lambda setting: setting.option)
def test_airflow_knows_every_setting(setting: Setting) -> None:
    from airflow.configuration import conf

    assert conf.get_default_value(setting.section, setting.option) is not None


def test_the_environment_has_them_all() -> None:
    environment = recommended_environment()
    assert environment["AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL"] == "0"
    assert len(environment) == len(RECOMMENDED) + len(SINGLE_MACHINE)


def test_nothing_of_another_airflow_or_python_is_kept() -> None:
    foreign = ("AIRFLOW_HOME", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW_CONN_X", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    assert clean_environment({**dict.fromkeys(foreign, "x"), "PATH": "/bin", "LANG": "C"}) == {
        "PATH": "/bin",
        "LANG": "C",
    }


def test_bundles_of_two_folders(tmp_path: Path) -> None:
    bundles = json.loads(bundle_list(templates=tmp_path / "a", dags=tmp_path / "b", version_url="s3://v"))
    assert [bundle["name"] for bundle in bundles] == ["templates", "dags-folder"]
    assert bundles[0]["kwargs"]["version_url"] == "s3://v"
    assert json.loads(bundle_list(templates=None, dags=tmp_path, version_url=""))[0]["name"] == "dags-folder"
