"""
Extract what the sources say about a topic, as claims that can be traced to the character.

A claim is a sentence (or a few that lean on each other) that stands alone, is about the topic, and doesn't repeat
another one. Its ``quote`` is exact: ``source["text"][offset : offset + len(quote)] == quote``.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import Source, sources_given, topic_given
from airflow_agentic.agents.library.prose.likeness import is_same, may_be_same, overlap
from airflow_agentic.agents.library.prose.quality import is_telling, standing
from airflow_agentic.agents.library.prose.relevance import relevance
from airflow_agentic.agents.library.prose.sentences import Sentence, sentences
from airflow_agentic.agents.library.prose.words import stems

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Relevance below this share of the best claim's is not about the topic.
_FLOOR = 0.1
#: How much likeness to the claims chosen so far counts against another one.
_NOVELTY = 0.6
#: What each further claim from the same source is worth, compared to the one before.
_SPREAD = 0.96
_CODE_NAME = re.compile(r"^`([^`]+)`$")
_CODE_ITEM = re.compile(r"^`([A-Za-z_]\w*)`(: .*)$")
_DISTINCT = re.compile(r"[a-z][A-Z]|\w_\w|\d")


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    source: Source
    sentence: Sentence
    text: str
    stems: frozenset[str]
    score: float


def extract(topic: str, sources: list[dict[str, Any]], *, limit: int = 40) -> dict[str, Any]:
    """
    The claims that the sources make about a topic.

    :param topic: what the claims should be about.
    :param sources: as :func:`airflow_agentic.agents.library.sources.load` returns them.
    :param limit: how many claims at most.
    :returns: ``claims``, best first, each with ``id``, ``text`` (readable alone), ``quote``, ``source`` (its id),
        ``title`` (of the source), ``section`` (the headings above it), ``offset``, ``score`` (0 to 1) and ``also_in``
        (ids of other sources that say the same); ``considered``, how many sentences there were.
    :raises FinalError: the input is not of this form.
    """
    given = sources_given(sources)
    candidates = _candidates(topic_given(topic), given)
    chosen = _choose([candidate for candidate in candidates if candidate.score >= _FLOOR], limit)
    claims = [_claim(number, candidate, candidates) for number, candidate in enumerate(chosen, 1)]
    return {"claims": claims, "considered": len(candidates)}


def _candidates(topic: str, given: Sequence[Source]) -> list[_Candidate]:
    found = [(source, sentence) for source in given for sentence in sentences(source.text) if is_telling(sentence)]
    texts = [sentence.text for _, sentence in found]
    contexts = [" ".join((source.title, *sentence.headings)) for source, sentence in found]
    scores = relevance(topic, texts, contexts)
    return [
        _Candidate(
            source=source,
            sentence=sentence,
            text=_readable(sentence),
            stems=frozenset(stems(sentence.text)),
            score=round(score * standing(sentence), 4),
        )
        for (source, sentence), score in zip(found, scores, strict=True)
    ]


def _readable(sentence: Sentence) -> str:
    """The sentence with what it is about, where only its heading says so (documentation of code does that)."""
    heading = _CODE_NAME.match(sentence.headings[-1]) if sentence.headings else None
    if heading is None:
        return sentence.text
    name, own = heading[1], _CODE_ITEM.match(sentence.text)
    if own and sentence.is_item:
        is_class = name.rsplit(".", 1)[-1][:1].isupper()
        return f"`{name}.{own[1]}`{own[2]}" if is_class else f"`{name}({own[1]})`{own[2]}"
    return sentence.text if sentence.is_item or _mentions(sentence.text, name) else f"`{name}`: {sentence.text}"


def _mentions(text: str, name: str) -> bool:
    """If a text names a thing of code, or the last part of its dotted name; a plain word is no name outside code."""
    last = name.rsplit(".", 1)[-1]
    return f"`{last}`" in text or (bool(_DISTINCT.search(last)) and last in text)


def _choose(candidates: list[_Candidate], limit: int) -> list[_Candidate]:
    """
    Best first, each weighed against those chosen before (maximal marginal relevance).

    What is like them counts less, and so does what comes from a source that has been chosen from often.
    """
    left = sorted(candidates, key=lambda candidate: -candidate.score)[: max(200, 5 * limit)]
    likeness, chosen, taken = [0.0] * len(left), list[_Candidate](), Counter[str]()

    def worth(number: int) -> float:
        candidate = left[number]
        return candidate.score * (1 - _NOVELTY * likeness[number]) * _SPREAD ** taken[candidate.source.id]

    while left and len(chosen) < limit:
        best = max(range(len(left)), key=worth)
        pick = left.pop(best)
        likeness.pop(best)
        if not any(_same(pick, other) for other in chosen):
            chosen.append(pick)
            taken[pick.source.id] += 1
            likeness = [
                max(value, overlap(pick.stems, other.stems)) for value, other in zip(likeness, left, strict=True)
            ]
    return chosen


def _same(one: _Candidate, other: _Candidate) -> bool:
    # comparing sets first: a claim is held against all sentences of all sources
    return may_be_same(one.stems, other.stems) and is_same(one.sentence.text, other.sentence.text)


def _claim(number: int, candidate: _Candidate, candidates: list[_Candidate]) -> dict[str, Any]:
    source, sentence = candidate.source, candidate.sentence
    also = {other.source.id for other in candidates if other.source is not source and _same(candidate, other)}
    return {
        "id": f"c{number}",
        "text": candidate.text,
        "quote": source.text[sentence.start : sentence.end],
        "source": source.id,
        "title": source.title,
        "section": " / ".join(heading.strip("`") for heading in sentence.headings),
        "offset": sentence.start,
        "score": candidate.score,
        "also_in": sorted(also),
    }
