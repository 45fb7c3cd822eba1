"""What Airflow learns about the package."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources

import jsonschema

from airflow_agentic import config
from airflow_agentic.provider import get_provider_info


def test_the_information_is_what_airflow_asks_for() -> None:
    schema = json.loads(resources.files("airflow").joinpath("provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_all_options_are_airflows_too() -> None:
    from airflow.sdk.configuration import conf

    for option in config.OPTIONS.values():
        assert conf.get(config.SECTION, option.name, fallback=None) == option.default


def test_discovery_imports_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from airflow_agentic.provider import get_provider_info; get_provider_info()\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} & {'airflow', 'yaml', 'jinja2',"
        " 'pydantic', 'fsspec', 'pydantic_ai'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_airflow_has_our_commands() -> None:
    from airflow.providers_manager import ProvidersManager

    commands = [command for function in ProvidersManager().cli_command_functions for command in function()]
    assert "agentic" in [command.name for command in commands]
