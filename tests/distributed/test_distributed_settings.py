"""The settings in docker-compose.yaml, seen by an Airflow with all providers of the image."""

from __future__ import annotations

import pytest
from support.compose import new_variables, services

from airflow_agentic.config import OPTIONS
from airflow_agentic.local.settings import SEVERAL_MACHINES

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The options that Airflow and its providers have, by section, as variables call both."""
    from airflow.configuration import conf
    from airflow.providers_manager import ProvidersManager

    ProvidersManager().initialize_providers_configuration()
    return {
        section.replace(".", "_").upper(): {option.upper() for option in description["options"]}
        for section, description in conf.configuration_description.items()
    }


def test_every_setting_is_one_that_airflow_knows(known: dict[str, set[str]]) -> None:
    assert known["AGENTIC"] == {option.upper() for option in OPTIONS}
    for service in services(new_variables()).values():
        for name in service.environment:
            if name.startswith("AIRFLOW__"):
                _, section, option = name.split("__")
                assert option in known[section], name


def test_every_recommended_setting_is_one_that_airflow_knows(known: dict[str, set[str]]) -> None:
    for setting in SEVERAL_MACHINES:
        _, section, option = setting.variable.split("__")
        assert option in known[section], setting
