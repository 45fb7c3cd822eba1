"""
A stage that writes a file for people: the artifact.

It goes to the artifact store under a path that the template renders, and the record says for each inserted value which
output of which attempt it is from. A path is made from data, so it is checked after rendering: nothing that an agent
or a run's input says can write outside of the store.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING, Any

from airflow_agentic import config
from airflow_agentic.errors import AgenticError, ConfigError
from airflow_agentic.operators.base import PlannedOperator, now
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.xcom import pull_provenance, push_output, push_provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_agentic.planning.plan import PlannedTask
    from airflow_agentic.template.expressions import RenderedPassage
    from airflow_agentic.trace.record import Passage

#: What file systems take for one name.
LONGEST_NAME = 255


class ArtifactPathError(AgenticError):
    """The rendered path of an artifact is none that can be written below the artifact store."""


class ArtifactOperator(PlannedOperator):
    """A task that writes an artifact, and emits the event of its asset if it has one."""

    ui_color = "#fdf1d8"

    @classmethod
    def settings(cls, planned: PlannedTask) -> dict[str, Any]:
        """An artifact updates its asset."""
        return {**super().settings(planned), "outlets": _outlets(planned)}

    def work(self, context: Context) -> None:
        """Render, write, record, and push ``{"uri", "bytes", "sha256"}``."""
        from airflow_agentic.template.expressions import render_passages, render_string

        own, ti = self.planned.config, context["ti"]
        scope = build_scope(context, self.planned)
        with self.locating("artifact.path"):
            path = checked_path(render_string(own["path"], scope.values))
        with self.locating("artifact.content"):
            content, passages = render_passages(own["content"], scope.values)
        data = content.encode("utf-8", "replace")
        written: dict[str, Any] = {
            "uri": _write(path, data),
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        names = dict.fromkeys(read[0] for passage in passages for read in passage.reads if read[0] in scope.tasks)
        known = {name: pull_provenance(ti, scope.tasks[name]) for name in names}
        origins = {name: _origin(scope.tasks[name], known[name]) for name in names}
        items = {scope.tasks[name]: known[name]["items"] for name in names if "items" in known[name]}
        record = self._record(context, written, _passages(passages, origins), items)
        if own.get("asset"):
            context["outlet_events"][self.outlets[0]].extra.update({**written, "record": record})
        push_provenance(ti, self.planned, record=record)
        push_output(ti, written)

    def _record(
        self,
        context: Context,
        written: Mapping[str, Any],
        passages: tuple[Passage, ...],
        items: dict[str, list[dict[str, Any]]],
    ) -> str:
        from airflow_agentic.trace.record import ArtifactRecord

        return self.write_record(
            ArtifactRecord(
                run=self.run_key(context),
                task_id=self.task_id,
                try_number=context["ti"].try_number,
                asset=self.planned.config.get("asset"),
                written=now(),
                passages=passages,
                items=items,
                **written,
            )
        )


def checked_path(path: str) -> str:
    """
    A path that stays below the root it is put under, on any file system.

    :raises ArtifactPathError: it doesn't, or can't be a path.
    """
    names = path.split("/")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") for character in path):
        problem = "it holds control characters"
    elif "\\" in path:
        problem = "it holds a backslash"
    elif path.startswith(("/", "~")) or (len(path) > 1 and path[1] == ":"):
        problem = "it is absolute"
    elif any(name in ("", ".", "..") for name in names):
        problem = "each part between slashes must be a name"
    elif any(len(name.encode()) > LONGEST_NAME for name in names):
        problem = f"a name in it is longer than {LONGEST_NAME} bytes"
    else:
        return path
    shown = path if len(path) <= 200 else f"{path[:200]}…"
    raise ArtifactPathError(f"An artifact can't be written to {shown!r}: {problem}.")


def _write(path: str, data: bytes) -> str:
    """Write an artifact whole, over any former one; its URI."""
    from airflow_agentic import storage

    url = config.get("artifact_url")
    try:
        filesystem, root = storage.open_url(url)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"[agentic] artifact_url {url!r} can't be used: {error}") from None
    storage.overwrite(filesystem, f"{root}/{path}", data)
    return str(filesystem.unstrip_protocol(f"{root}/{path}"))


def _passages(passages: Sequence[RenderedPassage], origins: Mapping[str, Mapping[str, Any]]) -> tuple[Passage, ...]:
    """What each passage is from."""
    from airflow_agentic.trace.record import Passage

    return tuple(
        Passage(
            start=passage.start,
            end=passage.end,
            expression=passage.expression,
            sources=tuple(
                {"name": read[0], "path": list(read[1:]), **origins.get(read[0], {})} for read in passage.reads
            ),
        )
        for passage in passages
    )


def _origin(task_id: str, known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "round": known.get("round", 1),
        "item": known.get("item"),
        "attempt": known.get("attempt"),
        "record": known.get("record"),
        **({"recovered": known["recovered"]} if known.get("recovered") else {}),
    }


def _outlets(planned: PlannedTask) -> list[Any]:
    uri = planned.config.get("asset")
    if not uri:
        return []
    from airflow.sdk import Asset

    return [Asset(uri)]
