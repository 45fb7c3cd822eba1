"""
A process that makes calls for as long as a run's budget lets it, several at a time, and prints each that it makes.

One line per call when it begins, ``{"begins": tokens}`` with what it was granted, and one when it has ended,
``{"took": tokens}``; in the end one ``{"refused": …}`` for each of those who called.
``python -m support.budget_racer --store … --budget '{"calls": 50}'`` prints ``ready``, and starts at the time that it
is told on its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from typing import TYPE_CHECKING

from airflow_agentic.errors import FinalError
from airflow_agentic.limits.purse import RunPurse
from airflow_agentic.limits.spending import Amount, Budget, Want
from airflow_agentic.limits.waiting import Waiting

if TYPE_CHECKING:
    from airflow_agentic.limits.purses import Purses


def open_purses(url: str, lease: float) -> Purses:
    """A store with a lease of a test's length."""
    if url.startswith("redis://"):
        from airflow_agentic.limits.purses_redis import RedisPurses

        return RedisPurses(url, lease=lease)
    from airflow_agentic.limits.purses_sqlite import SqlitePurses

    return SqlitePurses(url, lease=lease)


async def spend(purse: RunPurse) -> None:
    """Call until it is refused."""
    while True:
        want = Want(most=Amount(tokens=random.randint(50, 100)), least=Amount(tokens=20))
        try:
            async with asyncio.timeout(None) as timeout, purse.call(timeout, Waiting(), want) as spent:
                print(json.dumps({"begins": spent.granted.tokens}), flush=True)
                await asyncio.sleep(random.uniform(0, 0.02))
                spent.tokens = random.randint(1, spent.granted.tokens)
                print(json.dumps({"took": spent.tokens}), flush=True)
        except FinalError as error:
            print(json.dumps({"refused": error.details}), flush=True)
            return


async def race(purse: RunPurse, at_once: int) -> None:
    """Let several call at the same time."""
    await asyncio.gather(*(spend(purse) for _ in range(at_once)))


def main() -> None:
    """Race."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--budget", type=json.loads, required=True)
    parser.add_argument("--lease", type=float, default=2.0)
    parser.add_argument("--at-once", type=int, default=4)
    arguments = parser.parse_args()
    purses = open_purses(arguments.store, arguments.lease)
    print("ready", flush=True)
    time.sleep(max(0.0, float(input()) - time.time()))
    purse = RunPurse(budget=Budget(**arguments.budget), run="dag/run", purses=lambda: purses)
    asyncio.run(race(purse, arguments.at_once))


if __name__ == "__main__":
    main()
