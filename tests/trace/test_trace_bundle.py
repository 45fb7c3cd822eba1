"""Audit bundles: what is in them, and that whatever is done to one is named."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.records import RUN, attempt
from support.records import artifact as artifact_of_record
from support.sealed_runs import SealedRun, seal, sealed_run

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import bundle_check, zipped
from airflow_agentic.trace.airflow import RunFacts
from airflow_agentic.trace.bundle import artifact_name
from airflow_agentic.trace.bundle_check import bundled_trace, verify_and_draw, verify_bundle
from airflow_agentic.trace.drawn_by import sources_digest, this_program
from airflow_agentic.trace.export import export
from airflow_agentic.trace.schema import trace_schema
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from airflow_agentic.trace.verify import Verdict

    Members = dict[str, bytes]

THIS = this_program()
FACTS = RunFacts(
    dag_id=RUN.dag_id,
    run_id=RUN.run_id,
    state="success",
    type="manual",
    by="ada",
    logical_date=None,
    run_after=None,
    queued="2026-01-01T00:00:00+00:00",
    started="2026-01-01T00:00:01+00:00",
    ended="2026-01-01T00:00:50+00:00",
)


def bundle_of(run: SealedRun, target: Path, facts: RunFacts | None = FACTS) -> Path:
    export(run.store, RUN.dag_id, RUN.run_id, facts, target)
    return target


@pytest.fixture
def run(tmp_path: Path) -> SealedRun:
    return sealed_run(tmp_path)


@pytest.fixture
def bundle(run: SealedRun, tmp_path: Path) -> Path:
    return bundle_of(run, tmp_path / "bundle.zip")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that nobody changes."""
    folder = tmp_path_factory.mktemp("bundle")
    return bundle_of(sealed_run(folder), folder / "bundle.zip")


def members_of(bundle: Path) -> Members:
    with zipfile.ZipFile(bundle) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(target: Path, members: Members) -> Path:
    with target.open("wb") as opened:
        zipped.write_archive(opened, {name: (len(content), (content,)) for name, content in members.items()})
    return target


def with_new_sums(members: Members) -> Members:
    """What somebody does who knows that there are digests."""
    others = {name: content for name, content in members.items() if name != "SHA256SUMS"}
    lines = [f"{hashlib.sha256(others[name]).hexdigest()}  {name}\n" for name in sorted(others)]
    return {**others, "SHA256SUMS": "".join(lines).encode()}


def named(verdict: Verdict) -> set[tuple[str, str]]:
    return {(finding.what, finding.path) for finding in verdict.findings}


