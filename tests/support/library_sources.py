"""Sources for the tests of the library's agents, as ``sources.load`` returns them."""

from __future__ import annotations

from typing import Any

RETRIES = """\
# Retries

A failed task is tried again when its retries setting allows it. The number of retries is 0 unless it is set.

## Delay

The retry delay is the time between two attempts of a task, 300 seconds by default.
With exponential backoff the retry delay doubles after each attempt. It never exceeds the maximum retry delay.

- `retry_delay`: the time between two retries of a task
- `max_retry_delay`: the longest time between two retries, 24 hours at most

```
task = Task(retries=3, retry_delay=60)
```

## Community

Please open an issue if retries do not work for you.
"""
JITTER = """\
# Backoff in practice

Clients that retry at the same time overload a server again. Jitter spreads the retries of many clients over the wait.
Exponential backoff doubles the wait after each retry, so that a server gets time to recover.

With exponential backoff the retry delay doubles after each attempt.

Bread is baked in an oven on Sundays by people who like it.
"""


def source(identity: str, text: str, *, title: str = "", uri: str = "") -> dict[str, Any]:
    """One source."""
    return {"id": identity, "title": title or identity, "uri": uri, "text": text, "characters": len(text)}


def sources() -> list[dict[str, Any]]:
    """Two sources that speak of retries, and repeat each other once."""
    return [
        source("s1", RETRIES, title="Retries", uri="docs/retries.md"),
        source("s2", JITTER, title="Backoff in practice", uri="https://backoff.example/post"),
    ]
