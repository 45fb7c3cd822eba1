"""Templates on a real Airflow: by bundle and by loader, broken ones, and edits while a run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.pipelines import BROKEN, echo

if TYPE_CHECKING:
    from support.airflow_env import AirflowEnv

LOADER = Path(__file__).parents[2] / "dags" / "agentic_templates.py"
EVIL = "{{ 7 * 7 }} {% raw %}{{ conn.secret.password }}"

WAITING = """\
version: 1
agents:
  wait: {{type: python, callable: "support.waiting:wait_for"}}
  echo: {{type: python, callable: "beside_{name}:answer"}}
stages:
  first: {{agent: wait, input: {{file: "{file}"}}}}
  second: {{agent: echo, needs: [first], input: {{value: {word}}}}}
{more}output: {{said: "{{{{ second }}}}"}}
"""
NOTIFYING = """\
version: 1
inputs: {{topic: {{type: string, default: tea}}, fail: {{type: boolean, default: false}}}}
agents:
  echo: {{type: python, callable: "support.scripted_agents:echo"}}
  fail: {{type: python, callable: "support.scripted_agents:fail", retry: {{attempts: 1}}}}
stages:
  first: {{agent: echo, input: {{value: "{{{{ inputs.topic }}}}"}}}}
  second: {{agent: fail, needs: [first], when: inputs.fail}}
artifact: {{path: "notified.md", content: "{{{{ first }}}}"}}
notify:
  on_success:
    - {{notifier: support.notifiers.FileNotifier, file: "{file}",
       text: "{{{{ first }}}} for {{{{ inputs.topic }}}} at {{{{ artifact.uri | default('') }}}} in {{{{ run.id }}}}"}}
  on_failure:
    - {{notifier: support.notifiers.FailingNotifier, file: "{file}"}}
    - {{notifier: support.notifiers.FileNotifier, file: "{file}",
       text: {{got: "{{{{ first | default('nothing') }}}}", missed: "{{{{ second | default('nothing') }}}}"}}}}
"""

pytestmark = pytest.mark.airflow


def told(file: Path) -> list[dict[str, Any]]:
    """What notifiers told."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_the_bundle_runs_templates_and_shows_broken_ones(airflow: AirflowEnv) -> None:
    airflow.put_template("bundle_broken.yaml", BROKEN)
    airflow.put_template("sub/bundle_good.yaml", echo("there"))
    error = airflow.wait_for_import_error("bundle_broken.yaml.py")
    assert error.startswith("TemplateError: bundle_broken.yaml:3:18: AGT405")
    assert "Traceback" not in error
    run = airflow.run("bundle_good")
    assert run.state == "success", str(run)
    assert airflow.rest.xcom("bundle_good", run.run_id, "second") == "there"
    assert echo("there") in airflow.rest.call("GET", "/dagSources/bundle_good")["content"]
    airflow.put_template("bundle_broken.yaml", echo("mended"))
    airflow.wait_for_dag("bundle_broken")
    airflow.wait_until(lambda: not airflow.rest.import_errors(), what="end of the import error", timeout=60)


def test_a_run_stays_on_the_template_it_started_with(airflow: AirflowEnv, tmp_path: Path) -> None:
    name, file = "bundle_edited", tmp_path / "go"
    first = {"name": name, "file": file, "word": "old", "more": ""}
    airflow.put_template(f"beside_{name}.py", "def answer(value):\n    return value + ' helper'\n")
    airflow.put_template(f"{name}.yaml", WAITING.format(**first))
    airflow.wait_for_dag(name)
    run_id = airflow.rest.trigger(name)
    more = "  third: {agent: echo, needs: [second], input: {value: more}}\n"
    airflow.put_template(f"beside_{name}.py", "def answer(value):\n    return value + ' new helper'\n")
    airflow.put_template(f"{name}.yaml", WAITING.format(**{**first, "word": "new", "more": more}))

    def is_served() -> bool:
        return "third" in str(airflow.rest.call("GET", f"/dags/{name}/tasks"))

    airflow.wait_until(is_served, what="the edited template", timeout=60)
    file.touch()
    old = airflow.finish(name, run_id)
    assert old.state == "success", str(old)
    assert set(old.tasks) == {"first", "second", "run__finish"}
    assert airflow.rest.xcom(name, run_id, "run__finish") == {"said": "old helper"}
    new = airflow.run(name)
    assert new.state == "success", str(new)
    assert set(new.tasks) == {"first", "second", "third", "run__finish"}
    assert airflow.rest.xcom(name, new.run_id, "run__finish") == {"said": "new new helper"}


def test_the_loader_runs_templates_and_shows_broken_ones(airflow: AirflowEnv) -> None:
    airflow.put_dag_file("sub/loader_broken.yaml", BROKEN)
    airflow.put_dag_file("loader_good.yaml", echo("there"))
    airflow.put_loader(LOADER)
    airflow.wait_for_dag("loader_good")
    error = airflow.wait_for_import_error("sub/loader_broken.yaml", timeout=90)
    assert "this template is broken:\n\nsub/loader_broken.yaml:3:18: AGT405" in error
    run = airflow.run("loader_good")
    assert run.state == "success", str(run)
    assert airflow.rest.call("GET", "/dags/loader_good")["relative_fileloc"] == LOADER.name
    airflow.put_dag_file("sub/loader_broken.yaml", echo("mended"))
    airflow.wait_for_dag("loader_broken")


def test_the_end_of_a_run_is_told(airflow: AirflowEnv, tmp_path: Path) -> None:
    file = tmp_path / "told"
    airflow.put_template("bundle_notifying.yaml", NOTIFYING.format(file=file))
    good = airflow.run("bundle_notifying", {"topic": EVIL})
    assert good.state == "success", str(good)
    airflow.wait_until(lambda: told(file), what="notification", timeout=60)
    (one,) = told(file)
    uri = airflow.rest.xcom("bundle_notifying", good.run_id, "artifact")["uri"]
    assert one["text"] == f"{EVIL} for {EVIL} at {uri} in {good.run_id}"
    assert one["footer"] == f"run {good.run_id}"
    bad = airflow.run("bundle_notifying", {"fail": True})
    assert bad.state == "failed"
    airflow.wait_until(lambda: len(told(file)) > 1, what="notification", timeout=60)
    assert told(file)[1]["text"] == {"got": "tea", "missed": "nothing"}
