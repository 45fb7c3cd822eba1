"""
Does a run's trace still say what was sealed?

Every file of the run is compared with the manifests that sealed it: altered, missing and added files are named, and so
is an artifact that isn't the one that the run wrote. What is found is only as good as the last manifest, which whoever
may write everything may write anew: its digest, the *seal*, has to be kept elsewhere and given to be sure of it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import findings as finding
from airflow_agentic.trace.run_files import StoredFiles, digests, is_hidden
from airflow_agentic.trace.sealing import is_digest, sealings_of
from airflow_agentic.trace.written import written_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_agentic.trace.findings import Finding
    from airflow_agentic.trace.record import ArtifactRecord
    from airflow_agentic.trace.run_files import RunFiles
    from airflow_agentic.trace.sealing import Sealing
    from airflow_agentic.trace.store import TraceStore

#: What is left of a file that was being written when its process died. Nobody reads it.
_UNFINISHED = re.compile(r"\.[0-9a-f]{32}\.part")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """
    What became of a run's trace since it was sealed.

    :param state: ``intact``; ``broken``: there are findings; ``unsealed``: there is nothing to compare with;
        ``uncompared``: of a bundle, what was sealed is intact, but nobody knows whether the page says so.
    :param sealed: when, by its last manifest: ISO 8601 in UTC; null for none.
    :param seal: the digest of that manifest as it is.
    :param files, bytes: what there is.
    :param findings: sorted by path.
    :param notes: what else a reader should know.
    :param uncompared: files of a bundle that are made of its records, but can't be made in the same way here.
    """

    dag_id: str
    run_id: str
    state: Literal["intact", "broken", "unsealed", "uncompared"]
    sealed: str | None
    seal: str | None
    files: int
    bytes: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    uncompared: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """The verdict as JSON-able data."""
        return asdict(self)


def verify(store: TraceStore, dag_id: str, run_id: str, seal: str | None = None) -> Verdict:
    """
    Compare a run in the trace store, and its artifacts, with its manifests.

    :param seal: the digest of its last manifest, as it was kept elsewhere.
    :raises TraceError: the run left nothing, the store can't be listed, or that is no digest.
    """
    files = StoredFiles(store, dag_id, run_id)
    if not files.sizes:
        raise TraceError(f"There are no records of the run {run_id!r} of {dag_id!r} in {store.url}.")
    verdict = verdict_of(files, dag_id, run_id, seal)
    return with_findings(verdict, finding.of_artifacts(files, believed(files, verdict), digest_at_uri))


def verdict_of(files: RunFiles, dag_id: str, run_id: str, seal: str | None = None) -> Verdict:
    """
    Compare a run's files with its manifests; artifacts are none of them.

    :param seal: the digest of its last manifest, as it was kept elsewhere.
    :raises TraceError: that is no digest.
    """
    if seal is not None and not is_digest(seal := seal.strip().lower()):
        raise TraceError(f"{seal!r} is no seal: a seal is a SHA-256, 64 hexadecimal digits.")
    sealings = sealings_of(files)
    found = dict(digests(files, [path for path in files.sizes if not _is_unfinished(path)]))
    told = [
        *finding.of_manifests(sealings, dag_id, run_id, seal),
        *finding.of_files(sealings, found),
        *finding.of_more_files(sealings, found),
        *finding.of_values(found),
        *finding.of_the_seal(sealings, seal),
    ]
    last = sealings[-1] if sealings else None
    return Verdict(
        dag_id=dag_id,
        run_id=run_id,
        state="broken" if told else "intact" if sealings else "unsealed",
        sealed=last.manifest.sealed if last and last.manifest else None,
        seal=last.digest if last else None,
        files=len(files.sizes),
        bytes=sum(size for size in files.sizes.values() if size > 0),
        findings=_in_order(told),
        notes=tuple(_notes(files, sealings)),
    )


def believed(files: RunFiles, verdict: Verdict) -> list[str]:
    """The paths of a run's files of which nothing was found."""
    named = {each.path for each in verdict.findings}
    return [path for path in files.sizes if path not in named]


def with_findings(verdict: Verdict, more: Iterable[Finding]) -> Verdict:
    """The verdict when more is known."""
    told = [*verdict.findings, *more]
    return replace(verdict, state="broken" if told else verdict.state, findings=_in_order(told))


def with_uncompared(verdict: Verdict, names: Iterable[str]) -> Verdict:
    """The verdict of a bundle in which these files couldn't be compared with its records."""
    told = tuple(sorted(names))
    return replace(
        verdict, state="uncompared" if told and verdict.state == "intact" else verdict.state, uncompared=told
    )


def _in_order(told: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sorted by path; of several that say the same of a file, the first."""
    first = {(each.path, each.what): each for each in reversed(told)}
    return tuple(sorted(first.values(), key=lambda each: (each.path, each.what)))


def digest_at_uri(path: str, record: ArtifactRecord) -> str | TraceError:
    """The digest of what is now where an artifact was written, or why there is none."""
    digest = hashlib.sha256()
    try:
        for part in written_parts(record.uri):
            digest.update(part)
    except FileNotFoundError:
        return TraceError("there is nothing at its place")
    except (OSError, ValueError, ImportError) as error:
        return TraceError(f"it can't be read: {error}")
    return digest.hexdigest()


def _notes(files: RunFiles, sealings: Sequence[Sealing]) -> Iterator[str]:
    for path in files.sizes:
        if _is_unfinished(path):
            yield f"{path} is what was left when a process died while it wrote; nobody reads it."
    if len(sealings) > 1:
        times = ", ".join(each.manifest.sealed if each.manifest else "?" for each in sealings)
        yield f"The run was sealed {len(sealings)} times ({times}), because it was cleared and ran again."


def _is_unfinished(path: str) -> bool:
    return is_hidden(path) and _UNFINISHED.fullmatch(path.rpartition("/")[2]) is not None
