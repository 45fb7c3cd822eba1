"""What docker-compose.yaml, the Dockerfile and .env.example say, as far as that can be seen without containers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from support.compose import FILE, MissingVariableError, new_variables, raw, references, services

from airflow_agentic.config import OPTIONS
from airflow_agentic.local.settings import RECOMMENDED, SEVERAL_MACHINES

PROJECT = FILE.parent
EXAMPLE = (PROJECT / ".env.example").read_text(encoding="utf-8")
#: Of the Compose Specification (Apache License 2.0), as dclint 3.1.0 (npm) has it.
SCHEMA = json.loads(Path(__file__).with_name("compose-spec.schema.json").read_text(encoding="utf-8"))
AIRFLOW = [name for name in raw()["services"] if name.startswith("airflow-")]
#: What a worker, in which the code of templates runs, has no business with.
CENTRAL = ("SQL_ALCHEMY_CONN", "FERNET_KEY", "JWT_SECRET", "ADMIN_PASSWORD")


def test_the_file_fits_the_schema_of_compose() -> None:
    errors = [f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(raw())]
    assert errors == []


def test_the_schema_notices_mistakes() -> None:
    content = raw()
    content["services"]["redis"]["restrat"] = "always"
    assert list(Draft7Validator(SCHEMA).iter_errors(content))


@pytest.mark.parametrize("name", sorted(new_variables()))
def test_nothing_starts_without_a_secret(name: str) -> None:
    variables = new_variables()
    del variables[name]
    with pytest.raises(MissingVariableError, match=name):
        services(variables)


def test_secrets_have_no_defaults() -> None:
    secret = {name for name, how, _ in references(raw()) if re.search("PASSWORD|SECRET|KEY", name)}
    assert secret == set(new_variables())
    assert {how for name, how, _ in references(raw()) if name in secret} == {":?"}


def test_the_example_names_every_variable_with_its_default() -> None:
    used = {name: default for name, how, default in references(raw()) if how == ":-"}
    named = dict(re.findall(r"^#([A-Z_0-9]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert named == used


def test_new_secrets_are_new_and_fit_into_urls() -> None:
    one, other = new_variables(), new_variables()
    assert all(one[name] != other[name] for name in one)
    assert all(re.fullmatch(r"[0-9a-f]{20,}", value) for name, value in one.items() if name != "AIRFLOW_FERNET_KEY")


def test_an_env_that_is_there_stays(tmp_path: Path) -> None:
    for name in ("scripts/env.py", ".env.example"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    command = [sys.executable, str(tmp_path / "scripts" / "env.py")]
    subprocess.run(command, check=True, capture_output=True)
    written = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "stays as it is" in told
    assert (tmp_path / ".env").read_text() == written
    assert not re.search(r"^[A-Z_]+=$", written, re.MULTILINE)
    assert not any(secret in told for secret in re.findall(r"=(\w{20,})", written))


@pytest.mark.parametrize("name", raw()["services"])
def test_every_service_looks_after_itself(name: str) -> None:
    service = raw()["services"][name]
    assert re.fullmatch(r"\$\{AGENTIC_IMAGE:-airflow-agentic:local\}|[a-z/]+:v?\d+\.\d+[\w.-]*", service["image"])
    assert service["logging"]["options"]["max-size"]
    if name == "airflow-init":
        assert service["restart"] == "on-failure:3"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


def test_only_the_dag_processor_has_the_templates() -> None:
    with_volumes = {
        name: raw()["services"][name]["volumes"] for name in AIRFLOW if "volumes" in raw()["services"][name]
    }
    assert with_volumes == {"airflow-dag-processor": ["${TEMPLATES_FOLDER:-./templates}:/opt/airflow/templates:ro"]}


def test_workers_cannot_open_the_database() -> None:
    worker = services(new_variables())["airflow-worker"]
    assert not [name for name in worker.environment if any(part in name for part in CENTRAL)]
    assert "database" not in raw()["services"]["airflow-worker"]["networks"]
    assert raw()["services"]["postgres"]["networks"] == ["database"]


def test_services_of_airflow_agree() -> None:
    described = services(new_variables())
    shared = described["airflow-worker"].environment
    for name in AIRFLOW:
        assert shared.items() <= described[name].environment.items(), name


def test_the_recommended_settings_are_made() -> None:
    shared = services(new_variables())["airflow-worker"].environment
    settings = (*RECOMMENDED, *SEVERAL_MACHINES)
    assert {setting.variable: shared.get(setting.variable) for setting in settings} == {
        setting.variable: setting.value for setting in settings
    }


def test_every_place_of_files_is_a_shared_one() -> None:
    shared = services(new_variables())["airflow-worker"].environment
    places = [name for name in OPTIONS if name.endswith("_url")]
    assert {name: shared[f"AIRFLOW__AGENTIC__{name.upper()}"].split("://")[0] for name in places} == {
        name: "redis" if name == "limiter_url" else "s3" for name in places
    }


def test_the_dockerfile_passes_hadolint() -> None:
    program = Path(sys.executable).with_name("hadolint")
    told = subprocess.run([program, PROJECT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_the_image_installs_what_is_locked() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    named = re.findall(r"requirements/[a-z]+\.txt", text)
    assert set(named) == {"requirements/uv.txt", "requirements/image.txt", "requirements/dev.txt"}
    assert all((PROJECT / name).exists() for name in named)
    assert text.count("--require-hashes") == 3
    assert re.search(r"^USER 50000", text, re.MULTILINE)
    of_tests, of_image = (_locked(name) for name in ("distributed", "image"))
    assert of_image.items() <= of_tests.items()


def _locked(name: str) -> dict[str, str]:
    text = (PROJECT / "requirements" / f"{name}.txt").read_text()
    return {f"{package} {marker}": version for package, version, marker in _REQUIREMENT.findall(text)}


_REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[.*\])?==(\S+)(.*?) \\$", re.MULTILINE)
