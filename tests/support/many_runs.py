"""Runs of templates by the hundred, made without running: rows in the metadata database, summaries in a trace store."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem

from airflow_agentic.trace.document import UsageTrace
from airflow_agentic.trace.record import RunKey
from airflow_agentic.trace.summary import LoopCount, PeopleCount, RunSummary, StageCount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import DAG
    from sqlalchemy.orm import Session

    from airflow_agentic.trace.store import TraceStore

BUNDLE = "many"
TASK = "run__finish"


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """
    A run to be made.

    :param last_state: of its last task; None for one that never got there.
    """

    dag_id: str
    run_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    last_state: str | None = "success"
    tries: int = 1
    summary: RunSummary | None = None


def a_summary(dag_id: str, run_id: str, **more: Any) -> RunSummary:
    """Of a run that succeeded."""
    key = RunKey(dag_id=dag_id, run_id=run_id, template_digest="d")
    given: dict[str, Any] = {"run": key, "try_number": 1, "at": "2026-01-01T00:00:00+00:00", "state": "success"}
    return RunSummary(**{**given, **more})


def drawn_runs(dag_id: str, count: int, *, now: datetime, days: float = 30, seed: int = 0) -> list[MadeRun]:
    """Runs as real ones go: most succeed, some fail at one of their stages, some leave no figures, one goes on."""
    chance = random.Random(f"{dag_id} {seed}")
    length = chance.lognormvariate(4, 1)
    runs = []
    for number in range(count):
        run_id = f"scheduled__{number:05}"
        started = now - timedelta(days=days) * (1 - (number + chance.random()) / (count + 1))
        failed = chance.random() < 0.08
        run = MadeRun(
            dag_id=dag_id,
            run_id=run_id,
            state="failed" if failed else "success",
            started=started,
            ended=started + timedelta(seconds=chance.lognormvariate(0, 0.4) * length),
            last_state="failed" if failed else "success",
        )
        if failed and chance.random() < 0.25:
            runs.append(replace(run, last_state=None, tries=0))
            continue
        runs.append(replace(run, summary=_drawn_summary(run, chance, failed)))
    if runs and chance.random() < 0.3:
        started = now - timedelta(seconds=length / 2)
        runs[-1] = MadeRun(
            dag_id=dag_id, run_id="manual__now", state="running", started=started, ended=None, last_state=None, tries=0
        )
    return runs


def _drawn_summary(run: MadeRun, chance: random.Random, failed: bool) -> RunSummary:
    rounds = chance.choice((1, 1, 2, 2, 3))
    stages = [
        StageCount(
            stage=name,
            attempts=number * rounds,
            failed=failed and name == "qa",
            failed_attempts=int(chance.random() < 0.2) + (failed and name == "qa"),
        )
        for name, number in (("research", 1), ("draft", 1), ("verify", 12), ("qa", 1))
    ]
    asked = chance.random() < 0.3
    return a_summary(
        run.dag_id,
        run.run_id,
        state=run.state,
        usage=UsageTrace(
            calls=10,
            input_tokens=chance.randint(4000, 60_000),
            output_tokens=2500,
            cost_usd=chance.lognormvariate(-3, 0.5),
        ),
        stages=tuple(stages),
        loops=(
            LoopCount(
                target="draft",
                source="qa",
                max_rounds=3,
                rounds={rounds: 1},
                exhausted=int(rounds == 3 and chance.random() < 0.5),
            ),
        ),
        people=PeopleCount(asked=1, seconds=chance.uniform(20, 9000)) if asked else PeopleCount(),
    )


def put_dag(session: Session, dag: DAG, *, name: str | None = None, description: str | None = None) -> None:
    """Have Airflow know a DAG, as its dag processor would."""
    from airflow.models.dag import DagModel, DagTag
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    if session.get(DagBundleModel, BUNDLE) is None:
        session.add(DagBundleModel(name=BUNDLE))
        session.flush()
    session.add(
        DagModel(
            dag_id=dag.dag_id,
            bundle_name=BUNDLE,
            fileloc="",
            is_stale=False,
            is_paused=False,
            _dag_display_property_value=name,
            description=description or dag.description,
        )
    )
    session.flush()
    session.add_all(DagTag(name=tag, dag_id=dag.dag_id) for tag in dag.tags)
    version = DagVersion(dag_id=dag.dag_id, bundle_name=BUNDLE, version_number=1)
    session.add(version)
    session.flush()
    serialized = SerializedDagModel(LazyDeserializedDAG.from_dag(dag))
    serialized.dag_version = version
    session.add(serialized)
    session.flush()


def put_runs(session: Session, runs: Iterable[MadeRun]) -> None:
    """Put runs and their last tasks into the metadata database."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import insert
    from uuid6 import uuid7

    made = list(runs)
    now = datetime.now(tz=UTC)
    session.execute(
        insert(DagRun.__table__),
        [
            {
                "dag_id": run.dag_id,
                "run_id": run.run_id,
                "state": run.state,
                "start_date": run.started,
                "end_date": run.ended,
                "queued_at": run.started or now,
                "run_after": run.started or now,
                "run_type": "scheduled",
                "created_at": now,
                "updated_at": now,
                "clear_number": 0,
            }
            for run in made
        ],
    )
    session.execute(
        insert(TaskInstance.__table__),
        [
            {
                "id": uuid7(),
                "dag_id": run.dag_id,
                "run_id": run.run_id,
                "task_id": TASK,
                "map_index": -1,
                "state": run.last_state,
                "try_number": run.tries,
                "max_tries": 0,
                "pool": "default_pool",
                "pool_slots": 1,
                "queue": "default",
                "priority_weight": 1,
                "operator": "FinishOperator",
                "task_display_name": TASK,
                "executor_config": {},
            }
            for run in made
        ],
    )
    session.flush()


def put_summaries(store: TraceStore, runs: Iterable[MadeRun]) -> None:
    """Write those that the runs have."""
    for run in runs:
        if run.summary is not None:
            store.write_summary(run.summary)


class FarFiles(AsyncFileSystem):
    """Files of this machine, as if they were far away: each answer takes its time, some come together."""

    protocol = "far"
    cachable = False
    delay = 0.02

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._near = LocalFileSystem()
        self.reads = 0

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **more: Any) -> bytes:
        import asyncio

        await asyncio.sleep(self.delay)
        self.reads += 1
        return self._near.cat_file(path, start, end)  # type: ignore[no-any-return]


def far(store: TraceStore) -> FarFiles:
    """Move a store far away."""
    files = FarFiles()
    store._filesystem = files
    return files


def timed(call: Any) -> tuple[float, Any]:
    """How many seconds a call took, and what it gave."""
    began = time.monotonic()
    found = call()
    return time.monotonic() - began, found
