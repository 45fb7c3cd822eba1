"""
The task that decides where the run goes on after a stage.

It is one of Airflow's branch operators, but more thorough: when it has chosen, it skips the arms that it didn't choose
*and* everything that can't run any more because of that, in one call. Airflow's scheduler would come to the same, one
layer of tasks per pass, and eight rounds of a loop that aren't needed would take it as many seconds.

In a mapped task group there are no arms: branches don't skip there (apache/airflow#67265). The tasks after a route
ask for its decision and judge for themselves, and skipping them here only saves starting them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.python import BranchPythonOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from airflow_agentic.errors import NOT_RUN, AgenticError
from airflow_agentic.operators.base import PlannedOperator, map_index, now
from airflow_agentic.operators.deciding import KILLED, Choice, Conditions, choose_for
from airflow_agentic.operators.peers import Peers
from airflow_agentic.operators.scope import build_scope
from airflow_agentic.operators.xcom import push_decision
from airflow_agentic.planning.rules import FINISHED, concerned, doomed, formula_of, formulas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.sdk import Context

    from airflow_agentic.operators.scope import Scope
    from airflow_agentic.planning.plan import PlannedTask

#: Where Airflow looks for what a branch ruled out, when a task after it is cleared without it. A branch of Airflow's
#: own says what it chose, and everything else that follows it directly is skipped, the run's last task too.
_RULED_OUT_KEY = "skipmixin_key"
FAIL = "fail"


def _nothing() -> None:
    """What a `PythonOperator` must have."""


class RouteOperator(PlannedOperator, BranchPythonOperator):
    """A task that chooses the arms of the graph that are followed."""

    template_fields = ()
    ui_color = "#f9e9b8"
    shallow_copy_attrs = (*PlannedOperator.shallow_copy_attrs, "tasks")

    #: all tasks of the plan
    tasks: tuple[PlannedTask, ...]

    # What the constructor of `PythonOperator` sets. What is called is `work`, so there is no need for a constructor,
    # and Airflow wraps each one on the way up, which would make a route half as dear again as another task.
    __init__ = BaseOperator.__init__
    python_callable = staticmethod(_nothing)
    op_args: Any = ()
    op_kwargs: Any = MappingProxyType({})
    templates_dict = None
    show_return_value_in_logs = False

    def work(self, context: Context) -> None:
        """
        Decide, tell, and skip what isn't chosen.

        :raises DownstreamTasksSkipped: Airflow's signal to skip; no error.
        :raises UnhandledError: the stage failed in a way that nothing here is for.
        """
        failure = self._failure(Peers(context["ti"], self.planned))
        conditions = Conditions(self.planned.config["routes"])
        choice: Choice | None = None
        feedback: dict[str, Any] | None = None
        try:
            if failure is not None:
                choice = choose_for(failure, self.planned.config["error"])
            else:
                scope = build_scope(context, self.planned)
                choice = self._choose(conditions, scope)
                feedback = self._feedback(choice, scope)
        except AgenticError as error:
            self._record(context, conditions, None, None, failure, error=str(error))
            raise
        self._record(context, conditions, choice, feedback, failure)
        self._tell(context, choice, feedback, failure)

    def _failure(self, peers: Peers) -> dict[str, Any] | None:
        """
        The stage's failure; None when it succeeded.

        :raises AirflowSkipException: it never ran, so there is nothing to decide.
        """
        own = self.planned.config
        if own["error"] is None or peers.states((own["decides"],)).get(own["decides"]) == "success":
            return None
        failure = peers.error(own["decides"]) or {"stage": self.planned.stage.rpartition(".")[2], **KILLED}
        if failure["kind"] == NOT_RUN:
            raise AirflowSkipException("The stage was not run, because something that it needs failed.")
        return failure

    def _choose(self, conditions: Conditions, scope: Scope) -> Choice:
        with self.locating("routes"):
            return conditions.choose(scope.values)

    def _feedback(self, choice: Choice, scope: Scope) -> dict[str, Any] | None:
        if choice.feedback is None:
            return None
        return self.rendered(choice.feedback, "routes, with", scope.values)

    def _tell(
        self,
        context: Context,
        choice: Choice,
        feedback: dict[str, Any] | None,
        failure: dict[str, Any] | None,
    ) -> None:
        """Leave the decision for others, and have Airflow skip what it rules out."""
        own, ti = self.planned.config, context["ti"]
        push_decision(
            ti,
            {
                "outcome": choice.outcome,
                "route": choice.route,
                "with": feedback or {},
                "error": failure,
                "round": own["round"],
                "max_rounds": own["max_rounds"],
                "shown": choice.shown,
            },
        )
        self.log.info("Decided: %s", choice.shown)
        skipped = self._skipped_tasks(ti, choice.outcome)
        if skipped:
            raise DownstreamTasksSkipped(tasks=skipped)  # type: ignore[no-untyped-call]

    def _skipped_tasks(self, ti: Any, outcome: str) -> list[str | tuple[str, int]]:
        if self.planned.mapped is not None:
            return [(task_id, ti.map_index) for task_id in self._ruled_out_here(ti, outcome)]
        arms = self.planned.config["arms"]
        chosen = arms.get(outcome, ())
        not_chosen = dict.fromkeys(task_id for ids in arms.values() for task_id in ids if task_id not in chosen)
        ti.xcom_push(_RULED_OUT_KEY, {"skipped": list(not_chosen)})
        return [*self._ruled_out(ti, outcome, not_chosen)]

    def _ruled_out(self, ti: Any, outcome: str, not_chosen: Iterable[str]) -> list[str]:
        """The arms that weren't chosen, and what can't run any more without them."""
        tasks = formulas(self.tasks)
        refused = [*not_chosen, *self._refused_with_failure(outcome, tasks)]
        states = Peers(ti, self.planned).states(concerned(tasks, refused)) if refused else {}
        skipped = [task_id for task_id in dict.fromkeys(refused) if states.get(task_id) not in FINISHED]
        return [*skipped, *doomed(tasks, states, skipped)]

    def _ruled_out_here(self, ti: Any, outcome: str) -> list[str]:
        """The tasks of the mapped task group that can't run any more for this item."""
        tasks = {task.task_id: formula_of(task) for task in self.tasks if task.mapped == self.planned.mapped}
        refused = self._refused_with_failure(outcome, tasks)
        states = Peers(ti, self.planned).states(concerned(tasks, [self.task_id, *refused]))
        skipped = [task_id for task_id in refused if states.get(task_id) not in FINISHED]
        known = {**states, self.task_id: "success"}
        return [*skipped, *doomed(tasks, known, skipped, {self.task_id: outcome})]

    def _refused_with_failure(self, outcome: str, tasks: Mapping[str, Any]) -> list[str]:
        """A decision to fail leaves nothing to run that waits for this stage, whatever else leads there."""
        skips = self.planned.config["fail_skips"] if outcome == FAIL else ()
        return [task_id for task_id in skips if task_id in tasks]

    def _record(
        self,
        context: Context,
        conditions: Conditions,
        choice: Choice | None,
        feedback: dict[str, Any] | None,
        failure: dict[str, Any] | None,
        error: str | None = None,
    ) -> None:
        from airflow_agentic.trace.mask import masked
        from airflow_agentic.trace.record import DecisionRecord

        own, ti = self.planned.config, context["ti"]
        self.write_record(
            DecisionRecord(
                run=self.run_key(context),
                stage=self.planned.stage,
                task_id=self.task_id,
                map_index=map_index(ti),
                try_number=ti.try_number,
                conditions=tuple(masked(conditions.as_data())),
                outcome=choice.outcome if choice else None,
                route=choice.route if choice else None,
                shown=choice.shown if choice else None,
                round=own["round"],
                max_rounds=own["max_rounds"],
                decided=now(),
                feedback=masked(feedback),
                failure=masked(failure),
                error=masked(error),
            )
        )
