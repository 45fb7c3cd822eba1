"""
Key themes: the phrases that a text, or what sources say about a topic, revolves around.

A phrase is a run of one to three telling words between stop words and punctuation (as in Rose and others' RAKE). It
is worth the relevance of the sentences that it stands in: more when it hardly stands in others, when it has more than
one word, and when several sources use it.
Names in code count as the words that they are made of: ``retry_delay`` is the phrase "retry delay".
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import Source, sources_given
from airflow_agentic.agents.library.prose.quality import is_telling
from airflow_agentic.agents.library.prose.relevance import relevance
from airflow_agentic.agents.library.prose.sentences import Sentence, sentences
from airflow_agentic.agents.library.prose.words import STOP_WORDS, Part, parts, stem, stems, words
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LONGEST = 3
#: By length in words: pairs say most, three words are often a clause.
_WORTH = {1: 0.3, 2: 1.0, 3: 0.9}
#: A phrase worth less than this share of the best one is no theme.
_FLOOR = 0.04
_RUN_ENDS = re.compile(r"[^\w\s'’-]+|\s-+\s")  # noqa: RUF001
#: Words that end or start no theme although they are telling inside one.
_WEAK = """
able allow allows applied apply based called certain consider considered contains current currently default defaults
defines defined different don doesn ensure example existing explicitly false following full given helps including
instance means multiple name named new note number occur occurs optional option options original passed possible
provide provided provides receive return returned returns run running set sets setting simple single specific
separated specified specify support supported supports true type types value values want whole work works
"""
_WEAK_EDGES = frozenset(stem(word) for word in _WEAK.split())


@dataclass
class _Phrase:
    """What is known of a phrase: its worth so far, its spellings, where it was seen."""

    worth: float = 0.0
    spellings: Counter[str] = field(default_factory=Counter)
    sources: dict[str, None] = field(default_factory=dict)
    mentions: int = 0


def key_themes(
    text: str | None = None,
    sources: list[dict[str, Any]] | None = None,
    *,
    topic: str = "",
    limit: int = 8,
) -> dict[str, Any]:
    """
    The themes of a text or of sources.

    :param text: a text; or
    :param sources: sources, as :func:`airflow_agentic.agents.library.sources.load` returns them.
    :param topic: what the themes should have to do with; without one, what the text is about as a whole.
    :param limit: how many themes at most.
    :returns: ``themes``, phrases, the weightiest first; ``details``, for each ``theme``, ``score`` (0 to 1),
        ``mentions`` and ``sources`` (ids).
    :raises FinalError: there is neither a text nor a source.
    """
    given = sources_given(sources)
    if text:
        given.append(Source(id="text", title="", uri="", text=str(text)))
    if not given:
        raise FinalError("key_themes needs a text or sources.", kind="rejected")
    phrases = _phrases(given, topic)
    chosen = _choose(phrases, {stem(word) for word in words(topic)}, limit)
    best = _score(chosen[0], phrases[chosen[0]]) if chosen else 1.0
    details = [
        {
            "theme": _spelling(phrases[key]),
            "score": round(_score(key, phrases[key]) / best, 4),
            "mentions": phrases[key].mentions,
            "sources": list(phrases[key].sources),
        }
        for key in chosen
    ]
    return {"themes": [detail["theme"] for detail in details], "details": details}


def _phrases(given: Sequence[Source], topic: str) -> dict[tuple[str, ...], _Phrase]:
    found = [(source, sentence) for source in given for sentence in sentences(source.text) if is_telling(sentence)]
    weights = _weights(found, topic)
    phrases: dict[tuple[str, ...], _Phrase] = defaultdict(_Phrase)
    for (source, sentence), weight in zip(found, weights, strict=True):
        seen = set()
        for run in _runs(sentence.text):
            key = tuple(stem(part.word) for part in run)
            phrase = phrases[key]
            phrase.mentions += 1
            phrase.spellings[_spelled(run)] += 1
            phrase.sources[source.id] = None
            if key not in seen:
                phrase.worth += weight
                seen.add(key)
    return phrases


def _weights(found: Sequence[tuple[Source, Sentence]], topic: str) -> list[float]:
    if not stems(topic):
        return [1.0] * len(found)
    contexts = [" ".join((source.title, *sentence.headings)) for source, sentence in found]
    return relevance(topic, [sentence.text for _, sentence in found], contexts)


def _runs(text: str) -> Iterator[list[Part]]:
    """The candidate phrases of a sentence."""
    for section in _RUN_ENDS.split(text):
        run: list[Part] = []
        for part in [*parts(section), None]:
            if part and part.word not in STOP_WORDS and len(part.word) > 1 and not part.word.isdecimal():
                run.append(part)
                continue
            for length in range(1, _LONGEST + 1):
                yield from (run[at : at + length] for at in range(len(run) - length + 1))
            run = []


def _spelled(phrase: Sequence[Part]) -> str:
    """A phrase as it is written: what is one name of code stays one word."""
    text = ""
    for before, part in zip([None, *phrase], phrase, strict=False):
        text += part.written if before is None or before.token == part.token else f" {part.written}"
    return text


def _score(key: tuple[str, ...], phrase: _Phrase) -> float:
    focus = phrase.worth / phrase.mentions
    # a single word is frequent for many reasons
    worth = math.sqrt(phrase.worth) if len(key) == 1 else phrase.worth
    return worth * focus * _WORTH[len(key)] * (1 + math.log(len(phrase.sources)))


def _choose(phrases: dict[tuple[str, ...], _Phrase], topic: set[str], limit: int) -> list[tuple[str, ...]]:
    """The weightiest phrases that say something of their own."""
    usable = [key for key, phrase in phrases.items() if _is_theme(key, phrase, topic)]
    ranked = sorted(usable, key=lambda key: (-_score(key, phrases[key]), key))
    chosen: list[tuple[str, ...]] = []
    for key in ranked:
        if len(chosen) == limit or _score(key, phrases[key]) < _FLOOR * _score(ranked[0], phrases[ranked[0]]):
            break
        own = set(key) - topic
        if all(len(own & set(other)) <= len(own) / 3 for other in chosen):
            chosen.append(key)
    return chosen


def _is_theme(key: tuple[str, ...], phrase: _Phrase, topic: set[str]) -> bool:
    return (
        phrase.mentions > 1
        and phrase.worth > 0
        and not set(key) <= topic
        and len(set(key)) == len(key)
        and key[0] not in _WEAK_EDGES
        and key[-1] not in _WEAK_EDGES
        and (len(key) > 1 or len(key[0]) > 3)
    )


def _spelling(phrase: _Phrase) -> str:
    """The most frequent spelling, the first in the alphabet among equals."""
    return min(phrase.spellings, key=lambda spelling: (-phrase.spellings[spelling], spelling))
