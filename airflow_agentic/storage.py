"""
Writing whole files on any file system that fsspec knows: a reader sees all of a file or none of it.

Object stores show an object only when it is complete; a local file gets its name only when it is complete.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Who signs in, in a URL.
_SIGNED_IN = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*@")


def open_url(url: str) -> tuple[Any, str]:
    """
    The file system and root path of a URL (or of a plain path).

    :raises ValueError, ImportError: no such protocol, or its package isn't installed.
    """
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    filesystem, root = url_to_fs(url)
    return filesystem, str(root).rstrip("/")


def without_passwords(text: str) -> str:
    """A text about stores as others may see it: a URL in it may have a password."""
    return _SIGNED_IN.sub("***@", text)


def create(filesystem: Any, path: str, data: bytes) -> None:
    """
    Write a file that doesn't exist yet.

    :raises FileExistsError: it does.
    """
    filesystem.makedirs(parent(path), exist_ok=True)
    if not is_local(filesystem):
        filesystem.pipe_file(path, data, mode="create")
        return
    with _temporary(path, data) as temporary:
        give_name(temporary, Path(path))


def overwrite(filesystem: Any, path: str, data: bytes) -> None:
    """Write a file, in the place of any former one."""
    filesystem.makedirs(parent(path), exist_ok=True)
    if not is_local(filesystem):
        filesystem.pipe_file(path, data)
        return
    with _temporary(path, data) as temporary:
        temporary.replace(path)


def give_name(temporary: Path, path: Path) -> None:
    """
    Give a complete local file a name that nothing has.

    :raises FileExistsError: something has it.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # no hard links here: the name is taken in two steps
        if path.exists():
            raise FileExistsError(path) from None
        temporary.replace(path)


def is_local(filesystem: Any) -> bool:
    """Is it this machine's own file system?"""
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def parent(path: str) -> str:
    """The folder of a path."""
    return path.rpartition("/")[0]


@contextlib.contextmanager
def _temporary(path: str, data: bytes) -> Iterator[Path]:
    """Hold the data in a file beside the path, gone afterwards."""
    temporary = Path(parent(path), f".{uuid.uuid4().hex}.part")
    try:
        temporary.write_bytes(data)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
