"""
The end that a decision to fail leads to.

The decision itself is no failure: a route task that failed would paint everything after it as failed upstream, rounds
and all. So a task of its own fails, with the decision as its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_agentic.errors import AgenticError
from airflow_agentic.operators.base import PlannedOperator
from airflow_agentic.operators.peers import Peers

if TYPE_CHECKING:
    from airflow.sdk import Context


class DecidedFailure(AgenticError):
    """The template decided that this is a failure."""


class FailOperator(PlannedOperator):
    """A task that fails, because a decision says so."""

    ui_color = "#f8d7da"

    def work(self, context: Context) -> None:
        """
        Fail with the decision.

        :raises DecidedFailure: always.
        """
        decision = Peers(context["ti"], self.planned).decision(self.planned.config["route"]) or {}
        when = f" in round {decision['round']} of {decision['max_rounds']}" if decision.get("round") else ""
        why = str(decision.get("shown", "")).removeprefix("fail").strip(" ()")
        raise DecidedFailure(f"Stage {self.planned.stage!r} decided to fail{when}{f': {why}' if why else ''}.")
