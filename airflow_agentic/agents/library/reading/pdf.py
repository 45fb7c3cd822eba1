"""PDF, by pypdf (extra ``[pdf]``): the text layer; a scanned page has none."""

from __future__ import annotations

import io
import re
from collections import Counter

from airflow_agentic.agents.library._needs import need
from airflow_agentic.agents.library.reading.document import Document, UnreadableError, clean, one_line

_HYPHENATED = re.compile(r"(?<=[a-zà-ÿ])-\n(?=[a-zà-ÿ])")
_NUMBER_ONLY = re.compile(r"\W*(?:page\s+)?\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?\W*", re.IGNORECASE)


def read(data: bytes) -> Document:
    """
    The document in a PDF file.

    :raises UnreadableError: it is damaged, locked by a password, or has no text layer.
    """
    pypdf = need("pypdf", extra="pdf")
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("it is locked by a password")
        pages = [page.extract_text() or "" for page in reader.pages]
        title = one_line(str((reader.metadata or {}).get("/Title") or ""))
    except UnreadableError:
        raise
    except Exception as error:
        # pypdf raises whatever a damaged file leads it into
        raise UnreadableError(f"it is no readable PDF ({type(error).__name__})") from None
    text = clean("\n\n".join(_without_running_lines(pages)))
    if not text.strip():
        raise UnreadableError("it has no text layer (a scan?)")
    return Document(title=title, text=_HYPHENATED.sub("", text))


def _without_running_lines(pages: list[str]) -> list[str]:
    """The pages without page numbers and without the headers and footers that most of them share."""
    edges = Counter(line for page in pages for line in set(_edges(page)))
    running = {line for line, count in edges.items() if len(pages) > 3 and count > len(pages) / 2}
    return [
        "\n".join(
            line
            for line in page.splitlines()
            if one_line(line) not in running and not _NUMBER_ONLY.fullmatch(line.strip() or "-")
        )
        for page in pages
    ]


def _edges(page: str) -> list[str]:
    """The first and the last line that is no page number."""
    lines = [one_line(line) for line in page.splitlines() if line.strip() and not _NUMBER_ONLY.fullmatch(line.strip())]
    return [lines[0], lines[-1]] if lines else []
