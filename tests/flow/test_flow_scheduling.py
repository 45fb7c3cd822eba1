"""The harness itself: DAGs made by hand end as they end on ``dag.test``, in whatever order their tasks come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.scheduling import run_scripted

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

SEEDS = range(4)


def operators() -> Any:
    """Operators of these tests; Airflow is imported only when one of them runs."""
    from airflow.sdk import BaseOperator
    from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

    class Does(BaseOperator):
        """Gives a value, fails, skips itself or skips others."""

        def __init__(self, *, value: Any = None, skips: Any = None, pulls: str | None = None, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.value, self.skips, self.pulls = value, skips, pulls

        def execute(self, context: Any) -> Any:
            if self.value == "fail":
                raise ValueError("as asked")
            if self.value == "skip":
                raise AirflowSkipException("as asked")
            if self.value == "retry" and context["ti"].try_number < 3:
                raise ValueError("once more")
            if self.skips:
                raise DownstreamTasksSkipped(tasks=self.skips)
            return context["ti"].xcom_pull(task_ids=self.pulls, map_indexes=-1) if self.pulls else self.value

    return Does


def branching(name: str) -> DAG:
    """A branch, its arms, joins of three rules, and tasks that another task skips far below."""
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import BranchPythonOperator
    from airflow.sdk import DAG

    does = operators()
    with DAG(name) as dag:
        gate = BranchPythonOperator(task_id="gate", python_callable=lambda: ["left"])
        left, right = EmptyOperator(task_id="left"), EmptyOperator(task_id="right")
        after = [does(task_id=f"after_{arm.task_id}", value=1) for arm in (left, right)]
        gate >> [left, right]
        left >> after[0]
        right >> after[1]
        for rule in ("all_success", "none_failed", "none_failed_min_one_success", "all_done"):
            after >> does(task_id=rule, value=2, trigger_rule=rule)
        skips = does(task_id="skips", skips=["far", "right"])
        skips >> does(task_id="near", value=3) >> EmptyOperator(task_id="far") >> EmptyOperator(task_id="farther")
    return dag


def failing(name: str) -> DAG:
    """Failures, retries, and who starts after them."""
    from airflow.sdk import DAG

    does = operators()
    with DAG(name) as dag:
        fails, skipped = does(task_id="fails", value="fail"), does(task_id="skipped", value="skip")
        again = does(task_id="again", value="retry", retries=2, retry_delay=timedelta(0))
        for rule in ("none_failed", "one_done", "all_done"):
            [fails, skipped, again] >> does(task_id=rule, value=1, trigger_rule=rule)
        # With a skipped one beside the failed one it would be a matter of which came first.
        [fails, again] >> does(task_id="all_success", value=1)
        again >> does(task_id="reader", pulls="again")
        dag.get_task("all_done") >> does(task_id="last", value=2)
    return dag


def mapping(name: str) -> DAG:
    """Mapped tasks, of no items too, and a mapped task group in which a task skips another of its own item."""
    from airflow.sdk import DAG, task_group

    does = operators()
    with DAG(name) as dag:
        items, none = does(task_id="items", value=["a", "fail", "c"]), does(task_id="none", value=[])
        mapped = does.partial(task_id="mapped").expand(value=items.output)
        mapped >> does(task_id="done", value=1, trigger_rule="all_done")
        does.partial(task_id="mapped_none").expand(value=none.output) >> does(task_id="below", value=1)

        @task_group
        def group(item: Any) -> None:
            first = does(task_id="first", value=item)
            first >> does(task_id="second", value=1, trigger_rule="none_failed")
            (
                first
                >> does(task_id="third", skips=[("group.fourth", 0)], trigger_rule="all_done")
                >> does(task_id="fourth")
            )

        group.expand(item=items.output) >> does(task_id="after", value=1, trigger_rule="all_done")
    return dag


@pytest.mark.usefixtures("metadata_database")
@pytest.mark.parametrize("make", [branching, failing, mapping])
def test_states_are_those_of_dag_test(make: Callable[[str], DAG], run_dag: Callable[..., Any]) -> None:
    name = make.__name__
    run = run_dag(make(f"hand_made_{name}"), {})
    expected = {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}
    for seed in SEEDS:
        scripted = run_scripted(make(f"hand_made_{name}_{seed}"), seed=seed)
        if name == "mapping":  # a skip that comes too late, or not: both happen on a real Airflow
            scripted.states.pop(("group.fourth", 0))
        assert scripted.states == {key: expected[key] for key in scripted.states}
        assert scripted.state == str(run.state)


@pytest.mark.usefixtures("metadata_database")
def test_orders_differ_and_repeat() -> None:
    orders = [run_scripted(branching(f"orders_{number}"), seed=number % 4).order for number in range(8)]
    assert orders[:4] == orders[4:]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.usefixtures("metadata_database")
def test_xcoms_are_those_of_the_last_try() -> None:
    run = run_scripted(failing("hand_made_xcoms"), seed=1)
    assert run.state == "failed"
    assert run.xcom("reader") == "retry"
    assert run.xcom("again") == "retry"
