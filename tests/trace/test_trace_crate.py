"""The description of a bundle for programs: what RO-Crate 1.1 and its run profiles demand."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from support.records import RUN, attempt
from support.sealed_runs import sealed_run

from airflow_agentic.trace.export import export
from airflow_agentic.trace.store import TraceStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Entity = dict[str, Any]

_META = "ro-crate-metadata.json"


def crate_of(bundle: Path) -> tuple[dict[str, Entity], set[str]]:
    """The entities by their ids, and the names of the files."""
    with zipfile.ZipFile(bundle) as opened:
        names = set(opened.namelist())
        graph = json.loads(opened.read(_META))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph), "ids are unique"
    return entities, names


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Entity], set[str]]:
    folder = tmp_path_factory.mktemp("crate")
    run = sealed_run(folder)
    export(run.store, RUN.dag_id, RUN.run_id, None, folder / "b.zip")
    return crate_of(folder / "b.zip")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from references(part)
    elif isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        else:
            for part in value.values():
                yield from references(part)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def test_everything_that_is_referred_to_is_there(crate: tuple[dict[str, Entity], set[str]]) -> None:
    entities, _ = crate
    for entity in entities.values():
        for target in references({key: value for key, value in entity.items() if key != "@id"}):
            assert target in entities or target.startswith("https://"), (entity["@id"], target)


def test_all_files_are_parts_under_their_names(crate: tuple[dict[str, Entity], set[str]]) -> None:
    entities, names = crate
    parts = {unquote(part) for part in references(entities["./"]["hasPart"])}
    assert parts == names - {_META, "SHA256SUMS"}
    for part in references(entities["./"]["hasPart"]):
        assert "File" in listed(entities[part]["@type"])


def test_the_root_has_what_it_must(crate: tuple[dict[str, Entity], set[str]]) -> None:
    entities, _ = crate
    assert entities[_META]["about"] == {"@id": "./"}
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in entities[_META]["conformsTo"]
    root = entities["./"]
    assert root["@type"] == "Dataset"
    assert {"name", "description", "datePublished", "license", "conformsTo"} <= root.keys()
    profiles = {target.rsplit("/", 2)[-2] for target in references(root["conformsTo"])}
    assert profiles == {"process", "workflow", "provenance", "workflow-ro-crate"}
    assert all(entities[target]["version"] for target in references(root["conformsTo"]))


def test_the_run_is_an_action_of_the_workflow(crate: tuple[dict[str, Entity], set[str]]) -> None:
    entities, _ = crate
    workflow = entities[entities["./"]["mainEntity"]["@id"]]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"}
    run = entities["#run"]
    assert (run["@type"], run["instrument"]) == ("CreateAction", {"@id": "template.yaml"})
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert run["result"] == {"@id": "artifacts/artifact.1/tea.md"}
    [given] = listed(run["object"])
    assert (entities[given["@id"]]["name"], entities[given["@id"]]["value"]) == ("topic", "tea")


def test_each_attempt_is_an_action_of_its_agent(crate: tuple[dict[str, Entity], set[str]]) -> None:
    entities, names = crate
    mentioned = set(references(entities["./"]["mentions"]))
    attempts = [entities[target] for target in mentioned - {"#run"}]
    assert len(attempts) == 3
    assert sum("error" in action for action in attempts) == 1
    for action in attempts:
        assert (action["@type"], action["instrument"]) == ("CreateAction", {"@id": "#agent-writer"})
        assert unquote(action["result"]["@id"]) in names
        assert action["actionStatus"].endswith("FailedActionStatus" if "error" in action else "CompletedActionStatus")


def test_steps_refer_to_their_attempts(crate: tuple[dict[str, Entity], set[str]]) -> None:
    entities, _ = crate
    of_kind: dict[str, list[Entity]] = {"HowToStep": [], "ControlAction": []}
    for entity in entities.values():
        of_kind.get(str(entity["@type"]), []).append(entity)
    assert {step["name"] for step in of_kind["HowToStep"]} == {"draft", "late"}
    workflow = entities["template.yaml"]
    assert {step["@id"] for step in of_kind["HowToStep"]} == set(references(workflow["step"]))
    carried_out = [target for action in of_kind["ControlAction"] for target in references(action["object"])]
    assert len(carried_out) == len(set(carried_out)) == 3


def test_a_run_without_a_template_has_no_workflow(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path / "trace"))
    store.write(attempt())
    export(store, RUN.dag_id, RUN.run_id, None, tmp_path / "b.zip")
    entities, _ = crate_of(tmp_path / "b.zip")
    assert "mainEntity" not in entities["./"]
    assert listed(entities["./"]["conformsTo"]) == [{"@id": "https://w3id.org/ro/wfrun/process/0.5"}]
    assert entities["#run"]["instrument"] == {"@id": "#airflow-agentic"}
    assert "actionStatus" not in entities["#run"], "it goes on"
