"""
Check citations: is the quote in the source, and do the numbers agree.

For what the library's own claims say this holds by construction; for what a language model wrote it has to be
checked. A quote may differ from its source in typography, markup and a little wording, but not in its numbers and
not in whether it says "not". Whether a claim *follows* from its quote is a question for a model or a person; what
can be counted is reported: the claim's numbers must stand in the quote's passage, and ``overlap`` says how many of
the claim's words do.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import Source, mappings_given, sources_given
from airflow_agentic.agents.library.prose.matching import Folded, Match, find
from airflow_agentic.agents.library.prose.numbers import numbers, spelled_numbers
from airflow_agentic.agents.library.prose.words import count_words, stems, words
from airflow_agentic.agents.library.sources import load
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NEGATION = frozenset({"not", "no", "never", "none", "neither", "nor", "without", "cannot", "nothing", "nobody"})
_SENTENCE_END = re.compile(r"[.!?:;]\s|\n\n|\n- ")
#: A shorter quote is in nearly every text, more or less: it has to be there exactly.
_SHORT = 4
#: Characters around the quote that belong to its passage, at most.
_AROUND = 600


@dataclass(frozen=True, kw_only=True)
class _Text:
    source: Source
    folded: Folded


def check(
    citations: list[dict[str, Any]], sources: list[dict[str, Any]], *, min_similarity: float = 0.9
) -> dict[str, Any]:
    """
    Check citations against their sources.

    :param citations: each with ``quote`` and ``source`` (the id, title or URI of a source; without one, all are
        searched), and ``claim`` or ``text``, what is said on its strength, where there is such a text.
    :param sources: as :func:`airflow_agentic.agents.library.sources.load` returns them.
    :param min_similarity: from which likeness a quote counts as being in its source, 0 to 1.
    :returns: ``results``, one for each citation in order: ``index``, ``supported``, ``reason`` (empty if supported),
        ``similarity``, ``match`` (the source's own words that are most like the quote), ``source``, ``offset``,
        ``missing_numbers``, ``overlap``; ``kept``, the citations that are supported, with ``quote``, ``source`` and
        ``offset`` as the source has them; ``problems``, one sentence for each that isn't; ``total``, ``supported``,
        ``unsupported``, and ``ratio`` of the supported (1 if there are none to check).
    :raises FinalError: the input is not of this form.
    """
    texts = [_Text(source=source, folded=Folded(source.text)) for source in sources_given(sources)]
    given = mappings_given(citations, "citations")
    results = [_check(number, citation, texts, min_similarity) for number, citation in enumerate(given)]
    kept = [
        _corrected(citation, result) for citation, result in zip(given, results, strict=True) if result["supported"]
    ]
    return {
        "results": results,
        "kept": kept,
        "problems": [_problem(given[result["index"]], result) for result in results if not result["supported"]],
        "total": len(results),
        "supported": len(kept),
        "unsupported": len(results) - len(kept),
        "ratio": round(len(kept) / len(results), 4) if results else 1.0,
    }


async def verify_source(
    uri: str, citations: list[dict[str, Any]], *, min_similarity: float = 0.9, timeout: float = 30.0
) -> dict[str, Any]:
    """
    Read a source, and check everything that was cited from it. A source either holds, or this fails.

    :param uri: its address, see :func:`airflow_agentic.agents.library.sources.load`.
    :param citations: see :func:`check`; all of them are of this source.
    :param timeout: seconds for a URL, redirects included.
    :returns: ``uri``, ``title``, and ``checked``, how many citations there were.
    :raises FinalError: the source can't be read; or (kind ``not_accepted``) a citation isn't supported.
    :raises RetryableError: the source may be had later.
    """
    loaded = await load([uri], timeout=timeout)
    given = [{**citation, "source": ""} for citation in mappings_given(citations, "citations")]
    checked = await asyncio.to_thread(check, given, loaded["sources"], min_similarity=min_similarity)
    if checked["unsupported"]:
        raise FinalError(" ".join(checked["problems"]), kind="not_accepted")
    return {"uri": uri, "title": loaded["sources"][0]["title"], "checked": checked["total"]}


def _check(number: int, citation: Mapping[str, Any], texts: Sequence[_Text], min_similarity: float) -> dict[str, Any]:
    quote = str(citation.get("quote") or "").strip()
    named = str(citation.get("source") or "").strip()
    candidates = [text for text in texts if not named or _is_called(text.source, named)]
    if not quote or not candidates:
        reason = f"there is no source {named!r}" if quote else "it has no quote"
        return _result(number, reason=reason, named=named)
    text, match = max(((text, find(quote, text.folded)) for text in candidates), key=lambda found: found[1].score)
    claim = str(citation.get("claim") or citation.get("text") or "")
    passage = _passage(text.source.text, match)
    missing = sorted(numbers(claim) - numbers(passage) - spelled_numbers(passage))
    return _result(
        number,
        reason=_reason(quote, text.source.text, match, min_similarity, missing),
        named=text.source.id,
        match=match,
        text=text.source.text,
        missing=missing,
        overlap=_overlap(claim, passage),
    )


def _reason(quote: str, text: str, match: Match, min_similarity: float, missing: list[str]) -> str:
    """Why the citation isn't supported; empty if it is."""
    found = text[match.start : match.end]
    if match.score < (1.0 if count_words(quote) < _SHORT else min_similarity):
        return "the quote is not in the source"
    if match.score < 1 and (wrong := sorted(numbers(quote) ^ numbers(found))) and "…" not in quote:
        return f"the quote's numbers are not the source's ({', '.join(wrong)})"
    if match.score < 1 and _negations(quote) != _negations(found):
        return "the quote and the source differ in a negation"
    if negation := _negation_before(text, match):
        return f"the source says “{negation}” right before the quote"
    if missing:
        return f"the source says nothing of {', '.join(missing)} where it is quoted"
    return ""


def _result(
    number: int,
    *,
    reason: str,
    named: str,
    match: Match | None = None,
    text: str = "",
    missing: Sequence[str] = (),
    overlap: float = 0.0,
) -> dict[str, Any]:
    return {
        "index": number,
        "supported": not reason,
        "reason": reason,
        "similarity": match.score if match else 0.0,
        "match": text[match.start : match.end] if match else "",
        "source": named,
        "offset": match.start if match else None,
        "missing_numbers": list(missing),
        "overlap": overlap,
    }


def _is_called(source: Source, name: str) -> bool:
    return name in {source.id, source.uri, source.title} or name.lower() == source.title.lower()


def _passage(text: str, match: Match) -> str:
    """The paragraph that the match stands in, as far as it is near."""
    before = max(text.rfind("\n\n", 0, match.start), match.start - _AROUND, 0)
    end = text.find("\n\n", match.end)
    return text[before : min(end if end >= 0 else len(text), match.end + _AROUND)]


def _negations(text: str) -> int:
    return sum(1 for word in words(text) if word in _NEGATION or re.search(r"n['’]t$", word))  # noqa: RUF001


def _negation_before(text: str, match: Match) -> str:
    """The negation among the two words before the match, in its sentence; empty if there is none."""
    before = _SENTENCE_END.split(text[max(0, match.start - 60) : match.start])[-1]
    return next((word for word in before.split()[-2:] if _negations(word)), "")


def _overlap(claim: str, passage: str) -> float:
    wanted = set(stems(claim))
    return round(len(wanted & set(stems(passage))) / len(wanted), 4) if wanted else 1.0


def _corrected(citation: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    return {**citation, "quote": result["match"], "source": result["source"], "offset": result["offset"]}


def _problem(citation: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    name = f"Citation {citation.get('number', result['index'] + 1)}"
    shown = _shortened(str(citation.get("quote") or citation.get("claim") or citation.get("text") or ""))
    near = result["similarity"] >= 0.7 and not result["missing_numbers"]
    instead = f" What comes closest is “{_shortened(result['match'])}”." if near else ""
    return f"{name} (“{shown}”): {result['reason']}.{instead}"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:119].rstrip()}…"
