"""
Checking audit bundles, without Airflow and without believing anything in them.

The records are compared with their manifests as in the trace store; the artifacts with their records; and everything
that was made of these is made again. What has no such origin is compared with the digests in the bundle.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import TraceError
from airflow_agentic.trace.airflow import facts_from_data
from airflow_agentic.trace.bundle import (
    ABOUT,
    CRATE,
    DRAWN,
    FACTS,
    MADE,
    PAGE,
    RECORDS,
    SUMS,
    TEMPLATE,
    Contents,
    made,
    sums,
    wanted_artifacts,
)
from airflow_agentic.trace.drawn_by import drawn_by_from_data, this_program
from airflow_agentic.trace.findings import added, altered, missing
from airflow_agentic.trace.run_files import digests, parts
from airflow_agentic.trace.sealing import sealings_of
from airflow_agentic.trace.values import digest_of
from airflow_agentic.trace.verify import believed, verdict_of, with_findings, with_uncompared
from airflow_agentic.trace.zipped import Archive, write_archive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from airflow_agentic.trace.findings import Digests, Finding
    from airflow_agentic.trace.verify import Verdict

#: Bytes. The trace of a run with more than that in its records isn't made again to compare it.
MOST_RECORDS = 256 << 20
#: Bytes of a file that is read whole, and of a text beside the records.
_MOST_WHOLE, _MOST_TEXT = 512 << 20, 64 << 20
#: Characters that are shown of what a bundle says of itself.
_LONGEST = 200


class ArchivedFiles:
    """The files below a folder of an archive; all of it for an empty name."""

    def __init__(self, archive: Archive, folder: str = "") -> None:
        self._archive = archive
        self._folder = folder
        own = {name: size for name, size in archive.sizes.items() if name.startswith(folder)}
        self.sizes: Mapping[str, int] = {name.removeprefix(folder): size for name, size in own.items()}

    def read(self, paths: Iterable[str]) -> dict[str, bytes | TraceError]:
        """The contents of small files; for one that can't be read, why."""
        return {path: self._content(path) for path in paths}

    def open(self, path: str) -> BinaryIO:
        """
        A file, to be read in parts.

        :raises OSError: it can't be read.
        """
        return self._archive.open(f"{self._folder}{path}")

    def _content(self, path: str) -> bytes | TraceError:
        if self.sizes[path] > _MOST_WHOLE:
            return TraceError(f"{path} is larger than {_MOST_WHOLE:,} bytes, so it isn't read.")
        try:
            return self._archive.read(f"{self._folder}{path}")
        except OSError as error:
            return TraceError(f"{path} can't be read: {error}")


def verify_bundle(path: Path, seal: str | None = None) -> Verdict:
    """
    Check an audit bundle.

    :param seal: of its run, as it was kept elsewhere.
    :raises TraceError: it is no audit bundle, or can't be read within bounds.
    """
    return verify_and_draw(path, seal)[0]


def verify_and_draw(path: Path, seal: str | None = None) -> tuple[Verdict, bytes | None]:
    """
    Check an audit bundle, and draw its page again from its records, whatever the page in it says.

    :returns: the page, too; null if records or artifacts aren't as they were, or no page can be made of them.
    :raises TraceError: see :func:`verify_bundle`.
    """
    with Archive(path) as archive:
        check = _Check(archive, path, seal)
        return check.verdict(), check.page


def bundled_trace(path: Path) -> Any:
    """
    The trace that an audit bundle tells, as data, without checking anything.

    :raises TraceError: it is no audit bundle.
    """
    from airflow_agentic.trace.bundle import TRACE

    with Archive(path) as archive:
        size = archive.sizes.get(TRACE, -1)
        if size < 0:
            raise TraceError(f"{path} is no audit bundle: it has no {TRACE}.")
        if size > _MOST_WHOLE:
            raise TraceError(f"{TRACE} in {path} has {size:,} bytes; more than {_MOST_WHOLE:,} aren't read.")
        try:
            found = json.loads(archive.read(TRACE).decode("utf-8", "surrogatepass"))
        except (OSError, ValueError, RecursionError) as error:
            raise TraceError(f"{TRACE} in {path} can't be read: {error}") from None
    if not isinstance(found, dict):
        raise TraceError(f"{TRACE} in {path} is no trace.")
    return found


@dataclass(frozen=True)
class _Remade:
    """
    What is made of records, made again.

    :param uncompared: the names of files in the bundle that this says nothing of.
    :param why: they couldn't be compared.
    """

    compared: dict[str, bytes]
    uncompared: set[str]
    why: str | None

    @property
    def notes(self) -> tuple[str, ...]:
        """For people."""
        if not self.uncompared:
            return ()
        names = ", ".join(sorted(self.uncompared))
        return (f"not verified against the records: {names}, because {self.why}. They may say anything.",)


