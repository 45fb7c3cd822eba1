"""Compiled templates do what the language says, whatever Airflow's order: see :mod:`support.agreement`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.agreement import compare
from support.flow_templates import templates

from airflow_agentic.errors import TemplateError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

SHARDS = 8
CASES = 40
#: Of the templates drawn.
MOST_REFUSED = 0.3


def agree(folder: Path, number: int, cases: int) -> None:
    """Compare so many generated templates; the seed is the shard's number."""
    counted: Counter[str] = Counter()

    @hypothesis.seed(number)
    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(templates(), st.integers(0, 2**16))
    def check(spec: dict[str, Any], seed: int) -> None:
        try:
            compare(spec, folder, seed=seed)
        except TemplateError:
            counted["refused"] += 1
            hypothesis.assume(False)
        counted["compared"] += 1

    check()
    assert counted["refused"] <= MOST_REFUSED * (counted["refused"] + counted["compared"]), counted


@pytest.mark.parametrize("shard", range(SHARDS))
def test_runs_agree_with_the_interpreter(shard: int, flow_folder: Path) -> None:
    agree(flow_folder, shard, CASES)


@pytest.mark.long
@pytest.mark.parametrize("shard", range(100, 120))
def test_many_runs_agree_with_the_interpreter(shard: int, flow_folder: Path) -> None:
    agree(flow_folder, shard, 250)
