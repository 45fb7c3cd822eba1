"""
What a stage over many items costs on one machine, on ``airflow standalone``.

A template whose stage asks an async agent for each of 1,000 items is served to an Airflow of its own, with SQLite, the
LocalExecutor and the settings that this project recommends. The agent waits 200 ms, as one behind an API would: one
after the other, the items would take 200 s. Measured is the time from the start of the stage's first task to the end
of its last one, as Airflow tells it, and how many mapped tasks it took.

    python benchmarks/fan_out.py [--items N] [--seconds S] [--json]

ends with 1 if the stage takes more than 60 s, or more than 16 mapped tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import sysconfig
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

LIMITS = {"stage_s": 60.0, "mapped_tasks": 16}
NAME = "fan_out_benchmark"
TEMPLATE = f"""\
version: 1
name: {NAME}
inputs:
  items: integer
  seconds: number
agents:
  numbers: {{type: python, callable: "fan_out:numbers", output: [integer]}}
  patient: {{type: python, callable: "fan_out:wait", output: {{number: integer}}}}
stages:
  list: {{agent: numbers, input: {{count: "{{{{ inputs['items'] }}}}"}}}}
  work:
    agent: patient
    for_each: list
    input: {{number: "{{{{ item }}}}", seconds: "{{{{ inputs.seconds }}}}"}}
    max_items: 100000
output:
  numbers: "{{{{ work.outputs }}}}"
"""


def numbers(count: int) -> list[int]:
    """The items."""
    return list(range(count))


async def wait(number: int, seconds: float) -> dict[str, int]:
    """Stands for an agent behind an API."""
    await asyncio.sleep(seconds)
    return {"number": number}


def measure(folder: Path, items: int, seconds: float) -> dict[str, float]:
    """
    Run the template on an Airflow of its own.

    :param folder: where everything is that this Airflow makes.
    :param seconds: that the agent waits.
    """
    from airflow_agentic.local.server import LocalAirflow
    from airflow_agentic.local.settings import bundle_list

    templates = folder / "templates"
    templates.mkdir()
    (templates / f"{NAME}.yaml").write_text(TEMPLATE)
    environment = {
        "PYTHONPATH": str(Path(__file__).parent),
        # `standalone` starts commands named `airflow`
        "PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"])),
        "AIRFLOW__AGENTIC__TRACE_URL": str(folder / "trace"),
    }
    airflow = LocalAirflow(
        folder / "home",
        folder=folder,
        bundles=bundle_list(templates=templates, dags=None, version_url=str(folder / "versions")),
        environment=environment,
        components=("standalone",),
    )
    try:
        airflow.start()
        airflow.wait_until_ready(on_wait=airflow.check)
        return _figures(airflow, {"items": items, "seconds": seconds})
    finally:
        airflow.stop()


def _figures(airflow: Any, conf: dict[str, Any]) -> dict[str, float]:
    while not airflow.rest.has_dag(NAME):
        airflow.check()
        time.sleep(0.2)
    run_id = airflow.rest.trigger(NAME, conf)
    state = airflow.rest.wait_for_run(NAME, run_id, timeout=600.0, on_wait=airflow.check)
    result = airflow.rest.xcom(NAME, run_id, "run__finish")
    if state != "success" or [each["number"] for each in result["numbers"]] != list(range(conf["items"])):
        raise RuntimeError(f"the run ended as {state}, and its output isn't what was asked for")
    instances = [each for each in airflow.rest.task_instances(NAME, run_id) if each["task_id"].startswith("work.")]
    started = min(_time(each["start_date"]) for each in instances if each["start_date"])
    ended = max(_time(each["end_date"]) for each in instances)
    stage = (ended - started).total_seconds()
    return {
        "stage_s": stage,
        "items_per_s": conf["items"] / stage,
        "mapped_tasks": sum(each["map_index"] >= 0 for each in instances),
        "one_after_the_other_s": conf["items"] * conf["seconds"],
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def main() -> int:
    """Measure, print, compare with the limits."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.2, help="that the agent takes for one item")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fan-out-") as folder:
        figures = measure(Path(folder), arguments.items, arguments.seconds)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24}{value:8.1f}" + (f"   limit {LIMITS[name]:g}" if name in LIMITS else ""))
    return int(any(figures[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