class _Check:
    """One bundle."""

    #: Drawn here; null until then, and if it can't be.
    page: bytes | None = None

    def __init__(self, archive: Archive, path: Path, seal: str | None) -> None:
        self._archive = archive
        self._path = path
        self._seal = seal
        self._all = ArchivedFiles(archive)
        self._records = ArchivedFiles(archive, RECORDS)
        self._actual: Digests = dict(digests(self._all, self._all.sizes))
        self._about = _mapping(self._text(ABOUT)) or {}
        self._drawn_by = drawn_by_from_data(self._about) if "made_by" in self._about else this_program()
        self._wanted = wanted_artifacts(self._records)

    def verdict(self) -> Verdict:
        """What became of the bundle."""
        dag_id, run_id = self._run()
        records = verdict_of(self._records, dag_id, run_id, self._seal)
        told = [replace(each, path=f"{RECORDS}{each.path}") for each in records.findings]
        told += self._of_artifacts()
        again = (
            self._without("what they are made of isn't as it was") if told else self._remade(dag_id, run_id, records)
        )
        remade = again.compared
        right = {name for name, content in remade.items() if self._actual.get(name) == digest_of(content)}
        off = self._off()
        if FACTS in off and right != remade.keys():
            # all that was made of it differs because of it
            remade = {name: content for name, content in remade.items() if name in off and name != FACTS}
            right = set()
        sealed = {f"{RECORDS}{path}" for path in believed(self._records, records) if records.seal}
        good = right | (sealed | self._right_artifacts()) - {each.path for each in told}
        if self._drawn_by != this_program():
            good.discard(ABOUT)  # what it says of its maker was believed, to make the rest
        told += [*self._of_made(remade), *self._of_sums(off, good), *self._archive.oddities(), *self._of_more()]
        whole = replace(
            with_findings(replace(records, findings=()), told),
            files=len(self._all.sizes),
            bytes=sum(size for size in self._all.sizes.values() if size > 0),
        )
        notes = (*records.notes, *again.notes, *self._packing())
        return with_uncompared(replace(whole, notes=notes), again.uncompared)

    def _run(self) -> tuple[str, str]:
        """Which run it is of: what the records say counts."""
        last = next((each.manifest.run for each in reversed(sealings_of(self._records)) if each.manifest), None)
        if last is not None:
            return last.dag_id, last.run_id
        if not {"dag_id", "run_id"} <= self._about.keys():
            raise TraceError(f"{self._path} is no audit bundle: nothing in it says which run it is of.")
        return str(self._about["dag_id"]), str(self._about["run_id"])

    def _text(self, name: str) -> bytes | None:
        """A small file's content; null if it isn't there, is damaged or isn't small."""
        if not 0 <= self._all.sizes.get(name, -1) <= _MOST_TEXT:
            return None
        content = self._all.read([name])[name]
        return content if isinstance(content, bytes) else None

    def _of_artifacts(self) -> Iterator[Finding]:
        """Compared with their records. One that was gone when the bundle was made is told, too."""
        for name, record in self._wanted.items():
            actual = self._actual.get(name)
            if actual is None:
                yield missing(name, f"the artifact {record.uri} isn't in the bundle")
            elif actual != record.sha256:
                yield altered(name, f"the artifact {record.uri} isn't the one that the run wrote")

    def _right_artifacts(self) -> set[str]:
        return {name for name, record in self._wanted.items() if self._actual.get(name) == record.sha256}

    def _remade(self, dag_id: str, run_id: str, records: Verdict) -> _Remade:
        """Everything that is made, made again from the records."""
        if sum(size for size in self._records.sizes.values() if size > 0) > MOST_RECORDS:
            return self._without("the records are too large to make the trace of them again")
        facts = _mapping(self._text(FACTS)) if FACTS in self._all.sizes else None
        try:
            contents = Contents(
                dag_id=dag_id,
                run_id=run_id,
                files=self._records,
                facts=facts_from_data(facts) if facts is not None else None,
                artifacts={name: self._wanted[name] for name in self._right_artifacts()},
                read_artifact=self._archive.read,
                drawn_by=self._drawn_by,
            )
            remade = made(contents, records)
        except Exception as error:
            return self._without(f"the trace can't be made again from the records: {error!r}")
        self.page = remade[PAGE]
        return self._comparable(remade, self._differently_made(remade, dag_id, run_id))

    def _without(self, why: str) -> _Remade:
        """Nothing is made again."""
        return _Remade({}, {*DRAWN, TEMPLATE} & self._all.sizes.keys(), why)

    def _differently_made(self, remade: dict[str, bytes], dag_id: str, run_id: str) -> set[str]:
        """
        Files that differ from what is made here, perhaps because something else made them.

        What is the same is right, whatever made it; and of some, everything makes the same.
        """
        here = this_program()
        if self._drawn_by == here:
            return set()
        may = {PAGE, CRATE, ABOUT} if self._drawn_by.made_by == here.made_by else {*DRAWN}
        if (self._about.get("dag_id"), self._about.get("run_id")) != (dag_id, run_id):
            may.discard(ABOUT)
        return {
            name
            for name, content in remade.items()
            if name in may and name in self._actual and self._actual[name] != digest_of(content)
        }

    def _comparable(self, remade: dict[str, bytes], otherwise: set[str]) -> _Remade:
        """Without what may differ because something else made it."""
        if not otherwise:
            return _Remade(remade, set(), None)
        by, here = self._drawn_by, this_program()
        who = (by.made_by, here.made_by) if by.made_by != here.made_by else (by.drawn_with, here.drawn_with)
        compared = {name: content for name, content in remade.items() if name not in otherwise}
        why = f"the bundle says that {_cut(who[0])} made it, and this is {who[1]}, which makes them in another way"
        return _Remade(compared, otherwise, why)

    def _of_made(self, remade: Mapping[str, bytes]) -> Iterator[Finding]:
        for name, content in remade.items():
            actual = self._actual.get(name)
            if actual is None:
                yield missing(name, "it isn't in the bundle")
            elif actual != digest_of(content):
                yield altered(name, "it isn't what is made of the records in this bundle")

    def _off(self) -> set[str]:
        """The files that the digests in the bundle don't agree with."""
        listed = self._listed()
        names = {*listed, *self._actual} - {SUMS}
        return {name for name in names if listed.get(name) != self._actual.get(name)}

    def _listed(self) -> dict[str, str]:
        text = (self._text(SUMS) or b"").decode("utf-8", "replace")
        return {name: digest for line in text.split("\n") for digest, _, name in [line.partition("  ")] if name}

    def _of_sums(self, off: set[str], good: set[str]) -> Iterator[Finding]:
        """
        The digests in the bundle, and what they say of files that nothing else tells of.

        :param good: files that were found to be right.
        """
        listed = self._listed()
        actual = {name: digest for name, digest in self._actual.items() if isinstance(digest, str) and name != SUMS}
        if SUMS not in self._actual:
            yield missing(SUMS, "it isn't in the bundle")
        elif off & good or (not off and self._text(SUMS) != sums(actual)):
            yield altered(SUMS, "it isn't what it was: files that are right don't agree with it")
        for name in sorted(off - good):
            if name not in self._actual:
                yield missing(name, f"it is in {SUMS}, but not in the bundle")
            elif name in listed:
                yield altered(name, f"it doesn't agree with {SUMS}")

    def _of_more(self) -> Iterator[Finding]:
        known = {*MADE, *self._wanted, SUMS}
        for name in self._all.sizes:
            if name not in known and not name.startswith(RECORDS):
                yield added(name, "it doesn't belong to an audit bundle")

    def _packing(self) -> Iterator[str]:
        if not self._is_as_written():
            yield "The archive was packed anew, or its headers were altered; its files were compared one by one."

    def _is_as_written(self) -> bool:
        """Is the archive itself, byte by byte, what is written for such files?"""
        if min(self._all.sizes.values(), default=0) < 0:
            return False
        with tempfile.TemporaryFile() as again, self._path.open("rb") as given:
            try:
                write_archive(again, {name: (size, parts(self._all, name)) for name, size in self._in_order()})
            except (OSError, TraceError):
                return False
            again.seek(0)
            digests = (hashlib.file_digest(file, "sha256").digest() for file in (again, given))
            return len(set(digests)) == 1

    def _in_order(self) -> Iterator[tuple[str, int]]:
        names = [name for name in self._all.sizes if name != SUMS]
        yield from ((name, self._all.sizes[name]) for name in (*names, *({SUMS} & self._all.sizes.keys())))


def _mapping(text: bytes | None) -> dict[str, Any] | None:
    """A text as a JSON object; null if it is none."""
    try:
        found = json.loads((text or b"").decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _cut(told: Any) -> str:
    """What a bundle says of itself may be of any length."""
    text = str(told) or "something unnamed"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
