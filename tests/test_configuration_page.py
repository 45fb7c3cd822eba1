"""The page of options names every option with its default."""

from __future__ import annotations

from pathlib import Path

from airflow_agentic.config import OPTIONS

PAGE = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()


def test_every_option_is_on_the_page() -> None:
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    assert list(rows) == list(OPTIONS)
    for name, option in OPTIONS.items():
        assert f"| {f'`{option.default}`' if option.default else ''} |" in rows[name]
        assert option.description.replace("``", "`") in rows[name]
