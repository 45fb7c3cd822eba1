"""The artifacts of a run: what they say, and where each passage is from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from airflow_agentic import storage
from airflow_agentic.trace.document import ArtifactTrace, PassageTrace
from airflow_agentic.trace.record import ArtifactRecord
from airflow_agentic.trace.source import id_of

if TYPE_CHECKING:
    from airflow_agentic.trace.origins import Origins
    from airflow_agentic.trace.source import Source


def artifacts_of(source: Source, origins: Origins) -> tuple[tuple[ArtifactTrace, ...], list[str]]:
    """The last artifact of each task that writes one, and what couldn't be read."""
    last = {record.task_id: (path, record) for path, record in source.of(ArtifactRecord)}
    found = [_artifact(path, record, origins, _content(record, source)) for path, record in last.values()]
    return tuple(found), [artifact.problem for artifact in found if artifact.problem is not None]


def _artifact(
    path: str, record: ArtifactRecord, origins: Origins, read: tuple[str | None, str | None]
) -> ArtifactTrace:
    content, problem = read
    found = origins.of_artifact(record)
    passages = tuple(
        PassageTrace(
            start=passage.start,
            end=passage.end,
            expression=passage.expression,
            sources=tuple(found.source(told) for told in passage.sources),
        )
        for passage in record.passages
    )
    return ArtifactTrace(
        id=id_of("artifact", path),
        record=path,
        task_id=record.task_id,
        uri=record.uri,
        bytes=record.bytes,
        sha256=record.sha256,
        asset=record.asset,
        written=record.written,
        passages=passages,
        parts=found.parts,
        content=content,
        problem=problem,
    )


def _content(record: ArtifactRecord, source: Source) -> tuple[str | None, str | None]:
    """The artifact as it is now, if it is the one that was written; else why not."""
    try:
        data = source.read_artifact(record)
    except (OSError, ValueError, ImportError) as error:
        return None, storage.without_passwords(f"The artifact {record.uri} can't be read: {error}")
    if hashlib.sha256(data).hexdigest() != record.sha256:
        return None, f"The artifact {record.uri} isn't the one that this run wrote: its digest is another one."
    return data.decode("utf-8", "replace"), None
