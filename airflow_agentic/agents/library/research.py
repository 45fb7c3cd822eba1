"""
Research: what notes say about a topic, and better sources for what turned out not to hold.

A first round takes the notes at their word. A later one is told which sources failed; for each claim that rested on
one of them it looks in the library for the words that say most of what the claim says, and cites those instead. A
claim that the library is silent on stays as it is: whether to do without it is not decided here.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import Source, mappings_given, sources_given, topic_given
from airflow_agentic.agents.library.claims import extract
from airflow_agentic.agents.library.notes import Note, notes_in
from airflow_agentic.agents.library.prose.relevance import relevance
from airflow_agentic.agents.library.prose.sentences import sentences
from airflow_agentic.agents.library.prose.words import stems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Passages that are looked at for each claim.
_CONSIDERED = 8
#: Share of what a claim says, rare words counting more, that a passage has to say as well.
_SAYS_IT = 0.35

#: A source's address and a quote that is said to be in it.
_Cited = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class _Library:
    """The documents in which replacements are looked for."""

    sources: list[dict[str, Any]]
    known: dict[str, Source] = field(default_factory=dict)

    @cached_property
    def _frequency(self) -> Counter[str]:
        found = (sentence for source in self.known.values() for sentence in sentences(source.text))
        return Counter(stem for sentence in found for stem in set(stems(sentence.text)))

    def look_up(self, note: Note, taken: set[_Cited]) -> dict[str, Any] | None:
        """The claim of the library that says most of what a note says; None if none says enough of it."""
        if not self.known:
            return None
        wanted = set(stems(f"{note.text} {note.quote}"))
        found = extract(f"{note.text} {note.quote}", self.sources, limit=_CONSIDERED)["claims"]
        found = [{**claim, "source": self.known[claim["source"]].uri} for claim in found]
        left = [claim for claim in found if (claim["source"], claim["quote"]) not in taken]
        best = max(left, key=lambda claim: self._share(wanted, claim), default=None)
        return best if best and self._share(wanted, best) >= _SAYS_IT else None

    def _share(self, wanted: set[str], claim: Mapping[str, Any]) -> float:
        present = set(stems(f"{claim['section']} {claim['text']}"))
        total = sum(self._weight(stem) for stem in sorted(wanted))
        return sum(self._weight(stem) for stem in sorted(wanted & present)) / total if total else 0.0

    def _weight(self, stem: str) -> float:
        return math.log(1 + self._frequency.total() / (1 + self._frequency[stem]))


def collect(
    topic: str,
    notes: list[dict[str, Any]],
    library: list[dict[str, Any]] | None = None,
    *,
    failed: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """
    The claims of notes, with other sources where theirs failed.

    :param topic: what the claims are about; it says which of them matter more.
    :param notes: sources, as :func:`airflow_agentic.agents.library.sources.load` returns them, that hold statements
        each followed by a quote and, in parentheses, the address of its source.
    :param library: sources to look for replacements in.
    :param failed: the sources that failed so far, each with ``item`` (``uri`` and ``citations``, as
        :func:`airflow_agentic.agents.library.constrained.write` lists them) and ``message``: what the ``errors`` of a
        stage are that verifies them.
    :returns: ``claims``, each with ``id``, ``text``, ``quote``, ``source`` (an address), ``section`` and ``score``;
        ``sources`` (``id``, ``title``, ``uri``, and an empty ``text``: nobody has read them yet); ``remarks``, what
        the notes say without a source; ``replaced`` and ``unresolved``, what became of claims that failed: ``claim``,
        ``source``, ``reason``, and for the replaced ``instead`` and ``by``.
    :raises FinalError: the input is not of this form.
    """
    topic, written = topic_given(topic), notes_in(sources_given(notes))
    shelf = _library(library)
    reasons = _reasons(failed)
    claims: list[dict[str, Any]] = []
    replaced: list[dict[str, Any]] = []
    unresolved: list[dict[str, Any]] = []
    for note in (note for note in written if note.source):
        reason = reasons.get((note.source, note.quote))
        told = {"claim": note.text, "source": note.source, "reason": reason}
        found = shelf.look_up(note, reasons.keys() | _cited(claims)) if reason is not None else None
        if found is not None:
            replaced.append({**told, "instead": found["text"], "by": found["source"]})
        elif reason is not None:
            unresolved.append(told)
        claims.append(_claim(len(claims) + 1, note, found))
    return {
        "claims": _scored(topic, claims),
        "sources": _sources(claims, shelf),
        "remarks": [note.text for note in written if not note.source],
        "replaced": replaced,
        "unresolved": unresolved,
    }


def _library(value: Any) -> _Library:
    known = sources_given(value)
    return _Library(sources=list(value or []), known={source.id: source for source in known})


def _reasons(failed: Any) -> dict[_Cited, str]:
    """Why each citation failed, the last time that it did."""
    found = {}
    for entry in mappings_given(failed, "failed"):
        item = entry.get("item") or {}
        for citation in mappings_given(item.get("citations"), "failed[].item.citations"):
            found[str(item.get("uri")), str(citation.get("quote"))] = str(entry.get("message") or "it failed")
    return found


def _cited(claims: Sequence[Mapping[str, Any]]) -> set[_Cited]:
    return {(claim["source"], claim["quote"]) for claim in claims}


def _claim(number: int, note: Note, found: Mapping[str, Any] | None) -> dict[str, Any]:
    words: Mapping[str, Any] = found or {"text": note.text, "quote": note.quote, "source": note.source}
    return {
        "id": f"n{number}",
        "text": words["text"],
        "quote": words["quote"],
        "source": words["source"],
        "section": note.section,
    }


def _scored(topic: str, claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    # a claim is in the notes because somebody found it worth noting: none is worth nothing
    scores = relevance(topic, [claim["text"] for claim in claims], [claim["section"] for claim in claims])
    return [{**claim, "score": round(0.2 + 0.8 * score, 4)} for claim, score in zip(claims, scores, strict=True)]


def _sources(claims: Sequence[Mapping[str, Any]], library: _Library) -> list[dict[str, str]]:
    titles = {source.uri: source.title for source in library.known.values()}
    addresses = dict.fromkeys(claim["source"] for claim in claims)
    return [{"id": uri, "title": titles.get(uri, uri), "uri": uri, "text": ""} for uri in addresses]
