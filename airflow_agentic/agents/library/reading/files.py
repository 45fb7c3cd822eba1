"""
Files and folders that an input names: only below the roots that the deployment allows.

A path is resolved first, links and ``..`` included, and what it really is has to lie below a root. The file is then
opened once, and what was opened is what was checked.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from airflow_agentic import config
from airflow_agentic.agents.library.reading.formats import SUFFIXES
from airflow_agentic.errors import FinalError


@dataclass(frozen=True, kw_only=True)
class Folder:
    """What a folder holds: files in a fixed order, as (name within the folder, path)."""

    files: tuple[tuple[str, Path], ...]
    refused: tuple[tuple[str, str], ...]


def roots() -> tuple[Path, ...]:
    """The folders below which files may be read, resolved."""
    return tuple(Path(root).expanduser().resolve() for root in config.get_list("source_roots"))


def locate(name: str) -> Path:
    """
    Where a named file or folder really is.

    A relative name is looked for below each root in turn.

    :returns: a resolved path; it need not exist.
    :raises FinalError: it lies outside the roots.
    """
    if "\0" in name:
        raise FinalError("A source's name holds a NUL character.", kind="rejected")
    allowed = roots()
    candidates = [Path(os.path.realpath(root / name)) for root in allowed]
    inside = [path for path in candidates if _is_below(path, allowed)]
    if not inside:
        listed = ", ".join(str(root) for root in allowed) or "none"
        raise FinalError(f"{name!r} is not below [agentic] source_roots ({listed}).", kind="rejected")
    return next((path for path in inside if path.exists()), inside[0])


def list_folder(folder: Path, *, limit: int) -> Folder:
    """
    The readable documents in a folder and the folders below it, by name.

    :param limit: more files than this are refused.
    :raises FinalError: there are more.
    """
    allowed, files, refused = roots(), [], []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            shown = path.relative_to(folder).as_posix()
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if not _is_below(Path(os.path.realpath(path)), allowed):
                refused.append((shown, "it is a link that leads out of [agentic] source_roots"))
                continue
            files.append((shown, path))
            if len(files) > limit:
                raise FinalError(f"{folder} holds more than {limit} documents (max_sources).", kind="rejected")
    return Folder(files=tuple(sorted(files)), refused=tuple(refused))


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """
    A file's content.

    :raises FinalError: it is larger than allowed, or no longer below the roots.
    :raises OSError: it can't be read, or is no regular file.
    """
    real = Path(os.path.realpath(path))
    # not to hang on a pipe; and the last step must not be a link that was put there since
    descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        now = Path(os.path.realpath(path))
        if not (_is_below(now, roots()) and os.path.samestat(status, now.stat())):
            raise FinalError(f"{path} is not below [agentic] source_roots.", kind="rejected")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise FinalError(f"{path} is larger than {max_bytes} bytes ([agentic] max_source_bytes).", kind="rejected")
    return data


def _is_below(path: Path, allowed: tuple[Path, ...]) -> bool:
    return any(path == root or root in path.parents for root in allowed)
