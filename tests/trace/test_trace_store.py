"""The trace store, on the local file system and on one that isn't local."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import RUN, answer, artifact, attempt, decision, failed_attempt, failure, merge

from airflow_agentic import storage
from airflow_agentic.errors import ConfigError, TraceError
from airflow_agentic.trace.layout import LONGEST_SEGMENT, record_path, segment
from airflow_agentic.trace.record import RunKey, from_data, to_data
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from airflow_agentic.trace.record import Record


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TraceStore:
    """A store of one's own."""
    return TraceStore(str(tmp_path / "trace") if request.param == "local" else f"memory://{uuid.uuid4().hex}")


@pytest.mark.parametrize(
    "record",
    [attempt(), failed_attempt(wait=2.0), merge(), decision(), answer(), failure(), artifact()],
    ids=lambda r: type(r).__name__,
)
def test_a_record_comes_back_as_it_was(store: TraceStore, record: Record) -> None:
    path = store.write(record)
    assert store.read(path) == record
    assert store.records(RUN.dag_id, RUN.run_id) == {path: record}


def test_a_record_is_never_written_over(store: TraceStore) -> None:
    store.write(attempt())
    with pytest.raises(TraceError, match="exists already"):
        store.write(attempt(output="other"))
    [(_, kept)] = store.records(RUN.dag_id, RUN.run_id).items()
    assert kept == attempt()


def test_a_large_value_is_stored_once(store: TraceStore) -> None:
    documents = ["tea " * 30_000]
    first = attempt("load", output={"documents": documents})
    second = attempt("draft", input={"documents": documents, "topic": "tea"})
    paths = [store.write(first), store.write(second)]
    assert [store.read(path) for path in paths] == [first, second]
    [value] = store.names(f"{Path(paths[0]).parent.parent}/values")
    assert len(store.read_bytes(paths[1])) < 2_000
    peeked = store.peek(paths[1])
    assert peeked.input == {"documents": {"$value": Path(value).stem, "bytes": 120_004}, "topic": "tea"}


def test_what_a_condition_saw_may_be_large(store: TraceStore) -> None:
    seen = {"when": "len", "outcome": "x", "held": True, "values": [{"path": "draft", "value": "tea " * 30_000}]}
    record = decision(conditions=(seen,), feedback={"text": "tea " * 30_000})
    path = store.write(record)
    assert len(store.read_bytes(path)) < 2_000
    assert store.read(path) == record


def test_the_records_of_a_task_are_in_order(store: TraceStore) -> None:
    records = [
        failed_attempt(try_number=2, number=10),
        failed_attempt(try_number=2, number=9),
        failed_attempt(try_number=1, number=1),
        failed_attempt(stage="draft.-1", number=3),
        failed_attempt(stage="draft", map_index=3),
        replace(failure(), try_number=11),
    ]
    for record in records:
        store.write(record)
    found = store.of_task(RUN, "draft", -1)
    assert found == [records[2], records[1], records[0], records[5]]


def test_items_of_one_task_have_records_of_their_own_and_its_failure_is_the_last(store: TraceStore) -> None:
    items = [{"index": index, "value": f"item {index}"} for index in (0, 2)]
    records = [
        replace(failure(), try_number=1),
        *(failed_attempt(try_number=number, item=item) for number in (1, 2) for item in items),
    ]
    paths = [store.write(record) for record in records]
    assert [path.rpartition("/")[2] for path in paths[1:3]] == ["draft.-1.1.1.0.json", "draft.-1.1.1.2.json"]
    assert store.of_task(RUN, "draft", -1) == [records[1], records[2], records[0], records[3], records[4]]


def test_manifests_are_numbered_by_try(store: TraceStore) -> None:
    assert store.manifest(RUN.dag_id, RUN.run_id) is None
    for number in (1, 2, 10):
        store.write_manifest(RUN, number, {"n": number})
    assert store.manifest(RUN.dag_id, RUN.run_id) == {"n": 10}
    with pytest.raises(TraceError, match="exists already"):
        store.write_manifest(RUN, 2, {})


def test_the_template_is_kept(store: TraceStore) -> None:
    store.write_template(RUN, "version: 1\n# é\n")
    store.write_template(RUN, "version: 1\n# é\n")
    [path] = store.names(f"{record_path(attempt()).rpartition('/attempts')[0]}/template")
    assert path.endswith("template/d1.yaml")
    assert store.read_bytes(path).decode() == "version: 1\n# é\n"


def test_what_is_missing_or_broken_is_said(store: TraceStore) -> None:
    with pytest.raises(TraceError, match=r"There is no x/y/attempts/z\.json in"):
        store.read("x/y/attempts/z.json")
    assert store.records("x", "y") == {}
    path = store.write(attempt())
    storage.overwrite(store._filesystem, store._full(path), b'{"format": 1, "kind": "attempt"}')
    with pytest.raises(TraceError, match="can't be read"):
        store.read(path)
    storage.overwrite(store._filesystem, store._full(path), b"[]")
    with pytest.raises(TraceError, match="can't be read"):
        store.read(path)


def test_an_unknown_file_system_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError, match="trace_url 'nonsense://x' can't be used"):
        TraceStore("nonsense://x")


def test_no_half_of_a_record_is_ever_seen(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    path = Path(tmp_path, store.write(attempt()))
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text().endswith("}\n")


def test_a_store_without_hard_links_still_takes_each_name_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    store = TraceStore(str(tmp_path))
    store.write(attempt())
    with pytest.raises(TraceError, match="exists already"):
        store.write(attempt())


def test_an_unwritable_store_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("a file, not a folder")
    with pytest.raises(TraceError):
        TraceStore(str(tmp_path / "trace")).write(attempt())


@pytest.mark.parametrize("name", [".", "..", "a/b", "../..", "a\\b", "a b", "é", "", "x" * 300, "\ud800"])
def test_no_id_leaves_its_folder(name: str, tmp_path: Path) -> None:
    run = RunKey(dag_id=name, run_id=name, template_digest="d")
    path = record_path(replace(attempt(), run=run, task_id=name))
    assert len(path.split("/")) == 4
    assert not {".", "..", "\\"} & set(path.split("/"))
    assert all(len(part) <= 255 for part in path.split("/"))


@given(st.lists(st.text(max_size=300), min_size=2, max_size=2, unique=True))
def test_different_ids_have_different_segments(names: list[str]) -> None:
    one, other = (segment(name) for name in names)
    assert one != other
    assert len(one) <= LONGEST_SEGMENT


def test_later_versions_may_add_keys() -> None:
    assert from_data({**to_data(attempt()), "added_later": 1}) == attempt()
    with pytest.raises(ValueError, match="not a record of format"):
        from_data({**to_data(attempt()), "format": 99})


def test_reading_needs_no_airflow(tmp_path: Path) -> None:
    TraceStore(str(tmp_path)).write(attempt())
    code = (
        "import sys; from airflow_agentic.trace.assemble import assembled; "
        "from airflow_agentic.trace.store import TraceStore; "
        f"trace = assembled({RUN.dag_id!r}, {RUN.run_id!r}, store=TraceStore({str(tmp_path)!r})); "
        "print(trace.stages[0].stage, 'airflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["draft", "False"]


def test_stored_json_is_for_people_too(store: TraceStore) -> None:
    text = store.read_bytes(store.write(attempt(output="é"))).decode()
    assert '"output": "é"' in text
    assert json.loads(text)["kind"] == "attempt"
