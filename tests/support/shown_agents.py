"""Agents of the runs whose traces are looked at: quick, and failing where the run's story wants it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from airflow_agentic.errors import FinalError, RetryableError

_asked: Counter[str] = Counter()
_SOURCES = ("Annual report", "Market survey", "Grid operator's data", "Interview", "Press release", "Tariff sheet")


def forget() -> None:
    """Begin anew: what fails the first time, does so again."""
    _asked.clear()


def gather(topic: str, count: int) -> dict[str, Any]:
    """Sources on a topic."""
    time.sleep(0.03)
    sources = [
        {"id": f"s{number:02}", "title": f"{_SOURCES[number % len(_SOURCES)]} {2021 + number % 5}", "topic": topic}
        for number in range(1, count + 1)
    ]
    return {"sources": sources}


def check(source: dict[str, Any]) -> dict[str, Any]:
    """Read a source again: some are busy the first time, two can't be had."""
    number = int(source["id"][1:])
    time.sleep(0.002 * (number % 5))
    _asked[source["id"]] += 1
    if number in (7, 21):
        raise FinalError(f"{source['title']} was withdrawn by its publisher", kind="rejected")
    if number % 6 == 0 and _asked[source["id"]] == 1:
        raise RetryableError("429 Too Many Requests: the archive is busy", kind="rate_limited")
    return {"id": source["id"], "holds": number % 5 != 0, "quote": f"Capacity grew by {number} %."}


def search(query: str) -> list[str]:
    """
    Search the archive.

    :param query: what to look for.
    """
    return [f"{query}: capacity grew", f"{query}: prices fell"]


def chart(**_: Any) -> Any:
    """A service that is never there."""
    raise RetryableError(
        "503 Service Unavailable: https://charts.internal/v2/render did not answer", kind="unavailable"
    )


def plain_chart(points: int = 0) -> dict[str, Any]:
    """Its stand-in."""
    return {"svg": "<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0h10'/></svg>", "points": points}


def review(text: str, round: int) -> dict[str, Any]:  # noqa: A002
    """Better from round to round."""
    time.sleep(0.02)
    problems = [[], ["No figure has a source.", "The lead is longer than two sentences."]][round < 2]
    return {"score": 0.71 if round < 2 else 0.86, "problems": problems, "words": len(text.split())}


def count(number: int) -> dict[str, Any]:
    """A thousand of these are asked."""
    if number % 97 == 5:
        raise FinalError(f"record {number} has no amount", kind="rejected")
    _asked[f"n{number}"] += 1
    if number % 50 == 11 and _asked[f"n{number}"] == 1:
        raise RetryableError("the ledger is locked", kind="unavailable")
    return {"number": number, "amount": number * 3.5, "currency": "EUR"}
