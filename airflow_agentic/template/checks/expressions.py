"""Texts and expressions that aren't the language's Jinja."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_agentic.template.expressions import is_text
from airflow_agentic.template.hints import did_you_mean
from airflow_agentic.template.output import step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.checks.schemas import Schemas

_PATH = re.compile(r"[a-z][a-z0-9_]*(\.[A-Za-z_]\w*)*\Z")


def check_syntax(checking: Checking) -> None:
    """Every text parses."""
    for key, analysis in checking.texts:
        if analysis.error is not None:
            message = analysis.error.message
            hint = None
            if key.expression and ("{{" in key.text or "{%" in key.text):
                hint = "write the expression without braces, or with one pair around all of it"
            elif key.expression and re.search(r"(?<![=!<>])=(?!=)", key.text):
                hint = "compare with =="
            elif "&&" in key.text or "||" in key.text:
                hint = "write and, or, not"
            checking.report_text(
                "AGT301", f"not an expression: {message}", key, hint=hint, text_line=analysis.error.line
            )


def check_misuse(checking: Checking) -> None:
    """Every filter, test and function exists, and nothing reaches out of the template."""
    for key, analysis in checking.texts:
        for misuse in analysis.misuses:
            hint = misuse.hint or did_you_mean(misuse.needle or "", misuse.known)
            place = {"needle": misuse.needle, "text_line": misuse.line}
            checking.report_text("AGT302", misuse.message, key, hint=hint, **place)


def check_braces(checking: Checking) -> None:
    """A text that is exactly a stage's path was probably meant to be read."""
    for key, _ in checking.texts:
        text = key.text.strip()
        if key.expression or not key.stages or not is_text(text) or not _PATH.match(text):
            continue
        if text != key.loc[-1] and _is_path(checking.schemas, text.split(".")):
            message = f"'{text}' is a plain text here, not the value of the stage"
            checking.report_text("AGT310", message, key, hint=f'write "{{{{ {text} }}}}"', severity="warning")


def _is_path(schemas: Schemas, path: Sequence[str]) -> bool:
    """Whether something may stand at a path; ``draft.md`` is the name of a file where ``draft`` is a text."""
    stage = schemas.template.stages.get(path[0])
    if stage is None:
        return False
    schema = schemas.of(stage)
    for part in path[1:]:
        found = step(schema, part)
        if found.found == "absent":
            return False
        schema = found.schema
    return True


CHECKS = (check_syntax, check_misuse, check_braces)
