"""
Draft an extractive brief: Markdown that says only what the sources say, each statement with its citation.

Whatever the sources hold is text, never markup: what Markdown or HTML would take for its own is escaped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import (
    Claim,
    Source,
    claims_given,
    list_given,
    mappings_given,
    sources_given,
    topic_given,
)
from airflow_agentic.agents.library._selection import within
from airflow_agentic.agents.library.prose.likeness import is_same
from airflow_agentic.agents.library.prose.sentences import spans
from airflow_agentic.agents.library.prose.words import count_words
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_agentic.agents.library._selection import Section

_CODE = re.compile(r"(`[^`\n]+`)")
_SPECIAL = re.compile(r"[\\*\[\]<>#|~]|(?<![^\W_])_|_(?![^\W_])")
_SUBJECT = re.compile(r"^`[^`]+`: ")
_REMARKS = "Remarks"
_PLAIN_START = re.compile(r"[a-zà-ÿ]+(?=[\s,;])")


def write(
    topic: str,
    claims: list[dict[str, Any]],
    sources: list[dict[str, Any]],
    sections: list[dict[str, Any]] | None = None,
    *,
    lead: list[str] | None = None,
    avoid: list[str] | None = None,
    cover: list[str] | None = None,
    remarks: list[str] | None = None,
    max_words: int = 500,
    title: str | None = None,
) -> dict[str, Any]:
    """
    A brief made of claims.

    :param claims: as :func:`airflow_agentic.agents.library.claims.extract` returns them.
    :param sources: what they were extracted from.
    :param sections: as :func:`airflow_agentic.agents.library.analysis.analyse` returns them; without any, the claims
        stand in one list.
    :param lead: ids of the claims that open the brief.
    :param avoid: claims that must not be used: their ids, or what they say.
    :param cover: themes that have to be spoken of before there is room for others.
    :param remarks: statements without a source, told at the end, as far as the words allow.
    :param max_words: of the brief without its list of sources.
    :param title: default: the topic.
    :returns: ``title``; ``text``, Markdown; ``citations``, each with ``number`` (as ``[1]`` in the text), ``claim``,
        ``quote``, ``source`` (its id), ``title``, ``uri``, ``section`` and ``offset``; ``words``; ``used`` and
        ``left_out``, ids of claims.
    :raises FinalError: the input is not of this form, or no claim is left to use.
    """
    topic, known = topic_given(topic), {source.id: source for source in sources_given(sources)}
    given = claims_given(claims)
    usable = _usable(given, known, [str(entry) for entry in list_given(avoid, "avoid")])
    heading = _escaped(title or _titled(topic))
    parts = _parts(usable, lead, mappings_given(sections, "sections"))
    left = max_words - count_words(heading)
    chosen = within(parts, left, cover=[str(theme) for theme in list_given(cover, "cover")])
    writer = _Brief(known)
    writer.write(heading, chosen)
    writer.remark([str(remark) for remark in list_given(remarks, "remarks")], max_words)
    used = [claim.id for _, members in chosen for claim in members]
    body = "\n".join(writer.lines).strip()
    return {
        "title": title or _titled(topic),
        "text": f"{body}\n\n{writer.references()}\n",
        "citations": writer.citations,
        "words": count_words(body),
        "used": used,
        "left_out": [claim.id for claim in given if claim.id not in used],
    }


class _Brief:
    """Writes the brief from top to bottom and numbers the citations on the way."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self.sources = sources
        self.lines: list[str] = []
        self.citations: list[dict[str, Any]] = []

    def write(self, heading: str, parts: Sequence[Section]) -> None:
        self.lines += [f"# {heading}", ""]
        for title, members in parts:
            if title:
                self.lines += [f"## {_escaped(title)}", ""]
                self._list(members)
            else:
                self.lines.append(" ".join(self._sentences(claim) for claim in members))
            self.lines.append("")

    def remark(self, remarks: Sequence[str], max_words: int) -> None:
        """Statements that nothing supports, under a heading that says no more than that."""
        told: list[str] = []
        for remark in remarks:
            if count_words("\n".join([*self.lines, *told, remark])) <= max_words - count_words(_REMARKS):
                told.append(f"- {_escaped(remark)}")
        if told:
            self.lines += [f"## {_REMARKS}", "", *told]

    def _list(self, members: Sequence[Claim]) -> None:
        """One item per claim; claims in a row about the same name of code share one."""
        before = ""
        for claim in members:
            subject = _subject(claim)
            if subject and subject == before:
                self.lines[-1] += f" {_marked(claim.text.removeprefix(subject), self._cite(claim))}"
            else:
                self.lines.append(f"- {_marked(claim.text, self._cite(claim))}")
            before = subject

    def _sentences(self, claim: Claim) -> str:
        """The claim as part of a paragraph: each of its sentences is cited, for no item says where it ends."""
        number = self._cite(claim)
        return " ".join(_marked(claim.text[start:end], number) for start, end in spans(claim.text, 0, len(claim.text)))

    def _cite(self, claim: Claim) -> int:
        source = self.sources[claim.source]
        number = len(self.citations) + 1
        self.citations.append(
            {
                "number": number,
                "claim": claim.text,
                "quote": claim.quote,
                "source": source.id,
                "title": source.title,
                "uri": source.uri,
                "section": claim.section,
                "offset": claim.offset,
            }
        )
        return number

    def references(self) -> str:
        """The list of sources, each with the numbers of what is cited from it."""
        lines = ["## Sources", ""]
        for source in self.sources.values():
            numbers = [f"[{entry['number']}]" for entry in self.citations if entry["source"] == source.id]
            if numbers:
                place = f"<{source.uri}>" if re.match(r"https?://[^\s<>]+$", source.uri) else f"`{source.uri}`"
                title = _escaped(source.title) if source.title != source.uri else ""
                named = " ".join(part for part in (title, source.uri and place) if part)
                lines.append(f"- {named}: {', '.join(numbers)}")
        return "\n".join(lines)


