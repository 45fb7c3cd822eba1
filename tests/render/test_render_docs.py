"""The picture in the README is that of its template."""

from __future__ import annotations

from pathlib import Path

from airflow_agentic.render.picture import picture_of
from airflow_agentic.render.svg import to_svg
from airflow_agentic.template.parse import load_template

PROJECT = Path(__file__).parents[2]


def test_the_picture_in_the_readme_is_up_to_date():
    """If it isn't: ``airflow-agentic render templates/X.yaml --format svg --output docs/images/X.svg``."""
    [file] = (PROJECT / "docs" / "images").glob("*.svg")
    template = load_template(PROJECT / "templates" / f"{file.stem}.yaml")
    assert file.read_text(encoding="utf-8") == to_svg(picture_of(template))
    assert f"docs/images/{file.name}" in (PROJECT / "README.md").read_text(encoding="utf-8")
