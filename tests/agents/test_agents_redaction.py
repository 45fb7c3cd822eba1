"""Credentials of requests are known as secrets, in every form in which another side may tell them."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import pytest

from airflow_agentic.agents.redaction import keep_secret
from airflow_agentic.trace.mask import unexposed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _configured(metadata_database: Path) -> None:
    """Airflow's list of sensitive names is set when its settings are loaded."""
    import airflow.settings

    airflow.settings.initialize()


def test_headers_are_kept_secret_whole_and_in_parts() -> None:
    headers = {
        "Authorization": "Bearer redaction-token-1",
        "X-Api-Key": "redaction-key-1",
        "Accept": "redaction-kind-1",
    }
    asyncio.run(keep_secret(headers, None))
    told = "redaction-token-1 redaction-key-1 redaction-kind-1 Bearer"
    assert unexposed(told) == "*** *** redaction-kind-1 Bearer"


def test_basic_authentication_is_kept_secret() -> None:
    asyncio.run(keep_secret({}, ("ada", "redaction-password-1")))
    sent = base64.b64encode(b"ada:redaction-password-1").decode()
    assert unexposed(f"Basic {sent}, ada") == "Basic ***, ada"


def test_the_supervisor_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_agentic.trace import mask

    told: list[object] = []
    register = mask.register_secret
    monkeypatch.setattr(mask, "register_secret", lambda secret: (told.append(secret), register(secret)))
    for _ in range(3):
        asyncio.run(keep_secret({"Cookie": "redaction-cookie-1", "X-Number": 3}, None))
    assert [secrets for secrets in told if isinstance(secrets, list)] == [["redaction-cookie-1"]]
