"""
What isn't as it was sealed, found file by file.

Each function looks at one kind of evidence; together they name every file that was altered, removed or added.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.record import ArtifactRecord, from_data
from airflow_agentic.trace.run_files import read_in_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_agentic.trace.run_files import RunFiles
    from airflow_agentic.trace.sealing import Sealing

    #: Path → SHA-256, or why the file can't be read.
    Digests = Mapping[str, str | TraceError]
    #: The digest of an artifact as it is now, or why there is none; the path is its record's.
    ArtifactDigest = Callable[[str, ArtifactRecord], str | TraceError]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """
    Something that isn't as it was sealed.

    :param path: below the run's folder; of an artifact, its URI; in a bundle, in it.
    :param words: in a sentence.
    """

    what: Literal["altered", "missing", "added"]
    path: str
    words: str


def altered(path: str, why: str) -> Finding:
    """A file isn't what it was."""
    return Finding(what="altered", path=path, words=f"{path}: {why}")


def missing(path: str, why: str) -> Finding:
    """A file isn't there any more."""
    return Finding(what="missing", path=path, words=f"{path}: {why}")


def added(path: str, why: str) -> Finding:
    """A file wasn't there."""
    return Finding(what="added", path=path, words=f"{path}: {why}")


def of_manifests(sealings: Sequence[Sealing], dag_id: str, run_id: str, seal: str | None) -> Iterator[Finding]:
    """
    Manifests and the digests beside them.

    :param seal: the digest of the last one, where it was kept elsewhere.
    """
    told = [entry for each in sealings if each.manifest for entry in each.manifest.records]
    trusted = {entry["sha256"] for entry in told if entry["path"] in {each.path for each in sealings}} | {seal}
    for each in sealings:
        yield from _of_pair(each, trusted)
        if each.digest is not None and each.manifest is None:
            yield altered(each.path, f"it is no manifest any more: {each.problem}")
        key = each.manifest.run if each.manifest else None
        if key is not None and (key.dag_id, key.run_id) != (dag_id, run_id):
            yield altered(each.path, f"it is of another run, {key.run_id} of {key.dag_id}")


def _of_pair(each: Sealing, trusted: set[str | None]) -> Iterator[Finding]:
    """A manifest and its digest beside it; of two that disagree, a digest from elsewhere tells which was altered."""
    if each.digest is None:
        yield missing(
            each.path, f"{each.problem}, but its digest is there: it was removed, or the sealing was interrupted"
        )
    elif not each.is_told:
        yield missing(each.told_by, f"the digest of {each.path} isn't there")
    elif each.digest != each.told:
        known = trusted & {each.digest, each.told}
        doubt = "" if known else ", or that one was altered"
        if each.digest not in known:
            yield altered(each.path, f"its digest isn't the one in {each.told_by}{doubt}")
        if each.told is None or each.told not in known:
            yield altered(each.told_by, f"it doesn't hold the digest of {each.path}{doubt}")


def of_files(sealings: Sequence[Sealing], found: Digests) -> Iterator[Finding]:
    """Records, values, the template, and whatever else was sealed."""
    expected: dict[str, tuple[str, str]] = {}
    for each in sealings:
        for entry in each.manifest.records if each.manifest else ():
            digest, _ = expected.setdefault(entry["path"], (entry["sha256"], each.path))
            if digest != entry["sha256"]:
                yield altered(entry["path"], f"{each.path} seals another content of it than a manifest before")
    for path, (digest, by) in expected.items():
        if path not in found:
            yield missing(path, f"it is in {by}, but it isn't there")
        elif isinstance(now := found[path], TraceError):
            yield altered(path, f"it can't be read as it was sealed: {now}")
        elif now != digest:
            yield altered(path, f"its content isn't the one that was sealed: SHA-256 {now} instead of {digest}")


def of_more_files(sealings: Sequence[Sealing], found: Digests) -> Iterator[Finding]:
    """What no manifest has. Of a run whose last manifest can't be understood, nobody can tell."""
    if not sealings or sealings[-1].manifest is None:
        return
    known = {entry["path"] for each in sealings if each.manifest for entry in each.manifest.records}
    known |= {sealings[-1].path} | {each.told_by for each in sealings if each.digest is None or each is sealings[-1]}
    for path in found:
        if path not in known:
            yield added(
                path,
                f"it isn't in {sealings[-1].path}: somebody added it, or a task ran again after the run was sealed",
            )


def of_values(found: Digests) -> Iterator[Finding]:
    """Large values are named by their digests, so that they can be checked in a run that isn't sealed, too."""
    for path, now in found.items():
        folder, _, name = path.rpartition("/")
        if folder == "values" and name.endswith(".json") and isinstance(now, str) and now != name.removesuffix(".json"):
            yield altered(path, f"its content isn't the one that it is named by: SHA-256 {now}")


def of_artifacts(files: RunFiles, paths: Iterable[str], artifact_digest: ArtifactDigest) -> Iterator[Finding]:
    """
    Artifacts that aren't what their records say.

    :param paths: of files; the artifacts' records among them are believed.
    """
    for path, record in last_artifacts(files, paths):
        now = artifact_digest(path, record)
        if isinstance(now, TraceError):
            yield missing(record.uri, f"the artifact with the SHA-256 {record.sha256} isn't there any more: {now}")
        elif now != record.sha256:
            why = f"SHA-256 {now} instead of {record.sha256}; a later run may have written over it"
            yield altered(record.uri, f"the artifact isn't the one that this run wrote: {why}")


def of_the_seal(sealings: Sequence[Sealing], seal: str | None) -> Iterator[Finding]:
    """The seal that was kept elsewhere is that of the last manifest."""
    if seal is None or (sealings and sealings[-1].digest == seal):
        return
    if not sealings:
        yield missing("manifest.1.json", "the manifest with the seal given isn't there, nor any other")
        return
    last = sealings[-1]
    earlier = next((each for each in sealings if each.digest == seal), None)
    if earlier is not None:
        yield added(last.path, f"the seal given is that of {earlier.path}, before it: the run was sealed anew since")
    else:
        yield altered(last.path, f"its digest {last.digest} isn't the seal given, {seal}")


def last_artifacts(files: RunFiles, paths: Iterable[str]) -> list[tuple[str, ArtifactRecord]]:
    """The record of what was written last to each URI, by the paths of the records; these are among the paths."""
    wanted = [path for path in paths if path.startswith("artifacts/") and files.sizes[path] >= 0]
    records = [(path, record) for path, content in read_in_turn(files, wanted) if (record := _artifact(content))]
    last = {record.uri: (path, record) for path, record in sorted(records, key=lambda entry: entry[1].written)}
    return sorted(last.values(), key=lambda entry: entry[0])


def _artifact(content: bytes | TraceError) -> ArtifactRecord | None:
    if isinstance(content, TraceError):
        return None
    try:
        record = from_data(json.loads(content.decode("utf-8", "surrogatepass")))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return record if isinstance(record, ArtifactRecord) else None
