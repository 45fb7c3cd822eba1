"""
What a template costs to parse, against the same DAG written by hand.

Airflow parses every DAG file every 30 seconds and once more at the start of every task, so this is paid all day. For
each of 300 pipelines (start → 4 in parallel → join → draft → qa) the DAG is made three ways in one process, in turns:
by hand with ``airflow.sdk``, from the YAML file, and from the finished plan as the template bundle's generated files
hold it. Every pipeline has texts of its own, so nothing is gained by caches of texts. Compared are medians of CPU time.

The same for a template with two loops, one in the other, which is unrolled into some 130 tasks in nested task groups:
by hand with Airflow's own branch and empty operators.

    python benchmarks/parse.py [--json]

ends with 1 if a ratio, or the cost of importing the package, is over its limit.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

DAGS = 300
LARGE_DAGS = 60
LARGE = Path(__file__).parent.parent / "templates" / "verified_brief.yaml"
LIMITS = {"yaml_ratio": 1.6, "plan_ratio": 1.2, "large_plan_ratio": 1.2, "import_ms": 100.0}

TEMPLATE = """\
version: 1
name: bench_{n}
description: Pipeline number {n}, as large as most
owner: research
tags: [benchmark]

inputs:
  topic: {{type: string, description: What to write about, default: "topic {n}"}}
  min_score: {{type: number, minimum: 0, maximum: 1, default: 0.8}}

defaults:
  retry: {{attempts: 3, wait: 2s}}
  timeout: 5m

agents:
  researcher:
    type: python
    callable: "bench.agents:research"
    output: {{claims: [{{text: string, source: string}}]}}
  worker:
    type: python
    callable: "bench.agents:work"
    output: {{text: string}}
  reviewer:
    type: python
    callable: "bench.agents:review"
    output: {{score: number, problems: [string]}}

stages:
  start: {{agent: researcher, input: {{topic: "{{{{ inputs.topic }}}} {n}"}}}}
  themes: {{agent: worker, input: {{claims: "{{{{ start.claims }}}}", number: {n}}}}}
  facts: {{agent: worker, input: {{claims: "{{{{ start.claims }}}}", number: {n}}}}}
  sources: {{agent: worker, input: {{claims: "{{{{ start.claims }}}}", number: {n}}}}}
  style: {{agent: worker, input: {{claims: "{{{{ start.claims }}}}", number: {n}}}}}
  join: {{merge: {{from: [themes, facts, sources, style], how: object}}}}
  draft:
    agent: worker
    input:
      material: "{{{{ join }}}}"
      ask: |
        Write brief {n} about {{{{ inputs.topic }}}}.
        {{% for claim in start.claims %}}
        - {{{{ claim.text }}}} ({{{{ claim.source }}}})
        {{% endfor %}}
  qa: {{agent: reviewer, input: {{text: "{{{{ draft.text }}}}", min_score: "{{{{ inputs.min_score }}}}", number: {n}}}}}

output:
  text: "{{{{ draft.text }}}}"
  score: "{{{{ qa.score }}}}"
"""


def _work(**_inputs: Any) -> dict[str, Any]:
    """Stands for an agent of the hand-written DAG."""
    return {}


def by_hand(number: int, doc: str) -> Any:
    """The pipeline as somebody would write it without templates."""
    from datetime import timedelta

    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG, Param

    def task(name: str, **inputs: Any) -> Any:
        return PythonOperator(task_id=name, python_callable=_work, op_kwargs=inputs)

    with DAG(
        f"hand_{number}",
        description=f"Pipeline number {number}, as large as most",
        doc_md=doc,
        tags=["agentic", "benchmark"],
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        schedule=None,
        catchup=False,
        params={
            "topic": Param(f"topic {number}", type="string", description="What to write about"),
            "min_score": Param(0.8, type="number", minimum=0, maximum=1),
        },
        default_args={
            "owner": "research",
            "retries": 2,
            "retry_delay": timedelta(seconds=2),
            "execution_timeout": timedelta(minutes=5),
        },
    ) as dag:
        parallel = [task(name, number=number) for name in ("themes", "facts", "sources", "style")]
        task("start", number=number) >> parallel >> task("join") >> task("draft", number=number) >> task("qa")
    return dag


def large_by_hand(plan: Any) -> Any:
    """The DAG of a plan, as somebody would write it with Airflow's own operators, groups and labels."""
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.providers.standard.operators.python import BranchPythonOperator, PythonOperator
    from airflow.sdk import DAG, Label, TaskGroup

    with DAG(f"{plan.name}_by_hand", doc_md=plan.source, schedule=None, catchup=False) as dag:
        groups: dict[str, Any] = {}
        for group in plan.groups:
            parent, _, own = group.group_id.rpartition(".")
            groups[group.group_id] = TaskGroup(own, group.label, parent_group=groups.get(parent))
        tasks: dict[str, Any] = {}
        for planned in plan.tasks:
            parent, _, own = planned.task_id.rpartition(".")
            settings = {"task_id": own, "trigger_rule": planned.trigger_rule, "task_group": groups.get(parent)}
            if planned.kind == "join":
                task: Any = EmptyOperator(**settings)
            elif planned.kind == "route":
                task = BranchPythonOperator(python_callable=_work, **settings)
            else:
                task = PythonOperator(python_callable=_work, op_kwargs={"stage": planned.stage}, retries=2, **settings)
            for task_id in planned.upstream:
                label = planned.labels.get(task_id)
                if label is None:
                    tasks[task_id] >> task
                else:
                    tasks[task_id] >> Label(label) >> task
            tasks[planned.task_id] = task
    return dag