def test_a_bundle_is_intact_and_can_be_checked_by_hand(bundle: Path, run: SealedRun, tmp_path: Path) -> None:
    found = verify_bundle(bundle, run.seals[1])
    assert (found.state, found.findings, found.seal) == ("intact", (), run.seals[1])
    assert [note for note in found.notes if "packed anew" in note] == []
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(bundle) as opened:
        opened.extractall(folder)
        names = set(opened.namelist())
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, check=True)
    listed = {line.partition("  ")[2] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == names - {"SHA256SUMS"}
    subprocess.run(["sha256sum", "--check", "--quiet", "manifest.2.sha256"], cwd=folder / "records", check=True)
    manifest = json.loads((folder / "records/manifest.2.json").read_text())
    lines = "".join(f"{entry['sha256']}  {entry['path']}\n" for entry in manifest["records"])
    check = ["sha256sum", "--check", "--quiet", "--strict"]
    subprocess.run(check, cwd=folder / "records", input=lines, text=True, check=True)
    by_hand = subprocess.run(["sha256sum", "records/manifest.2.json"], cwd=folder, capture_output=True, check=True)
    assert by_hand.stdout.split()[0].decode() == run.seals[1]
    assert run.seals[1] in (folder / "README.txt").read_text()


def steps_by_hand(text: str) -> str:
    """The commands that a bundle's README gives."""
    return "\n".join(line.strip()[2:] for line in text.splitlines() if line.startswith("     $ "))


def by_hand(members: Members, folder: Path, steps: str) -> tuple[list[str], str]:
    """What the commands print, without the seal's line; and what they complain about."""
    with zipfile.ZipFile(packed(folder.with_suffix(".zip"), members)) as opened:
        opened.extractall(folder)
    done = subprocess.run(["sh", "-c", steps], cwd=folder, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "  records/manifest" not in line], done.stderr


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
@pytest.mark.parametrize("text", ["README.txt", "docs/auditing.md"])
def test_all_steps_by_hand_find_what_was_altered_together_with_its_digest(
    shared: Path, tmp_path: Path, text: str
) -> None:
    members = members_of(shared)
    if text == "README.txt":
        steps = steps_by_hand(members[text].decode())
    else:
        page = (Path(__file__).parents[2] / text).read_text()
        steps = page.partition("### By hand")[2].partition("```sh\n")[2].partition("```")[0]
        steps = steps.replace("manifest.1", "manifest.2")
    assert by_hand(members, tmp_path / "good", steps) == (["manifest.2.json", "manifest.2.sha256"], "")
    for number, (name, content) in enumerate(
        {
            "artifacts/artifact.1/tea.md": b"Tea is coffee.\n",
            "artifacts/artifact.9/more.md": b"x",
            "records/merges/all.-1.1.json": b"{}",
            "records/merges/more.json": b"{}",
        }.items()
    ):
        told, complaints = by_hand(with_new_sums({**members, name: content}), tmp_path / str(number), steps)
        assert (told, complaints) != (["manifest.2.json", "manifest.2.sha256"], ""), name
        assert name.removeprefix("records/") in f"{told}{complaints}" or "artifact.9" in complaints, name


def test_records_artifacts_and_template_are_in_it_byte_by_byte(bundle: Path, run: SealedRun) -> None:
    members = members_of(bundle)
    records = {name.removeprefix("records/"): content for name, content in members.items() if "records/" in name}
    assert records == {path: (run.folder / path).read_bytes() for path in run.files}
    assert members["artifacts/artifact.1/tea.md"] == run.artifact.read_bytes()
    assert members["template.yaml"] == (run.folder / "template/d1.yaml").read_bytes()
    assert json.loads(members["airflow.json"]) == FACTS.to_data() | {"instances": []}


def test_its_trace_follows_the_schema_and_knows_its_artifact(bundle: Path, run: SealedRun) -> None:
    trace = bundled_trace(bundle)
    Draft202012Validator(trace_schema()).validate(trace)
    assert trace["complete"] is True
    assert trace["artifacts"][0]["content"] == run.artifact.read_text()
    assert trace["problems"] == []


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("file:///a/Ada über Tee #1.md", "Ada über Tee %231.md"),
        ("s3://bucket/a/b.md", "b.md"),
        ("file:///a/..", "%2E%2E"),
        ("file:///a/x..\\..\\y\0.md", "x..%5C..%5Cy%00.md"),
        ("file:///", "artifact"),
        ("memory://a/a:b*?.md", "a%3Ab%2A%3F.md"),
        (f"file:///{'ä' * 200}.md", f"{'ä' * 73}.md"),
    ],
)
def test_an_artifacts_name_is_readable_and_harmless(uri: str, name: str) -> None:
    record = replace(artifact_of_record(), uri=uri)
    found = artifact_name("artifacts/artifact.1.json", record)
    assert found == f"artifacts/artifact.1/{name}"
    assert zipped._problem(zipfile.ZipInfo(found)) is None


def test_the_page_in_it_needs_nothing_else(bundle: Path) -> None:
    page = members_of(bundle)["trace.html"].decode()
    assert RUN.run_id in page
    assert "src=" not in page.replace('src="data:', "")
    assert "<link" not in page


