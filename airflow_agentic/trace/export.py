"""
Writing audit bundles: all of a run in one file that can be kept, handed on and checked.

The same run gives the same bytes. Large files are copied in parts.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from typing import TYPE_CHECKING

from airflow_agentic import storage
from airflow_agentic.errors import TraceError
from airflow_agentic.trace.bundle import RECORDS, SUMS, Contents, made, sums, wanted_artifacts
from airflow_agentic.trace.findings import of_artifacts
from airflow_agentic.trace.run_files import StoredFiles, parts
from airflow_agentic.trace.verify import believed, digest_at_uri, verdict_of, with_findings
from airflow_agentic.trace.written import written_parts
from airflow_agentic.trace.zipped import write_archive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from airflow_agentic.trace.airflow import RunFacts
    from airflow_agentic.trace.store import TraceStore
    from airflow_agentic.trace.verify import Verdict


def export(store: TraceStore, dag_id: str, run_id: str, facts: RunFacts | None, target: Path) -> Verdict:
    """
    Write the audit bundle of a run.

    :param facts: what Airflow knows of it; null if it wasn't asked.
    :param target: where; a file that isn't there yet.
    :returns: whether what is in the bundle is as it was sealed.
    :raises TraceError: the run left nothing, can't be read, or the file is there or can't be written.
    """
    files = StoredFiles(store, dag_id, run_id)
    if not files.sizes:
        raise TraceError(f"There are no records of the run {run_id!r} of {dag_id!r} in {store.url}.")
    verdict = verdict_of(files, dag_id, run_id)
    changed = list(of_artifacts(files, believed(files, verdict), digest_at_uri))
    gone = {finding.path for finding in changed}
    artifacts = {name: record for name, record in wanted_artifacts(files).items() if record.uri not in gone}
    contents = Contents(
        dag_id=dag_id,
        run_id=run_id,
        files=files,
        facts=facts,
        artifacts=artifacts,
        read_artifact=lambda name: b"".join(written_parts(artifacts[name].uri)),
    )
    _write(target, contents, made(contents, verdict))
    return with_findings(verdict, changed)


def members_of(contents: Contents, texts: Mapping[str, bytes]) -> dict[str, tuple[int, Iterable[bytes]]]:
    """What goes into the archive, sorted by name, but the digests: how many bytes, and these in parts."""
    found: dict[str, tuple[int, Iterable[bytes]]] = {name: (len(text), (text,)) for name, text in texts.items()}
    for name, record in contents.artifacts.items():
        found[name] = record.bytes, written_parts(record.uri)
    for path, size in contents.files.sizes.items():
        if size >= 0:
            found[f"{RECORDS}{path}"] = size, parts(contents.files, path)
    return {name: found[name] for name in sorted(found)}


def with_sums(members: Mapping[str, tuple[int, Iterable[bytes]]]) -> dict[str, tuple[int, Iterable[bytes]]]:
    """The same, and at the end their digests, which are known when they have been read."""
    digests: dict[str, str] = {}

    def seen(name: str, content: Iterable[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for part in content:
            digest.update(part)
            yield part
        digests[name] = digest.hexdigest()

    def last() -> Iterator[bytes]:
        yield sums(digests)

    size = len(sums(dict.fromkeys(members, "0" * 64)))
    read = {name: (length, seen(name, content)) for name, (length, content) in members.items()}
    return {**read, SUMS: (size, last())}


def _write(target: Path, contents: Contents, texts: Mapping[str, bytes]) -> None:
    """Whole or not at all: it gets its name when it is complete, if nothing has it by then."""
    temporary = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as opened:
            write_archive(opened, with_sums(members_of(contents, texts)))
        storage.give_name(temporary, target)
    except FileExistsError:
        if target.is_dir():
            raise TraceError(f"{target} is a folder: give the name of a file in it.") from None
        raise TraceError(f"{target} is there already; nothing was written.") from None
    except (OSError, UnicodeEncodeError) as error:
        # a file system may allow names that are no text; none of ours is one
        raise TraceError(f"{target} can't be written: {error}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
