"""
Texts of others as Markdown that is safe to show.

What an agent, a page or a person wrote is shown to somebody who is logged in somewhere. As Markdown it may be
formatted, and link to other places; it may hold no HTML, load nothing (an image tells its server who looks at what),
and link to nothing but the web and mail addresses. What it can't have stays readable as text, and the stored value
stays as it is.

The text is parsed and written anew, with everything escaped that is not what it was read as, so that another parser
reads the same.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from markdown_it import MarkdownIt
    from mdformat.renderer import RenderContext, RenderTreeNode

_LINK = re.compile(r"(https?://|mailto:)", re.IGNORECASE)
#: A longer text is shown without its formatting: parsing one that was made to be hard takes seconds then.
_LONGEST = 50_000
#: All elements that :func:`safe_html` gives.
ELEMENTS = frozenset(
    {
        *("p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr", "br", "ul", "ol", "li"),
        *("a", "em", "strong", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"),
    }
)
_BACKTICKS = re.compile("`{3,}")


def safe_markdown(text: str) -> str:
    """The text as Markdown without HTML, images, and links to anything but ``http``, ``https`` and ``mailto``."""
    if len(text) > _LONGEST:
        return fenced(text, "")
    try:
        return str(_parser().render(text)).rstrip("\n")
    except RecursionError:  # emphasis in emphasis in emphasis …
        return fenced(text, "")


def safe_html(markdown: str) -> str:
    """
    The text as HTML: formatted, without HTML of its own, without images, and with no link but to the web and mail.

    :returns: only elements and attributes of :data:`ELEMENTS`; what the text can't have stays readable in it.
    """
    import nh3

    markdown = markdown.encode("utf-8", "replace").decode()  # halves of characters are none
    if len(markdown) > _LONGEST:
        return f"<pre>{html.escape(markdown)}</pre>"
    try:
        written = str(_html_parser().render(markdown))
    except RecursionError:
        return f"<pre>{html.escape(markdown)}</pre>"
    return nh3.clean(
        written,
        tags=set(ELEMENTS),
        attributes={"a": {"href"}, "ol": {"start"}, "*": set()},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
        strip_comments=True,
    )


@lru_cache(maxsize=1)
def _html_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable("image")
    parser.validateLink = lambda url: bool(_LINK.match(url))  # type: ignore[method-assign]
    return parser


def fenced(source: str, language: str) -> str:
    """A Markdown code block whose fence is longer than any in the text, so that nothing in it can end the block."""
    longest = max((len(run) for run in _BACKTICKS.findall(source)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{source.rstrip()}\n{fence}"


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdformat.renderer import MDRenderer

    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=MDRenderer)  # type: ignore[arg-type]
    parser.disable("image")  # leaves a link
    parser.validateLink = lambda url: bool(_LINK.match(url))  # type: ignore[method-assign]
    parser.options["parser_extension"] = [_Written]
    return parser


def _text(node: RenderTreeNode, context: RenderContext) -> str:
    """
    A text in which no bracket can become a link, or begin HTML.

    The library leaves brackets that CommonMark wouldn't take for a link, and the second of two ``<``.
    """
    from mdformat.renderer import DEFAULT_RENDERERS

    written = DEFAULT_RENDERERS["text"](node, context)
    return re.sub(r"(?<!\\)((?:\\\\)*)([\[\]<])", r"\1\\\2", written)


def _code(node: RenderTreeNode, context: RenderContext) -> str:
    """Code, unless a table would cut through it and turn a half of it into something else."""
    from mdformat.renderer import DEFAULT_RENDERERS

    return _text(node, context) if "|" in node.content else DEFAULT_RENDERERS["code_inline"](node, context)


def _link(node: RenderTreeNode, context: RenderContext) -> str:
    """A link without its title, in which a quote could end it."""
    from mdformat.renderer import DEFAULT_RENDERERS

    node.attrs.pop("title", None)
    return DEFAULT_RENDERERS["link"](node, context)


class _Written:
    """How this differs from the library's own way to write Markdown."""

    RENDERERS: dict[str, Callable[[Any, Any], str]] = {"text": _text, "code_inline": _code, "link": _link}  # noqa: RUF012