def large_ratio() -> dict[str, float]:
    """As :func:`ratios`, for the large template; a DAG by hand has no mapped tasks, which cost more than others."""
    from airflow_agentic.factory import generated
    from airflow_agentic.factory.load import plan_of

    plan = plan_of(LARGE)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "large.yaml.json").write_bytes(generated.plan_file(plan))
        ways: dict[str, Callable[[int], Any]] = {
            "large_hand": lambda _number: large_by_hand(plan),
            "large_plan": lambda _number: generated.dag_of_file(f"{folder}/large.yaml.py"),
        }
        cost = _measure(ways, LARGE_DAGS)
    figures = {f"{way}_ms": value for way, value in cost.items()}
    return {**figures, "large_tasks": len(plan.tasks), "large_plan_ratio": cost["large_plan"] / cost["large_hand"]}


def ratios() -> dict[str, float]:
    """Milliseconds of CPU per DAG, each way (medians), and both ratios."""
    from airflow_agentic.factory import generated
    from airflow_agentic.factory.load import build_dag, plan_of

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number in range(DAGS):
            file = Path(folder, f"bench_{number}.yaml")
            file.write_text(TEMPLATE.format(n=number))
            plan = plan_of(file)
            Path(folder, f"bench_{number}.yaml.json").write_bytes(generated.plan_file(plan))
            files.append(file)
        _forget_texts()
        ways: dict[str, Callable[[int], Any]] = {
            "hand": lambda number: by_hand(number, files[number].read_text()),
            "yaml": lambda number: build_dag(files[number]),
            "plan": lambda number: generated.dag_of_file(f"{files[number]}.py"),
        }
        cost = _measure(ways, DAGS)
    return {
        **{f"{way}_ms": value for way, value in cost.items()},
        "yaml_ratio": cost["yaml"] / cost["hand"],
        "plan_ratio": cost["plan"] / cost["hand"],
    }


def _forget_texts() -> None:
    """Empty the caches that making the plans has filled."""
    from airflow_agentic.template import expressions

    for value in vars(expressions).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def _measure(ways: dict[str, Callable[[int], Any]], dags: int) -> dict[str, float]:
    for way in ways.values():
        way(0)
    samples: dict[str, list[int]] = {name: [] for name in ways}
    gc.collect()
    gc.disable()
    for number in range(dags):
        for name, way in ways.items():
            start = time.process_time_ns()
            way(number)
            samples[name].append(time.process_time_ns() - start)
    gc.enable()
    return {name: statistics.median(times) / 1e6 for name, times in samples.items()}


def import_cost(statement: str) -> float:
    """Milliseconds of CPU that a statement adds to ``import airflow.sdk.DAG`` (median of five processes)."""
    code = (
        "import time; from airflow.sdk import DAG, BaseOperator, Param; start = time.process_time()\n"
        f"{statement}\nprint((time.process_time() - start) * 1000)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(5)]
    return statistics.median(float(run.stdout.split()[-1]) for run in runs)


def main() -> int:
    """Measure, print, compare with the limits."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    figures = {**ratios(), **large_ratio()}
    figures["import_ms"] = import_cost("import airflow_agentic")
    figures["import_for_a_plan_ms"] = import_cost(
        "import airflow_agentic.factory.dag, airflow_agentic.operators.finish"
    )
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(f"by hand {figures['hand_ms']:.2f} ms CPU per DAG (median of {DAGS})")
        for way in ("yaml", "plan"):
            ratio, limit = figures[f"{way}_ratio"], LIMITS[f"{way}_ratio"]
            print(f"from {way}  {figures[f'{way}_ms']:.2f} ms, ratio {ratio:.2f} (at most {limit})")
        print(f"by hand {figures['large_hand_ms']:.1f} ms CPU per DAG of {figures['large_tasks']:.0f} tasks")
        ratio, limit = figures["large_plan_ratio"], LIMITS["large_plan_ratio"]
        print(f"from plan  {figures['large_plan_ms']:.1f} ms, ratio {ratio:.2f} (at most {limit})")
        print(f"import airflow_agentic adds {figures['import_ms']:.1f} ms (at most {LIMITS['import_ms']:.0f})")
        print(f"what a generated DAG file imports adds {figures['import_for_a_plan_ms']:.1f} ms")
    return int(any(figures[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        sys.exit(main())
