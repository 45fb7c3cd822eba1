"""
Broken templates: every problem of each, all in one go, in order, exactly where a person should look.

The table is in ``broken/*.txt``. Each case begins with ``=== name``. The lines that start with ``>>>`` are parts that
the report must have; the rest is the template, with a mark such as ``⟪AGT401⟫`` right before each place (or
``⟪AGT310 warning⟫``), so that lines and columns are exact without being counted by hand. A line ``+++ name`` starts
another file beside it. What a template leaves out for brevity (``version:``, agents ``model`` and ``tool``, a stage) is
added behind it, except where the name begins with ``bare:``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.codes import BY_CODE
from airflow_agentic.template.parse import load_template

FOLDER = Path(__file__).parent / "broken"
MARK = re.compile(r"⟪(AGT\d{3})( warning)?⟫")
ADDED = {
    "version": "version: 1\n",
    "stages": "stages: {a_stage: {agent: {type: python, callable: 'a.b:c'}}}\n",
    "agents": "agents: {model: {type: llm, connection: c}, tool: {type: python, callable: 'a.b:c'}}\n",
}


@dataclass(frozen=True)
class Broken:
    """One case: its files' marked texts by name, the template's first, and what the report must say."""

    name: str
    says: tuple[str, ...]
    files: dict[str, str]

    def texts(self) -> dict[str, str]:
        texts = {name: MARK.sub("", marked) for name, marked in self.files.items()}
        if not self.name.startswith("bare:"):
            text = texts["broken.yaml"]
            missing = (more for key, more in ADDED.items() if not re.search(rf"^{key}:", text, re.MULTILINE))
            texts["broken.yaml"] = text + "".join(missing)
        return texts

    def expected(self) -> list[tuple[str, int, int, str, str]]:
        """File, line, column, code and severity of each problem, sorted."""
        found = []
        for file, marked in self.files.items():
            for mark in MARK.finditer(marked):
                before = MARK.sub("", marked[: mark.start()])
                line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
                found.append((file, line, column, mark[1], "warning" if mark[2] else "error"))
        return sorted(found)


def read_cases(path: Path) -> list[Broken]:
    cases = []
    for part in re.split(r"^=== ", path.read_text(), flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        says = tuple(line.removeprefix(">>> ") for line in body.splitlines() if line.startswith(">>> "))
        body = "".join(line for line in body.splitlines(keepends=True) if not line.startswith(">>> "))
        first, *others = re.split(r"^\+\+\+ (.*)\n", body, flags=re.MULTILINE)
        files = {"broken.yaml": first, **dict(zip(others[::2], others[1::2], strict=True))}
        files = {file: text[:-1] if text.endswith("\n\n") else text for file, text in files.items()}
        cases.append(Broken(name, says, files))
    return cases


CASES = [case for path in sorted(FOLDER.glob("*.txt")) for case in read_cases(path)]


def report(case: Broken, folder: Path) -> TemplateError:
    templates = folder / "templates"
    for file, text in case.texts().items():
        path = templates / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(TemplateError) as caught:
        load_template(templates / "broken.yaml")
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_problem_is_reported_where_it_is(case, tmp_path):
    error = report(case, tmp_path)
    written = {file: text.count("\n") for file, text in case.files.items()}
    found = [
        (
            str(Path(problem.path).relative_to(tmp_path / "templates")),
            problem.line,
            problem.column,
            problem.code,
            problem.severity,
        )
        for problem in error.problems
    ]
    found = [problem for problem in found if problem[1] <= written[problem[0]] or problem[3] != "AGT413"]
    assert found == case.expected(), f"\n{error}"
    assert [said for said in case.says if said not in str(error)] == [], f"\n{error}"


def test_the_table_is_large_and_its_names_are_unique():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_code_of_a_template_is_in_the_table():
    """Codes about files and not texts are tested elsewhere, as is that there are too many problems."""
    reported = {code for case in CASES for _, _, _, code, _ in case.expected()}
    elsewhere = {"AGT101", "AGT102", "AGT103", "AGT106", "AGT107", "AGT190", "AGT191", "AGT192"}
    assert reported == set(BY_CODE) - elsewhere
