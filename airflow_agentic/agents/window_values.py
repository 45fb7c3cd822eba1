"""
Cutting nested values to a length, and saying at each place what is missing.

* A text keeps its beginning: see :mod:`airflow_agentic.agents.window_text`.
* A list keeps its first items. One that alone takes more than half of the length is cut itself, to that half.
* A mapping keeps all its keys; its values are cut to a common length.
* What is no longer than :data:`SHORTEST` stays as it is: templates decide by such values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentic.agents.window_text import cut_text, text_bytes, with_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_agentic.agents.window_text import Unit

Path = tuple[str | int, ...]

#: Bytes. Whatever isn't longer is never cut.
SHORTEST = 200
#: Bytes kept free for the note that something was left out.
NOTE = 60


@dataclass(frozen=True, kw_only=True)
class Cut:
    """
    Where something was left out.

    :param path: of the text or list among the values: keys and indexes.
    :param left_out, of: how many of how many units.
    :param rest: what was left out of a list; of a text, the whole of it.
    :param room: bytes that there are for a summary of ``rest``.
    """

    path: Path
    unit: Unit
    left_out: int
    of: int
    rest: Any = field(repr=False)
    room: int

    @property
    def note(self) -> str:
        """What is said at the place."""
        return left_out_note(self.left_out, self.of, self.unit)


def left_out_note(left_out: int, of: int, unit: Unit) -> str:
    """What is said where something is missing."""
    return f"[… {left_out} of {of} {unit} left out]"


def size_of(value: Any) -> int:
    """Bytes that a value takes, about as it prints."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return len(text_bytes(text))


def leaves_of(values: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The texts and lists that can be cut, with their paths; not those inside of lists."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves_of(value, (*path, key))
        elif isinstance(value, (str, list, tuple)) and size_of(value) > SHORTEST:
            yield (*path, key), value


def common_length(sizes: Sequence[int], total: int) -> int:
    """To which length the longest have to be cut, so that all together have that total."""
    remaining = max(total, 0)
    for place, size in enumerate(sorted(sizes)):
        share = remaining // (len(sizes) - place)
        if size > share:
            return share
        remaining -= size
    return max(sizes, default=0)


def cut_values(value: Any, length: int, spare: float, path: Path, cuts: list[Cut]) -> Any:
    """
    A value none of whose texts and lists is longer than that, as far as they can be cut.

    :param length: bytes.
    :param spare: the share of a cut list's length that is kept free for a summary of what is left out.
    :param cuts: what is left out is added to it, outer cuts before those inside of them.
    """
    if isinstance(value, Mapping):
        return {key: cut_values(part, length, spare, (*path, key), cuts) for key, part in value.items()}
    room = max(length, SHORTEST)
    if not isinstance(value, (str, list, tuple)) or size_of(value) <= room:
        return value
    if not isinstance(value, str):
        return _cut_list(value, room, spare, path, cuts)
    kept, unit, left_out, total = cut_text(value, room - NOTE)
    if not left_out:
        return value
    cuts.append(Cut(path=path, unit=unit, left_out=left_out, of=total, rest=value, room=room))
    return kept


def _cut_list(items: Sequence[Any], room: int, spare: float, path: Path, cuts: list[Cut]) -> list[Any]:
    most = room if len(items) == 1 else room // 2
    of_note = max(NOTE, int(room * spare))
    free = room - of_note
    kept: list[Any] = []
    inside: list[Cut] = []
    for index, item in enumerate(items):
        of_item: list[Cut] = []
        short = _cut_item(item, most, spare, (*path, index), of_item)
        free -= size_of(short) + 2
        if kept and free < 0:
            break
        kept.append(short)
        inside += of_item
    left_out = len(items) - len(kept)
    if left_out:
        rest = list(items[len(kept) :])
        cuts.append(Cut(path=path, unit="items", left_out=left_out, of=len(items), rest=rest, room=of_note))
    cuts += inside
    return kept


def _cut_item(item: Any, room: int, spare: float, path: Path, cuts: list[Cut]) -> Any:
    """An item that has no more room than that in all."""
    if not isinstance(item, Mapping) or size_of(item) <= room:
        return cut_values(item, room, spare, path, cuts)
    sizes = [size_of(leaf) for _, leaf in leaves_of(item)]
    fixed = size_of(item) - sum(sizes)
    return cut_values(item, common_length(sizes, room - fixed), spare, path, cuts)


def with_notes(kept: Mapping[str, Any], cuts: Sequence[Cut], summaries: Mapping[Path, str]) -> dict[str, Any]:
    """
    What is left, with a note at each place where something is missing.

    :param summaries: path of a cut → what stands for what is missing.
    """
    values: Any = dict(kept)
    for cut in reversed(cuts):  # a note inside of an item comes before the one about the items behind it
        values = replaced(values, cut.path, partial(_noted, cut=cut, summary=summaries.get(cut.path)))
    return dict(values)


def _noted(kept: Any, *, cut: Cut, summary: str | None) -> Any:
    if cut.unit == "items":
        return _noted_list(kept, cut.note if summary is None else f"{cut.note[:-1]}; in short: {summary}]")
    if summary is None:
        return with_note(kept, cut.note, apart=cut.unit == "paragraphs")
    return f"[Summary of {cut.of} {cut.unit}] {summary}"


def _noted_list(items: list[Any], note: str) -> list[Any]:
    """Among texts the note is one more; otherwise it ends the longest text of the last item."""
    last = items[-1]
    if isinstance(last, str):
        return [*items, note]
    path = _longest_text(last)
    if path is None:
        return items
    return [*items[:-1], replaced(last, path, lambda text: with_note(text, note, apart="\n" in text))]


def takes_note(kept: Mapping[str, Any], cut: Cut) -> bool:
    """Whether there is a place to say what is missing: a list of numbers has none."""
    if cut.unit != "items":
        return True
    last = value_at(kept, cut.path)[-1]
    return isinstance(last, str) or _longest_text(last) is not None


def _longest_text(value: Any) -> Path | None:
    found = [(len(text), path) for path, text in _texts(value, ())]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _texts(part, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _texts(part, (*path, index))


def value_at(value: Any, path: Path) -> Any:
    """The part of a value that is at the path."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy of the value, with the part at the path changed."""
    if not path:
        return change(value)
    key, others = path[0], path[1:]
    new = replaced(value[key], others, change)
    if isinstance(value, Mapping):
        return {**value, key: new}
    return [new if index == key else part for index, part in enumerate(value)]
