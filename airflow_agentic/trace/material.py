"""
All that a run left in the trace store, read at once.

A run may have thousands of small files on an object store, where each read takes tens of milliseconds: they are listed
in one go, the records are read at the same time, and then the large values that they refer to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_agentic import storage
from airflow_agentic.errors import TraceError
from airflow_agentic.trace import layout
from airflow_agentic.trace.checked import checked_manifest, checked_record
from airflow_agentic.trace.facts import began
from airflow_agentic.trace.record import BeginRecord
from airflow_agentic.trace.store import PAYLOAD
from airflow_agentic.trace.values import digest_of, references, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_agentic.trace.manifest import Manifest
    from airflow_agentic.trace.record import Record
    from airflow_agentic.trace.store import TraceStore

    Read = Mapping[str, bytes | TraceError]


@dataclass(frozen=True, kw_only=True)
class Material:
    """
    What a run left.

    :param records: path below the run's folder → record, with its large values, in the order of the paths.
    :param manifests: of the tries of the run's last task, the last one at the end, with the run's output unpacked.
    :param sealed: the last manifest covers all records; else a task has run since.
    :param template: the text of the template that the run was last made from, where it is there.
    :param problems: what couldn't be read.
    """

    records: dict[str, Record]
    manifests: tuple[Manifest, ...]
    sealed: bool
    template: str | None
    problems: tuple[str, ...]

    @property
    def digest(self) -> str | None:
        """Of the template that the run was last made from."""
        if self.sealed:
            return self.manifests[-1].run.template_digest
        last = max(self.records.values(), key=began, default=None)
        return last.run.template_digest if last else None

    @property
    def begin(self) -> BeginRecord | None:
        """How the run began with that template; or else, with another one."""
        begun = [record for record in self.records.values() if isinstance(record, BeginRecord)]
        own = [record for record in begun if record.run.template_digest == self.digest]
        return max(own or begun, key=began, default=None)


def material_of(store: TraceStore, dag_id: str, run_id: str) -> Material:
    """
    Read all that a run left; what can't be read is told as a problem.

    :raises TraceError: the store can't be listed.
    """
    folder = layout.run_folder(dag_id, run_id)
    paths = [path for path in store.files(dag_id, run_id) if layout.folder_of(path) != "values"]
    read = store.read_many(paths)
    problems: list[str] = [str(data) for data in read.values() if isinstance(data, TraceError)]
    parsed = _parsed(read, problems)
    values = _values(store, folder, parsed.values(), problems)
    records = {
        path.removeprefix(f"{folder}/"): record
        for path, data in parsed.items()
        if layout.folder_of(path) in layout.FOLDERS and (record := _record(path, data, values, problems)) is not None
    }
    manifests = _manifests({path: data for path, data in parsed.items() if layout.is_manifest(path)}, values, problems)
    material = Material(
        records=records,
        manifests=manifests,
        sealed=bool(manifests) and {entry["path"] for entry in manifests[-1].records} >= records.keys(),
        template=None,
        problems=tuple(map(storage.without_passwords, problems)),
    )
    return _with_template(material, read, folder)


def _parsed(read: Read, problems: list[str]) -> dict[str, dict[str, Any]]:
    """The JSON of all that is JSON."""
    found = {}
    for path, data in read.items():
        if isinstance(data, TraceError) or not path.endswith(".json"):
            continue
        try:
            parsed = json.loads(data.decode("utf-8", "surrogatepass"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            problems.append(f"{path} can't be read: {error}")
            continue
        if isinstance(parsed, dict):
            found[path] = parsed
        else:
            problems.append(f"{path} can't be read: it is no record.")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _values(
    store: TraceStore, folder: str, parsed: Iterable[dict[str, Any]], problems: list[str]
) -> dict[str, bytes | None]:
    """The large values that are referred to, by their digests; null for one that can't be read."""
    digests = sorted({digest for data in parsed for key in PAYLOAD for digest in references(data.get(key))})
    by_path = {layout.value_path(folder, digest): digest for digest in digests}
    found: dict[str, bytes | None] = {}
    for path, data in store.read_many(by_path).items():
        problem = _problem_of_value(path, by_path[path], data)
        problems += [f"{problem} Where it was referred to, null stands."] if problem else []
        found[by_path[path]] = data if isinstance(data, bytes) and not problem else None
    return found


def _problem_of_value(path: str, digest: str, data: bytes | TraceError) -> str | None:
    if isinstance(data, TraceError):
        return str(data)
    return None if digest_of(data) == digest else f"{path} isn't the value that was stored: its digest is another one."


def _record(path: str, data: dict[str, Any], values: Mapping[str, bytes | None], problems: list[str]) -> Record | None:
    try:
        return checked_record({**data, **{key: _whole(data[key], values) for key in PAYLOAD if key in data}})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        problems.append(f"The record {path} can't be read: {error}")
        return None


def _whole(stored: Any, values: Mapping[str, bytes | None]) -> Any:
    return unpack(stored, lambda digest: values.get(str(digest)) or b"null")


def _manifests(
    found: Mapping[str, dict[str, Any]], values: Mapping[str, bytes | None], problems: list[str]
) -> tuple[Manifest, ...]:
    manifests = []
    for path, data in found.items():
        try:
            manifests.append(checked_manifest({**data, "output": _whole(data.get("output"), values)}))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            problems.append(f"The manifest {path} can't be read: {error}")
    return tuple(sorted(manifests, key=lambda manifest: manifest.try_number))


def _with_template(material: Material, read: Read, folder: str) -> Material:
    text = read.get(f"{folder}/template/{material.digest}.yaml")
    if not isinstance(text, bytes):
        return material
    try:
        return replace(material, template=text.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        return replace(material, problems=(*material.problems, f"The template's text can't be read: {error}"))
