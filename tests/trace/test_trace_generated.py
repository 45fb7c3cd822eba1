"""
Every fact of a trace against sources that know nothing of records: see :mod:`support.trace_facts`.

Generated templates run on Airflow's scheduling in this process; a few of them also on a real Airflow, whose own facts
the trace then has.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.agreement import planned
from support.flow_templates import templates
from support.scheduling import run_scripted
from support.telling_agents import respond_into, telling
from support.trace_facts import Ran, compare
from support.traces import traced

from airflow_agentic.errors import TemplateError
from airflow_agentic.factory.dag import build_dag_from_plan

SHARDS = 3
#: Of each shard; all are more than 20 runs.
CASES = 10


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_trace_says_what_the_agents_say(shard: int, run_folder: Path) -> None:
    counted: Counter[str] = Counter()

    @hypothesis.seed(1000 + shard)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a smaller case would take minutes to find
    )
    @given(templates(), st.integers(0, 2**16))
    def check(spec: dict[str, Any], seed: int) -> None:
        log = Path(tempfile.mkdtemp(dir=run_folder))
        try:
            plan = planned(telling(spec, log), run_folder)
        except TemplateError:
            hypothesis.assume(False)
        began = datetime.now(UTC)
        run = run_scripted(build_dag_from_plan(plan), {}, seed=seed, answer=respond_into(log))
        ran = Ran(spec=spec, plan=plan, log=log, began=began, ended=datetime.now(UTC))
        compare(ran, traced(run))
        counted["compared"] += 1

    check()
    assert counted["compared"] >= CASES
