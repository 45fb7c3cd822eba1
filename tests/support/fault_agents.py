"""A callable that asks the :mod:`support.fault_server` as callables do: with requests, handling nothing."""

from __future__ import annotations

from typing import Any

import requests


def ask(url: str, key: str, **_: Any) -> Any:
    """What the server has under a key."""
    response = requests.get(f"{url}/api", params={"key": key}, timeout=60)
    response.raise_for_status()
    return response.json()
