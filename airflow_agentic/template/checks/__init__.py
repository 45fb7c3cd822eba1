"""
What can be known to be wrong before a run, one module per subject.

A check is a function of a :class:`Checking`; it reports problems and returns nothing. Each code is explained in
:mod:`airflow_agentic.template.codes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_agentic.template.problems import Problem
    from airflow_agentic.template.template import Template
    from airflow_agentic.template.texts import Analysis, TextKey


@dataclass(frozen=True)
class Checking:
    """
    A template under check.

    :param texts: all its texts, analysed.
    :param problems: where checks leave what they find.
    """

    template: Template
    texts: list[tuple[TextKey, Analysis]]
    problems: list[Problem]

    def report(self, code: str, message: str, loc: tuple[str | int, ...], **more: Any) -> None:
        """Report a problem in the template's own file; ``more`` as in :meth:`Source.problem`."""
        self.problems.append(self.template.source.problem(code, message, loc, **more))

    def report_text(self, code: str, message: str, key: TextKey, **more: Any) -> None:
        """Report a problem in a text, which may stand in an included file."""
        self.problems.append(key.source.problem(code, message, key.loc, **more))


def run_checks(checking: Checking) -> None:
    """All checks, in order."""
    from airflow_agentic.template.checks import agents, artifacts, expressions, flow, names, schedule

    for check in (*expressions.CHECKS, *names.CHECKS, *agents.CHECKS, *schedule.CHECKS, *artifacts.CHECKS):
        check(checking)
    flow.check(checking)
