from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_agentic.agents.library.sources import load
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from pathlib import Path

METADATA = """Metadata-Version: 2.1
Name: Tiny_Tool
Version: 1.2
Description-Content-Type: text/markdown

# Tiny tool

[![badge](https://img.example/b.svg)](https://x.example)

It waits *twice* as long after each attempt.
"""
MODULE = '''"""Waiting in a tiny way."""
raise RuntimeError("documentation is read, not run")

class Wait:
    """
    How long to wait.

    :param base: seconds before the first retry, see :func:`~tiny.sleep`.
    """

    factor = 2
    """Each wait is this many times the one before."""

def _private():
    """Nobody is told."""
'''


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that is installed as pip does it."""
    info = tmp_path / "tiny_tool-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "wait.py").write_text(MODULE)
    (tmp_path / "tiny" / "unlisted.py").write_text('"""Not in the record."""')
    (tmp_path / "tiny" / "settings.json").write_text('{"password": "hunter2"}')
    (tmp_path / "tiny" / "key.txt").write_text("hunter2")
    listed = [
        "tiny/wait.py",
        "tiny/settings.json",
        "tiny/key.txt",
        "../../outside.md",
        "tiny_tool-1.2.dist-info/METADATA",
    ]
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def loaded(*sources: str) -> dict[str, Any]:
    return asyncio.run(load(list(sources)))


def test_a_distribution_speaks_for_itself() -> None:
    (source,) = loaded("dist:tiny-tool")["sources"]
    assert source["title"] == "Tiny_Tool 1.2"
    assert source["uri"] == "dist:tiny-tool"
    assert source["text"] == "# Tiny tool\n\nIt waits twice as long after each attempt."


def test_a_module_is_read_as_its_documentation_and_never_run() -> None:
    (source,) = loaded("dist:tiny-tool/tiny/wait.py")["sources"]
    assert source["title"] == "tiny.wait (Tiny_Tool 1.2)"
    assert source["text"].split("\n\n") == [
        "# `tiny.wait`",
        "Waiting in a tiny way.",
        "## `Wait`",
        "How long to wait.",
        "- `base`: seconds before the first retry, see `sleep`.",
        "### `Wait.factor`",
        "Each wait is this many times the one before.",
    ]
    assert "tiny" not in sys.modules


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("dist:no-such-thing", "no distribution 'no-such-thing' is installed"),
        ("dist:", "no distribution '' is installed"),
        ("dist:tiny-tool/tiny/unlisted.py", "Tiny_Tool 1.2 installed no file 'tiny/unlisted.py'"),
        ("dist:tiny-tool/tiny/settings.json", "nothing in it has a description"),
    ],
)
def test_what_is_not_there_is_skipped(uri: str, reason: str) -> None:
    assert loaded("dist:tiny-tool", uri)["skipped"] == [{"uri": uri, "reason": reason}]


@pytest.mark.parametrize("path", ["tiny/key.txt", "../../outside.md", "/etc/passwd", "tiny/../../x.md", "tiny/wait"])
def test_only_documents_among_its_own_files_are_read(path: str) -> None:
    with pytest.raises(FinalError) as caught:
        loaded(f"dist:tiny-tool/{path}")
    assert caught.value.kind == "rejected"


def test_airflow_itself_documents_retries() -> None:
    """The default sources of the shipped templates exist and say what the brief is about."""
    result = loaded(
        "dist:apache-airflow-task-sdk/airflow/sdk/definitions/retry_policy.py",
        "dist:apache-airflow-task-sdk/airflow/sdk/bases/operator.py",
        "dist:apache-airflow-core/airflow/config_templates/config.yml",
        "dist:apache-airflow-providers-http/airflow/providers/http/hooks/http.py",
        "dist:tenacity",
        "dist:tenacity/tenacity/wait.py",
        "dist:apache-airflow",
        "dist:airflow-agentic",
    )
    assert result["skipped"] == []
    texts = [source["text"] for source in result["sources"]]
    assert "retry_exponential_backoff" in texts[1]
    assert "default_task_retry_delay" in texts[2]
    assert not any("img.shields.io" in text or "Licensed to the Apache" in text for text in texts)
