"""A question that waits while the scheduler and the triggerer are killed with -9, and a deadline missed meanwhile."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from support.loose_airflow import LooseAirflow
from support.people import answer, wait_for_questions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.long, pytest.mark.xdist_group("airflow")]

TEMPLATE = """\
version: 1
name: asked_people
agents:
  count: {{type: python, callable: "support.scripted_agents:count", output: integer}}
stages:
  before: {{agent: count, input: {{file: "{folder}/before"}}}}
  ask: {{human: {{ask: "Is {{{{ before }}}} right?", options: [Right, Wrong], timeout: 1d, on_timeout: Wrong}}}}
  after: {{agent: count, input: {{file: "{folder}/after"}}, needs: [ask]}}
output: {{choice: "{{{{ ask.choice }}}}", called: "{{{{ [before, after] }}}}"}}
deadline:
  after: {deadline}
  notify: [{{notifier: support.notifiers.FileNotifier, file: "{folder}/told", text: "{{{{ run.id }}}} is late"}}]
"""


@pytest.fixture
def loose(tmp_path: Path) -> Iterator[LooseAirflow]:
    """An Airflow with a triggerer."""
    airflow = LooseAirflow(tmp_path, source_roots=tmp_path)
    try:
        airflow.start()
        airflow.begin("triggerer")
        yield airflow
    finally:
        airflow.stop()


def test_an_answer_while_nobody_is_there(loose: LooseAirflow, tmp_path: Path) -> None:
    loose.put_template("asked_people.yaml", TEMPLATE.format(folder=tmp_path, deadline="45s"))
    loose.wait_for_dag("asked_people")
    loose.wait_until(lambda: loose.is_healthy("triggerer"), what="triggerer", timeout=60)
    run_id = loose.rest.trigger("asked_people")
    wait_for_questions(loose, "asked_people", run_id)
    loose.kill_all_of("triggerer")
    loose.kill_all_of("scheduler")
    answer(loose, "asked_people", run_id, "ask", "Right")
    loose.begin("scheduler")
    ran = loose.finish("asked_people", run_id, timeout=180)
    assert ran.state == "success", str(ran)
    assert loose.rest.xcom("asked_people", run_id, "run__finish") == {"choice": "Right", "called": [1, 1]}


def test_a_deadline_that_is_missed_without_a_triggerer_is_told_by_the_next(loose: LooseAirflow, tmp_path: Path) -> None:
    told = tmp_path / "told"
    loose.put_template("asked_people.yaml", TEMPLATE.format(folder=tmp_path, deadline="20s"))
    loose.wait_for_dag("asked_people")
    loose.wait_until(lambda: loose.is_healthy("triggerer"), what="triggerer", timeout=60)
    run_id = loose.rest.trigger("asked_people")
    wait_for_questions(loose, "asked_people", run_id)
    loose.kill_all_of("triggerer")

    def is_missed() -> bool:
        with contextlib.closing(sqlite3.connect(loose.home / "airflow.db")) as database:
            return bool(database.execute("SELECT count(*) FROM deadline WHERE missed").fetchone()[0])

    loose.wait_until(is_missed, what="missed deadline", timeout=90)
    assert not told.exists()
    loose.begin("triggerer")
    loose.wait_until(told.exists, what="notification", timeout=120)
    answer(loose, "asked_people", run_id, "ask", "Wrong")
    assert loose.finish("asked_people", run_id).state == "success"
    assert [json.loads(line)["text"] for line in told.read_text().splitlines()] == [f"{run_id} is late"]