def test_the_same_run_gives_the_same_bytes(run: SealedRun, bundle: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; time.sleep(2.1);"  # zip archives know times to two seconds
        "from airflow_agentic.trace.store import TraceStore; from airflow_agentic.trace.export import export;"
        "export(TraceStore(sys.argv[1]), sys.argv[2], sys.argv[3], None, Path(sys.argv[4]))"
    )
    other = tmp_path / "other.zip"
    arguments = [run.store.url, RUN.dag_id, RUN.run_id, str(other)]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", script, *arguments], env=environment, check=True)
    assert other.read_bytes() == bundle_of(run, tmp_path / "third.zip", None).read_bytes()
    assert bundle_of(run, tmp_path / "fourth.zip").read_bytes() == bundle.read_bytes()


def test_what_is_there_is_not_overwritten(run: SealedRun, tmp_path: Path) -> None:
    target = tmp_path / "there.zip"
    target.write_text("mine")
    with pytest.raises(TraceError, match="is there already"):
        bundle_of(run, target)
    assert target.read_text() == "mine"
    with pytest.raises(TraceError, match="can't be written"):
        bundle_of(run, tmp_path / "nowhere" / "x.zip")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_a_run_without_records_cant_be_exported(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="There are no records"):
        export(TraceStore(str(tmp_path)), "x", "y", None, tmp_path / "x.zip")


def test_an_artifact_that_is_gone_or_another_one_is_told_and_left_out(run: SealedRun, tmp_path: Path) -> None:
    run.artifact.write_text("of a later run")
    verdict = export(run.store, RUN.dag_id, RUN.run_id, None, tmp_path / "b.zip")
    assert named(verdict) == {("altered", run.artifact.as_uri())}
    assert named(verify_bundle(tmp_path / "b.zip")) == {("missing", "artifacts/artifact.1/tea.md")}
    assert "isn't in the bundle" in members_of(tmp_path / "b.zip")["README.txt"].decode()


def test_a_run_that_is_not_sealed_says_so_in_its_bundle(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path / "trace"))
    store.write(attempt())
    assert export(store, RUN.dag_id, RUN.run_id, None, tmp_path / "b.zip").state == "unsealed"
    found = verify_bundle(tmp_path / "b.zip")
    assert (found.state, found.findings) == ("unsealed", ())
    assert "not sealed" in members_of(tmp_path / "b.zip")["README.txt"].decode()


def test_broken_records_are_exported_as_they_are_and_told(run: SealedRun, tmp_path: Path) -> None:
    (run.folder / "merges/all.-1.1.json").write_text("{}")
    (run.folder / "notes.txt").write_text("added")
    verdict = export(run.store, RUN.dag_id, RUN.run_id, None, tmp_path / "b.zip")
    assert named(verdict) == {("altered", "merges/all.-1.1.json"), ("added", "notes.txt")}
    found = verify_bundle(tmp_path / "b.zip")
    assert named(found) == {("altered", "records/merges/all.-1.1.json"), ("added", "records/notes.txt")}
    assert members_of(tmp_path / "b.zip")["records/merges/all.-1.1.json"] == b"{}"


