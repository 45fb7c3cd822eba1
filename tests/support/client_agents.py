"""Python agents and tools that call an API with the usual clients, and handle none of their exceptions."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

CLIENTS = ("with_httpx", "with_httpx_async", "with_requests", "with_urllib", "with_urllib3", "with_aiohttp")


def with_httpx(url: str, seconds: float = 5.0) -> Any:
    """Get it."""
    import httpx

    return httpx.get(url, timeout=seconds).raise_for_status().json()


async def with_httpx_async(url: str, seconds: float = 5.0) -> Any:
    """Get it."""
    import httpx

    async with httpx.AsyncClient(timeout=seconds) as client:
        return (await client.get(url)).raise_for_status().json()


def with_requests(url: str, seconds: float = 5.0) -> Any:
    """Get it."""
    import requests

    response = requests.get(url, timeout=seconds)
    response.raise_for_status()
    return response.json()


def with_urllib(url: str, seconds: float = 5.0) -> Any:
    """Get it. (What it raises for a status has the connection.)"""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        error.close()
        raise


def with_urllib3(url: str, seconds: float = 5.0) -> Any:
    """Get it. (It raises nothing for a status.)"""
    import urllib3

    with urllib3.PoolManager(retries=1) as pool:
        return json.loads(pool.request("GET", url, timeout=seconds).data)


async def with_aiohttp(url: str, seconds: float = 5.0) -> Any:
    """Get it."""
    import aiohttp

    async with (
        aiohttp.ClientSession(raise_for_status=True, timeout=aiohttp.ClientTimeout(seconds)) as session,
        session.get(url) as response,
    ):
        return await response.json()


def with_openai(url: str, seconds: float = 5.0) -> Any:
    """Ask a model."""
    from openai import OpenAI

    with OpenAI(base_url=url, api_key="k", timeout=seconds, max_retries=0) as client:
        return client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}]).model_dump()


def with_anthropic(url: str, seconds: float = 5.0) -> Any:
    """Ask a model."""
    from anthropic import Anthropic

    messages = [{"role": "user", "content": "Hello"}]
    with Anthropic(base_url=url, api_key="k", timeout=seconds, max_retries=0) as client:
        return client.messages.create(model="m", max_tokens=9, messages=messages).model_dump()


def with_hook(connection: str) -> Any:
    """Get it by Airflow's own hook."""
    from airflow.providers.http.hooks.http import HttpHook

    return HttpHook(method="GET", http_conn_id=connection).run("/").json()


def wrapped(url: str, seconds: float = 5.0) -> Any:
    """Tell the client's exception in words of one's own."""
    import httpx

    try:
        return with_httpx(url, seconds)
    except httpx.HTTPError as error:
        raise LookupError("the archive has no such page") from error


def confused(url: str) -> Any:
    """Fail by oneself while the client's exception is handled."""
    import httpx

    try:
        return with_httpx(url)
    except httpx.HTTPError:
        return {}["default"]
