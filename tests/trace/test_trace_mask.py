"""Secrets in records, by the rules of Airflow's logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_agentic.trace.mask import masked, register_secret, unexposed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _configured(metadata_database: Path) -> None:
    """Airflow's list of sensitive names is set when its settings are loaded."""
    import airflow.settings

    airflow.settings.initialize()


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = {"a": [value]}
    return value


def test_registered_secrets_are_masked_at_any_depth() -> None:
    register_secret("s3cr3t-value-1")
    assert masked({"text": "key=s3cr3t-value-1!", "n": [1, None, True]}) == {"text": "key=***!", "n": [1, None, True]}
    assert masked(nested("s3cr3t-value-1", 40)) == nested("***", 40)


def test_secrets_inside_of_secrets_are_masked() -> None:
    register_secret({"password": "s3cr3t-value-2", "more": ["s3cr3t-value-3", 4]})
    assert masked("s3cr3t-value-2 s3cr3t-value-3") == "*** ***"


@pytest.mark.parametrize("key", ["password", "api_key", "Authorization", "x-api-key", "my_secret"])
def test_values_of_sensitive_keys_are_masked(key: str) -> None:
    assert masked({"headers": {key: "anything", "other": "kept"}}) == {"headers": {key: "***", "other": "kept"}}


def test_counts_of_tokens_are_not_secrets() -> None:
    assert masked({"max_tokens": 1200}) == {"max_tokens": 1200}


def test_what_is_no_json_becomes_text() -> None:
    assert masked({"path": {1, 2}.__class__, "nan": float("nan"), "t": (1, 2)}) == {
        "path": "<class 'set'>",
        "nan": "NaN",
        "t": [1, 2],
    }


def test_values_that_go_on_lose_secrets_but_no_fields() -> None:
    register_secret("s3cr3t-value-4")
    given = {"token": "kept", "s3cr3t-value-4": ["a s3cr3t-value-4!", 7, None, ("s3cr3t-value-4",)]}
    assert unexposed(given) == {"token": "kept", "***": ["a ***!", 7, None, ["***"]]}
    assert given["token"] == "kept"
    assert "s3cr3t-value-4" in given
