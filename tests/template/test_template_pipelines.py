"""Pipelines as stages: where they are found, what they see, and how they are checked."""

from __future__ import annotations

import time

import pytest
from support.template_texts import template

from airflow_agentic.errors import TemplateError
from airflow_agentic.template.parse import load_template, load_text
from airflow_agentic.template.pipelines import MAX_DEPTH, inner_pipelines

CHECK = """\
version: 1
inputs: {claim: string, deep: {type: boolean, default: true}}
defaults: {timeout: 5m}
agents: {tool: {type: python, callable: "check:it"}}
stages: {x: {agent: tool, input: {claim: "{{ inputs.claim }}"}}}
output: {verdict: "{{ x }}"}
"""


@pytest.fixture
def folder(tmp_path):
    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def using(name, *more):
    lines = [f'a: {{pipeline: {name}, input: {{claim: "{{{{ run.id }}}}"}}}}', *more]
    return template("\n".join(lines), agents=False)


def codes(path, **more):
    with pytest.raises(TemplateError) as caught:
        load_template(path, **more)
    return [problem.code for problem in caught.value.problems]


# --- where they are found -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"check.yaml": CHECK},
        {"check.yml": CHECK},
        {"other.yaml": f"name: check\n{CHECK}"},
        {"other.yml": f"# a comment\n'name': \"check\" # its name\n{CHECK}"},
        {"check.yaml": CHECK, "check.yml": "version: 1\n", "other.yaml": "name: check\n"},
    ],
)
def test_a_template_of_the_same_folder_by_its_files_name_or_its_own(folder, files):
    root = folder({"main.yaml": using("check"), "deeper/check.yaml": "no template", **files})
    inner = load_template(root / "main.yaml").stages["a"].pipeline
    assert (inner.name, list(inner.inputs), list(inner.stages)) == ("main.a", ["claim", "deep"], ["x"])
    assert inner.agents["tool"].spec.callable == "check:it"
    assert (inner.spec.defaults.timeout, inner.spec.output) == (300.0, {"verdict": "{{ x }}"})
    assert {reference.path for reference in inner.reads["output"]} == {("x",)}


def test_files_that_were_read_are_told(folder):
    deep = CHECK.replace("stages: {", "include: [agents.yaml]\nstages: {y: {pipeline: last}, ")
    files = {"main.yaml": using("deep"), "deep.yaml": deep, "last.yaml": CHECK.replace("claim: string, ", "")}
    files["last.yaml"] = files["last.yaml"].replace("{{ inputs.claim }}", "x")
    files["agents.yaml"] = "agents: {more: {type: python, callable: 'a:b'}}\n"
    root = folder(files)
    loaded = load_template(root / "main.yaml")
    assert loaded.files == {name: files[name] for name in ("deep.yaml", "agents.yaml", "last.yaml")}
    assert [inner.name for inner in inner_pipelines(loaded)] == ["main.a", "main.a.y"]


def test_a_file_is_read_once_and_its_problems_are_told_once(folder, monkeypatch):
    from airflow_agentic.template import pipelines

    read = []
    original = pipelines.read_source
    monkeypatch.setattr(pipelines, "read_source", lambda path: read.append(path.name) or original(path))
    broken = CHECK.replace("agent: tool, input", "agent: nobody, input")
    root = folder({"main.yaml": using("check", "b: {pipeline: check}", "c: {pipeline: check}"), "check.yaml": broken})
    assert codes(root / "main.yaml") == ["AGT405", "AGT472", "AGT472"]
    assert read == ["check.yaml"]


def test_warnings_of_the_other_file_are_its_own_affair(folder):
    root = folder(
        {
            "main.yaml": using("check"),
            "check.yaml": CHECK.replace("{tool:", "{spare: {type: python, callable: 'a:b'}, tool:"),
        }
    )
    assert load_template(root / "main.yaml").warnings == ()
    assert [problem.code for problem in load_template(root / "check.yaml").warnings] == ["AGT413"]


def test_what_belongs_to_runs_of_its_own_is_left_out(folder):
    more = "schedule: null\nartifact: {path: a, content: '{{ x }}'}\nnotify: {on_failure: [{notifier: a.B}]}\n"
    root = folder({"main.yaml": using("check"), "check.yaml": more + CHECK})
    inner = load_template(root / "main.yaml").stages["a"].pipeline
    assert (inner.artifacts, inner.schedule, inner.spec.notify.on_failure) == ((), None, [])
    assert "artifact.0" not in inner.reads


def test_a_pipeline_has_no_artifact_to_read(folder):
    more = "artifact: {path: a, content: '{{ x }}'}\n"
    text = more + CHECK.replace("{{ x }}", "{{ artifact.uri }}")
    root = folder({"main.yaml": using("check"), "check.yaml": text})
    assert codes(root / "main.yaml") == ["AGT401"]


