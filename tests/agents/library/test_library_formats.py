from __future__ import annotations

import builtins
import io
from typing import Any

import pytest

from airflow_agentic.agents.library.reading import described, formats, html, markdown, pdf, python, rst
from airflow_agentic.agents.library.reading.document import UnreadableError
from airflow_agentic.errors import FinalError

README = """---
front: matter
---
<!-- Licensed to nobody -->
<p align="center"><img src="logo.png"></p>

[![CI](https://ci.example/badge.svg)](https://ci.example) ![x](y.png)

# The *Tool* for `waiting`

- [Install](#install)
- [Use](#use)

Waits <b>well</b>, see [the
guide](https://x.example "t") &amp; more.<br>It is **fast**.

| Badge | Status |
|---|---|
| ![a](b) | |

| Name | Default |
|---|---|
| `wait` | 2 \\| 3 |

> [!NOTE]
> Mind the gap.

```python
print("not prose")
```

1. First step
   goes on.
2. Second step.

<details><summary>More to know</summary>Hidden but true.</details>
<script>alert("never")</script>

* * *
Setext
------
The end.
"""


def test_markdown_keeps_what_a_reader_reads() -> None:
    document = markdown.read(README)
    assert document.title == "The Tool for waiting"
    assert document.text.split("\n\n") == [
        "# The Tool for `waiting`",
        "Waits well, see the guide & more. It is fast.",
        "| Name | Default |\n| `wait` | 2 / 3 |",
        "Mind the gap.",
        '```\nprint("not prose")\n```',
        "- First step goes on.\n- Second step.",
        "More to know",
        "Hidden but true.",
        "## Setext",
        "The end.",
    ]


def test_what_starts_like_markup_but_is_none_stays_text() -> None:
    assert markdown.read("\\# not a heading\n\n\\- not an item").text == "\\# not a heading\n\n\\- not an item"


RST = """
=====
Title
=====

.. image:: https://badge.example/x.svg

Uses :class:`~pkg.mod.Thing`, :ref:`the guide <guide>`, ``code`` and *more*
(`docs <https://x.example>`_). |undefined|

.. note::

   Mind the gap.

.. versionadded:: 3.0

Things are:
- one
- two

:param int count: how many
:type count: int
:raises ValueError: when it is none
:return: nothing

.. code-block:: python

    x = 1

Term
    What it is.

.. include:: /etc/passwd

.. raw:: html

    <script>alert(1)</script>

Sub
---

====  =====
Name  Value
====  =====
a     1
====  =====
"""


def test_rst_keeps_what_a_reader_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert rst.read(RST).text.split("\n\n") == [
        "# Title",
        "Uses `Thing`, the guide, `code` and more (docs).",
        "Mind the gap.",
        "Things are:",
        "- one\n- two\n- `count`: how many\n- Raises `ValueError`: when it is none\n- Returns: nothing",
        "```\nx = 1\n```",
        "- Term: What it is.",
        "## Sub",
        "| Name | Value |\n| a | 1 |",
    ]
    assert capsys.readouterr() == ("", "")


def test_html_gives_the_main_text_only() -> None:
    article = "<p>Waiting longer after each attempt gives the other side time to recover from its overload.</p>" * 3
    page = (
        f"<html><head><title>On waiting</title></head><body><nav><a>Home</a></nav><main>{article}</main></body></html>"
    )
    document = html.read(page.encode())
    assert document.title == "On waiting"
    assert "Waiting longer" in document.text
    assert "Home" not in document.text
    with pytest.raises(UnreadableError):
        html.read(b"<html><body></body></html>")


def _pdf(*pages: str) -> bytes:
    """A small PDF with a line of text per page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for page in pages:
        content = "BT /F1 12 Tf 14 TL 72 720 Td " + " ".join(f"({line}) Tj T*" for line in page.split("\n")) + " ET"
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
        contents = len(objects)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {contents} 0 R "
            f"/Resources << /Font << /F1 {font} >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, offsets = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode())
    start = out.tell()
    rows = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}".encode())
    out.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode())
    return out.getvalue()


def test_pdf_gives_its_text_without_running_lines() -> None:
    pages = [
        f"Annual Report\nPage text number {word} is about wai-\nting longer.\nMore on {word}.\n{number}"
        for number, word in enumerate("abcde", 1)
    ]
    document = pdf.read(_pdf(*pages))
    assert "Page text number a is about waiting longer." in document.text
    assert "Annual Report" not in document.text


def test_a_pdf_without_text_says_so() -> None:
    with pytest.raises(UnreadableError, match="no text layer"):
        pdf.read(_pdf(""))


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_pypdf(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("pypdf"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="pypdf")
        return real(name, *arguments, **keywords)

    def import_module(name: str) -> Any:
        return without_pypdf(name)

    monkeypatch.setattr("airflow_agentic.agents.library._needs.import_module", import_module)
    with pytest.raises(FinalError, match=r"pip install 'airflow-agentic\[pdf\]'"):
        pdf.read(_pdf("text"))


def test_python_without_docstrings_or_python() -> None:
    for text in ("x = 1", "def broken(:", "x" * 10 + "("):
        with pytest.raises(UnreadableError):
            python.read(text, module="m")


def test_described_yaml() -> None:
    text = """
    core:
      description: ~
      options:
        retries:
          description: How often a task is tried again
          default: "0"
        wait:
          description: |
            Seconds.

            More about ``wait``.
          default: 300
        list:
          description: Some values.
          default: [1, 2]
    """
    assert described.read(text, title="config").text.split("\n\n") == [
        "# config",
        "### `core.retries`",
        "How often a task is tried again. The default is `0`.",
        "### `core.wait`",
        "Seconds.",
        "More about `wait`.",
        "The default is `300`.",
        "### `core.list`",
        "Some values.",
    ]


def test_a_yaml_bomb_is_described_once() -> None:
    lines = ["a: &a {description: boom}"]
    lines += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    ]
    assert described.read("\n".join(lines), title="t").text.count("boom") == 1


@pytest.mark.parametrize(
    ("data", "name", "media_type", "expected"),
    [
        (b"%PDF-1.7", "x.txt", "text/plain", "pdf"),
        (b"  <!DOCTYPE html><html>", "x", "", "html"),
        (b"<?xml version='1.0'?><html xmlns='x'>", "x", "", "html"),
        (b"text", "x.MD", "text/plain", "markdown"),
        (b"text", "x.md", "text/html", "html"),
        (b"text", "LICENSE", "", "text"),
        (b"\xff\xfea\0b\0", "x", "", "text"),
    ],
)
def test_formats_are_recognized(data: bytes, name: str, media_type: str, expected: str) -> None:
    assert formats.format_of(data, name=name, media_type=media_type) == expected


@pytest.mark.parametrize(("data", "media_type"), [(b"\x89PNG\0\0", ""), (b"PK", "application/zip")])
def test_other_formats_are_refused(data: bytes, media_type: str) -> None:
    with pytest.raises(UnreadableError):
        formats.format_of(data, name="x", media_type=media_type)
