"""
A process that asks for a connection's limits as fast as they allow, and prints what it was given.

One line per request: when it was let in, the tokens that it took in truth, and which of the clients it was for.
``python -m support.limit_hammer --store … --window 5 --seconds 15 --limits '{"requests_per_minute": 60}'``
prints ``ready``, and starts at the time that it is told on its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from typing import TYPE_CHECKING

from airflow_agentic.limits.admission import Gate
from airflow_agentic.limits.settings import limits_of
from airflow_agentic.limits.waiting import Waiting

if TYPE_CHECKING:
    from airflow_agentic.limits.store import Store


def open_store(url: str, window: float) -> Store:
    """A store with a window of a test's length."""
    if url.startswith("redis://"):
        from airflow_agentic.limits.redis import RedisStore

        return RedisStore(url, window=window, margin=0.03 * window)
    from airflow_agentic.limits.sqlite import SqliteStore

    return SqliteStore(url, window=window, margin=0.03 * window)


async def hammer(store: Store, limits: dict[str, int], end: float, at_once: int) -> None:
    """Ask and ask until the end."""
    found = limits_of(limits, "api")
    if found is None:
        raise SystemExit("no limits")

    async def client(number: int) -> None:
        while time.time() < end:
            waiting = Waiting()
            async with asyncio.timeout(None) as timeout:
                gate = Gate(connection="api", limits=found, waiting=waiting, timeout=timeout, store=lambda: store)
                async with gate.admitted(tokens=120) as admission:
                    at = time.time()
                    admission.tokens = random.randint(60, 120)
                    await asyncio.sleep(0.01)
            print(json.dumps([at, admission.tokens, number]), flush=True)

    clients = [asyncio.create_task(client(number)) for number in range(at_once)]
    await asyncio.sleep(max(0.0, end - time.time()))
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)


def main() -> None:
    """Hammer."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--window", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--limits", type=json.loads, required=True)
    parser.add_argument("--at-once", type=int, default=4)
    arguments = parser.parse_args()
    store = open_store(arguments.store, arguments.window)
    print("ready", flush=True)
    start = float(input())
    time.sleep(max(0.0, start - time.time()))
    asyncio.run(hammer(store, arguments.limits, start + arguments.seconds, arguments.at_once))


if __name__ == "__main__":
    main()
