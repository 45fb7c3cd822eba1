"""What a check says: one value per problem, printed as ``file:line:column: CODE message``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


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


def _window(line: str, column: int, width: int = 120) -> tuple[str, int]:
    """Cut a long line so that its column stays in sight; tabs count as one column."""
    line = line.replace("\t", " ")
    if len(line) <= width:
        return line.rstrip(), column
    start = max(0, column - 1 - width // 2)
    return line[start : start + width].rstrip(), column - start
