"""
Make a brief ready for its readers: what could not be verified is marked where it is said, and listed with the reason.

A brief that passed its review has nothing of this kind. One that a person lets pass may have, and its readers should
know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import mappings_given
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MARKER = re.compile(r"(?<!\\)\[(\d{1,4})\](?!\()")


def finish(text: str, *, failed: list[dict[str, Any]] | None = None, note: str = "") -> dict[str, Any]:
    """
    The brief as it goes out.

    :param text: Markdown with ``[1]`` citations.
    :param failed: sources that didn't hold, each with ``item`` (``uri`` and ``citations`` with their ``number``) and
        ``message``: what the ``errors`` of a stage are that verifies sources.
    :param note: what the editor wants to say to readers, plain text.
    :returns: ``text``, Markdown, and ``unverified``, the numbers of the citations that are marked.
    :raises FinalError: the input is not of this form.
    """
    if not isinstance(text, str) or not text.strip():
        raise FinalError("text must be a text that isn't empty.", kind="rejected")
    sources = mappings_given(failed, "failed")
    numbers = sorted(number for source in sources for number in _numbers(source))
    marked = _MARKER.sub(lambda found: _marked(int(found[1]), numbers), text)
    parts = [f"> Editor's note: {' '.join(note.split())}" if note.strip() else "", marked.strip(), _listed(sources)]
    return {"text": "\n\n".join(part for part in parts if part) + "\n", "unverified": numbers}


def _numbers(source: Mapping[str, Any]) -> list[int]:
    item = source.get("item") or {}
    return [int(citation["number"]) for citation in mappings_given(item.get("citations"), "failed[].item.citations")]


def _marked(number: int, unverified: Sequence[int]) -> str:
    return f"[{number}, not verified]" if number in unverified else f"[{number}]"


def _listed(sources: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"- {', '.join(f'[{number}]' for number in _numbers(source))}: {source.get('message') or 'It failed.'}"
        for source in sources
    ]
    return "\n".join(["## Not verified", "", *lines]) if lines else ""
