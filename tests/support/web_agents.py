"""Agents of the runs that are looked at through the api-server."""

from __future__ import annotations

from airflow_agentic.errors import RetryableError

#: More than a browser is sent to show.
LONG = "word " * 300_000


def write(topic: str) -> dict[str, str]:
    """A text."""
    return {"text": f"On {topic}: it <i>grew</i>."}


def long(text: str) -> dict[str, str]:
    """A long one."""
    return {"text": text + LONG}


def fail(**_: object) -> dict[str, str]:
    """Nothing."""
    raise RetryableError("the service is away", kind="unavailable")
