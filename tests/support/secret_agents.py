"""Callables that are careless with secrets."""

from __future__ import annotations

import sys
from typing import Any


def _password(connection: str) -> str:
    from airflow.sdk import BaseHook

    return str(BaseHook.get_connection(connection).password)


def told(connection: str, token: str) -> dict[str, str]:
    """What somebody returns who shouldn't."""
    return {"text": f"the password is {_password(connection)}, the token {token}"}


def raised(connection: str, token: str) -> None:
    """What somebody raises who shouldn't, after having printed it."""
    secret = f"{_password(connection)} {token}"
    print("printed", secret)
    print("printed", secret, file=sys.stderr)
    raise ValueError(f"no access with {secret}")


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: {_password('secrets_http')}"


def same(**given: Any) -> dict[str, Any]:
    """Return everything."""
    return {"given": given}