@settings(max_examples=60)
@given(data=st.data())
def test_one_changed_byte_in_any_file_is_named(
    shared: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    members = members_of(shared)
    name = data.draw(st.sampled_from(sorted(members)))
    content = bytearray(members[name])
    place = data.draw(st.sampled_from((0, len(content) // 2, len(content) - 1)) | st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.sampled_from((0x01, 0x20, 0x80)) | st.integers(1, 255))
    spoiled = packed(tmp_path_factory.mktemp("x") / "b.zip", {**members, name: bytes(content)})
    found = verify_bundle(spoiled)
    assert found.state == "broken"
    assert name in {finding.path for finding in found.findings}


def test_a_maker_that_was_altered_alone_is_named(shared: Path, tmp_path: Path) -> None:
    members = made_by_another(members_of(shared), THIS.made_by[:-2] + "xx")
    assert named(verify_bundle(packed(tmp_path / "b.zip", members))) == {("altered", "bundle.json")}


def test_a_record_in_which_a_name_was_altered_is_named(shared: Path, tmp_path: Path) -> None:
    name, members = "records/artifacts/artifact.1.json", members_of(shared)
    members[name] = members[name].replace(b'"sources"', b'"rources"', 1)
    assert ("altered", name) in named(verify_bundle(packed(tmp_path / "b.zip", members)))


@settings(max_examples=60)
@given(data=st.data())
def test_one_changed_byte_anywhere_in_the_archive_is_noticed(
    shared: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(shared.read_bytes())
    central = len(content) - 4000
    place = data.draw(st.integers(0, len(content) - 1) | st.integers(central, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    spoiled = tmp_path_factory.mktemp("x") / "bundle.zip"
    spoiled.write_bytes(content)
    try:
        found = verify_bundle(spoiled)
    except TraceError:
        return
    assert found.state == "broken" or any("packed anew" in note for note in found.notes)


def test_each_file_that_is_gone_is_named(shared: Path, tmp_path: Path) -> None:
    members = members_of(shared)
    for name in members:
        others = {other: content for other, content in members.items() if other != name}
        assert ("missing", name) in named(verify_bundle(packed(tmp_path / "b.zip", others))), name


@pytest.mark.parametrize(
    "name", ["more.txt", "records/more.json", "records/attempts/.x", "artifacts/artifact.1/other.md", "x/README.txt"]
)
def test_a_file_that_was_added_is_named(shared: Path, tmp_path: Path, name: str) -> None:
    members = with_new_sums({**members_of(shared), name: b"{}"})
    assert ("added", name) in named(verify_bundle(packed(tmp_path / "b.zip", members)))


@pytest.mark.parametrize(
    "name", ["trace.html", "trace.json", "README.txt", "ro-crate-metadata.json", "template.yaml", "bundle.json"]
)
def test_what_is_made_cant_be_altered_together_with_its_digest(shared: Path, tmp_path: Path, name: str) -> None:
    members = members_of(shared)
    members[name] = members[name].replace(b"briefs", b"chiefs", 1) if name != "template.yaml" else b"version: 2\n"
    assert named(verify_bundle(packed(tmp_path / "b.zip", with_new_sums(members)))) == {("altered", name)}


def test_what_airflow_told_cant_be_altered_alone(shared: Path, tmp_path: Path) -> None:
    members = members_of(shared)
    members["airflow.json"] = members["airflow.json"].replace(b"manual", b"backfill")
    assert named(verify_bundle(packed(tmp_path / "a.zip", members))) == {("altered", "airflow.json")}
    found = named(verify_bundle(packed(tmp_path / "b.zip", with_new_sums(members))))
    assert ("altered", "trace.json") in found


def test_an_artifact_that_is_another_one_is_named(shared: Path, tmp_path: Path) -> None:
    name = "artifacts/artifact.1/tea.md"
    members = with_new_sums({**members_of(shared), name: b"Tea is coffee.\n"})
    assert named(verify_bundle(packed(tmp_path / "b.zip", members))) == {("altered", name)}


def test_a_bundle_of_other_records_under_the_same_name_is_told_by_the_seal(run: SealedRun, tmp_path: Path) -> None:
    record = run.folder / "attempts/late.-1.2.1.json"
    record.write_text(record.read_text().replace("done", "fake"))
    for name in ("manifest.2.json", "manifest.2.sha256"):
        (run.folder / name).unlink()
    seal(run.store, 2)
    forged = bundle_of(run, tmp_path / "forged.zip")
    assert verify_bundle(forged).state == "intact", "this is what a seal in the bundle can't prove"
    assert named(verify_bundle(forged, run.seals[1])) == {("altered", "records/manifest.2.json")}


def made_by_another(members: Members, made_by: Any = "airflow-agentic 99", **more: Any) -> Members:
    about = json.loads(members["bundle.json"]) | {"made_by": made_by} | more
    return {**members, "bundle.json": (json.dumps(about, indent=1) + "\n").encode()}


def checked(target: Path, members: Members) -> Verdict:
    return verify_bundle(packed(target, with_new_sums(members)))


@pytest.mark.parametrize("by", ["airflow-agentic 99", THIS.made_by[:-2] + "xx", 7, None])
def test_what_another_program_made_is_not_compared_and_not_called_intact(shared: Path, tmp_path: Path, by: Any) -> None:
    """The same version may be other code; and who alters a page may say that another program drew it."""
    members = made_by_another(members_of(shared), by)
    members["trace.html"] += b"<!-- drawn in another way -->"
    members["trace.json"] = members["trace.json"].replace(b"{", b'{\n "span": null,', 1)
    found = checked(tmp_path / "b.zip", members)
    assert (found.state, found.findings) == ("uncompared", ())
    assert set(found.uncompared) >= {"trace.html", "trace.json"}
    assert "README.txt" not in found.uncompared
    assert any("trace.html" in note and "not verified" in note for note in found.notes)


def test_what_another_program_made_in_the_same_way_is_intact(shared: Path, tmp_path: Path) -> None:
    """Like this, an improvement elsewhere in the code doubts no bundle."""
    found = checked(tmp_path / "b.zip", made_by_another(members_of(shared), THIS.made_by[:-2] + "xx"))
    assert (found.state, found.findings, found.uncompared) == ("intact", (), ())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("records/merges/all.-1.1.json", b"{}"),
        ("artifacts/artifact.1/tea.md", b"Tea is coffee."),
        ("template.yaml", b"version: 2"),
        ("SHA256SUMS", b""),
        ("more.txt", b""),
    ],
)
def test_whoever_made_it_everything_else_is_still_checked(
    shared: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    members = made_by_another(members_of(shared))
    members["trace.html"] += b"<!-- drawn in another way -->"
    summed = {**with_new_sums({**members, name: content}), **({name: content} if name == "SHA256SUMS" else {})}
    found = verify_bundle(packed(tmp_path / "b.zip", summed))
    assert found.state == "broken"
    assert name in {path for _, path in named(found)}


def test_whoever_made_it_nothing_may_be_missing_or_of_another_run(shared: Path, tmp_path: Path) -> None:
    members = made_by_another(members_of(shared), run_id="another")
    assert ("altered", "bundle.json") in named(checked(tmp_path / "a.zip", members))
    members = made_by_another(members_of(shared))
    del members["trace.html"]
    assert ("missing", "trace.html") in named(checked(tmp_path / "b.zip", members))


def test_a_page_drawn_with_other_libraries_is_not_compared(shared: Path, tmp_path: Path) -> None:
    members = made_by_another(members_of(shared), THIS.made_by, drawn_with={"jinja2": "1"})
    members["trace.html"] += b"<!-- drawn in another way -->"
    found = checked(tmp_path / "b.zip", members)
    assert (found.state, found.findings) == ("uncompared", ())
    assert "trace.html" in found.uncompared
    members["trace.json"] += b"\n"
    assert ("altered", "trace.json") in named(checked(tmp_path / "c.zip", members))


def test_the_page_can_be_drawn_again_whatever_the_one_in_it_says(shared: Path, tmp_path: Path) -> None:
    members = members_of(shared)
    page = members["trace.html"]
    spoiled = packed(tmp_path / "b.zip", with_new_sums(made_by_another({**members, "trace.html": b"all is well"})))
    verdict, drawn = verify_and_draw(spoiled)
    assert (verdict.state, drawn) == ("uncompared", page)
    spoiled = packed(tmp_path / "c.zip", with_new_sums({**members, "artifacts/artifact.1/tea.md": b"x"}))
    verdict, drawn = verify_and_draw(spoiled)
    assert (verdict.state, drawn) == ("broken", None)


def test_what_draws_is_known_by_its_code(tmp_path: Path) -> None:
    def digest(**contents: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, content in contents.items():
            file = folder / name.replace("__", "/").replace("_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        return sources_digest(folder)

    same = {"a_py": "1", "view__page_j2": "2"}
    assert digest(**same) == digest(**same, view__a_pyc="3", notes_txt="4")
    others = [{**same, "a_py": "2"}, {**same, "view__page_j2": "3"}, {"b_py": "1", "view__page_j2": "2"}]
    assert len({digest(**same), *(digest(**other) for other in others)}) == 4


def test_a_bundle_that_was_packed_anew_is_intact_and_it_is_told(shared: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    with zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.mkdir("records")
        for name, content in members_of(shared).items():
            opened.writestr(name, content)
    found = verify_bundle(again)
    assert (found.state, found.findings) == ("intact", ())
    assert any("packed anew" in note for note in found.notes)


# -- archives made to deceive ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "records/../../evil", "C:evil", "records\\..\\evil", "records//x", "a\x01b", "./x", "x/."],
)
def test_names_that_lead_out_of_the_folder_are_named(shared: Path, tmp_path: Path, name: str) -> None:
    members = with_new_sums({**members_of(shared), name: b"x"})
    found = verify_bundle(packed(tmp_path / "b.zip", members))
    assert found.state == "broken"
    assert ("added", name) in named(found)


def test_a_name_that_is_there_twice_is_named(shared: Path, tmp_path: Path) -> None:
    twice = tmp_path / "twice.zip"
    twice.write_bytes(shared.read_bytes())
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as opened:
        opened.writestr("trace.html", members_of(shared)["trace.html"])
    assert ("added", "trace.html") in named(verify_bundle(twice))


def test_a_name_that_differs_in_case_only_is_named(shared: Path, tmp_path: Path) -> None:
    members = with_new_sums({**members_of(shared), "Trace.html": b"x"})
    assert ("added", "Trace.html") in named(verify_bundle(packed(tmp_path / "b.zip", members)))


def test_a_link_is_not_followed(shared: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked.zip"
    with zipfile.ZipFile(linked, "w") as opened:
        for name, content in members_of(shared).items():
            info = zipfile.ZipInfo(name)
            if name == "records/merges/all.-1.1.json":
                info.external_attr, content = 0o120777 << 16, b"/etc/passwd"
            opened.writestr(info, content)
    found = named(verify_bundle(linked))
    assert ("altered", "records/merges/all.-1.1.json") in found


@pytest.mark.parametrize("where", ["before", "between", "behind"])
def test_bytes_that_belong_to_no_file_are_named(shared: Path, tmp_path: Path, where: str) -> None:
    content = shared.read_bytes()
    odd = tmp_path / "bundle.zip"
    if where == "before":
        odd.write_bytes(b"#!/bin/sh\n" + content)
    elif where == "behind":
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            start = opened.start_dir
        hidden = b"x" * 50
        end = bytearray(content[start:])
        at = end.rindex(b"PK\x05\x06") + 16
        end[at : at + 4] = (start + len(hidden)).to_bytes(4, "little")
        odd.write_bytes(content[:start] + hidden + bytes(end))
    else:
        odd.write_bytes(content + b"x" * 50)
    try:
        found = verify_bundle(odd)
    except TraceError:
        return
    assert found.state == "broken"
    assert any("bytes that belong to no file" in finding.words for finding in found.findings)


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("trace.json", b"0" * 3_000_000)
    monkeypatch.setattr(zipped, "MOST_BYTES", 2_000_000)
    with pytest.raises(TraceError, match="aren't read"):
        verify_bundle(bomb)
    with pytest.raises(TraceError, match="aren't read"):
        bundled_trace(bomb)
    monkeypatch.setattr(zipped, "MOST_BYTES", 1 << 30)
    monkeypatch.setattr(zipped, "MOST_MEMBERS", 0)
    with pytest.raises(TraceError, match="aren't read"):
        verify_bundle(bomb)


def test_a_file_that_says_less_than_it_holds_is_not_read_further(shared: Path, tmp_path: Path) -> None:
    """The size in the directory is the bound: what would unpack to more is cut there, and named."""
    lying = tmp_path / "lying.zip"
    with zipfile.ZipFile(lying, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members_of(shared).items():
            opened.writestr(name, content if name != "trace.html" else b"0" * 5_000_000)
    raw = bytearray(lying.read_bytes())
    at = raw.rindex(b"trace.html") - 46 + 24
    raw[at : at + 4] = (100).to_bytes(4, "little")
    lying.write_bytes(raw)
    assert ("altered", "trace.html") in named(verify_bundle(lying))


def test_methods_that_arent_read_and_files_that_overlap(tmp_path: Path) -> None:
    odd = tmp_path / "odd.zip"
    with zipfile.ZipFile(odd, "w", zipfile.ZIP_BZIP2) as opened:
        opened.writestr("trace.json", b"{}")
    with pytest.raises(TraceError, match="packed in a way that isn't read"):
        verify_bundle(odd)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_bundle_is_trouble(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.zip"
    file.write_bytes(content)
    with pytest.raises(TraceError, match="is no"):
        verify_bundle(file)
    with pytest.raises(TraceError, match="There is no file"):
        verify_bundle(tmp_path / "nothing.zip")
    with pytest.raises(TraceError):
        verify_bundle(tmp_path)


@pytest.mark.parametrize("deep", ["records/attempts/late.-1.2.1.json", "airflow.json", "trace.json", "bundle.json"])
def test_json_made_to_exhaust_readers_is_told(shared: Path, tmp_path: Path, deep: str) -> None:
    members = with_new_sums({**members_of(shared), deep: b"[" * 200_000})
    assert verify_bundle(packed(tmp_path / "b.zip", members)).state == "broken"


def test_records_that_are_sealed_and_make_no_sense_are_told(tmp_path: Path) -> None:
    run = sealed_run(tmp_path)
    good = bundle_of(run, tmp_path / "good.zip")
    (run.folder / "attempts/odd.json").write_text('{"format": 1, "kind": "attempt", "run": {}, "started": 5}')
    (run.folder / "attempts/deep.json").write_text("[" * 200_000)
    seal(run.store, 3)
    members = members_of(good)
    members = {name: content for name, content in members.items() if not name.startswith("records/")}
    members |= {f"records/{path}": (run.folder / path).read_bytes() for path in run.files}
    found = verify_bundle(packed(tmp_path / "b.zip", with_new_sums(members)))
    assert found.state == "broken" or any("can't be made again" in note for note in found.notes)


def test_records_too_large_to_make_the_trace_again_are_still_compared(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_check, "MOST_RECORDS", 10)
    found = verify_bundle(shared)
    assert (found.state, any("too large" in note for note in found.notes)) == ("uncompared", True)
    assert "trace.html" in found.uncompared
    members = {**members_of(shared), "trace.html": b"x"}
    assert named(verify_bundle(packed(tmp_path / "b.zip", members))) == {("altered", "trace.html")}


WITHOUT_AIRFLOW = """
import sys

class NoAirflow:
    def find_spec(self, name, path=None, target=None):
        if name == "airflow" or name.startswith("airflow."):
            raise ModuleNotFoundError("there is no Airflow here", name=name)

sys.meta_path.insert(0, NoAirflow())
from airflow_agentic.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_bundle_is_verified_where_there_is_no_airflow(shared: Path, tmp_path: Path) -> None:
    script = tmp_path / "without.py"
    script.write_text(WITHOUT_AIRFLOW)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}

    def verified(file: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), "verify", str(file)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = verified(shared)
    assert (done.returncode, done.stderr) == (0, "")
    assert ": intact (" in done.stdout
    members = {**members_of(shared), "trace.html": b"x"}
    assert verified(packed(tmp_path / "b.zip", members)).returncode == 1
