"""
YAML and JSON whose entries describe themselves: configuration references, OpenAPI documents, JSON Schemas.

Every mapping with a ``description`` becomes a section of that name, with its default if it has one. Airflow's own
``config.yml`` is such a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from airflow_agentic.agents.library.reading import rst
from airflow_agentic.agents.library.reading.document import UnreadableError, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_agentic.agents.library.reading.document import Document

_LEVELS = 5
#: Keys that only group the entries below them.
_GROUPING = frozenset({"options", "properties", "paths", "components", "schemas", "items"})


def read(text: str, *, title: str) -> Document:
    """
    The descriptions in a YAML or JSON text.

    :param title: of the document.
    :raises UnreadableError: it is neither, or describes nothing.
    """
    try:
        tree = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        entries = list(_entries(tree, (), set()))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UnreadableError(f"it is no readable YAML ({type(error).__name__})") from None
    if not entries:
        raise UnreadableError("nothing in it has a description")
    writer = Writer()
    writer.heading(1, title)
    for path, description, default in entries:
        if path:
            writer.heading(min(len(path) + 1, _LEVELS), f"`{'.'.join(path)}`")
        rst.write(_with_default(description, default), writer, level=_LEVELS + 1)
    return writer.document(title=title)


def _entries(node: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    # an alias gives the same object many times; each is described once
    if id(node) in seen or not isinstance(node, dict | list):
        return
    seen.add(id(node))
    if isinstance(node, list):
        for child in node:
            yield from _entries(child, path, seen)
        return
    description = node.get("description")
    if isinstance(description, str) and description.strip():
        yield path, description.strip(), _default(node)
    for name, child in node.items():
        yield from _entries(child, path if name in _GROUPING else (*path, str(name)), seen)


def _default(node: dict[Any, Any]) -> str:
    """The entry's default as text; empty for what isn't one short value."""
    value = node.get("default")
    if value is None or isinstance(value, dict | list) or "\n" in str(value) or "`" in str(value):
        return ""
    return str(value).strip()


def _with_default(description: str, default: str) -> str:
    """A short description and its default are one thing to say, a long one gets a paragraph more."""
    if not default:
        return description
    if "\n\n" in description:
        return f"{description}\n\nThe default is ``{default}``."
    stop = "" if description.endswith((".", "!", "?", ":")) else "."
    return f"{description}{stop} The default is ``{default}``."
