"""
Which files of a folder are templates, without parsing any of them.

A template must be recognised although it is broken, or nobody would ever see what is wrong with it; and other YAML
files (what a template includes, a Compose file, a chart) must not become errors. So the text decides: a top-level
``stages:``, or ``version: 1``, makes a file a template.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SUFFIXES = (".yaml", ".yml")

_TEMPLATE = re.compile(
    r"""^(?:['"]?stages['"]?[ \t]*:|['"]?version['"]?[ \t]*:[ \t]*1[ \t]*(?:\#.*)?\r?$)""", re.MULTILINE
)
#: A template written as JSON, or in YAML's flow style.
_FLOW = re.compile(r"""\A\s*\{(?s:.*)\bstages['"]?\s*:""")
_NAME = re.compile(r"""^['"]?name['"]?[ \t]*:[ \t]*(['"]?)([A-Za-z0-9_.-]+)\1[ \t]*(?:\#.*)?\r?$""", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """
    A file that is a template.

    :param path: relative to the folder, with ``/``.
    :param content: as it was read.
    """

    path: str
    content: bytes

    @property
    def claim(self) -> str:
        """The name that the file asks for, as far as that can be seen without parsing it."""
        found = _NAME.search(as_text(self.content))
        return found.group(2) if found else stem(self.path)

    @property
    def name_line(self) -> int:
        """The line, from 1, on which it does so; 1 when the file's own name is the template's."""
        text = as_text(self.content)
        found = _NAME.search(text)
        return text.count("\n", 0, found.start()) + 1 if found else 1


def templates(folder: Path) -> Iterator[Candidate]:
    """The folder's templates, those below it included, sorted by path."""
    for path in files(folder, SUFFIXES):
        candidate = read_candidate(folder, path)
        if candidate is not None:
            yield candidate


def read_candidate(folder: Path, path: str) -> Candidate | None:
    """
    The file as a template; None when it is none, or gone.

    One that can't be read may be one: whoever parses it gets to say why it can't.
    """
    try:
        content = (folder / path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return Candidate(path=path, content=b"")
    return Candidate(path=path, content=content) if is_template(content) else None


def files(folder: Path, suffixes: Iterable[str]) -> Iterator[str]:
    """
    The folder's files with these suffixes, sorted, as relative paths with ``/``.

    Hidden files and folders and ``__pycache__`` are left out. Linked folders are not entered, and a linked file
    counts only if what it links to is in the folder too.
    """
    root = folder.resolve()
    wanted = tuple(suffixes)
    found = []
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if _is_visible(name)]
        for name in names:
            path = Path(place, name)
            if name.endswith(wanted) and _is_visible(name) and _is_inside(path, root):
                found.append(path.relative_to(root).as_posix())
    yield from sorted(found)


def is_template(content: bytes) -> bool:
    """Whether a file's content is a template's, be it a broken one."""
    text = as_text(content)
    return _TEMPLATE.search(text) is not None or _FLOW.match(text) is not None


def as_text(content: bytes) -> str:
    """The content as text, whatever it is: to look at, not to parse."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def stem(path: str) -> str:
    """The file's name without its suffix: a template's name, when it gives itself none."""
    return Path(path).stem


def duplicates(names: Mapping[str, str]) -> dict[str, str]:
    """
    The files whose template's name is taken, each with the file that has it.

    The first file has it; but a file that is called by the name comes before all others, so that whoever looks for a
    name can open that file, and doesn't have to read the others.

    :param names: path → its template's name.
    """
    owners: dict[str, str] = {}
    for path in sorted(names, key=lambda path: (stem(path) != names[path], path)):
        owners.setdefault(names[path], path)
    return {path: owners[name] for path, name in names.items() if owners[name] != path}


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"


def _is_inside(path: Path, root: Path) -> bool:
    if not path.is_symlink():
        return True
    target = path.resolve()
    return target.is_file() and target.is_relative_to(root)
