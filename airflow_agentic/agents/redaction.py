"""Leaving credentials out of what is recorded as sent, and making known those that Airflow wouldn't know."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_agentic.template.credentials import is_credential

if TYPE_CHECKING:
    from collections.abc import Iterator


def without_secrets(value: Any) -> Any:
    """A copy of plain data in which the values under names of credentials are ``***``."""
    if isinstance(value, Mapping):
        return {key: "***" if is_credential(key) else without_secrets(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_secrets(part) for part in value]
    return value


async def keep_secret(headers: Mapping[str, Any], login: tuple[str, str] | None) -> None:
    """
    Keep credentials of requests out of all later logs and records.

    Airflow knows headers by fewer names, and only whole, while the token behind ``Bearer`` is a secret by itself; and
    it knows a password, but not what basic authentication makes of it.

    :param headers: name → value; those that are no credentials are left alone.
    :param login: user and password of basic authentication.
    """
    from airflow_agentic.trace.mask import register_secret, unexposed

    unknown = [secret for secret in dict.fromkeys(_secrets(headers, login)) if unexposed(secret) == secret]
    if unknown:
        await asyncio.to_thread(register_secret, unknown)  # it tells Airflow's supervisor


def _secrets(headers: Mapping[str, Any], login: tuple[str, str] | None) -> Iterator[str]:
    for name, value in headers.items():
        if isinstance(value, str) and is_credential(name):
            yield value
            yield value.rpartition(" ")[2]
    if login is not None:
        yield base64.b64encode(":".join(login).encode()).decode()
