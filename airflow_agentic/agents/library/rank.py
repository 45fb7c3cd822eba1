"""
Rank the passages of sources for a topic: what to read first, or what to show a model instead of everything.

A passage is a run of neighbouring paragraphs and items under one heading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.library._given import Source, sources_given, topic_given
from airflow_agentic.agents.library.prose.blocks import Block, blocks
from airflow_agentic.agents.library.prose.relevance import relevance
from airflow_agentic.agents.library.prose.words import count_words

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class _Passage:
    source: Source
    start: int
    end: int
    headings: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


def passages(topic: str, sources: list[dict[str, Any]], *, limit: int = 12, words: int = 120) -> dict[str, Any]:
    """
    The passages that have most to do with a topic.

    :param sources: as :func:`airflow_agentic.agents.library.sources.load` returns them.
    :param limit: how many passages at most.
    :param words: how long a passage gets, roughly; a longer paragraph stays whole.
    :returns: ``passages``, best first, each with ``text`` (exact: ``source["text"][offset : offset + len(text)]``),
        ``source`` (its id), ``title`` (of the source), ``section`` (all headings above it), ``heading`` (the last of
        them, empty if there are none), ``offset`` and ``score`` (0 to 1); ``considered``.
    :raises FinalError: the input is not of this form.
    """
    topic = topic_given(topic)
    found = [passage for source in sources_given(sources) for passage in _cut(source, words)]
    contexts = [" ".join((passage.source.title, *passage.headings)) for passage in found]
    scores = relevance(topic, [passage.text for passage in found], contexts)
    ranked = sorted(zip(found, scores, strict=True), key=lambda entry: -entry[1])
    return {
        "passages": [
            {
                "text": passage.text,
                "source": passage.source.id,
                "title": passage.source.title,
                "section": " / ".join(heading.strip("`") for heading in passage.headings),
                "heading": passage.headings[-1].strip("`") if passage.headings else "",
                "offset": passage.start,
                "score": score,
            }
            for passage, score in ranked[:limit]
            if score > 0
        ],
        "considered": len(found),
    }


def _cut(source: Source, words: int) -> Iterator[_Passage]:
    run: list[Block] = []
    for block in blocks(source.text):
        if run and (block.headings != run[-1].headings or count_words(source.text[run[0].start : block.end]) > words):
            yield _joined(source, run)
            run = []
        run.append(block)
    if run:
        yield _joined(source, run)


def _joined(source: Source, run: list[Block]) -> _Passage:
    return _Passage(source=source, start=run[0].start, end=run[-1].end, headings=run[0].headings)
