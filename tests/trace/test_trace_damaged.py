"""Records that were damaged, cut or changed: a trace says so, and tells the rest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from support.records import RUN, attempt, decision, failure
from support.scheduling import run_scripted
from support.traces import facts_of

from airflow_agentic.errors import TraceError
from airflow_agentic.factory.load import build_dag
from airflow_agentic.trace.assemble import assembled
from airflow_agentic.trace.document import from_data, to_data
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from airflow_agentic.trace.airflow import RunFacts
    from airflow_agentic.trace.document import Trace

TEMPLATE = """\
version: 1
name: damaged
inputs: {long: {type: string, default: "%s"}}
defaults: {retry: {attempts: 2, wait: 1ms, jitter: false}}
agents:
  echo: {type: python, callable: "support.scripted_agents:echo"}
  away: {type: python, callable: "support.item_agents:unavailable"}
stages:
  draft: {agent: echo, input: {value: {score: "{{ round }}", text: "{{ inputs.long }}"}}}
  review:
    agent: echo
    input: {value: "{{ draft }}"}
    routes:
      - {when: review.score >= 2, to: next}
      - {back_to: draft, max_rounds: 2, with: {problem: short}}
  each: {agent: echo, for_each: range(3) | list, input: {value: "{{ item }}"}}
  helped: {agent: away, on_error: {value: {score: 0}}}
  ask: {human: {ask: "Well?", options: [a, b], timeout: 1h, on_timeout: b}, needs: [review]}
  all: {merge: {from: [each, review], how: object}}
output: {all: "{{ all }}", long: "{{ inputs.long }}"}
artifact: {path: damaged.md, content: "{{ review.text }} {{ each.outputs[0] }} {{ all }} {{ ask.choice }}"}
""" % ("x" * 70_000)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, metadata_database: Path) -> tuple[Path, RunFacts]:
    """The trace store of a run that has a record of each kind, and what Airflow knows of it."""
    from support.agreement import environment

    folder = tmp_path_factory.mktemp("damaged")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        file = folder / "damaged.yaml"
        file.write_text(TEMPLATE)
        ran = run_scripted(build_dag(str(file)), answer=lambda _: ("a", {}))
        assert ran.state == "success", ran.errors
        trace = assembled(ran.dag_id, ran.run_id, facts_of(ran))
    assert trace.problems == ()
    assert {path.parent.name for path in (folder / "trace").rglob("*.json")} >= {
        *("begin", "attempts", "decisions", "answers", "merges", "artifacts", "failures", "values"),
    }
    return folder / "trace", facts_of(ran)


def told(url: Path, facts: RunFacts, *, complete: bool) -> Trace | None:
    """The trace, which is whole in itself; or none, with an error for people."""
    try:
        trace = assembled(facts.dag_id, facts.run_id, facts if complete else None, TraceStore(str(url)))
    except TraceError:
        return None
    assert from_data(json.loads(json.dumps(to_data(trace), allow_nan=False))) == trace
    return trace


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def changed(data: Any, draw: Any) -> Any:
    """JSON data in which one value is another one, or a key is missing."""
    if not isinstance(data, (dict, list)) or not data or draw(st.integers(0, 4)) == 0:
        return draw(json_values)
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = draw(st.sampled_from(keys))
    copy = data.copy()
    if draw(st.integers(0, 6)) == 0:
        del copy[key]
    else:
        copy[key] = changed(data[key], draw)
    return copy


def damage(file: Path, draw: Any) -> None:
    data = file.read_bytes()
    how = draw(st.sampled_from(["delete", "cut", "byte", "empty", "value", "value", "value"]))
    event(how)
    match how:
        case "delete":
            file.unlink()
        case "cut":
            file.write_bytes(data[: draw(st.integers(0, len(data)))])
        case "byte" if data:
            place = draw(st.integers(0, len(data) - 1))
            file.write_bytes(data[:place] + bytes([draw(st.integers(0, 255))]) + data[place + 1 :])
        case "empty":
            file.write_bytes(b"")
        case "value" if file.suffix == ".json":
            try:
                parsed = json.loads(data)
            except ValueError:
                return
            file.write_text(json.dumps(changed(parsed, draw)))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), complete=st.booleans())
def test_whatever_is_damaged_the_rest_is_told(
    data: st.DataObject, complete: bool, run: tuple[Path, RunFacts], tmp_path_factory: pytest.TempPathFactory
) -> None:
    stored, facts = run
    url = tmp_path_factory.mktemp("copy") / "trace"
    shutil.copytree(stored, url)
    try:
        files = sorted(path for path in url.rglob("*") if path.is_file())
        for file in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=4, unique=True)):
            damage(file, data.draw)
        trace = told(url, facts, complete=complete)
        assert trace is not None or not complete
    finally:
        shutil.rmtree(url)


def test_each_record_that_is_no_json_is_named(run: tuple[Path, RunFacts], tmp_path: Path) -> None:
    stored, facts = run
    url = Path(shutil.copytree(stored, tmp_path / "trace"))
    folders = ("attempts", "decisions", "answers", "merges", "artifacts", "failures", "begin", "values")
    broken = [file for file in sorted(url.rglob("*.json")) if file.parent.name in folders]
    for file in broken:
        file.write_text("{")
    trace = told(url, facts, complete=True)
    assert trace is not None
    told_of = "\n".join(trace.problems)
    assert [file.name for file in broken if file.parent.name != "values" and file.name not in told_of] == []
    assert trace.tasks
    assert trace.attempts == ()


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("started", "yesterday", "started: 'yesterday' is no time in UTC"),
        ("attempt", "first", "attempt: Input should be a valid integer"),
        ("item", {"value": 1}, "item.index: None is of the wrong type"),
        ("agent", {}, "agent.name: None is of the wrong type"),
        ("run", {"dag_id": "briefs"}, "run.run_id: Field required"),
        ("format", 7, "it is no record of format 1"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(tmp_path: Path, key: str, value: Any, problem: str) -> None:
    store = TraceStore(str(tmp_path))
    store.write(attempt("one"))
    path = tmp_path / store.write(attempt("two"))
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    assert [each.stage for each in trace.attempts] == ["one"]
    [told_of] = trace.problems
    assert "attempts/two.-1.1.1.json" in told_of
    assert problem in told_of


def test_a_record_that_cannot_be_told_is_left_out(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.write(attempt("one"))
    store.write(decision(conditions=({"when": "a.b > 1", "held": True, "values": [{"value": 1}]},)))
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    assert ([each.stage for each in trace.attempts], trace.decisions) == (["one"], ())
    [told_of] = trace.problems
    assert told_of.startswith("The record decisions/qa__route.-1.1.json can't be told: KeyError('path')")


def test_a_large_value_that_was_changed_is_not_shown(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.write(attempt(output="x" * 100_000))
    [value] = tmp_path.rglob("values/*.json")
    value.write_text('"y"')
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    assert trace.attempts[0].output is None
    assert "its digest is another one" in trace.problems[0]


def test_a_store_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match="no records"):
        assembled("a", "b", store=TraceStore(str(tmp_path / "file")))


def test_records_of_before_there_were_begin_records(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.write(attempt("one"))
    store.write(failure("two", second=3))
    trace = assembled(RUN.dag_id, RUN.run_id, store=store)
    assert (trace.inputs, trace.picture, trace.template, trace.triggered) == (None, None, None, {})
    assert [row.stage for row in trace.stages] == ["one", "two"]
    assert trace.problems == ()
