"""
``on_error`` with a value, for stages that no agent works on: the value stands in for the output of one that failed.

Agents have recoveries of their own, with other agents among them: see :mod:`airflow_agentic.operators.asking`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentic.errors import AgenticError, NotRunError, RetryLater, StoppedError, TraceError
from airflow_agentic.operators.xcom import push_output, push_provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import Context

    from airflow_agentic.operators.base import PlannedOperator

#: What is no failure of the stage's.
_PASSING = (NotRunError, RetryLater, StoppedError, TraceError)


def recovering(
    operator: PlannedOperator, context: Context, work: Callable[[], None], values: Callable[[], Mapping[str, Any]]
) -> None:
    """
    Do a stage's work; when it fails, push the first value of ``on_error`` that is for such a failure.

    :param values: the names that the value's text can read.
    :raises AgenticError: it failed, and no value is for it.
    """
    try:
        work()
    except _PASSING:
        raise
    except AgenticError as error:
        kind = getattr(error, "kind", "failed")
        for place, entry in enumerate(operator.planned.config.get("recover", ())):
            if not entry["kinds"] or kind in entry["kinds"]:
                operator.log.warning("on_error has a value for this failure (%s): %s", kind, error)
                _stand_in(operator, context, place, entry["value"], values())
                return
        raise


def _stand_in(operator: PlannedOperator, context: Context, place: int, value: Any, values: Mapping[str, Any]) -> None:
    from airflow_agentic.template.expressions import render

    with operator.locating(f"on_error[{place}].value"):
        rendered = render(value, values)
    push_provenance(context["ti"], attempt=None, record=None, model=None, agent=None, recovered="value")
    push_output(context["ti"], rendered)
