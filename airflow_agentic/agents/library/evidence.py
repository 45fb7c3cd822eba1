"""
Look for what a document says to given questions, and judge whether what was found is an answer.

Two agents that work in turns. One finds: first by a question's own words, in later rounds by its other words too, and
never what was turned down before. The other judges: a placeholder and a mere pointer to somewhere else answer nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import list_given, mappings_given
from airflow_agentic.agents.library.prose.sentences import sentences
from airflow_agentic.agents.library.prose.words import count_words, stem, words
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.agents.library.prose.sentences import Sentence

_PLACEHOLDER = re.compile(
    r"\b(?:tb[acd]|todo|fixme|xxx|to be (?:added|decided|defined|written)|n/a)\b|\?{2,}", re.IGNORECASE
)
_POINTER = re.compile(r"\b(?:see|refer to|look (?:at|in|into)) (?:the|our|here|below|above|this)\b", re.IGNORECASE)

#: Words. A longer sentence that points somewhere also says something.
_POINTER_ALONE = 10


@dataclass(frozen=True, kw_only=True)
class _Question:
    question: str
    words: tuple[str, ...]
    also: tuple[str, ...]


def find(
    text: str,
    questions: list[dict[str, Any]],
    *,
    search: int = 1,
    kept: list[dict[str, Any]] | None = None,
    rejected: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """
    A sentence of the document for each question that is still open.

    :param text: the document.
    :param questions: each with ``question``, ``words`` to look for, and ``also``, words for when those don't help.
    :param search: 1: only ``words`` are looked for; more: ``also`` too.
    :param kept: answers found earlier, each with ``question``: those are not open.
    :param rejected: what was found earlier and answers nothing, each with ``quote``.
    :returns: ``answers``, each with ``question``, ``quote`` (the document's own words), ``section`` (the heading that
        it stands under) and ``search``; ``missing``, the questions that nothing was found for.
    :raises FinalError: the input is not of this form.
    """
    asked = _questions(questions)
    done = {str(answer.get("question")) for answer in mappings_given(kept, "kept")}
    unwanted = {str(answer.get("quote")) for answer in mappings_given(rejected, "rejected")}
    told = [sentence for sentence in sentences(_text(text)) if sentence.text not in unwanted]
    answers = []
    for entry in (entry for entry in asked if entry.question not in done):
        best = _best(told, entry.words if search < 2 else entry.words + entry.also)
        if best is not None:
            section = best.headings[-1] if best.headings else ""
            answers.append({"question": entry.question, "quote": best.text, "section": section, "search": search})
    found = done | {answer["question"] for answer in answers}
    return {"answers": answers, "missing": [entry.question for entry in asked if entry.question not in found]}


def judge(
    questions: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    *,
    kept: list[dict[str, Any]] | None = None,
    rejected: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """
    Which of the answers are answers.

    :param questions: as for :func:`find`.
    :param answers: as :func:`find` returns them.
    :param kept, rejected: what was said of earlier answers.
    :returns: ``kept``, all answers so far, in the questions' order; ``rejected``, all others so far, each with
        ``reason``; ``open``, the questions without an answer; ``complete``, whether there are none.
    :raises FinalError: the input is not of this form.
    """
    asked = [entry.question for entry in _questions(questions)]
    judged = [(dict(answer), _reason(str(answer.get("quote")))) for answer in mappings_given(answers, "answers")]
    good = [*mappings_given(kept, "kept"), *(answer for answer, reason in judged if not reason)]
    bad = [{**answer, "reason": reason} for answer, reason in judged if reason]
    answered = {answer.get("question"): answer for answer in good}
    still_open = [question for question in asked if question not in answered]
    return {
        "kept": [answered[question] for question in asked if question in answered],
        "rejected": [*mappings_given(rejected, "rejected"), *bad],
        "open": still_open,
        "complete": not still_open,
    }


def _questions(value: Any) -> list[_Question]:
    found = []
    for number, entry in enumerate(mappings_given(value, "questions")):
        name, terms = str(entry.get("question") or "").strip(), list_given(entry.get("words"), "questions[].words")
        if not name or not terms:
            raise FinalError(f"questions[{number}] must have a question, and words to look for.", kind="rejected")
        also = list_given(entry.get("also"), "questions[].also")
        found.append(_Question(question=name, words=tuple(map(str, terms)), also=tuple(map(str, also))))
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise FinalError(f"text must be a text, not {type(value).__name__}.", kind="rejected")
    return value


def _best(told: Sequence[Sentence], terms: Sequence[str]) -> Sentence | None:
    """The sentence with most of the terms, the first among equals; None if no sentence has one."""
    counts = [(sum(1 for term in terms if _has(sentence.text, term)), sentence) for sentence in told]
    count, best = max(counts, key=lambda entry: entry[0], default=(0, None))
    return best if count else None


def _has(text: str, term: str) -> bool:
    """If the words of the term stand in the text, one after another, in any of their forms."""
    present, wanted = [stem(word) for word in words(text)], [stem(word) for word in words(term)]
    return any(present[at : at + len(wanted)] == wanted for at in range(len(present) - len(wanted) + 1))


def _reason(quote: str) -> str:
    """Why a sentence is no answer; empty if it is one."""
    if _PLACEHOLDER.search(quote):
        return "it is a placeholder"
    only_points = _POINTER.search(quote) and count_words(quote) <= _POINTER_ALONE
    return "it sends the reader somewhere else" if only_points else ""
