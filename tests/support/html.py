"""HTML as a browser takes it: its elements, with their attributes and texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import html5lib

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, kw_only=True)
class Element:
    """One element; :param text: all that is in it."""

    name: str
    attributes: dict[str, str]
    text: str


def elements_of(source: str, *, fragment: bool = False, strict: bool = False) -> list[Element]:
    """
    The elements of a page, or of a part of one, in their order.

    :raises html5lib.html5parser.ParseError: with strict, where a browser would have to guess.
    """
    parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), strict=strict, namespaceHTMLElements=False)
    tree: Any = parser.parseFragment(source) if fragment else parser.parse(source)
    return list(_elements(tree))


def _elements(tree: Any) -> Iterator[Element]:
    for node in tree.iter():
        if isinstance(node.tag, str) and node.tag != "DOCUMENT_FRAGMENT":
            attributes = {name.rpartition("}")[2]: value for name, value in node.attrib.items()}
            yield Element(name=node.tag.rpartition("}")[2], attributes=attributes, text="".join(node.itertext()))


def texts_of(elements: list[Element], name: str, css_class: str | None = None) -> list[str]:
    """The texts of the elements of a name (and a class), in one line each."""
    return [
        " ".join(element.text.split())
        for element in elements
        if element.name == name and (css_class is None or css_class in element.attributes.get("class", "").split())
    ]
