"""What the library's agents are given, checked: a wrong shape is said in words and never retried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_agentic.errors import FinalError


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source as :func:`airflow_agentic.agents.library.sources.load` returns it."""

    id: str
    title: str
    uri: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """
    A claim as :func:`airflow_agentic.agents.library.claims.extract` returns it, or as a model would.

    :param text: what is said.
    :param quote: the source's words for it; the text where there are none.
    :param source: the id of its source.
    :param section: the headings that it stands under in its source.
    :param offset: where the quote stands in its source.
    :param score: how much it has to do with the topic, 0 to 1.
    """

    id: str
    text: str
    quote: str
    source: str
    section: str = ""
    offset: int | None = None
    score: float = 1.0


def claims_given(value: Any) -> list[Claim]:
    """
    The claims in an agent's input: those without an id get ``c1``, ``c2``, … by their place.

    :param value: a list of mappings with ``text`` (or ``quote``) and ``source``.
    :raises FinalError: it is something else.
    """
    found = [_claim(number, entry) for number, entry in enumerate(mappings_given(value, "claims"), 1)]
    if len({claim.id for claim in found}) < len(found):
        raise FinalError("Two of the claims have the same id.", kind="rejected")
    return found


def sources_given(value: Any) -> list[Source]:
    """
    The sources in an agent's input.

    :param value: a list of mappings with ``id`` and ``text``, and ``title`` and ``uri`` where they have them.
    :raises FinalError: it is something else.
    """
    found = [_source(number, entry) for number, entry in enumerate(list_given(value, "sources"))]
    if len({source.id for source in found}) < len(found):
        raise FinalError("Two of the sources have the same id.", kind="rejected")
    return found


def list_given(value: Any, name: str) -> list[Any]:
    """
    A list in an agent's input; nothing is an empty one.

    :raises FinalError: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise FinalError(f"{name} must be a list, not {type(value).__name__}.", kind="rejected")
    return list(value)


def mappings_given(value: Any, name: str) -> list[Mapping[str, Any]]:
    """
    A list of mappings in an agent's input.

    :raises FinalError: it is something else.
    """
    entries = list_given(value, name)
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise FinalError(f"{name}[{number}] must be a mapping, not {type(entry).__name__}.", kind="rejected")
    return entries


def topic_given(value: Any) -> str:
    """
    The topic in an agent's input.

    :raises FinalError: it is no text, or an empty one.
    """
    if not isinstance(value, str) or not value.strip():
        raise FinalError("topic must be a text that isn't empty.", kind="rejected")
    return " ".join(value.split())


def _source(number: int, entry: Any) -> Source:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("text"), str) or entry.get("id") in (None, ""):
        raise FinalError(f"sources[{number}] must be a mapping with an id and a text.", kind="rejected")
    identity = str(entry["id"])
    title, uri = str(entry.get("title") or identity), str(entry.get("uri") or "")
    return Source(id=identity, title=title, uri=uri, text=entry["text"])


def _claim(number: int, entry: Mapping[str, Any]) -> Claim:
    text = str(entry.get("text") or entry.get("claim") or entry.get("quote") or "").strip()
    if not text:
        raise FinalError(f"claims[{number - 1}] has no text.", kind="rejected")
    offset, score = entry.get("offset"), entry.get("score")
    return Claim(
        id=str(entry.get("id") or f"c{number}"),
        text=" ".join(text.split()),
        quote=str(entry.get("quote") or text),
        source=str(entry.get("source") or ""),
        section=str(entry.get("section") or ""),
        offset=offset if isinstance(offset, int) else None,
        score=float(score) if isinstance(score, int | float) else 1.0,
    )
