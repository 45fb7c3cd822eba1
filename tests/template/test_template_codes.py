"""The catalogue of problems: every code is in it, every example shows it, and the page is made of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.codes import BY_CODE, CODES, page, whole_example
from airflow_agentic.template.parse import load_text

ROOT = Path(__file__).parents[2]
EXAMPLES = [code for code in CODES if code.example]


def problems_of(text):
    try:
        return load_text(text, "example.yaml").warnings
    except TemplateError as error:
        return error.problems


@pytest.mark.parametrize("code", EXAMPLES, ids=[code.code for code in EXAMPLES])
def test_the_example_has_the_problem_where_it_says(code):
    found = [(problem.code, problem.line, problem.column) for problem in problems_of(whole_example(code))]
    assert (code.code, *code.at) in found


def test_codes_are_unique_and_sorted():
    names = [code.code for code in CODES]
    assert names == sorted(set(names))


def test_every_code_that_is_reported_is_in_the_catalogue():
    sources = [path for path in (ROOT / "airflow_agentic").rglob("*.py") if path.name != "codes.py"]
    reported = {code for path in sources for code in re.findall(r"AGT\d{3}", path.read_text())}
    assert reported == set(BY_CODE)


def test_the_page_is_made_of_the_catalogue():
    assert (ROOT / "docs" / "errors.md").read_text() == page()
