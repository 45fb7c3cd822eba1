"""HTML, by trafilatura: the main text of a page without its navigation, banners and footers."""

from __future__ import annotations

from airflow_agentic.agents.library._needs import need
from airflow_agentic.agents.library.reading import markdown
from airflow_agentic.agents.library.reading.document import Document, UnreadableError, one_line


def read(data: bytes | str) -> Document:
    """
    The document in a page.

    :param data: as bytes, the page's own declaration of its character set is honoured.
    :raises UnreadableError: no main text was found.
    """
    trafilatura = need("trafilatura", extra="library")
    tree = trafilatura.load_html(data)
    if tree is None:
        raise UnreadableError("it is not HTML")
    titles = [one_line(str(title)) for title in tree.xpath("//title/text()")]
    text = trafilatura.extract(
        data, output_format="markdown", include_comments=False, include_images=False, include_links=False
    )
    if not text:
        raise UnreadableError("no main text was found in the page")
    document = markdown.read(text)
    return Document(title=document.title or next(iter(titles), ""), text=document.text)
