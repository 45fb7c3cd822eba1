"""Summaries of many runs: each read once, at the same time, and nobody waits longer than they want to."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.many_runs import FarFiles, a_summary, far

from airflow_agentic.errors import MissingFileError, TraceError
from airflow_agentic.trace import layout, summaries
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.summaries import Summaries

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_agentic.trace.summary import RunSummary

COUNT = 1000


@pytest.fixture
def made(tmp_path: Path) -> tuple[TraceStore, dict[str, RunSummary]]:
    """A store with many summaries."""
    store = TraceStore(str(tmp_path))
    found = [a_summary(f"dag{number % 20}", f"run {number}") for number in range(COUNT)]
    return store, {store.write_summary(summary): summary for summary in found}


def test_each_is_read_once_and_many_at_a_time(made: tuple[TraceStore, dict[str, RunSummary]]) -> None:
    store, written = made
    files, known = far(store), Summaries(store)
    began = time.monotonic()
    assert known.get(written, 30) == written
    assert time.monotonic() - began < COUNT * FarFiles.delay / 4
    assert known.get(list(written)[:10], 0) == dict(list(written.items())[:10])
    assert known.get(written, 0) == written
    assert files.reads == COUNT


def test_a_slow_store_is_waited_for_as_long_as_one_wants(
    made: tuple[TraceStore, dict[str, RunSummary]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first batch is there, the second one later; what is wanted first is read first."""
    store, written = made
    monkeypatch.setattr(summaries, "_BATCH", 400)
    monkeypatch.setattr(FarFiles, "delay", 0.1)
    far(store)
    known = Summaries(store)
    began = time.monotonic()
    found = known.get(written, 0.05)
    assert time.monotonic() - began < 0.5
    assert found.items() <= written.items()
    assert list(found) == list(written)[: len(found)]
    assert len(found) < COUNT
    assert known.get(written, 30) == written


def test_what_isnt_there_is_asked_for_once(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    path = store.write_summary(a_summary("d", "r"))
    files, known = far(store), Summaries(store)
    missing = layout.summary_path("d", "other", 1)
    for _ in range(3):
        found = known.get([path, missing], 30)
        assert isinstance(found[missing], MissingFileError)
        assert found[path] == a_summary("d", "r")
    assert files.reads == 2


def test_what_cant_be_read_is_asked_for_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TraceStore(str(tmp_path))
    path = store.write_summary(a_summary("d", "r"))
    file = tmp_path / path
    whole = file.read_bytes()
    file.write_bytes(whole[:20])
    known = Summaries(store)
    for _ in range(2):
        found = known.get([path], 30)[path]
        assert isinstance(found, TraceError)
        assert not isinstance(found, MissingFileError)
        file.write_bytes(whole)
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 3600)
    assert known.get([path], 30) == {path: a_summary("d", "r")}


def test_a_store_that_fails_altogether_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    store = TraceStore(str(tmp_path))
    monkeypatch.setattr(store._filesystem, "cat_ranges", refuse)
    found = Summaries(store).get(["d/r/summary.1.json"], 30)
    assert "no route" in str(found["d/r/summary.1.json"])


def test_what_nobody_asked_for_lately_is_forgotten(
    made: tuple[TraceStore, dict[str, RunSummary]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, written = made
    monkeypatch.setattr(summaries, "_KEPT", 20)
    files, known, paths = far(store), Summaries(store), list(written)
    for some in (paths[:10], paths[10:20], paths[:10], paths[20:30], paths[:10]):
        assert known.get(some, 30) == {path: written[path] for path in some}
    assert files.reads == 30
    known.get(paths[10:20], 30)
    assert files.reads == 40


def test_several_may_ask_at_once(made: tuple[TraceStore, dict[str, RunSummary]]) -> None:
    store, written = made
    files, known = far(store), Summaries(store)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(known.get(written, 30))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [written] * 6
    assert files.reads == COUNT
