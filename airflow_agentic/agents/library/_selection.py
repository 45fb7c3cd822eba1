"""
Which claims a brief has room for.

The words go to the lead first, then to themes that have to be covered, then to the two best claims of each section,
then to the best of all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.agents.library._given import Claim
from airflow_agentic.agents.library.prose.words import count_words, stems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Claims that each section gets before any gets more.
_TURNS = 2

#: A title and its claims; the lead has no title.
Section = tuple[str, list[Claim]]


def within(parts: Sequence[Section], words: int, *, cover: Sequence[str] = ()) -> list[Section]:
    """
    As many claims as the words allow, in the parts' own order; at least one.

    :param parts: the lead, if there is one, and the sections.
    :param words: how many there are to spend, titles of sections included.
    :param cover: themes that the claims have to speak of, as far as any does.
    """
    chosen: set[str] = set()
    opened: set[int] = set()
    for number, claim in _by_turns(parts, cover):
        cost = count_words(claim.text) + (0 if number in opened else count_words(parts[number][0]))
        if claim.id not in chosen and (cost <= words or not chosen):
            words -= cost
            chosen.add(claim.id)
            opened.add(number)
    kept = [(title, [claim for claim in members if claim.id in chosen]) for title, members in parts]
    return [part for part in kept if part[1]]


def _by_turns(parts: Sequence[Section], cover: Sequence[str]) -> Iterator[tuple[int, Claim]]:
    """The lead, what covers the themes, the two best claims of each part by turns, then the best of all; some twice."""
    queues = [sorted(members, key=lambda claim: -claim.score) for _, members in parts]
    has_lead = bool(parts) and not parts[0][0]
    if has_lead:
        yield from ((0, claim) for claim in queues[0])
    yield from _covering(queues, cover)
    later = [(number, queue) for number, queue in enumerate(queues) if number or not has_lead]
    for turn in range(_TURNS):
        yield from ((number, queue[turn]) for number, queue in later if turn < len(queue))
    left = [(number, claim) for number, queue in later for claim in queue[_TURNS:]]
    yield from sorted(left, key=lambda entry: -entry[1].score)


def _covering(queues: Sequence[Sequence[Claim]], cover: Sequence[str]) -> Iterator[tuple[int, Claim]]:
    """For each theme the shortest claim that has all its words: there may be many themes, and little room."""
    for theme in cover:
        wanted = set(stems(theme))
        claims = [(number, claim) for number, queue in enumerate(queues) for claim in queue]
        able = [(number, claim) for number, claim in claims if wanted <= set(stems(claim.text))]
        if able:
            yield min(able, key=lambda entry: count_words(entry[1].text))
