"""Callables for agents that run in the worker of a real Airflow, where connections come from Airflow's API."""

from __future__ import annotations

from typing import Any


def host_of(connection: str) -> dict[str, Any]:
    """Ask for a connection in the thread that the callable runs in."""
    from airflow.sdk import BaseHook

    return {"host": BaseHook.get_connection(connection).host}


async def login_of(connection: str, run: dict[str, Any]) -> dict[str, Any]:
    """Ask for a connection on the event loop."""
    from airflow.sdk import BaseHook

    found = await BaseHook.aget_connection(connection)
    return {"login": found.login, "run": run["id"]}


def look_up(word: str) -> str:
    """Look a word up, asking for a connection while a model waits."""
    return f"{word} is at {host_of('agents_check_http')['host']}"


def pages(count: int) -> dict[str, Any]:
    """Texts of different lengths, the last the longest."""
    paragraph = "This is a paragraph with some words in it."
    return {"pages": [f"Page {page}.\n\n" + "\n\n".join([paragraph] * 30 * page) for page in range(1, count + 1)]}
