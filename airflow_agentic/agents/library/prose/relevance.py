"""
How much a text has to do with a topic.

BM25 over a text and its headings, then once more with the words that the best texts of the first pass have in
common (pseudo-relevance feedback, as in Lavrenko and Croft's relevance models): who asks for "retries" also wants
"backoff". A text that has only some of the topic's words counts less than one that has them all.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from airflow_agentic.agents.library.prose.ranking import bm25
from airflow_agentic.agents.library.prose.words import stems

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREPOSITION = re.compile(r"\s(?:in|of|for|with|on|at|from|by|under|within|using|across)\s", re.IGNORECASE)
_FEEDBACK_TEXTS, _FEEDBACK_TERMS, _FEEDBACK_WEIGHT = 12, 8, 0.15


def relevance(topic: str, texts: Sequence[str], contexts: Sequence[str]) -> list[float]:
    """
    The relevance of each text to the topic, 0 to 1; the best is 1.

    :param topic: what is asked for.
    :param texts: what is compared.
    :param contexts: for each text what stands above it (its title and headings), which counts a third as much.
    """
    wanted = _wanted(topic)
    if not wanted:
        return [0.0] * len(texts)
    bodies, heads = [stems(text) for text in texts], [stems(context) for context in contexts]
    # BM25 knows no fields: a word of the text stands three times, one of its context once
    documents = [body * 3 + list(dict.fromkeys(head)) for body, head in zip(bodies, heads, strict=True)]
    first = _covered(bm25(documents, wanted), bodies, documents, wanted)
    second = _covered(bm25(documents, {**_feedback(first, bodies), **wanted}), bodies, documents, wanted)
    best = max(second, default=0.0)
    return [round(score / best, 4) if best else 0.0 for score in second]


def _wanted(topic: str) -> dict[str, float]:
    """
    The topic's words, each with its weight.

    In "retries in Airflow" it is the retries that matter: what follows a preposition says only where.
    """
    main, *about = _PREPOSITION.split(topic)
    wanted = dict.fromkeys((stem for part in about for stem in stems(part)), 0.5)
    wanted.update(dict.fromkeys(stems(main), 1.0))
    return wanted if stems(main) else dict.fromkeys(wanted, 1.0)


def _covered(
    scores: list[float], bodies: list[list[str]], documents: list[list[str]], wanted: dict[str, float]
) -> list[float]:
    """Weigh each score by how many of the topic's words the text has, in itself and with its context."""
    weighed = []
    for score, body, document in zip(scores, bodies, documents, strict=True):
        present = wanted.keys() & set(document)
        share = sum(wanted[stem] for stem in sorted(present)) / sum(wanted.values())
        own = 1.0 if wanted.keys() & set(body) else 0.5
        weighed.append(score * own * (0.1 + 0.9 * share**1.5))
    return weighed


def _feedback(scores: list[float], bodies: list[list[str]]) -> dict[str, float]:
    """The words that set the best texts apart from the others, each with its weight."""
    best = sorted(range(len(scores)), key=lambda number: (-scores[number], number))[:_FEEDBACK_TEXTS]
    in_best = Counter(stem for number in best if scores[number] > 0 for stem in set(bodies[number]))
    in_all = Counter(stem for body in bodies for stem in set(body))
    worth = {
        stem: count * math.log(1 + len(bodies) / in_all[stem])
        for stem, count in in_best.items()
        if count > 1 and not stem.isdecimal()
    }
    chosen = sorted(worth, key=lambda stem: (-worth[stem], stem))[:_FEEDBACK_TERMS]
    return dict.fromkeys(chosen, _FEEDBACK_WEIGHT)
