"""
Which program makes what is made of records: its version isn't enough, because it also runs from a clone.

The same records give the same page only to the same code; so a bundle says which code that was.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from airflow_agentic import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

#: What draws the page, beside this package.
_DRAWN_WITH = ("jinja2", "markdown-it-py", "nh3")
#: Code, templates, what pages are dressed in, and the schema.
_SOURCES = (".py", ".j2", ".css", ".js", ".json", ".yaml")
_SHOWN = 16


@dataclass(frozen=True, kw_only=True)
class DrawnBy:
    """
    What made a bundle, as that says itself.

    :param made_by: the version of this package, and its code.
    :param drawn_with: the versions that the page depends on, too.
    """

    made_by: str
    drawn_with: dict[str, str]


def this_program() -> DrawnBy:
    """The program that asks."""
    return DrawnBy(
        made_by=f"airflow-agentic {__version__}, code {_own_digest()[:_SHOWN]}",
        drawn_with={name: version(name) for name in _DRAWN_WITH},
    )


def drawn_by_from_data(told: Mapping[str, Any]) -> DrawnBy:
    """What a bundle says; what it doesn't say in words is nothing that is known here."""
    by, drawn = told.get("made_by"), told.get("drawn_with")
    return DrawnBy(
        made_by=by if isinstance(by, str) else "",
        drawn_with={key: str(value) for key, value in drawn.items()} if isinstance(drawn, dict) else {},
    )


@cache
def _own_digest() -> str:
    """As the files are when it is first asked for."""
    return sources_digest(files("airflow_agentic"))


def sources_digest(folder: Traversable) -> str:
    """The SHA-256 of all source files in a folder, by names and contents."""
    digest = hashlib.sha256()
    for name, file in sorted(_sources(folder, ""), key=lambda entry: entry[0]):
        digest.update(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}\n".encode())
    return digest.hexdigest()


def _sources(folder: Traversable, before: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _sources(entry, f"{before}{entry.name}/")
        elif entry.name.endswith(_SOURCES):
            yield f"{before}{entry.name}", entry
