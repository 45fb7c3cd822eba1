"""What a layout is made from and what it comes to: sizes in, places out. One unit is a pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: A way's point: x to the right, y down.
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Rect:
    """A place; ``x`` and ``y`` are those of the upper left corner."""

    x: float
    y: float
    width: float
    height: float

    def moved(self, x: float, y: float) -> Rect:
        """The same, elsewhere."""
        return replace(self, x=self.x + x, y=self.y + y)


@dataclass(frozen=True, kw_only=True)
class Box:
    """
    Something of a size.

    :param frame: the id of the innermost frame around it; None for none.
    """

    id: str
    width: float
    height: float
    frame: str | None = None


@dataclass(frozen=True, kw_only=True)
class Frame(Box):
    """Something that is made around what is in it; its size is that of its title, which is at the upper left."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """
    A line between boxes, or frames.

    :param width, height: of its text; 0 where it has none.
    :param back: it goes up: from a lower box to an upper one, or to the same.
    """

    source: str
    target: str
    width: float = 0.0
    height: float = 0.0
    back: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """
    A link's way.

    :param points: two neighbours are below or beside each other, or one is above a gap between layers and the other
        below it.
    :param label: where its text is.
    """

    points: tuple[Point, ...]
    label: Rect | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """
    Where everything is.

    :param width, height: of the whole.
    :param boxes, frames: by id.
    :param lines: one for each link, in their order.
    """

    width: float
    height: float
    boxes: dict[str, Rect]
    frames: dict[str, Rect]
    lines: tuple[Line, ...]
