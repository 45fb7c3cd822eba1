"""Whatever is done to the files of a sealed run, ``verify`` names it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import RUN, attempt
from support.sealed_runs import SealedRun, artifact_record, seal, sealed_run

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import run_files, sealing
from airflow_agentic.trace.store import TraceStore
from airflow_agentic.trace.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from airflow_agentic.trace.verify import Verdict


@pytest.fixture
def run(tmp_path: Path) -> SealedRun:
    return sealed_run(tmp_path)


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory: pytest.TempPathFactory) -> SealedRun:
    """Every test puts back what it changed."""
    return sealed_run(tmp_path_factory.mktemp("shared"))


def verdict(run: SealedRun, kept: str | None = None) -> Verdict:
    return verify(run.store, RUN.dag_id, RUN.run_id, kept)


def named(verdict: Verdict) -> set[tuple[str, str]]:
    return {(finding.what, finding.path) for finding in verdict.findings}


@contextmanager
def changed(file: Path, content: bytes | None) -> Iterator[None]:
    """A file with another content (none: without the file) for a while."""
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink() if content is None else file.write_bytes(content)
    try:
        yield
    finally:
        file.unlink(missing_ok=True) if before is None else file.write_bytes(before)


def test_what_was_not_touched_is_intact(run: SealedRun) -> None:
    found = verdict(run)
    assert (found.state, found.findings, found.seal, found.sealed) == (
        "intact",
        (),
        run.seals[1],
        "2026-01-01T00:00:42.000000+00:00",
    )
    assert found.files == len(run.files)
    assert found.bytes == sum((run.folder / path).stat().st_size for path in run.files)
    assert found.notes == (
        "The run was sealed 2 times (2026-01-01T00:00:41.000000+00:00, 2026-01-01T00:00:42.000000+00:00), because it "
        "was cleared and ran again.",
    )
    assert verdict(run, run.seals[1].upper() + "\n").state == "intact"


def test_the_runs_under_test_have_files_of_every_kind(run: SealedRun) -> None:
    kinds = {path.partition("/")[0] for path in run.files}
    assert kinds == {
        *(
            "begin",
            "attempts",
            "merges",
            "decisions",
            "answers",
            "artifacts",
            "failures",
            "waits",
            "values",
            "template",
        ),
        *(f"manifest.{number}.{suffix}" for number in (1, 2) for suffix in ("json", "sha256")),
        *("summary.1.json", "summary.2.json"),
    }


@given(data=st.data())
def test_one_changed_byte_anywhere_is_named(shared_run: SealedRun, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(shared_run.files))
    content = bytearray((shared_run.folder / path).read_bytes())
    last = len(content) - 1
    place = data.draw(st.sampled_from((0, 1, last // 2, last - 1, last)) | st.integers(0, last))
    content[place] ^= data.draw(st.sampled_from((0x01, 0x20, 0x80)) | st.integers(1, 255))
    with changed(shared_run.folder / path, bytes(content)):
        found = verdict(shared_run)
    assert found.state == "broken"
    assert path in {finding.path for finding in found.findings}


@pytest.mark.parametrize("path", ["manifest.2.json", "manifest.2.sha256", "manifest.1.json", "manifest.1.sha256"])
def test_every_single_byte_of_what_seals_is_sealed(shared_run: SealedRun, path: str) -> None:
    content = (shared_run.folder / path).read_bytes()
    for place in range(0, len(content), max(1, len(content) // 300)):
        spoiled = content[:place] + bytes([content[place] ^ 0x01]) + content[place + 1 :]
        with changed(shared_run.folder / path, spoiled):
            found = verdict(shared_run)
            assert ("altered", path) in named(found), place


@given(data=st.data())
def test_a_file_that_is_shorter_longer_or_empty_is_named(shared_run: SealedRun, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(shared_run.files))
    content = (shared_run.folder / path).read_bytes()
    other = data.draw(st.sampled_from((b"", content[:-1], content + b"\n", content * 2)))
    with changed(shared_run.folder / path, other):
        assert ("altered", path) in named(verdict(shared_run))


def test_each_file_that_is_gone_is_named(shared_run: SealedRun) -> None:
    for path in shared_run.files:
        with changed(shared_run.folder / path, None):
            assert ("missing", path) in named(verdict(shared_run))


ADDED = [
    "attempts/more.-1.1.1.json",
    "attempts/.hidden.json",
    "attempts/below/more.json",
    "values/ab.json",
    "values/x.txt",
    "template/d2.yaml",
    "manifest.1.json.bak",
    "manifest.02.json",
    "manifest.json",
    "summary.9.json",
    "notes.txt",
    "elsewhere/x.json",
    "begin/d2.json",
]


@pytest.mark.parametrize("path", ADDED)
def test_a_file_that_was_added_is_named_wherever_it_is(shared_run: SealedRun, path: str) -> None:
    with changed(shared_run.folder / path, b"{}"):
        assert ("added", path) in named(verdict(shared_run))
    folder = (shared_run.folder / path).parent
    if not any(folder.iterdir()):
        folder.rmdir()


def test_a_manifest_that_was_added_is_named(run: SealedRun) -> None:
    (run.folder / "manifest.3.json").write_text("{}")
    assert {("missing", "manifest.3.sha256"), ("altered", "manifest.3.json")} <= named(verdict(run))


def test_two_files_that_changed_places_are_named(run: SealedRun) -> None:
    one, other = run.folder / "attempts/draft.-1.1.1.json", run.folder / "attempts/draft.-1.2.2.json"
    one.rename(run.folder / "x")
    other.rename(one)
    (run.folder / "x").rename(other)
    assert named(verdict(run)) == {("altered", "attempts/draft.-1.1.1.json"), ("altered", "attempts/draft.-1.2.2.json")}


def test_what_is_no_file_is_not_read(run: SealedRun) -> None:
    record = run.folder / "merges/all.-1.1.json"
    record.unlink()
    os.mkfifo(record)
    (run.folder / "answers/more.json").symlink_to("/nothing")
    assert named(verdict(run)) == {("altered", "merges/all.-1.1.json"), ("added", "answers/more.json")}


def test_a_whole_file_in_place_of_a_folder(run: SealedRun) -> None:
    shutil.rmtree(run.folder / "waits")
    (run.folder / "waits").write_text("x")
    assert named(verdict(run)) == {("missing", "waits/draft.-1.1.json"), ("added", "waits")}


def test_half_a_file_of_a_process_that_died_is_told_and_nothing_more(run: SealedRun) -> None:
    name = f"attempts/.{'0a' * 16}.part"
    (run.folder / name).write_text("{")
    found = verdict(run)
    assert found.state == "intact"
    assert found.notes[0].startswith(name)


def test_the_artifact_is_compared_with_its_record(run: SealedRun) -> None:
    run.artifact.write_text("Tea is a Drink.\n")
    assert named(verdict(run)) == {("altered", run.artifact.as_uri())}
    run.artifact.unlink()
    assert named(verdict(run)) == {("missing", run.artifact.as_uri())}


def test_of_an_artifact_written_again_the_last_record_counts(run: SealedRun) -> None:
    record = artifact_record(run.artifact)
    run.store.write(replace(record, try_number=2, sha256="0" * 64, written="2025-01-01T00:00:00+00:00"))
    seal(run.store, 3)
    assert verdict(run).state == "intact"


def test_an_altered_record_is_not_asked_where_its_artifact_is(run: SealedRun) -> None:
    record = run.folder / "artifacts/artifact.1.json"
    record.write_text(record.read_text().replace(run.artifact.as_uri(), "http://127.0.0.1:1/never-asked"))
    assert named(verdict(run)) == {("altered", "artifacts/artifact.1.json")}


def test_a_run_that_is_not_sealed_says_so(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.write(attempt(output="x" * 100_000))
    found = verify(store, RUN.dag_id, RUN.run_id)
    assert (found.state, found.seal, found.sealed, found.findings) == ("unsealed", None, None, ())
    [value] = (tmp_path).rglob("values/*.json")
    value.write_text("another one")
    found = verify(store, RUN.dag_id, RUN.run_id)
    assert (found.state, [finding.what for finding in found.findings]) == ("broken", ["altered"])
    assert named(verify(store, RUN.dag_id, RUN.run_id, "0" * 64)) >= {("missing", "manifest.1.json")}


def test_a_run_that_goes_on_after_its_seal_is_told(run: SealedRun) -> None:
    run.store.write(attempt("late", number=1, try_number=3, second=50))
    found = verdict(run)
    assert named(found) == {("added", "attempts/late.-1.3.1.json")}
    assert "a task ran again after the run was sealed" in found.findings[0].words
    seal(run.store, 3)
    assert verdict(run).state == "intact"


def test_an_interrupted_sealing_is_healed_by_the_next(run: SealedRun) -> None:
    (run.folder / "manifest.3.sha256").write_text(f"{'0' * 64}  manifest.3.json\n")
    assert named(verdict(run)) == {("missing", "manifest.3.json")}
    seal(run.store, 4)
    (run.folder / "manifest.3.sha256").unlink()
    assert ("missing", "manifest.3.sha256") in named(verdict(run))


def resealed(run: SealedRun) -> str:
    """What somebody does who may write everything: alter a record, and seal all of it anew. The new seal."""
    record = run.folder / "attempts/late.-1.2.1.json"
    record.write_text(record.read_text().replace("done", "fake"))
    for name in ("manifest.2.json", "manifest.2.sha256"):
        (run.folder / name).unlink()
    return seal(run.store, 2)


def test_who_rewrites_the_manifest_too_is_caught_by_the_seal_that_was_kept(run: SealedRun) -> None:
    new = resealed(run)
    assert verdict(run).state == "intact", "this is what a seal beside the records can't prove"
    found = verdict(run, run.seals[1])
    assert named(found) == {("altered", "manifest.2.json")}
    assert new in found.findings[0].words


def test_what_an_earlier_manifest_sealed_cant_be_sealed_anew(run: SealedRun) -> None:
    record = run.folder / "attempts/draft.-1.1.1.json"
    record.write_text(record.read_text().replace("no answer", "all went well"))
    for name in ("manifest.2.json", "manifest.2.sha256"):
        (run.folder / name).unlink()
    seal(run.store, 2)
    assert ("altered", "attempts/draft.-1.1.1.json") in named(verdict(run))


def test_a_run_that_was_sealed_again_is_told_from_its_earlier_seal(run: SealedRun) -> None:
    [finding] = verdict(run, run.seals[0]).findings
    assert (finding.what, finding.path) == ("added", "manifest.2.json")
    assert "the seal given is that of manifest.1.json" in finding.words


def test_a_run_put_back_to_an_earlier_seal_is_caught_by_the_later(run: SealedRun) -> None:
    listed = {entry["path"] for entry in json.loads((run.folder / "manifest.1.json").read_text())["records"]}
    for path in run.files:
        if path not in listed and not path.startswith("manifest.1."):
            (run.folder / path).unlink()
    assert verdict(run).state == "intact", "this is what a seal beside the records can't prove"
    assert named(verdict(run, run.seals[1])) == {("altered", "manifest.1.json")}


@pytest.mark.parametrize(("spoiled", "right"), [("manifest.2.json", 1), ("manifest.2.sha256", 1)])
def test_the_seal_tells_which_of_two_that_disagree_was_altered(run: SealedRun, spoiled: str, right: int) -> None:
    content = (run.folder / spoiled).read_bytes()
    (run.folder / spoiled).write_bytes(content.replace(b"a", b"b", 1))
    both = {("altered", "manifest.2.json"), ("altered", "manifest.2.sha256")}
    assert both <= named(verdict(run))
    assert named(verdict(run, run.seals[right])) & both == {("altered", spoiled)}


def test_another_runs_folder_in_the_place_of_this_one_is_named(run: SealedRun) -> None:
    other = run.folder.parent / "other"
    shutil.copytree(run.folder, other)
    found = verify(run.store, RUN.dag_id, "other")
    assert named(found) == {("altered", "manifest.1.json"), ("altered", "manifest.2.json")}
    assert "it is of another run" in found.findings[0].words


@pytest.mark.parametrize("content", [b"[]", b"null", b'{"format": 1}', b"[" * 100_000, b"\xff", b'"x"', b"1" * 5000])
def test_a_manifest_that_is_none_is_named(run: SealedRun, content: bytes) -> None:
    (run.folder / "manifest.2.json").write_bytes(content)
    assert ("altered", "manifest.2.json") in named(verdict(run))


@pytest.mark.parametrize("entry", [{}, {"path": 1}, 5, {"path": "x", "sha256": "no", "bytes": 1}])
def test_a_manifest_with_an_entry_that_is_none_is_named(run: SealedRun, entry: object) -> None:
    data = json.loads((run.folder / "manifest.2.json").read_text())
    (run.folder / "manifest.2.json").write_text(json.dumps({**data, "records": [entry]}))
    assert ("altered", "manifest.2.json") in named(verdict(run))


def test_what_is_no_seal_is_refused(run: SealedRun) -> None:
    with pytest.raises(TraceError, match="is no seal"):
        verdict(run, "abc")


def test_a_run_without_records_is_trouble() -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.raises(TraceError, match="There are no records"):
        verify(TraceStore(folder), "x", "y")


def test_manifests_larger_than_any_runs_arent_read(run: SealedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_MOST_BYTES", 100)
    with pytest.raises(TraceError, match="aren't read"):
        verdict(run)


def test_files_are_read_in_turn_so_that_few_are_in_memory(run: SealedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "_TOGETHER", 1)
    monkeypatch.setattr(run_files, "_PART", 1000)
    assert verdict(run).state == "intact"
    asked: list[list[str]] = []

    class Counting(run_files.StoredFiles):
        def read(self, paths: Iterable[str]) -> dict[str, bytes | TraceError]:
            asked.append(list(paths))
            return super().read(asked[-1])

    files = Counting(run.store, RUN.dag_id, RUN.run_id)
    assert len(dict(run_files.digests(files, files.sizes))) == len(files.sizes)
    assert {len(paths) for paths in asked} == {1}


def test_a_store_that_is_no_folder_is_verified_alike(run: SealedRun) -> None:
    import fsspec

    memory, url = fsspec.filesystem("memory"), f"memory://{run.folder.name}"
    below = run.folder.relative_to(run.store.url)
    for path in run.files:
        memory.pipe_file(f"/{run.folder.name}/{below}/{path}", (run.folder / path).read_bytes())
    store = TraceStore(url)
    assert verify(store, RUN.dag_id, RUN.run_id, run.seals[1]).findings == ()
    memory.pipe_file(f"/{run.folder.name}/{below}/notes.txt", b"x")
    memory.rm(f"/{run.folder.name}/{below}/manifest.2.sha256")
    assert named(verify(store, RUN.dag_id, RUN.run_id)) == {("added", "notes.txt"), ("missing", "manifest.2.sha256")}
