"""Task groups on the real Airflow: pipelines of other files, repeated for a list, with loops of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.clearing import clear

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow_env import AirflowEnv

pytestmark = pytest.mark.airflow


def agent(name: str, module: str = "scripted_agents") -> str:
    return json.dumps({"type": "python", "callable": f"support.{module}:{name}", "retry": {"attempts": 1}})


#: Reviews until a file says that it is good, or that an editor is to have a look.
REVIEW = f"""
version: 1
inputs: {{file: string}}
stages:
  draft: {{agent: {agent("echo")}, input: {{value: "{{{{ round }}}}"}}}}
  qa:
    agent: {agent("read")}
    needs: draft
    input: {{file: "{{{{ inputs.file }}}}"}}
    routes:
      - {{when: qa == 'good', to: end}}
      - {{when: qa == 'editor', to: editor}}
      - {{back_to: draft, max_rounds: 3, exhausted: end}}
  editor: {{agent: {agent("echo")}, input: {{value: "edited {{{{ draft }}}}"}}}}
output: {{said: "{{{{ editor | default(draft) }}}}"}}
"""
ALL = """
version: 1
inputs: {files: {type: array, items: {type: string}}}
stages:
  review: {pipeline: groups_review, for_each: inputs.files, input: {file: "{{ item }}"}, tolerate: 1}
output: {said: "{{ review.outputs | map(attribute='said') }}", failed: "{{ review.failed }}"}
"""
WAITING = f"""
version: 1
inputs: {{file: string}}
stages:
  first: {{agent: {agent("wait_for", "waiting")}, input: {{file: "{{{{ inputs.file }}}}"}}}}
  second: {{agent: {agent("echo")}, needs: first, input: {{value: WORD}}}}
output: {{said: "{{{{ second }}}}"}}
"""
OUTER = """
version: 1
inputs: {file: string}
stages:
  inner: {pipeline: groups_waiting, input: {file: "{{ inputs.file }}"}}
output: {said: "{{ inner.said }}"}
"""


def states(airflow: AirflowEnv, dag_id: str, run_id: str, key: str = "state") -> dict[tuple[str, int], Any]:
    found = airflow.rest.task_instances(dag_id, run_id)
    return {(each["task_id"], each["map_index"]): each[key] for each in found}


def test_each_item_has_loops_of_its_own(airflow: AirflowEnv, tmp_path: Path) -> None:
    name = "groups_all"
    airflow.put_template("groups_review.yaml", REVIEW)
    airflow.put_template(f"{name}.yaml", ALL)
    files = {word: tmp_path / word for word in ("good", "bad", "missing")}
    for word in ("good", "bad"):
        files[word].write_text(word)

    run = airflow.run(name, {"files": [str(file) for file in files.values()]})
    assert run.state == "success", run
    assert airflow.rest.xcom(name, run.run_id, "run__finish") == {"said": [1, 3], "failed": 1}
    found = states(airflow, name, run.run_id)
    qa = {number: f"review.item.draft__{number}.qa" for number in (1, 2, 3)}
    assert [found[qa[number], 0] for number in qa] == ["success", "skipped", "skipped"]
    assert [found[qa[number], 1] for number in qa] == ["success", "success", "success"]
    assert found[qa[1], 2] == "failed"
    assert "success" not in (found[qa[2], 2], found[qa[3], 2])

    # one item is decided anew: it takes another way, and the others are left alone
    files["bad"].write_text("editor")
    clear(airflow, name, run.run_id, qa[1], 1)
    again = airflow.finish(name, run.run_id)
    assert again.state == "success", again
    assert airflow.rest.xcom(name, run.run_id, "run__finish") == {"said": [1, "edited 1"], "failed": 1}
    tries = states(airflow, name, run.run_id, "try_number")
    assert [tries[qa[1], index] for index in (0, 1, 2)] == [1, 2, 1]
    assert states(airflow, name, run.run_id)[qa[2], 1] == "skipped"

    empty = airflow.run(name, {"files": []})
    assert empty.state == "success", empty
    assert airflow.rest.xcom(name, empty.run_id, "run__finish") == {"said": [], "failed": 0}
    assert states(airflow, name, empty.run_id)["review.item.editor", -1] == "skipped"


def test_a_run_stays_on_the_inner_template_it_started_with(airflow: AirflowEnv, tmp_path: Path) -> None:
    name, file = "groups_edited", tmp_path / "go"
    airflow.put_template("groups_waiting.yaml", WAITING.replace("WORD", "old"))
    airflow.put_template(f"{name}.yaml", OUTER)
    airflow.wait_for_dag(name)
    run_id = airflow.rest.trigger(name, {"file": str(file)})
    more = WAITING.replace("WORD", "new").replace(
        "output:", f"  third: {{agent: {agent('echo')}, needs: second}}\noutput:"
    )
    airflow.put_template("groups_waiting.yaml", more)
    airflow.wait_until(
        lambda: "inner.third" in str(airflow.rest.call("GET", f"/dags/{name}/tasks")),
        what="the edited template",
        timeout=60,
    )
    file.touch()
    old = airflow.finish(name, run_id)
    assert old.state == "success", old
    assert airflow.rest.xcom(name, run_id, "run__finish") == {"said": "old"}
    assert "inner.third" not in old.tasks
    new = airflow.run(name, {"file": str(file)})
    assert airflow.rest.xcom(name, new.run_id, "run__finish") == {"said": "new"}, new
    assert new.tasks["inner.third"] == "success"


def test_a_broken_inner_template_is_the_outer_ones_import_error_too(airflow: AirflowEnv) -> None:
    airflow.put_template("groups_waiting.yaml", WAITING + "unknown: key\n")
    airflow.put_template("groups_broken.yaml", OUTER)
    for file in ("groups_waiting.yaml.py", "groups_broken.yaml.py"):
        assert airflow.wait_for_import_error(file).startswith("TemplateError: groups_waiting.yaml:")
