"""
Draft a brief under constraints: the writer of a loop in which a review sends drafts back.

Without constraints the draft is everything that is known, remarks without a source included. Each constraint takes
something away or puts it first, so that a draft that was sent back differs from the one before for a reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library import draft
from airflow_agentic.agents.library._given import list_given, mappings_given
from airflow_agentic.agents.library._rules import Rules, rules_given
from airflow_agentic.agents.library.prose.likeness import is_same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def write(
    topic: str,
    claims: list[dict[str, Any]],
    sources: list[dict[str, Any]],
    sections: list[dict[str, Any]] | None = None,
    *,
    lead: list[str] | None = None,
    remarks: list[str] | None = None,
    constraints: list[dict[str, Any]] | None = None,
    max_words: int = 5000,
) -> dict[str, Any]:
    """
    A brief that keeps to the constraints.

    :param topic, claims, sources, sections, lead, max_words: see :func:`airflow_agentic.agents.library.draft.write`.
    :param remarks: statements without a source.
    :param constraints: as :func:`airflow_agentic.agents.library.score.score` returns them, of as many reviews as there
        were: ``rule`` (``max_words``, ``cite_all``, ``cover``, ``avoid``, ``without_source``) and ``value``.
    :returns: what :func:`airflow_agentic.agents.library.draft.write` returns, and ``cited``, the sources that
        it rests on, each with ``uri`` and ``citations`` (``number``, ``claim``, ``quote``), and ``kept_to``, the
        constraints in words.
    :raises FinalError: the input is not of this form, or the constraints leave no claim to use.
    """
    rules = rules_given(constraints, max_words=max_words)
    usable = [claim for claim in mappings_given(claims, "claims") if claim.get("source") not in rules.without]
    told = _remarks(remarks, rules)
    brief = draft.write(
        topic,
        [dict(claim) for claim in usable],
        sources,
        sections,
        lead=lead,
        avoid=list(rules.avoid),
        cover=list(rules.cover),
        remarks=told,
        max_words=rules.max_words,
    )
    return {**brief, "cited": _cited(brief["citations"]), "kept_to": list(rules.texts)}


def _remarks(remarks: Any, rules: Rules) -> list[str]:
    given = [] if rules.cite_all else [str(remark) for remark in list_given(remarks, "remarks")]
    return [remark for remark in given if not any(is_same(remark, unwanted) for unwanted in rules.avoid)]


def _cited(citations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The citations by the source that they name, in the order in which the brief comes to them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for citation in citations:
        kept = {name: citation[name] for name in ("number", "claim", "quote")}
        found.setdefault(citation["uri"] or citation["source"], []).append(kept)
    return [{"uri": uri, "citations": members} for uri, members in found.items()]
