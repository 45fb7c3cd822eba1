"""
The trace store: records in, records out, on any file system that fsspec knows.

A record is created, never changed: a name that exists already is an error, because it means two writers for one
attempt. Nothing here needs Airflow, so a trace can be read wherever its files are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow_agentic import config, storage
from airflow_agentic.errors import ConfigError, MissingFileError, TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.record import from_data, to_data
from airflow_agentic.trace.values import digest_of, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from airflow_agentic.trace.record import BeginRecord, Record, RunKey
    from airflow_agentic.trace.summary import RunSummary

#: The keys of records that hold what users and agents wrote, so that may be large.
PAYLOAD = (
    *("input", "output", "item", "error", "tool_calls", "conditions", "feedback", "failure", "items"),
    *("inputs", "outline", "picture"),
)


class TraceStore:
    """
    The records below one URL. Paths are relative to it.

    :param url: any fsspec URL or a local path; None for ``[agentic] trace_url``.
    :raises ConfigError: the URL's file system isn't there.
    """

    def __init__(self, url: str | None = None) -> None:
        self.url = url or config.get("trace_url")
        try:
            self._filesystem, self._root = storage.open_url(self.url)
        except (ValueError, ImportError) as error:
            raise ConfigError(f"[agentic] trace_url {self.url!r} can't be used: {error}") from None

    def write(self, record: Record) -> str:
        """
        Store a record; its large values first, so that a record never refers to what isn't there.

        :returns: its path.
        :raises TraceError: it is there already, or can't be written.
        """
        path = layout.record_path(record)
        folder = layout.run_folder(record.run.dag_id, record.run.run_id)
        self._create(path, _to_json(self._pack(to_data(record), folder)))
        return path

    def has_begun(self, run: RunKey) -> bool:
        """Whether it is recorded how the run began, with this template."""
        return bool(self._filesystem.exists(self._full(layout.begin_path(run))))

    def begin(self, record: BeginRecord) -> None:
        """
        Store how a run began, unless it is there: the try that wrote it may have died before it was done.

        :raises TraceError: it can't be written.
        """
        try:
            self.write(record)
        except TraceError:
            if not self.has_begun(record.run):
                raise

    def read(self, path: str) -> Record:
        """
        A record, with its large values.

        :raises TraceError: it is missing or unreadable.
        """
        return self._record(path, lambda data: self._unpack(data, path))

    def peek(self, path: str) -> Record:
        """
        A record whose large values are left where they are, as references.

        :raises TraceError: it is missing or unreadable.
        """
        return self._record(path, lambda data: data)

    def records(self, dag_id: str, run_id: str) -> dict[str, Record]:
        """
        All records of a run by their paths, sorted, each as :meth:`peek` gives it.

        :raises TraceError: one of them is unreadable.
        """
        paths = [path for path in self.files(dag_id, run_id) if layout.folder_of(path) in layout.FOLDERS]
        return {path: self._parsed(path, data) for path, data in self.read_many(paths).items()}

    def of_task(self, run: RunKey, task_id: str, map_index: int) -> list[Record]:
        """
        The attempts and failures of a task instance in the order of their tries, each as :meth:`peek` gives it.

        In each try, the task's own failure comes last, as it did.
        """
        folder = layout.run_folder(run.dag_id, run.run_id)
        found: list[tuple[int, str, list[int], str]] = []
        for name in ("attempts", "failures"):
            prefix = layout.task_prefix(f"{folder}/{name}", task_id, map_index)
            paths = [path for path in self.names(f"{folder}/{name}") if path.startswith(prefix)]
            numbered = [(layout.numbers_of(path, prefix), path) for path in paths]
            found += [(numbers[0], name, numbers, path) for numbers, path in numbered if numbers]
        return [self.peek(path) for *_, path in sorted(found)]

    def write_template(self, run: RunKey, source: str) -> None:
        """Store the template that a run was made from, once."""
        path = layout.template_path(run)
        if not self._filesystem.exists(self._full(path)):
            self._write(storage.overwrite, path, source.encode("utf-8", "surrogatepass"))

    def write_summary(self, summary: RunSummary) -> str:
        """
        Store a run's summary, before the manifest that seals it.

        :raises TraceError: it is there already, or can't be written.
        """
        path = layout.summary_path(summary.run.dag_id, summary.run.run_id, summary.try_number)
        self._create(path, _to_json(summary.to_data()))
        return path

    def write_manifest(self, run: RunKey, try_number: int, data: dict[str, Any]) -> str:
        """
        Store a manifest, and before it its digest: a manifest without one isn't as it was written.

        :returns: the digest of its file (SHA-256, hex): the run's seal.
        :raises TraceError: it is there already, or can't be written.
        """
        path, content = layout.manifest_path(run.dag_id, run.run_id, try_number), _to_json(data)
        seal = digest_of(content)
        line = layout.seal_line(seal, path)
        self._create(layout.seal_path(run.dag_id, run.run_id, try_number), line.encode())
        self._create(path, content)
        return seal

    def manifest(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """
        The run's last manifest, None when it has none yet.

        :raises TraceError: it is unreadable.
        """
        prefix = f"{layout.run_folder(dag_id, run_id)}/manifest."
        tries = [path.removeprefix(prefix).removesuffix(".json") for path in self.names(prefix.rpartition("/")[0])]
        numbers = [int(number) for number in tries if number.isdecimal()]
        if not numbers:
            return None
        path = layout.manifest_path(dag_id, run_id, max(numbers))
        try:
            data: dict[str, Any] = json.loads(self.read_bytes(path))
        except ValueError as error:
            raise TraceError(f"The manifest {path} in {self.url} can't be read: {error}") from None
        return data

    def names(self, folder: str) -> list[str]:
        """The paths of the files of a folder, sorted; none when there is no such folder."""
        return [f"{folder}/{name}" for name in self._entries(folder, "file") if not name.startswith(".")]

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, sorted; none when there is no such folder."""
        return self._entries(folder, "directory")

    def files(self, dag_id: str, run_id: str) -> dict[str, int]:
        """
        All files of a run, in one listing: the bytes of each by its path, sorted; none of a run that left nothing.

        Those that were being written when a process died are left out, like all whose names begin with a dot.

        :raises TraceError: the store can't be listed.
        """
        found = self.everything(dag_id, run_id)
        return {path: size for path, size in found.items() if not path.rpartition("/")[2].startswith(".")}

    def everything(self, dag_id: str, run_id: str) -> dict[str, int]:
        """
        As :meth:`files`, with nothing left out; of what is no file (a pipe, a link that leads nowhere), -1 bytes.

        :raises TraceError: the store can't be listed.
        """
        root = self._full(layout.run_folder(dag_id, run_id))
        try:
            self._filesystem.invalidate_cache()
            found = self._filesystem.find(root, detail=True)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TraceError(f"The trace in {self.url} can't be listed: {error}") from None
        below = len(self._root) + 1
        sizes = {name[below:]: self._size(name, entry) for name, entry in found.items()}
        return {path: sizes[path] for path in sorted(sizes)}

    def _size(self, name: str, entry: dict[str, Any]) -> int:
        is_file = entry["type"] == "file" or self._filesystem.isfile(name)
        return int(entry["size"] or 0) if is_file else -1

    def read_many(self, paths: Iterable[str]) -> dict[str, bytes | TraceError]:
        """
        The contents of many small files, read at the same time where the file system can do that.

        :returns: for one that can't be read, why.
        """
        wanted = list(dict.fromkeys(paths))
        if not wanted:
            return {}
        full = [self._full(path) for path in wanted]
        # not `cat`: that would look for patterns in the names
        read = self._filesystem.cat_ranges(full, [None] * len(full), [None] * len(full), on_error="return")
        return {path: self._content(path, data) for path, data in zip(wanted, read, strict=True)}

    def _content(self, path: str, data: bytes | Exception) -> bytes | TraceError:
        if isinstance(data, FileNotFoundError):
            return MissingFileError(f"There is no {path} in {self.url}.")
        return TraceError(f"{path} in {self.url} can't be read: {data}") if isinstance(data, Exception) else data

    def read_bytes(self, path: str) -> bytes:
        """
        A file's content.

        :raises TraceError: it is missing or unreadable.
        """
        try:
            data: bytes = self._filesystem.cat_file(self._full(path))
        except FileNotFoundError:
            raise TraceError(f"There is no {path} in {self.url}.") from None
        except OSError as error:
            raise TraceError(f"{path} in {self.url} can't be read: {error}") from None
        return data

    def open(self, path: str) -> BinaryIO:
        """
        A file's content, to be read in parts.

        :raises OSError: it is missing or unreadable.
        """
        opened: BinaryIO = self._filesystem.open(self._full(path), "rb")
        return opened

    def pack(self, value: Any, run: RunKey) -> Any:
        """The value as it is stored: large parts moved out, see :mod:`~airflow_agentic.trace.values`."""
        return self._pack_value(value, layout.run_folder(run.dag_id, run.run_id))

    def unpack(self, stored: Any, dag_id: str, run_id: str) -> Any:
        """Undo :meth:`pack`."""
        folder = layout.run_folder(dag_id, run_id)
        return unpack(stored, lambda digest: self.read_bytes(layout.value_path(folder, digest)))

    def _entries(self, folder: str, kind: str) -> list[str]:
        try:
            self._filesystem.invalidate_cache()
            entries = self._filesystem.ls(self._full(folder), detail=True)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TraceError(f"The trace in {self.url} can't be listed: {error}") from None
        return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == kind)

    def _record(self, path: str, complete: Callable[[dict[str, Any]], dict[str, Any]]) -> Record:
        return self._parsed(path, self.read_bytes(path), complete)

    def _parsed(
        self,
        path: str,
        data: bytes | TraceError,
        complete: Callable[[dict[str, Any]], dict[str, Any]] = lambda data: data,
    ) -> Record:
        if isinstance(data, TraceError):
            raise data
        try:
            return from_data(complete(json.loads(data.decode("utf-8", "surrogatepass"))))
        except (ValueError, TypeError, AttributeError) as error:
            raise TraceError(f"The record {path} in {self.url} can't be read: {error}") from None

    def _pack(self, data: dict[str, Any], folder: str) -> dict[str, Any]:
        return {key: self._pack_value(part, folder) if key in PAYLOAD else part for key, part in data.items()}

    def _pack_value(self, value: Any, folder: str) -> Any:
        def store(digest: str, data: bytes) -> None:
            path = layout.value_path(folder, digest)
            if not self._filesystem.exists(self._full(path)):
                self._write(storage.overwrite, path, data)

        return pack(value, config.get_int("inline_value_bytes"), store)

    def _unpack(self, data: dict[str, Any], path: str) -> dict[str, Any]:
        folder = "/".join(path.split("/")[:2])

        def load(digest: str) -> bytes:
            return self.read_bytes(layout.value_path(folder, digest))

        return {key: unpack(part, load) if key in PAYLOAD else part for key, part in data.items()}

    def _create(self, path: str, data: bytes) -> None:
        try:
            self._write(storage.create, path, data)
        except FileExistsError:
            raise TraceError(f"The record {path} in {self.url} exists already; records are never changed.") from None

    def _write(self, write: Callable[[Any, str, bytes], None], path: str, data: bytes) -> None:
        try:
            write(self._filesystem, self._full(path), data)
        except FileExistsError:
            raise
        except OSError as error:
            raise TraceError(f"{path} can't be written to {self.url}: {error}") from None

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def _to_json(data: dict[str, Any]) -> bytes:
    """Stored JSON is indented: people read it."""
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "surrogatepass")
