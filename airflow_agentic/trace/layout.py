"""
Where each record of a run lies under the trace store's URL.

The layout itself is drawn in :mod:`~airflow_agentic.trace.record`.

Ids come from users (a run id may hold anything), so each becomes one harmless path segment: quoted as in a URL,
never ``.`` or ``..``, and cut with a digest when a file system would refuse its length.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from airflow_agentic.trace.record import (
    AnswerRecord,
    ArtifactRecord,
    AttemptRecord,
    BeginRecord,
    DecisionRecord,
    FailureRecord,
    MergeRecord,
    WaitRecord,
)

if TYPE_CHECKING:
    from airflow_agentic.trace.record import Record, RunKey

#: Most file systems take 255 bytes; a name carries numbers and a suffix as well.
LONGEST_SEGMENT = 180
#: Between the beginning of a name and its digest. Quoting never yields it, so nothing else is mistaken for a cut name.
_CUT = "%~"

FOLDERS = ("begin", "attempts", "merges", "decisions", "answers", "artifacts", "failures", "waits")


def segment(name: str) -> str:
    """One path segment that stands for this id and for no other."""
    quoted = quote(name, safe="", errors="surrogatepass")
    if not quoted.strip("."):
        return quoted.replace(".", "%2E")
    if len(quoted) > LONGEST_SEGMENT:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{quoted[: LONGEST_SEGMENT - 66]}{_CUT}{digest}"
    return quoted


def name_of(segment: str) -> str | None:
    """The id that a path segment stands for; None for one that was cut."""
    return None if _CUT in segment else unquote(segment, errors="surrogatepass")


def run_folder(dag_id: str, run_id: str) -> str:
    """The folder of a run."""
    return f"{segment(dag_id)}/{segment(run_id)}"


def record_path(record: Record) -> str:
    """The file of a record."""
    folder = run_folder(record.run.dag_id, record.run.run_id)
    task = segment(record.task_id)
    match record:
        case BeginRecord():
            return begin_path(record.run)
        case AttemptRecord():
            of_item = f".{record.item['index']}" if record.item else ""
            name = f"attempts/{task}.{record.map_index}.{record.try_number}.{record.attempt}{of_item}"
        case MergeRecord():
            name = f"merges/{task}.{record.map_index}.{record.try_number}"
        case DecisionRecord():
            name = f"decisions/{task}.{record.map_index}.{record.try_number}"
        case AnswerRecord():
            name = f"answers/{task}.{record.map_index}.{record.try_number}"
        case FailureRecord():
            of_item = "" if record.item is None else f".{record.item}"
            name = f"failures/{task}.{record.map_index}.{record.try_number}{of_item}"
        case WaitRecord():
            name = f"waits/{task}.{record.map_index}.{record.try_number}"
        case ArtifactRecord():
            name = f"artifacts/{task}.{record.try_number}"
    return f"{folder}/{name}.json"


def begin_path(run: RunKey) -> str:
    """How a run began that was made from this template."""
    return f"{run_folder(run.dag_id, run.run_id)}/begin/{segment(run.template_digest)}.json"


def template_path(run: RunKey) -> str:
    """The template's text."""
    return f"{run_folder(run.dag_id, run.run_id)}/template/{run.template_digest}.yaml"


def value_path(folder: str, digest: str) -> str:
    """
    A large value.

    :param folder: of the run.
    """
    return f"{folder}/values/{segment(digest)}.json"


def folder_of(path: str) -> str:
    """The folder inside of a run's that a file is in; empty for one directly in it."""
    return "/".join(path.split("/")[2:-1])


def stem_of(path: str) -> str:
    """A file's name without its suffix, harmless in a URL; unique in its folder."""
    return path.rpartition("/")[2].removesuffix(".json").replace("%", "~")


def task_prefix(folder: str, task_id: str, map_index: int) -> str:
    """What the files of one task instance begin with. Those of a task whose id goes on with a dot may as well."""
    return f"{folder}/{segment(task_id)}.{map_index}."


def numbers_of(path: str, prefix: str) -> list[int]:
    """The try, and for an attempt its number (and item), of a file with that prefix; nothing for another task's."""
    numbers = path.removeprefix(prefix).removesuffix(".json").split(".")
    return [int(number) for number in numbers] if all(number.isdecimal() for number in numbers) else []


def summary_path(dag_id: str, run_id: str, try_number: int) -> str:
    """The summary that a try of the run's last task wrote."""
    return f"{run_folder(dag_id, run_id)}/summary.{try_number}.json"


def is_manifest(path: str) -> bool:
    """Whether a file of a run is a manifest."""
    return not folder_of(path) and path.rpartition("/")[2].startswith("manifest.")


def manifest_path(dag_id: str, run_id: str, try_number: int) -> str:
    """The manifest that a try of the run's last task wrote."""
    return f"{run_folder(dag_id, run_id)}/manifest.{try_number}.json"


def seal_path(dag_id: str, run_id: str, try_number: int) -> str:
    """The digest of that manifest."""
    return f"{run_folder(dag_id, run_id)}/manifest.{try_number}.sha256"


def seal_line(digest: str, path: str) -> str:
    """What is in it, as ``sha256sum`` prints and checks it."""
    return f"{digest}  {path.rpartition('/')[2]}\n"
