"""Where the words of an artifact are from: its text in pieces, and what is known of the origin of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic.trace.labels import item_words
from airflow_agentic.trace.stage_names import name_of
from airflow_agentic.trace.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_agentic.trace.document import ArtifactTrace, PassageTrace

#: Of a source, more parts than these are only counted.
MOST_PARTS = 12
#: Characters of an artifact that are shown with its origins.
MOST_CHARACTERS = 60_000
_EXCERPT = 90
_VALUE = "value"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """
    One source of a passage.

    :param words: where it is from, in words.
    :param ref: the id of the attempt or the answer; None where there is none.
    :param place: the stage and the rounds; None for what is no stage.
    """

    words: str
    ref: str | None
    attempt: bool
    agent: str | None
    model: str | None
    recovered: str | None
    place: tuple[str, tuple[int, ...]] | None = None
    parts: tuple[Origin, ...] = ()
    more_parts: int = 0


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A part of the text with an origin; :param number: from 1."""

    number: int
    text: str
    expression: str
    origins: tuple[Origin, ...]

    @property
    def excerpt(self) -> str:
        """The beginning of its text, on one line."""
        line = " ".join(self.text.split())
        return line if len(line) <= _EXCERPT else f"{line[: _EXCERPT - 1]}…"

    @property
    def words(self) -> str:
        """All origins in a line."""
        return "; ".join(origin.words for origin in self.origins) or "the template"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of the text, with an origin or (then it is the template's own) without one."""

    text: str
    passage: Passage | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """An artifact with its origins; :param left_out: characters that aren't shown."""

    artifact: ArtifactTrace
    pieces: tuple[Piece, ...]
    passages: tuple[Passage, ...]
    left_out: int
    rendered: str | None = None


def told_of(artifact: ArtifactTrace) -> Told:
    """The artifact in pieces."""
    content = artifact.content or ""
    pieces = tuple(_pieces(content[:MOST_CHARACTERS], artifact))
    return Told(
        artifact=artifact,
        pieces=pieces,
        passages=tuple(piece.passage for piece in pieces if piece.passage is not None),
        left_out=max(0, len(content) - MOST_CHARACTERS),
        rendered=_rendered(artifact),
    )


def _rendered(artifact: ArtifactTrace) -> str | None:
    """Its text as HTML, where it is Markdown."""
    from airflow_agentic.shown import safe_html

    if artifact.content is None or not artifact.uri.lower().endswith((".md", ".markdown")):
        return None
    return safe_html(artifact.content)


def _pieces(content: str, artifact: ArtifactTrace) -> Iterator[Piece]:
    done, number = 0, 0
    for passage in sorted(artifact.passages, key=lambda passage: (passage.start, passage.end)):
        start, end = max(passage.start, done), min(passage.end, len(content))
        if end <= start:
            continue
        if start > done:
            yield Piece(text=content[done:start])
        number += 1
        told = _passage(passage, number, content[start:end], artifact.parts)
        yield Piece(text=content[start:end], passage=told)
        done = end
    if done < len(content):
        yield Piece(text=content[done:])


def _passage(passage: PassageTrace, number: int, text: str, shared: Mapping[str, Sequence[dict[str, Any]]]) -> Passage:
    origins = tuple(_origin(source, shared) for source in passage.sources)
    return Passage(number=number, text=text, expression=passage.expression, origins=origins)


def _origin(source: Mapping[str, Any], shared: Mapping[str, Sequence[dict[str, Any]]]) -> Origin:
    """A source with its parts; :param shared: the artifact's ``parts``."""
    parts = shared.get(str(source.get("parts_of"))) or source.get("parts") or ()
    shown = [_origin({**part, "parts": (), "parts_of": None}, {}) for part in parts[:MOST_PARTS]]
    return Origin(
        words=_words(source, parts),
        ref=source.get("attempt") or source.get("answer"),
        attempt=bool(source.get("attempt")),
        agent=source.get("agent"),
        model=source.get("model"),
        recovered=source.get("recovered"),
        place=(str(source["stage"]), tuple(source.get("rounds") or ())) if source.get("stage") is not None else None,
        parts=tuple(shown),
        more_parts=max(0, len(parts) - MOST_PARTS),
    )


def _words(source: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> str:
    path = ".".join(str(key) for key in source.get("path") or ())
    if source.get("stage") is None:
        name = str(source.get("name"))
        place = f"{name}.{path}" if path else name
        return f"the run's input {path}" if name == "inputs" and path else place
    item = source.get("item")
    number = item if isinstance(item, int) else None
    name = name_of(str(source["stage"]), source.get("rounds") or (), item=number, label=source.get("label"))
    told = f"{name}: {path}" if path else name
    by = [str(source["agent"])] if source.get("agent") else ["a person"] if source.get("answer") else []
    by += [str(source["model"])] if source.get("model") else []
    if source.get("recovered") == _VALUE:
        return f"{told}, where a fixed value stood in"
    recovered = f", recovered by {source['recovered']}" if source.get("recovered") else ""
    who = f" ({', '.join(by)})" if by else ""
    return f"{told}{who}{recovered}{_stood_in(parts)}"


def _stood_in(parts: Sequence[Mapping[str, Any]]) -> str:
    """The items for which a fixed value stood in, of those that a passage may be from."""
    places = [part for part in parts if part.get("recovered") == _VALUE and isinstance(part.get("item"), int)]
    if not places:
        return ""
    told = listed([item_words(part["item"], part.get("label")) for part in places[:MOST_PARTS]])
    more = f" and {len(places) - MOST_PARTS} more" if len(places) > MOST_PARTS else ""
    return f"; a fixed value stood in for {told}{more}"
