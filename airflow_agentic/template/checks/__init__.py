"""
What can be known to be wrong before a run, one module per subject.

A check is a function of a :class:`Checking`; it reports problems and returns nothing. Each code is explained in
:mod:`airflow_agentic.template.codes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_agentic.template.checks.schemas import Schemas
    from airflow_agentic.template.problems import Problem
    from airflow_agentic.template.template import Template
    from airflow_agentic.template.texts import Analysis, TextKey


FAN_OUT_KEYS = frozenset(("for_each", "max_items", "max_parallel", "tolerate", "items_per_task"))


@dataclass(frozen=True)
class Checking:
    """
    A template under check, or an inner pipeline.

    :param texts: all its texts, analysed.
    :param problems: where checks leave what they find.
    :param sound: everything in the file has the right shape; otherwise it makes no sense to say what is missing.
    :param in_place: it is a pipeline inside of its stage.
    """

    template: Template
    texts: list[tuple[TextKey, Analysis]]
    problems: list[Problem]
    sound: bool = True
    in_place: bool = False

    @cached_property
    def schemas(self) -> Schemas:
        """What the template's names stand for."""
        from airflow_agentic.template.checks.schemas import Schemas

        return Schemas(self.template)

    @cached_property
    def after_errors(self) -> tuple[frozenset[str], frozenset[str]]:
        """The stages that may run after an error, and those that run only then."""
        from airflow_agentic.template.checks.flow_names import errors_seen

        return errors_seen(self.template)

    def report(self, code: str, message: str, loc: tuple[str | int, ...], **more: Any) -> None:
        """Report a problem in the template's own file; ``more`` as in :meth:`Source.problem`."""
        self.problems.append(self.template.source.problem(code, message, loc, **more))

    def report_text(self, code: str, message: str, key: TextKey, **more: Any) -> None:
        """Report a problem in a text, which may stand in an included file."""
        self.problems.append(key.source.problem(code, message, key.loc, **more))


def run_checks(checking: Checking) -> None:
    """All checks of a template, in order."""
    from airflow_agentic.template.checks import agents, artifacts, schedule

    run_inner_checks(checking)
    for check in (*schedule.CHECKS, *artifacts.CHECKS):
        check(checking)
    agents.check_agents_used(checking)
    template = checking.template
    if template.spec.budget is not None or any(stage.pipeline is not None for stage in template.stages.values()):
        from airflow_agentic.template.checks import budgets

        budgets.check(checking)


def run_inner_checks(checking: Checking) -> None:
    """All checks of what an inner pipeline has too."""
    from airflow_agentic.template.checks import agents, expressions, flow, names

    for check in (*expressions.CHECKS, *names.CHECKS, *agents.CHECKS):
        check(checking)
    stages = checking.template.stages.values()
    used = frozenset[str]().union(*(stage.spec.model_fields_set for stage in stages))
    if any(analysis.comparisons for _, analysis in checking.texts):
        from airflow_agentic.template.checks import comparisons

        comparisons.check_comparisons(checking)
    if "routes" in used or any(stage.recoveries for stage in stages):
        from airflow_agentic.template.checks import control

        control.check(checking)
    if used & FAN_OUT_KEYS:
        from airflow_agentic.template.checks import fan_out

        fan_out.check(checking)
    if "cache" in used or checking.template.spec.defaults.cache is not None:
        from airflow_agentic.template.checks import caching

        caching.check(checking)
    if "human" in used:
        from airflow_agentic.template.checks import people

        people.check(checking)
    if "pipeline" in used:
        from airflow_agentic.template.checks import pipelines

        pipelines.check(checking)
    flow.check(checking)
