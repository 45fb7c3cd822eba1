"""Real processes that want more than a connection gives: never above the limit, nearly all of it used, by everybody."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
#: clients in each process
AT_ONCE = 4


def hammered(
    store_url: str, limits: dict[str, int], *, processes: int, window: float, seconds: float
) -> list[list[list[float]]]:
    """What each process was given: time, tokens, client."""
    command = [
        *(sys.executable, "-m", "support.limit_hammer", "--store", store_url, "--window", str(window)),
        *("--seconds", str(seconds), "--limits", json.dumps(limits)),
        *("--at-once", str(AT_ONCE)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])}
    running = [
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
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
    told = []
    for process in running:
        out, errors = process.communicate(timeout=seconds + 60)
        assert process.returncode == 0, errors
        assert "locked" not in errors
        told.append([json.loads(line) for line in out.splitlines()])
    return told


def most_in_a_window(given: list[tuple[float, float]], window: float) -> float:
    """The most that any sliding window held."""
    given = sorted(given)
    most = held = 0.0
    first = 0
    for at, amount in given:
        held += amount
        while given[first][0] <= at - window:
            held -= given[first][1]
            first += 1
        most = max(most, held)
    return most


def check(told: list[list[list[float]]], *, limit: int, window: float, seconds: float, tokens: bool = False) -> None:
    given = [(at, amount if tokens else 1.0) for each in told for at, amount, _ in each]
    most = most_in_a_window(given, window)
    used = sum(amount for _, amount in given) / (limit * seconds / window)
    print(f"{len(given)} requests, at most {most:g} of {limit} in a window of {window:g} s, {used:.1%} used")
    assert most <= limit
    assert used >= 0.95
    longest = longest_wait(told, seconds)
    print(f"nobody waited longer than {longest:.1f} s")
    # There are fewer clients than a window has room for, so nobody has to wait for a second one.
    assert longest <= window * 1.03 + 1.0, "somebody starves"


def longest_wait(told: list[list[list[float]]], seconds: float) -> float:
    """The longest time that a client was without a request, that until the end included."""
    start = min(at for each in told for at, _, _ in each)
    longest = 0.0
    for each in told:
        for client in range(AT_ONCE):
            times = [start, *(at for at, _, number in each if number == client), start + seconds]
            longest = max(longest, *(after - before for before, after in itertools.pairwise(times)))
    return longest


def test_requests_of_four_processes(store_url: str) -> None:
    told = hammered(store_url, {"requests_per_minute": 60}, processes=4, window=3, seconds=8.9)
    check(told, limit=60, window=3, seconds=8.9)


def test_tokens_of_four_processes(store_url: str) -> None:
    told = hammered(store_url, {"tokens_per_minute": 9000}, processes=4, window=3, seconds=8.9)
    check(told, limit=9000, window=3, seconds=8.9, tokens=True)


@pytest.mark.long
def test_requests_of_eight_processes_for_two_minutes(store_url: str) -> None:
    told = hammered(store_url, {"requests_per_minute": 60}, processes=8, window=60, seconds=120)
    check(told, limit=60, window=60, seconds=120)


@pytest.mark.long
def test_tokens_of_eight_processes_for_two_minutes(store_url: str) -> None:
    told = hammered(store_url, {"tokens_per_minute": 90000}, processes=8, window=60, seconds=120)
    check(told, limit=90000, window=60, seconds=120, tokens=True)
