"""
Bring claims into order: what leads, which belong together, what is missing.

Claims are put under the theme that they share most words with. A theme with a single claim is no section; its claim
goes to its next best theme or to the rest. Within a section, claims from one source stay together, in the order in
which that source makes them, so that a brief made of them reads on.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import Claim, Source, claims_given, list_given, sources_given, topic_given
from airflow_agentic.agents.library.prose.words import stems

if TYPE_CHECKING:
    from collections.abc import Sequence

_REST, _ALL = "Further points", "Findings"
#: Share of a theme's words that a claim must have to belong to it.
_BELONGS = 0.6


def analyse(
    topic: str,
    claims: list[dict[str, Any]],
    themes: list[str],
    sources: list[dict[str, Any]] | None = None,
    *,
    max_sections: int = 5,
    lead: int = 2,
) -> dict[str, Any]:
    """
    An order for claims about a topic.

    :param claims: as :func:`airflow_agentic.agents.library.claims.extract` returns them, or those of them that
        :func:`airflow_agentic.agents.library.citations.check` kept.
    :param themes: the weightiest first.
    :param sources: to say which of them nothing was taken from.
    :param max_sections: how many themes become a section, at most.
    :param lead: how many claims lead the brief, at most.
    :returns: ``summary``, a sentence; ``lead``, ids of claims; ``sections``, each with ``title`` and ``claims`` (ids);
        ``gaps``, sentences about what no claim speaks of.
    :raises FinalError: the input is not of this form.
    """
    topic, given = topic_given(topic), claims_given(claims)
    names = [str(theme) for theme in list_given(themes, "themes") if str(theme).strip()]
    known = sources_given(sources)
    first = _leading(given, lead)
    rest = [claim for claim in given if claim not in first]
    grouped = _group(rest, [_own_words(theme, topic) for theme in names], max_sections)
    rest_title = _REST if len(grouped) > 1 else _ALL
    sections = [
        {"title": _titled(names[number]) if number >= 0 else rest_title, "claims": _ordered(members)}
        for number, members in grouped
    ]
    return {
        "summary": _summary(topic, given, known, len(sections)),
        "lead": [claim.id for claim in first],
        "sections": sections,
        "gaps": _gaps(topic, given, names, known),
    }


def _leading(claims: Sequence[Claim], count: int) -> list[Claim]:
    """The best whole sentences, from different sources as far as possible."""
    best = max((claim.score for claim in claims), default=0.0)
    able = [claim for claim in claims if _can_lead(claim.text) and claim.score >= best / 2]
    ranked = sorted(able, key=lambda claim: -claim.score)
    chosen: list[Claim] = []
    for claim in ranked:
        if len(chosen) < count and claim.source not in {other.source for other in chosen}:
            chosen.append(claim)
    return chosen


def _can_lead(text: str) -> bool:
    return text[:1].isupper() and text.endswith(".") and len(text.split()) >= 8


def _own_words(theme: str, topic: str) -> frozenset[str]:
    """What a theme adds to the topic."""
    wanted = frozenset(stems(theme))
    return wanted - frozenset(stems(topic)) or wanted


def _group(
    claims: Sequence[Claim], themes: Sequence[frozenset[str]], max_sections: int
) -> list[tuple[int, list[Claim]]]:
    """The claims by number of their theme, in the themes' order; the rest last, as number -1."""
    fits = {claim.id: _fitting(claim, themes) for claim in claims}
    open_themes = set(range(len(themes)))
    while True:
        groups: dict[int, list[Claim]] = defaultdict(list)
        for claim in claims:
            groups[next((number for number in fits[claim.id] if number in open_themes), -1)].append(claim)
        weakest = _weakest(groups, max_sections)
        if weakest is None:
            break
        open_themes.discard(weakest)
    return [(number, groups[number]) for number in sorted(groups, key=lambda number: (number < 0, number))]


def _weakest(groups: dict[int, list[Claim]], max_sections: int) -> int | None:
    """The theme to give up: the last with a single claim, else the smallest of too many; None if all can stay."""
    sizes = {number: len(members) for number, members in groups.items() if number >= 0}
    single = [number for number, size in sizes.items() if size < 2]
    if single:
        return max(single)
    if len(sizes) > max_sections:
        return min(sizes, key=lambda number: (sizes[number], -number))
    return None


def _fitting(claim: Claim, themes: Sequence[frozenset[str]]) -> list[int]:
    """The themes that a claim belongs to, the best first."""
    present = frozenset(stems(f"{claim.section.rsplit(' / ', 1)[-1]} {claim.text}"))
    shares = [(len(theme & present) / len(theme) if theme else 0.0, number) for number, theme in enumerate(themes)]
    return [number for share, number in sorted(shares, key=lambda entry: (-entry[0], entry[1])) if share >= _BELONGS]


def _ordered(members: Sequence[Claim]) -> list[str]:
    """Ids by source, that of the best claim first, and within it as the source has them."""
    best: dict[str, float] = {}
    for claim in members:
        best[claim.source] = max(claim.score, best.get(claim.source, 0.0))
    ranked = sorted(members, key=lambda claim: (-best[claim.source], claim.source, claim.offset or 0))
    return [claim.id for claim in ranked]


def _titled(theme: str) -> str:
    return theme[:1].upper() + theme[1:]


def _summary(topic: str, claims: Sequence[Claim], sources: Sequence[Source], sections: int) -> str:
    used = len({claim.source for claim in claims})
    of = f" of {len(sources)}" if sources else ""
    return f"{len(claims)} claims about {topic} from {used}{of} sources, in {sections} sections."


def _gaps(topic: str, claims: Sequence[Claim], themes: Sequence[str], sources: Sequence[Source]) -> list[str]:
    present = frozenset(stem for claim in claims for stem in stems(f"{claim.section} {claim.text}"))
    gaps = [f"No claim has the word “{word}” of the topic." for word in topic.split() if set(stems(word)) - present]
    gaps += [f"No claim is about {theme}." for theme in themes if not _own_words(theme, topic) <= present]
    used = {claim.source for claim in claims}
    return gaps + [f"Nothing was taken from {source.title}." for source in sources if source.id not in used]