def test_a_link_out_of_the_templates_folder(folder, tmp_path):
    root = folder({"templates/main.yaml": using("check"), "secret/check.yaml": CHECK})
    (root / "templates" / "check.yaml").symlink_to(root / "secret" / "check.yaml")
    assert codes(root / "templates" / "main.yaml") == ["AGT470"]
    load_template(root / "templates" / "main.yaml", root=tmp_path)


def test_a_file_that_is_not_yaml(folder):
    root = folder({"main.yaml": using("check"), "check.yaml": "stages: ["})
    assert codes(root / "main.yaml") == ["AGT110"]


def test_a_text_without_a_file_finds_nothing():
    with pytest.raises(TemplateError) as caught:
        load_text(using("check"), "nowhere/main.yaml")
    assert [problem.code for problem in caught.value.problems] == ["AGT470"]


# --- in place -----------------------------------------------------------------------------------------------------


def test_in_place_it_sees_its_input_and_the_files_agents():
    loaded = load_text(
        template(
            """
            x: {agent: tool}
            a:
              input: {text: "{{ x }}", n: 5}
              pipeline:
                stages:
                  x: {agent: tool, input: {text: "{{ inputs.text }}", n: "{{ inputs.n }}"}}
                  y: {agent: {type: python, callable: "in:place"}, needs: x}
                output: {z: "{{ y }}"}
            b: {agent: tool, input: {z: "{{ a.z }}"}}
            """
        ),
        "main.yaml",
    )
    inner = loaded.stages["a"].pipeline
    assert inner.agents is loaded.agents
    assert [agent.name for agent in loaded.agents.values()] == ["model", "tool", "a.y"]
    assert {name: spec.schema for name, spec in inner.inputs.items()} == {"text": {}, "n": {}}
    assert inner.dependencies["y"].required == ("x",)
    assert loaded.dependencies["a"].required == ("x",)
    assert loaded.dependencies["b"].required == ("a",)


def nested(depth):
    text = "{agent: tool}"
    for _ in range(depth):
        text = f"{{pipeline: {{stages: {{a: {text}}}}}}}"
    return template(f"a: {text}")


def test_eight_in_each_other_are_fine_and_nine_are_not():
    loaded = load_text(nested(MAX_DEPTH), "main.yaml")
    assert [inner.name for inner in inner_pipelines(loaded)][-1] == "main" + ".a" * MAX_DEPTH
    with pytest.raises(TemplateError) as caught:
        load_text(nested(MAX_DEPTH + 1), "main.yaml")
    assert {problem.code for problem in caught.value.problems} == {"AGT471", "AGT413"}


def test_files_that_multiply_end_soon(folder):
    """Eight files, each with the next one a hundred times."""
    files = {}
    for number in range(8):
        uses = "\n".join(f"a{n}: {{pipeline: f{number + 1}}}" for n in range(100))
        files[f"f{number}.yaml"] = template(uses, agents=False)
    files["f8.yaml"] = template("a: {agent: tool}")
    root = folder(files)
    started = time.process_time()
    assert "AGT474" in codes(root / "f0.yaml")
    assert time.process_time() - started < 5


def test_pipelines_without_loops_are_counted_too(folder):
    uses = "\n".join(f"a{n}: {{pipeline: many}}" for n in range(11))
    many = template("\n".join(f"a{n}: {{agent: tool}}" for n in range(100)))
    root = folder({"main.yaml": template(uses, agents=False), "many.yaml": many})
    assert codes(root / "main.yaml") == ["AGT474"]


# --- what they are handed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("{claim: x}", []),
        ("{claim: x, deep: false}", []),
        ('{claim: "{{ run.conf.x }}", deep: "{{ run.conf.y }}"}', []),
        ("{deep: false}", ["AGT472"]),
        ("{claim: 5}", ["AGT472"]),
        ("{claim: x, other: 1}", ["AGT472"]),
    ],
)
def test_inputs_of_another_template(folder, given, found):
    text = template(f"a: {{pipeline: check, input: {given}}}", agents=False)
    root = folder({"main.yaml": text, "check.yaml": CHECK})
    if found:
        assert codes(root / "main.yaml") == found
    else:
        load_template(root / "main.yaml")


def test_loops_and_errors_of_a_pipeline_are_its_own():
    text = template(
        """
        a:
          pipeline:
            stages:
              x: {agent: tool, input: {f: "{{ feedback.f | default('') }}"}, on_error: {to: z}}
              y: {agent: tool, needs: x, routes: [{when: y.q, back_to: x, max_rounds: 2, with: {f: 1}}, {to: next}]}
              z: {agent: model, prompt: "{{ error.message }}"}
            output: {y: "{{ y | default(none) }}"}
        """
    )
    loaded = load_text(text, "main.yaml")
    inner = loaded.stages["a"].pipeline
    assert [loop.body for loop in inner.flow.loops] == [{"x", "y"}]
    assert loaded.flow.loops == ()
    with pytest.raises(TemplateError) as caught:
        load_text(text.replace('y: "{{ y | default(none) }}"', 'y: "{{ y }}"'), "main.yaml")
    assert [problem.code for problem in caught.value.problems] == ["AGT406"]
