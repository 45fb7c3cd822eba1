"""Texts of others as Markdown: formatted, but nothing in them runs, calls home, or leads anywhere but to the web."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.html import elements_of
from support.payloads import PAYLOADS

from airflow_agentic.shown import ELEMENTS, fenced, safe_html, safe_markdown


class _Shown(HTMLParser):
    """What a page does when it shows this HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


def _reader(*more: str) -> MarkdownIt:
    """A parser that lets HTML, images and all links through."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(list(more))
    parser.validateLink = lambda _: True  # type: ignore[method-assign]
    return parser


READERS = [_reader(), _reader("table", "strikethrough")]
_TEXT = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "hr", "br", "ul", "ol", "li"}
_TAGS = _TEXT | {"a", "em", "strong", "s", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}
_ATTRIBUTES = {"href", "class", "start", "style"}


def check(text: str) -> str:
    """What is shown of a text, after a look at it as a page would take it."""
    written = safe_markdown(text)
    for reader in READERS:
        shown = _Shown()
        shown.feed(reader.render(written))
        assert shown.tags <= _TAGS, written
        assert shown.attributes <= _ATTRIBUTES, written
        for link in shown.links:
            assert urlsplit(link).scheme in ("http", "https", "mailto"), written
    return written


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "around", ["{}", "a {} b", "# {}", "> {}", "- a\n- {}", "**{}**", "| a |\n| --- |\n| {} |", "```\nx\n```\n{}\n```"]
)
def test_nothing_gets_through(payload: str, around: str) -> None:
    check(around.format(payload))


def test_there_are_enough_payloads() -> None:
    assert len(set(PAYLOADS)) >= 60


_PIECES = [*PAYLOADS, *"![]()<>`~*_#|\\\"'&;:-+.=\n\t ", "\n\n", "    ", "> ", "- ", "1. ", "```", "http://a.test", "x"]


@example("<<script>alert(1)</script>")
@example("![`](http://evil.test)`](http://evil.test)")
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_nothing_gets_through_however_it_is_put_together(text: str) -> None:
    check(check(text))


@given(st.text(max_size=80))
def test_any_text_can_be_shown(text: str) -> None:
    check(text)


FORMATTED = """\
# Brief

Prices **rose** by *4 %* in `May`, says [the bank](https://bank.test/report?a=1&b=2), <https://bank.test>,
<mail@bank.test> and [mail](mailto:a@b.test).

- one
- two
  1. inner
  1. more

> quoted

| year | price |
| :--- | ---: |
| 2025 | 4 |

```python
x = ["![not an image](u)", "<b>"]
```

______________________________________________________________________

Line one\\
line two. 2 < 3 && a_b_c, 5 * 3, C:\\\\dir
"""


def test_formatting_stays() -> None:
    plain = [MarkdownIt("commonmark").enable("table").render(text) for text in (FORMATTED, safe_markdown(FORMATTED))]
    assert plain[0] == plain[1]
    assert safe_markdown(safe_markdown(FORMATTED)) == safe_markdown(FORMATTED)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>bold</b>", "\\<b>bold\\</b>"),
        ("![chart](http://a.test/c.png)", "\\![chart](http://a.test/c.png)"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("a [note] b", "a \\[note\\] b"),
        ("", ""),
    ],
)
def test_what_may_not_be_is_still_readable(text: str, shown: str) -> None:
    assert safe_markdown(text) == shown


def test_what_is_too_long_or_too_deep_is_shown_as_it_is() -> None:
    for text in ("x" * 50_001, "![x](http://a.test) " * 2_600, "*a **b " * 1_500 + "b** a* " * 1_500):
        assert safe_markdown(text) == fenced(text, "")


@pytest.mark.parametrize("piece", ["[", "`a``", "*a ", "[a](", "> "])
def test_no_text_takes_long(piece: str) -> None:
    began = time.monotonic()
    safe_markdown((piece * 50_000)[:50_000])
    assert time.monotonic() - began < 15


def test_nothing_in_a_text_ends_its_fence() -> None:
    assert fenced("a", "yaml") == "```yaml\na\n```"
    assert fenced("```\n`````\n", "yaml") == "``````yaml\n```\n`````\n``````"
    assert re.fullmatch(r"`{7}\n`{6}\n`{7}", fenced("`" * 6, ""))


def check_html(text: str) -> str:
    """What is shown of a text as HTML, after a look at it as a browser would take it."""
    written = safe_html(text)
    for element in elements_of(written, fragment=True):
        assert element.name in ELEMENTS, written
        assert element.attributes.keys() <= {"href", "rel", "start"}, written
        if element.name == "a":
            assert urlsplit(element.attributes["href"]).scheme in ("http", "https", "mailto"), written
            assert element.attributes["rel"] == "noopener noreferrer"
    return written


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("around", ["{}", "# a {} b", "> - {}", "| a |\n| --- |\n| {} |", "```\nx\n```\n{}\n```"])
def test_nothing_gets_through_as_html(payload: str, around: str) -> None:
    check_html(around.format(payload))


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join) | st.text(max_size=80))
def test_any_text_is_harmless_html(text: str) -> None:
    check_html(text)


def test_formatting_becomes_html() -> None:
    names = [element.name for element in elements_of(safe_html("**a** `b`\n\n| c |\n| --- |\n| d |"), fragment=True)]
    assert names == ["p", "strong", "code", "table", "thead", "tr", "th", "tbody", "tr", "td"]
    assert safe_html("<b>x</b>") == "<p>&lt;b&gt;x&lt;/b&gt;</p>\n"
    assert safe_html("x" * 50_001).startswith("<pre>x")
