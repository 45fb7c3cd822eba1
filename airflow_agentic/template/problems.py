"""What a check says: one value per problem, printed as ``file:line:column: CODE message``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from airflow_agentic.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: So many are shown at once.
MAX_PROBLEMS = 200


@dataclass(frozen=True, kw_only=True)
class Problem:
    """
    One thing that is wrong with a template.

    :param code: ``AGT###``, as listed in ``docs/errors.md``.
    :param message: what is wrong; stands alone.
    :param path: the file, as the caller named it.
    :param line: from 1.
    :param column: from 1.
    :param source_line: the line of the file, without its end.
    :param hint: what to do about it.
    :param severity: an ``error`` stops the template from being used, a ``warning`` does not.
    """

    code: str
    message: str
    path: str
    line: int
    column: int
    source_line: str = ""
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        warning = "warning: " if self.severity == "warning" else ""
        text = f"{self.path}:{self.line}:{self.column}: {self.code} {warning}{self.message}"
        if self.source_line.strip():
            shown, column = _window(self.source_line, self.column)
            text += f"\n    {shown}\n    {' ' * (column - 1)}^"
        if self.hint:
            text += f"\n    hint: {self.hint}"
        return text

    def as_json(self) -> dict[str, Any]:
        """The problem as JSON-able data."""
        return asdict(self)


class Problems(list[Problem]):
    """
    The problems of one template, in the order they are found.

    More than :data:`MAX_PROBLEMS` errors end the search: nobody reads them, and to name the nearest of a thousand
    names for each of a thousand wrong ones takes minutes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._errors = 0

    def append(self, problem: Problem) -> None:
        """
        Keep a problem.

        :raises TemplateError: there are too many; with those found until then.
        """
        super().append(problem)
        self._errors += problem.severity == "error"
        if self._errors > MAX_PROBLEMS:
            message = f"there are more than {MAX_PROBLEMS} problems: the others aren't shown"
            super().append(replace(problem, code="AGT107", message=message, hint="correct these first"))
            raise TemplateError(in_order(self))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Keep several."""
        for problem in problems:
            self.append(problem)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """By file and position; the same problem is said once, and braces without quotes aren't also a wrong value."""
    unique = dict.fromkeys(problems)
    braces = {(problem.path, problem.line, problem.column) for problem in unique if problem.code == "AGT113"}
    kept = [
        problem
        for problem in unique
        if problem.code not in ("AGT204", "AGT208") or (problem.path, problem.line, problem.column) not in braces
    ]
    return sorted(kept, key=lambda problem: (problem.path, problem.line, problem.column, problem.code))


def _window(line: str, column: int, width: int = 120) -> tuple[str, int]:
    """Cut a long line so that its column stays in sight; tabs count as one column."""
    line = line.replace("\t", " ")
    if len(line) <= width:
        return line.rstrip(), column
    start = max(0, column - 1 - width // 2)
    return line[start : start + width].rstrip(), column - start
