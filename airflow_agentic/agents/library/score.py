"""
Score a brief: what it covers, how well it is cited, what it repeats, how long it is.

Every figure stands for itself, so that a threshold can be set on any of them, and every problem is said in words
that a writer, person or model, can act upon. Works on any Markdown with ``[1]`` citations, whoever wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import list_given, mappings_given, topic_given
from airflow_agentic.agents.library._rules import rule
from airflow_agentic.agents.library.prose.likeness import is_same
from airflow_agentic.agents.library.prose.sentences import sentences
from airflow_agentic.agents.library.prose.words import count_words, stems
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What each figure is worth in the total; ``support`` only when there was a check.
_WEIGHTS = {"coverage": 0.3, "citation_density": 0.25, "redundancy": 0.15, "length": 0.1, "support": 0.2}
_SOURCES = re.compile(r"(?im)^(?:#{1,6}\s+|\*\*)(?:sources|references|citations|bibliography|notes)\b.*$")
_MARKER = re.compile(r"(?<!\\)\[(\d{1,4}(?:\s*[,;]\s*\d{1,4})*)\](?!\()")
_AFTER_STOP = re.compile(r"([.!?…]+)((?:\s?(?<!\\)\[\d[\d\s,;]*\])+)")
_SPACE_BEFORE = re.compile(r"\s+(?=[.,;:!?])")
_ESCAPE = re.compile(r"\\([\\*\[\]<>#|~_`])")


@dataclass(frozen=True, kw_only=True)
class _Statement:
    text: str
    numbers: tuple[int, ...]


def score(
    topic: str,
    text: str,
    citations: list[dict[str, Any]] | None = None,
    *,
    themes: list[str] | None = None,
    check: dict[str, Any] | None = None,
    min_words: int = 100,
    max_words: int = 600,
) -> dict[str, Any]:
    """
    Figures for a brief, and what is wrong with it.

    :param text: the brief, Markdown; a section called Sources (or References …) at its end is not counted.
    :param citations: what its ``[1]`` markers stand for, each with ``number``; without numbers, by place.
    :param themes: what it should speak about, the weightiest first.
    :param check: what :func:`airflow_agentic.agents.library.citations.check` said of ``citations``; ``failed_sources``
        in it are addresses that the brief must not cite.
    :param min_words, max_words: how long it should be.
    :returns: ``score``, the weighted mean of the figures; the figures, each 0 to 1: ``coverage`` (of topic and themes),
        ``citation_density`` (statements with a citation), ``redundancy`` (statements that repeat another one: 0 is
        best), ``length`` (1 between the limits), and ``support`` (citations that hold, null without ``check``);
        ``problems``, sentences; ``constraints``, the same for
        :func:`airflow_agentic.agents.library.constrained.write`, as far as a writer can mend it; ``words``,
        ``statements``, ``missing_themes``.
    :raises FinalError: the input is not of this form.
    """
    topic, body = topic_given(topic), _body(text)
    statements, words = _statements(body), count_words(body)
    numbers = _numbers(mappings_given(citations, "citations"))
    names = [str(theme) for theme in list_given(themes, "themes")]
    missing = _missing(topic, names, body)
    uncited = [statement for statement in statements if not set(statement.numbers) & numbers]
    repeated = _repeated(statements)
    figures: dict[str, float | None] = {
        "coverage": _coverage(topic, names, missing),
        "citation_density": _share(len(statements) - len(uncited), len(statements)),
        "redundancy": _share(len(repeated), len(statements)),
        "length": _length(words, min_words, max_words),
        "support": _support(check),
    }
    problems = [
        *[f"The brief says nothing about {name}." for name in missing],
        *_about_citations(uncited, statements, numbers),
        *[f"“{_shortened(again)}” repeats “{_shortened(first)}”: keep one of them." for again, first in repeated],
        *_about_length(words, min_words, max_words),
        *[str(problem) for problem in list_given((check or {}).get("problems"), "check.problems")],
    ]
    constraints = [
        # all of them: a draft that makes room for one must not lose another
        *(rule("cover", theme) for theme in names if missing),
        *_rules(uncited, repeated, check),
        *([rule("max_words", max_words)] if words > max_words else []),
    ]
    counts = {"words": words, "statements": len(statements), "missing_themes": missing}
    return {"score": _total(figures), **figures, "problems": problems, "constraints": constraints, **counts}


def _body(text: Any) -> str:
    """The brief without its list of sources."""
    if not isinstance(text, str):
        raise FinalError(f"text must be a text, not {type(text).__name__}.", kind="rejected")
    heads = list(_SOURCES.finditer(text))
    return text[: heads[-1].start()] if heads else text


def _statements(body: str) -> list[_Statement]:
    """The sentences and items, each with the numbers that it cites."""
    # a marker behind the full stop belongs to the sentence before it
    tidy = _AFTER_STOP.sub(lambda found: f"{found[2]}{found[1]}", body)
    found = []
    for sentence in sentences(tidy):
        numbers = tuple(int(number) for group in _MARKER.findall(sentence.text) for number in re.split(r"\D+", group))
        text = _SPACE_BEFORE.sub("", " ".join(_ESCAPE.sub(r"\1", _MARKER.sub("", sentence.text)).split()))
        if count_words(text) > 2:
            found.append(_Statement(text=text, numbers=numbers))
    return found


def _numbers(citations: Sequence[Mapping[str, Any]]) -> set[int]:
    found = set()
    for place, citation in enumerate(citations, 1):
        number = citation.get("number", place)
        found.add(int(number) if str(number).isdecimal() else place)
    return found


def _missing(topic: str, themes: Sequence[str], body: str) -> list[str]:
    """The topic's words and the themes that the brief doesn't have."""
    present = set(stems(body))
    return [wanted for wanted in dict.fromkeys([*topic.split(), *themes]) if not set(stems(wanted)) <= present]


def _coverage(topic: str, themes: Sequence[str], missing: Sequence[str]) -> float:
    """Share of what is wanted that is there; each theme weighs a little less than the one before."""
    wanted = [word for word in topic.split() if stems(word)]
    weights = {theme: 1 / (1 + 0.15 * place) for place, theme in reversed(list(enumerate(themes)))}
    weights |= dict.fromkeys(wanted, 1.0)
    total = sum(weights.values())
    return round(sum(weight for name, weight in weights.items() if name not in missing) / total, 4) if total else 1.0


def _repeated(statements: Sequence[_Statement]) -> list[tuple[str, str]]:
    """Each statement that says what an earlier one says, with that one."""
    found: list[tuple[str, str]] = []
    for place, statement in enumerate(statements):
        first = next((other for other in statements[:place] if is_same(statement.text, other.text)), None)
        if first is not None:
            found.append((statement.text, first.text))
    return found


def _share(count: int, total: int) -> float:
    return round(count / total, 4) if total else 0.0


def _length(words: int, low: int, high: int) -> float:
    if words < low:
        return round(words / low, 4)
    return round(high / words, 4) if words > high else 1.0


def _support(check: Any) -> float | None:
    if not isinstance(check, dict) or not isinstance(check.get("ratio"), int | float):
        return None
    return float(check["ratio"])


def _rules(
    uncited: Sequence[_Statement], repeated: Sequence[tuple[str, str]], check: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """What the statements and their citations ask of the next draft."""
    failed = list_given((check or {}).get("failed_sources"), "check.failed_sources")
    return [
        *([rule("cite_all")] if uncited else []),
        *(rule("avoid", again) for again, _ in repeated),
        *(rule("without_source", str(uri)) for uri in failed),
    ]


def _total(figures: Mapping[str, float | None]) -> float:
    good = {name: 1 - value if name == "redundancy" else value for name, value in figures.items() if value is not None}
    return round(sum(_WEIGHTS[name] * value for name, value in good.items()) / sum(_WEIGHTS[name] for name in good), 4)


def _about_citations(uncited: Sequence[_Statement], statements: Sequence[_Statement], numbers: set[int]) -> list[str]:
    if not statements:
        return ["The brief holds no statement."]
    used = {number for statement in statements for number in statement.numbers}
    problems = [f"“{_shortened(statement.text)}” has no citation." for statement in uncited if not statement.numbers]
    problems += [f"[{number}] is in the text but not among the citations." for number in sorted(used - numbers)]
    return problems + [f"Citation {number} is not used in the text." for number in sorted(numbers - used)]


def _about_length(words: int, low: int, high: int) -> list[str]:
    if words < low:
        return [f"The brief has {words} words; at least {low} are wanted."]
    if words > high:
        return [f"The brief has {words} words; at most {high} are wanted: cut {words - high}."]
    return []


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:99].rstrip()}…"
