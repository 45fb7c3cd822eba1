"""
Documents that come with what is installed: ``dist:NAME`` and ``dist:NAME/path``.

``dist:NAME`` is a distribution's own long description, from its metadata. ``dist:NAME/path`` is a document among the
files that it installed, as its record lists them: Markdown, reStructuredText, the docstrings of a Python source, the
descriptions in a YAML file. Nothing is imported or run, and nothing that the record doesn't list is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Any

from airflow_agentic.agents.library.reading.formats import SUFFIXES
from airflow_agentic.errors import FinalError

PREFIX = "dist:"
_CONTENT_TYPES = {"text/markdown": "markdown", "text/x-rst": "rst", "text/plain": "text"}
_READ_FORMATS = frozenset({"markdown", "rst", "python", "described"})


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A document of a distribution: its bytes, format, name (of the document) and label (of the distribution)."""

    data: bytes
    format: str
    name: str
    label: str


def load(uri: str, *, max_bytes: int) -> Installed:
    """
    The document that a ``dist:`` address names.

    :raises FinalError: the path is not one that may be read, or the document is too large.
    :raises LookupError: the distribution isn't installed, or has no such document.
    """
    name, _, path = uri.removeprefix(PREFIX).strip().partition("/")
    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        raise LookupError(f"no distribution {name!r} is installed") from None
    document = _file(found, path) if path else _description(found)
    if len(document.data) > max_bytes:
        raise FinalError(f"{uri} is larger than {max_bytes} bytes ([agentic] max_source_bytes).", kind="rejected")
    return document


def _description(found: Distribution) -> Installed:
    metadata: dict[str, Any] = found.metadata.json
    text = str(metadata.get("description") or "")
    if not text.strip():
        raise LookupError(f"{_label(found)} has no description")
    content_type = str(metadata.get("description_content_type") or "text/x-rst").split(";")[0].strip().lower()
    return Installed(
        data=text.encode("utf-8", "replace"),
        format=_CONTENT_TYPES.get(content_type, "text"),
        name=_label(found),
        label=_label(found),
    )


def _file(found: Distribution, path: str) -> Installed:
    wanted = PurePosixPath(path)
    if wanted.is_absolute() or ".." in wanted.parts:
        raise FinalError(f"{path!r} is not a path inside a distribution.", kind="rejected")
    format_ = SUFFIXES.get(wanted.suffix.lower())
    if format_ not in _READ_FORMATS:
        kinds = ", ".join(suffix for suffix, kind in SUFFIXES.items() if kind in _READ_FORMATS)
        raise FinalError(f"{path!r}: of a distribution's files only documents are read ({kinds}).", kind="rejected")
    listed = next((file for file in found.files or () if PurePosixPath(str(file)) == wanted), None)
    if listed is None:
        raise LookupError(f"{_label(found)} installed no file {path!r}")
    name = ".".join(wanted.with_suffix("").parts) if format_ == "python" else wanted.name
    return Installed(
        data=Path(str(listed.locate())).read_bytes(),
        format=format_,
        name=name.removesuffix(".__init__"),
        label=_label(found),
    )


def _label(found: Distribution) -> str:
    return f"{found.metadata['Name']} {found.version}"
