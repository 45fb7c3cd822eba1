"""
The files of one run as they are, wherever that is: in the trace store, or in an audit bundle.

Paths are relative to the run's folder. Nothing is left out, whoever put it there.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from airflow_agentic.errors import TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.values import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

    from airflow_agentic.trace.store import TraceStore

#: Files above this are read in parts; smaller ones many at a time, up to so much together.
_PART = 1 << 20
_TOGETHER = 16 << 20


class RunFiles(Protocol):
    """The files of one run."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes of each by its path, sorted; -1 for what is no file (a pipe, a link that leads nowhere)."""

    def read(self, paths: Iterable[str]) -> dict[str, bytes | TraceError]:
        """The contents of small files; for one that can't be read, why."""

    def open(self, path: str) -> BinaryIO:
        """
        A file, to be read in parts.

        :raises OSError: it can't be read.
        """


class StoredFiles:
    """
    The files of a run in the trace store, as they were listed when this was made.

    :raises TraceError: the store can't be listed.
    """

    def __init__(self, store: TraceStore, dag_id: str, run_id: str) -> None:
        self._store = store
        self._prefix = f"{layout.run_folder(dag_id, run_id)}/"
        found = store.everything(dag_id, run_id)
        self.sizes: Mapping[str, int] = {path.removeprefix(self._prefix): size for path, size in found.items()}

    def read(self, paths: Iterable[str]) -> dict[str, bytes | TraceError]:
        """The contents of small files; for one that can't be read, why."""
        read = self._store.read_many(f"{self._prefix}{path}" for path in paths)
        return {path.removeprefix(self._prefix): content for path, content in read.items()}

    def open(self, path: str) -> BinaryIO:
        """
        A file, to be read in parts.

        :raises OSError: it can't be read.
        """
        return self._store.open(f"{self._prefix}{path}")


class AsStore:
    """
    The files of a run for those who read it from a trace store.

    What it says of files that can't be read is the same wherever they are, so that a trace doesn't depend on it.
    """

    url = "the run's files"

    def __init__(self, files: RunFiles) -> None:
        self._files = files

    def files(self, dag_id: str, run_id: str) -> dict[str, int]:
        """As :meth:`TraceStore.files`."""
        folder = layout.run_folder(dag_id, run_id)
        told = self._files.sizes.items()
        return {f"{folder}/{path}": size for path, size in told if size >= 0 and not is_hidden(path)}

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes | TraceError]:
        """As :meth:`TraceStore.read_many`."""
        inside = {"/".join(path.split("/")[2:]): path for path in paths}
        missing = {path for path in inside if self._files.sizes.get(path, -1) < 0}
        read = self._files.read(path for path in inside if path not in missing)
        found = {inside[path]: _without_place(path, content) for path, content in read.items()}
        return {**found, **{inside[path]: TraceError(f"There is no {path}.") for path in missing}}


def is_hidden(path: str) -> bool:
    """Whether readers of records leave a file out."""
    return path.rpartition("/")[2].startswith(".")


def digests(files: RunFiles, paths: Iterable[str]) -> Iterator[tuple[str, str | TraceError]]:
    """The SHA-256 of files, in any order; for one that can't be read, why. Never more than some 16 MB are in memory."""
    small = []
    for path in paths:
        if files.sizes[path] < 0:
            yield path, TraceError(f"{path} is no file.")
        elif files.sizes[path] > _PART:
            yield path, digest_in_parts(files, path)
        else:
            small.append(path)
    for path, content in read_in_turn(files, small):
        yield path, content if isinstance(content, TraceError) else digest_of(content)


def read_in_turn(files: RunFiles, paths: Iterable[str]) -> Iterator[tuple[str, bytes | TraceError]]:
    """The contents of many files, of which only some are in memory at a time: those that come to 16 MB, or one."""
    together: list[str] = []
    size = 0
    for path in paths:
        if together and size + files.sizes[path] > _TOGETHER:
            yield from files.read(together).items()
            together, size = [], 0
        together.append(path)
        size += files.sizes[path]
    yield from files.read(together).items()


def digest_in_parts(files: RunFiles, path: str) -> str | TraceError:
    """The SHA-256 of a file of any size, or why it can't be read."""
    digest = hashlib.sha256()
    try:
        for part in parts(files, path):
            digest.update(part)
    except OSError as error:
        return TraceError(f"{path} can't be read: {error}")
    return digest.hexdigest()


def parts(files: RunFiles, path: str) -> Iterator[bytes]:
    """
    A file's content in parts.

    :raises OSError: it can't be read.
    """
    with files.open(path) as opened:
        while part := opened.read(_PART):
            yield part


def _without_place(path: str, content: bytes | TraceError) -> bytes | TraceError:
    return TraceError(f"{path} can't be read.") if isinstance(content, TraceError) else content
