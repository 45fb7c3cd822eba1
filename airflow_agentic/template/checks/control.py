"""Routes that can be taken, and errors that can be recovered from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.template.expressions import bare, is_text
from airflow_agentic.template.inputs import unfit
from airflow_agentic.template.output import schema_or_text
from airflow_agentic.template.texts import nested

if TYPE_CHECKING:
    from airflow_agentic.template.checks import Checking
    from airflow_agentic.template.template import Recovery, Route, Stage


def check(checking: Checking) -> None:
    """Each route and each entry of ``on_error`` may be taken, and gives what readers expect."""
    for stage in checking.template.stages.values():
        if checking.sound:
            _check_order(checking, stage)
        _check_entries(checking, stage)
        for recovery in stage.recoveries:
            if recovery.form == "value":
                _check_value(checking, stage, recovery)
            elif recovery.form == "agent":
                _check_stand_in(checking, stage, recovery)


def _check_order(checking: Checking, stage: Stage) -> None:
    """The last route is always taken, and no other one is."""
    for route in stage.routes[:-1]:
        if _always(route):
            message = "no route after this one is ever tried: it has no condition"
            checking.report("AGT452", message, route.loc, hint="put it last, or give it a `when`")
            return
    if stage.routes and stage.routes[-1].when is not None:
        hint = "leave out its `when`, or add {to: next}, {to: end} or {to: fail} behind it"
        message = f"when no route of '{stage.name}' holds, nothing says where to go on"
        checking.report("AGT451", message, (*stage.routes[-1].loc, "when"), hint=hint)


def _always(route: Route) -> bool:
    return route.when is None or bare(route.when).strip() == "true"


def _check_entries(checking: Checking, stage: Stage) -> None:
    """An entry for all kinds of errors that can't fail itself is the last one."""
    for recovery in stage.recoveries[:-1]:
        if recovery.form != "agent" and not recovery.kinds:
            message = "no entry after this one is ever tried: it is for all errors"
            checking.report("AGT452", message, recovery.loc, hint="put it last, or say for which `kinds` it is")
            return


def _check_value(checking: Checking, stage: Stage, recovery: Recovery) -> None:
    """A value without expressions fits the stage's output."""
    if not all(is_text(text) for _, text in nested(recovery.value, ())):
        return
    schema = checking.schemas.output(stage)
    error = unfit(schema_or_text(schema), recovery.value)
    if error is not None:
        message = f"the value doesn't fit the output of '{stage.name}': {error}"
        checking.report("AGT224", message, (*recovery.loc, "value"), hint="readers count on the output's keys")


def _check_stand_in(checking: Checking, stage: Stage, recovery: Recovery) -> None:
    """Another agent gives what the stage's own would have."""
    agents = checking.template.agents
    own, other = agents.get(stage.agent or ""), agents.get(recovery.agent or "")
    if own is None or other is None or not checking.sound:
        return
    expected, given = (_plain(schema_or_text(schema)) for schema in (own.schema, other.schema))
    if expected and expected != given:
        message = f"'{other.name}' doesn't have the output of '{own.name}', for which it stands in"
        checking.report("AGT460", message, (*recovery.loc, "agent"), hint="declare the same output for both")


def _plain(schema: Any) -> Any:
    """A schema without what differs between kinds of agents: whether more keys are refused."""
    if isinstance(schema, dict):
        return {key: _plain(part) for key, part in schema.items() if (key, part) != ("additionalProperties", False)}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema
