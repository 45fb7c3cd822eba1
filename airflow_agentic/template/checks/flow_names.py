"""``round``, ``feedback`` and ``error``: names that only the flow gives a value to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.template.checks.names import may_be_absent, walk
from airflow_agentic.template.hints import did_you_mean, listed

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.references import Reference
    from airflow_agentic.template.template import Template
    from airflow_agentic.template.texts import TextKey


def check_flow_name(checking: Checking, key: TextKey, reference: Reference) -> None:
    """The stage stands where the name has a value, and a value that may not be there is guarded."""
    if not checking.sound or checking.template.cycle:
        return
    if reference.name == "error":
        _check_error(checking, key, reference)
    elif not checking.template.flow.loops_of[key.owner]:
        message = f"'{reference.name}' exists only in a loop: '{key.owner}' is in none"
        hint = "a loop is everything between the target of a back_to and the stage that goes back"
        _report(checking, "AGT401", message, key, reference, hint)
    elif reference.name == "feedback" and len(reference.path) > 1:
        _check_feedback(checking, key, reference)


def _check_feedback(checking: Checking, key: TextKey, reference: Reference) -> None:
    """A key that some loop around the stage hands back, read so that the first round copes."""
    template, wanted = checking.template, reference.path[1]
    handed = [template.stages[loop.source].routes[loop.route].with_ for loop in template.flow.loops_of[key.owner]]
    known = list(dict.fromkeys(name for names in handed for name in names))
    if wanted not in known and wanted != "*":
        hint = did_you_mean(wanted, known) or (
            f"it has {listed(known)}" if known else f"write with: {{{wanted}: …}} at the route that goes back"
        )
        message = f"no route back hands '{wanted}' to the next round"
        _report(checking, "AGT403", message, key, reference, hint, needle=f"feedback.{wanted}")
        return
    if reference.copes_without(reference.path[:2]) or _reads_round(checking, key):
        return
    # What one route hands back comes together.
    together = {name for names in handed if wanted in names for name in names}
    if not any(len(path) > 1 and path[1] in together for path in reference.known if path[0] == "feedback"):
        may_be_absent(checking, key, reference, 1)


def _reads_round(checking: Checking, key: TextKey) -> bool:
    """Whether a text asks for the round, which is as good as asking for what only later rounds have."""
    return any(
        reference.name == "round"
        for other, analysis in checking.texts
        if other is key
        for reference in analysis.references
    )


def _check_error(checking: Checking, key: TextKey, reference: Reference) -> None:
    seen, sure = checking.after_errors
    if key.owner not in seen:
        message = f"'error' exists only where the run goes on after an error: '{key.owner}' is no such place"
        hint = "on_error: {to: stage} goes on at a stage after an error"
        _report(checking, "AGT401", message, key, reference, hint)
    elif key.owner not in sure and not reference.guarded:
        shown = ".".join(reference.path)
        message = f"'{key.owner}' can also be reached without an error"
        hint = f"write {shown} | default(…), or … if error is defined"
        _report(checking, "AGT407", message, key, reference, hint, needle=shown)
    else:
        walk(checking, key, reference, checking.schemas.root("error"), 1)


def errors_seen(template: Template) -> tuple[frozenset[str], frozenset[str]]:
    """The stages that may run after an error, and those that run only then."""
    by_route = {name for stage in template.stages.values() for route in stage.routes for name in route.to}
    seen: set[str] = {name for stage in template.stages.values() for name in stage.error_targets}
    sure = set(seen - by_route)
    for name in template.order:
        depends = template.dependencies[name]
        if seen.intersection(depends.all):
            seen.add(name)
        # It runs when all it requires has run; named, or with nothing required, when one of several ways leads to it.
        ways = depends.named_by or (() if depends.required else depends.all)
        if sure.intersection(depends.required) or (ways and sure.issuperset(ways)):
            sure.add(name)
    return frozenset(seen), frozenset(sure)


def _report(
    checking: Checking,
    code: str,
    message: str,
    key: TextKey,
    reference: Reference,
    hint: str,
    needle: str | None = None,
) -> None:
    checking.report_text(code, message, key, needle=needle or reference.name, text_line=reference.line, hint=hint)
