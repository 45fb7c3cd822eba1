"""
The beginning of an inner pipeline: what it is given becomes the ``inputs`` of everything inside.

The inputs are checked here as a run's are before it starts, so that a pipeline behaves the same in its own file and
inside another one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRescheduleException

from airflow_agentic.errors import InputError
from airflow_agentic.operators.base import PlannedOperator, map_index
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.turns import at_work, seconds_to_wait
from airflow_agentic.operators.xcom import pull_output, push_output, push_provenance, task_states, unwrapped
from airflow_agentic.trace.mask import register_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_agentic.planning.plan import PlannedTask


class StartOperator(PlannedOperator):
    """A task that begins an inner pipeline."""

    ui_color = "#e8e8e8"

    def work(self, context: Context) -> None:
        """
        Skip, or push the pipeline's inputs.

        :raises AirflowRescheduleException: as many pipelines are at work as may be; no error.
        :raises InputError: the pipeline doesn't take what it is given.
        """
        self._wait_for_turn(context)
        scope = build_scope(context, self.planned)
        values = {**scope.values, **entry_of(context["ti"], self.planned)}
        self.check_when(context, scope)
        given = self.rendered(self.planned.config["input"], "input", values)
        inputs = checked_inputs(self.planned.stage, self.planned.config["inputs"], given)
        push_provenance(context["ti"], self.planned)
        push_output(context["ti"], inputs)

    def _wait_for_turn(self, context: Context) -> None:
        own, ti = self.planned.config, context["ti"]
        if not own["max_parallel"]:
            return
        states = task_states(ti, (self.task_id, own["result"]))
        if at_work(states, self.task_id, own["result"]) < own["max_parallel"]:
            return
        wait = seconds_to_wait(states, self.task_id, map_index(ti), _elapsed(context))
        self.log.info("%d pipelines are at work; asking again in %.0f s.", own["max_parallel"], wait)
        raise AirflowRescheduleException(datetime.now(tz=UTC) + timedelta(seconds=wait))  # type: ignore[no-untyped-call]


def entry_of(ti: Any, start: PlannedTask) -> dict[str, Any]:
    """``item`` and ``index`` of a pipeline that is repeated for a list; nothing for any other."""
    items = start.config["items"]
    if items is None:
        return {}
    entry: dict[str, Any] = unwrapped(pull_output(ti, items)[ti.map_index])
    return entry


def checked_inputs(stage: str, declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    The inputs of a pipeline, defaults filled in, in the order in which they are declared.

    :param declared: as in :class:`~airflow_agentic.planning.plan.Plan`.
    :raises InputError: they are not those that it takes; the message names everything that is wrong.
    """
    from airflow_agentic.template.output import validation_error

    problems = [f"{name}: there is no such input" for name in given if name not in declared]
    inputs = {}
    for name, spec in declared.items():
        if name not in given and spec["required"]:
            problems.append(f"{name}: is required")
            continue
        inputs[name] = given[name] if name in given else spec["default"]
        problem = validation_error(spec["schema"], inputs[name]) if spec["schema"] else None
        if problem is not None:
            problems.append(f"{name}: {problem.removeprefix('$: ')}")
        if spec["schema"].get("format") == "password":
            register_secret(inputs[name])
    if problems:
        raise InputError(f"The pipeline of stage {stage!r} can't take this input: {'; '.join(problems)}.")
    return inputs


def _elapsed(context: Context) -> float:
    """Seconds since the task first asked for its turn."""
    first = context["ti"].get_first_reschedule_date(context)
    return (datetime.now(tz=UTC) - first).total_seconds() if first else 0.0
