"""Which format some bytes are in, and the reader for it."""

from __future__ import annotations

import re
import threading
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from airflow_agentic.agents.library.reading import described, html, markdown, pdf, python, rst
from airflow_agentic.agents.library.reading.document import Document, UnreadableError, clean

if TYPE_CHECKING:
    from collections.abc import Mapping

#: File name suffix → format.
SUFFIXES: Mapping[str, str] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".rst": "rst",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".py": "python",
    ".yaml": "described",
    ".yml": "described",
    ".json": "described",
}
_MEDIA_TYPES: Mapping[str, str] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/x-rst": "rst",
    "text/prs.fallenstein.rst": "rst",
    "application/pdf": "pdf",
    "text/x-python": "python",
    "application/yaml": "described",
    "application/json": "described",
}
#: docutils registers a document's roles for all documents, and ``ast.parse`` of Python 3.11 miscounts its depth when
#: two threads are in it (SystemError): one document at a time.
_reading = threading.Lock()
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)


def format_of(data: bytes, *, name: str, media_type: str = "") -> str:
    """
    The format of a document.

    What the bytes show comes first, then what the other side says, then the name: servers call Markdown plain text.

    :param name: its file name or the path of its address.
    :param media_type: as declared, without parameters; may be empty.
    :raises UnreadableError: it is in none of the formats that are read.
    """
    if data[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    by_name = SUFFIXES.get(PurePosixPath(name.lower()).suffix)
    declared = _MEDIA_TYPES.get(media_type.lower())
    if declared and declared != "pdf":
        return declared
    if by_name and by_name != "pdf":
        return by_name
    if _HTML.match(data[:4096]):
        return "html"
    if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError("it is not text, and not a PDF")
    if media_type and not media_type.lower().startswith("text/"):
        raise UnreadableError(f"documents of type {media_type!r} are not read")
    return "text"


def read(data: bytes, *, format: str, name: str, charset: str = "") -> Document:  # noqa: A002
    """
    The document in some bytes.

    :param format: as :func:`format_of` says.
    :param name: a title for formats that take theirs from outside.
    :param charset: as the other side declares; may be empty.
    :raises UnreadableError: the bytes are not what the format says, or hold no text.
    """
    with _reading:
        return _read(data, format, name, charset)


def decode(data: bytes, charset: str = "") -> str:
    """Bytes as text: by their byte order mark, as UTF-8, as declared, and last by what they look like."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    for encoding in ("utf-8", charset):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    from charset_normalizer import from_bytes

    best = from_bytes(data[:200_000]).best()
    return data.decode(best.encoding if best else "latin-1", errors="replace")


def _plain(text: str) -> Document:
    cleaned = clean(text.removeprefix("\ufeff"))
    if not cleaned.strip():
        raise UnreadableError("it holds no text")
    return Document(title="", text=cleaned)


def _read(data: bytes, format_: str, name: str, charset: str) -> Document:
    if format_ == "pdf":
        return pdf.read(data)
    if format_ == "html":
        return html.read(decode(data, charset) if charset else data)
    text = decode(data, charset)
    match format_:
        case "markdown":
            return markdown.read(text)
        case "rst":
            return rst.read(text)
        case "python":
            return python.read(text, module=name)
        case "described":
            return described.read(text, title=name)
    return _plain(text)