def _marked(text: str, number: int) -> str:
    """A statement as Markdown, its citation before its full stop."""
    body = text.rstrip(".!?…")
    stop = text[len(body) :] or "."
    if first := _PLAIN_START.match(body):
        body = first[0].capitalize() + body[first.end() :]
    return f"{_escaped(body)} [{number}]{stop}"


def _subject(claim: Claim) -> str:
    """The name of code that a claim starts with; empty if it starts with none."""
    found = _SUBJECT.match(claim.text)
    return found[0] if found else ""


def _usable(claims: Sequence[Claim], sources: Mapping[str, Source], avoid: Sequence[str]) -> list[Claim]:
    """The claims without those to avoid, without repetitions, and without those whose source isn't there."""
    kept: list[Claim] = []
    for claim in claims:
        unwanted = any(
            entry == claim.id or is_same(entry, claim.text) or is_same(entry, claim.quote) for entry in avoid
        )
        if claim.source in sources and not unwanted and not any(is_same(claim.text, other.text) for other in kept):
            kept.append(claim)
    if not kept:
        raise FinalError("There is no claim to write a brief of.", kind="rejected")
    return kept


def _parts(claims: Sequence[Claim], lead: Any, sections: Sequence[Mapping[str, Any]]) -> list[Section]:
    """The lead (which has no title) and the sections, with their claims; each claim once."""
    left = {claim.id: claim for claim in claims}
    parts: list[Section] = [("", _taken(left, list_given(lead, "lead")))]
    for section in sections:
        members = _taken(left, list_given(section.get("claims"), "sections[].claims"))
        parts.append((str(section.get("title") or "Further points"), members))
    if not sections:
        parts.append(("Findings", list(left.values())))
    return [part for part in parts if part[1]]


def _taken(left: dict[str, Claim], ids: Sequence[Any]) -> list[Claim]:
    """The claims of those ids, which nobody else gets."""
    return [left.pop(str(entry)) for entry in dict.fromkeys(ids) if str(entry) in left]


def _escaped(text: str) -> str:
    """The text with everything escaped that Markdown would take for markup, except in code."""
    parts = _CODE.split(text)
    return "".join(part if number % 2 else _SPECIAL.sub(r"\\\g<0>", part) for number, part in enumerate(parts))


def _titled(topic: str) -> str:
    return topic[:1].upper() + topic[1:]
