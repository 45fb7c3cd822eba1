"""What a frame, or the whole picture, is laid out from, step by step: pieces of links, chains, and at last places."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_agentic.render.layers import Layered, Step
    from airflow_agentic.render.shapes import Frame, Link, Point, Rect

#: Inside a frame's border; between lines side by side.
PADDING, LINE_GAP = 16.0, 16.0


@dataclass(frozen=True, kw_only=True)
class Piece:
    """
    A link, as far as it runs in one frame.

    :param index: of the link.
    :param source, target: directly inside the frame; None: it enters, or leaves.
    """

    index: int
    link: Link
    source: str | None
    target: str | None


@dataclass
class Inside:
    """
    Places relative to the frame's upper left corner.

    :param places: of what is directly inside, by id.
    :param ways, labels: by index of the link.
    :param ranks: inner frame → index of a link that crosses its border → how far to the right it goes on.
    """

    width: float = 0.0
    height: float = 0.0
    places: dict[str, Rect] = field(default_factory=dict)
    ways: dict[int, list[Point]] = field(default_factory=dict)
    labels: dict[int, Rect] = field(default_factory=dict)
    ranks: dict[str, dict[int, float]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Chain:
    """
    A piece's vertices from top to bottom.

    :param label: the one of its text.
    :param steps: between them, in their order.
    """

    piece: Piece
    vertices: list[int]
    label: int | None = None
    steps: list[Step] = field(default_factory=list)


@dataclass(kw_only=True)
class Arranged:
    """
    What is directly inside a frame, in layers and with its order in them, but for its heights.

    :param inner: the insides of the frames that are directly inside.
    :param unit: id of a box or frame → its vertex.
    :param backs: the lines back.
    """

    frame: Frame | None
    inner: Mapping[str | None, Inside]
    graph: Layered
    unit: dict[str, int]
    chains: list[Chain]
    backs: list[Piece]

    @property
    def padding(self) -> float:
        """Between the border and what is inside."""
        return 0.0 if self.frame is None else PADDING

    def crossed(self, piece: Piece, name: str | None) -> Inside | None:
        """The inside of an inner frame that a line's end lies in; None where it ends at the frame or box itself."""
        if name is None or name in (piece.link.source, piece.link.target):
            return None
        return self.inner[name]
