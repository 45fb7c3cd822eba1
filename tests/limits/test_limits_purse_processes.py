"""Real processes that spend one run's budget at the same time: all of it, and never more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TESTS = Path(__file__).parents[1]


def started(
    store_url: str, budget: Mapping[str, float], *, processes: int, at_once: int
) -> list[subprocess.Popen[str]]:
    """Processes that begin to spend at the same time."""
    command = [
        *(sys.executable, "-m", "support.budget_racer", "--store", store_url),
        *("--budget", json.dumps(budget), "--at-once", str(at_once)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    running = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    start = f"{time.time() + 0.3}\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write(start)
        process.stdin.flush()
    return running


def ended(running: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """What they told until their end."""
    return [json.loads(line) for process in running for line in process.communicate(timeout=120)[0].splitlines()]


def sums(told: list[dict[str, Any]]) -> Counter[str]:
    """Over all that was told: calls, tokens that were taken, refusals."""
    return Counter(
        calls=sum("begins" in line for line in told),
        tokens=sum(line.get("took", 0) for line in told),
        refused=sum("refused" in line for line in told),
    )


def test_calls_of_eight_processes(store_url: str) -> None:
    told = sums(ended(started(store_url, {"calls": 100}, processes=8, at_once=4)))
    assert told["calls"] == 100
    assert told["refused"] == 32, "everybody went on until it was"


def test_a_call_for_each_of_eight_and_a_budget_of_five(store_url: str) -> None:
    told = sums(ended(started(store_url, {"calls": 5}, processes=8, at_once=1)))
    assert told["calls"] == 5
    assert told["refused"] == 8


def test_tokens_of_eight_processes(store_url: str) -> None:
    told = sums(ended(started(store_url, {"tokens": 3000}, processes=8, at_once=4)))
    print(dict(told))
    assert 3000 - 20 < told["tokens"] <= 3000, "nobody stops before less than the least is left"
    assert told["refused"] == 32


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def test_processes_that_die_at_work(store_url: str) -> None:
    running = started(store_url, {"tokens": 4000, "calls": 1000}, processes=6, at_once=4)
    told = []
    for process in running[:3]:
        for number, line in enumerate(lines(process)):
            told.append(line)
            if number == 8:
                process.kill()
                break
    told += ended(running)
    spent = sums(told)
    print(dict(spent))
    # What the dead may have taken counts, so that the others end with less than the whole budget.
    assert spent["tokens"] <= 4000
    assert spent["tokens"] >= 2000
    assert spent["refused"] >= 12
    used = max(line["refused"]["used"]["tokens"] for line in told if "refused" in line)
    assert 4000 - 20 < used <= 4000


@pytest.mark.long
def test_a_large_budget_of_eight_processes(store_url: str) -> None:
    told = sums(ended(started(store_url, {"calls": 5000, "tokens": 10**9}, processes=8, at_once=8)))
    assert told["calls"] == 5000
