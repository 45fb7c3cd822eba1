"""
Notes: what somebody wrote down about a topic, with the quotes and sources that it rests on.

A note is a statement and its evidence, a quote and an address: ``A task isn't repeated: “the default is 0”
(dist:apache-airflow).`` Everything else in the notes is a remark: an opinion, perhaps a good one, that rests on
nothing. Nobody has checked either of them; that is :mod:`airflow_agentic.agents.library.citations`' work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_agentic.agents.library.prose.blocks import blocks
from airflow_agentic.agents.library.prose.sentences import collapse, spans
from airflow_agentic.agents.library.prose.words import count_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_agentic.agents.library._given import Source

_EVIDENCE = re.compile(r"""[“"](?P<quote>[^“”"]+)[”"]\s*\((?P<source>[^()\s]+)\)[.;]?""")
#: Words. What is shorter says nothing that a brief could hold.
_REMARK = 5


@dataclass(frozen=True, kw_only=True)
class Note:
    """
    Something that the notes say.

    :param section: the heading that it stands under.
    :param quote, source: what it rests on, and the address of where that is said to stand; empty for a remark.
    """

    text: str
    section: str
    quote: str = ""
    source: str = ""


def notes_in(sources: Sequence[Source]) -> list[Note]:
    """All notes, in order; each thing that was written down twice comes once."""
    found = [
        note
        for source in sources
        for block in blocks(source.text)
        for note in _in_block(source.text[block.start : block.end], block.headings[-1] if block.headings else "")
    ]
    return list(dict.fromkeys(found))


def _in_block(text: str, section: str) -> Iterator[Note]:
    """The notes of a paragraph: what stands before a quote is its statement, the sentences before that are remarks."""
    after = 0
    for evidence in _EVIDENCE.finditer(text):
        *before, statement = _sentences(text[after : evidence.start()]) or [""]
        yield from _remarks(before, section)
        said = statement.rstrip(" :,\u2013\u2014-") or collapse(evidence["quote"])
        yield Note(text=_closed(said), section=section, quote=collapse(evidence["quote"]), source=evidence["source"])
        after = evidence.end()
    yield from _remarks(_sentences(text[after:]), section)


def _sentences(text: str) -> list[str]:
    return [collapse(text[start:end]) for start, end in spans(text, 0, len(text)) if text[start:end].strip()]


def _remarks(texts: Sequence[str], section: str) -> Iterator[Note]:
    yield from (Note(text=text, section=section) for text in texts if count_words(text) >= _REMARK)


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
