"""The front door: names, folders and included files, and what a template that passes looks like."""

from __future__ import annotations

import pickle
import re

import jinja2
import pytest
from support.template_texts import SMALLEST, template

from airflow_agentic.errors import TemplateError
from airflow_agentic.template import expressions
from airflow_agentic.template.models import STAGE_NAME
from airflow_agentic.template.parse import load_template, load_text
from airflow_agentic.template.template import RESERVED_NAMES


def codes(error):
    return [problem.code for problem in error.value.problems]


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["brief.yaml", "a-b_c.1.yaml", "brief.tpl.yml", "BRIEF", "x" * 250 + ".yaml"])
def test_a_template_has_its_files_name(file):
    assert load_text(SMALLEST, f"folder/{file}").name == file.removesuffix(".yaml").removesuffix(".yml")


@pytest.mark.parametrize("file", ["my brief.yaml", "größe.yaml", "a&b.yaml", "x" * 251 + ".yaml"])
def test_a_file_whose_name_is_no_dags_id_needs_a_name(file):
    with pytest.raises(TemplateError) as caught:
        load_text(SMALLEST, file)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("AGT204", 1, 1)
    assert "write name: " in (problem.hint or "")
    assert load_text(f"name: brief\n{SMALLEST}", file).name == "brief"


def test_a_wrong_name_is_one_problem():
    with pytest.raises(TemplateError) as caught:
        load_text(f"name: a b\n{SMALLEST}", "c d.yaml")
    assert codes(caught) == ["AGT204"]


JINJA = sorted(
    {
        *expressions.ENVIRONMENT.filters,
        *expressions.ENVIRONMENT.tests,
        *jinja2.Environment().globals,
        *jinja2.Environment().filters,
        *("for", "if", "block", "extends", "print", "macro", "include", "from", "import", "set", "with", "autoescape"),
        *("endfor", "endif", "else", "elif", "in", "is", "not", "and", "or", "true", "false", "none", "recursive"),
        *("super", "self", "loop", "caller", "varargs", "kwargs", "call", "filter", "raw", "do", "trans", "pluralize"),
        *("continue", "break", "debug", "ignore", "missing", "context", "without", "as", "scoped", "required", "l_0_x"),
        *(
            "result",
            "environment",
            "undefined",
            "concat",
            "resolve",
            "name",
            "parent_template",
            "t_1",
            "yield",
            "lambda",
        ),
        *("class", "def", "return", "async", "await", "global", "pass", "try", "while", "exec", "type", "id", "output"),
    }
)


@pytest.mark.parametrize("name", [name for name in JINJA if re.match(STAGE_NAME, name)])
def test_a_name_is_reserved_or_can_be_read(name):
    """Whatever Jinja or Python mean by it."""
    text = template(
        f"{name}: {{agent: tool}}\nz_reader: {{agent: tool, when: {name} == 'v', input: {{x: '{{{{ {name}.k }}}}'}}}}"
    )
    if name in RESERVED_NAMES:
        with pytest.raises(TemplateError) as caught:
            load_text(text, "t.yaml")
        assert "AGT206" in codes(caught)
        return
    assert load_text(text, "t.yaml").dependencies["z_reader"].required == (name,)
    scope = {name: {"k": "v", "l": [1, 2]}}
    assert expressions.render_text(f"{{{{ {name} }}}}", scope) == scope[name]
    assert (
        expressions.render_string(f"{{% for i in {name}.l %}}{{{{ {name}.k }}}}{{{{ i }}}}{{% endfor %}}", scope)
        == "v1v2"
    )
    assert expressions.render_string(f"{{% if {name} %}}{{{{ {name}.k | upper }}}}{{% endif %}}", scope) == "V"
    assert expressions.is_true(f"{name}.k == 'v' and {name} is defined", scope)
    assert not expressions.is_true(f"{name}", {})
    assert expressions.render_passages(f"a{{{{ {name}.k }}}}", scope)[0] == "av"


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_reserved_names_are_names_that_a_stage_could_have(name):
    assert re.match(STAGE_NAME, name)


# --- included files -----------------------------------------------------------------------------------------------

SHARED = "agents:\n  shared: {type: python, callable: 'a:b'}\n"
USING = "version: 1\ninclude: [NAME]\nstages: {x: {agent: shared}}\n"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "templates"
    (root / "team").mkdir(parents=True)
    (root / "shared.yaml").write_text(SHARED)
    (tmp_path / "outside.yaml").write_text(SHARED)
    return root


def written(path, name):
    path.write_text(USING.replace("NAME", name))
    return path


def test_included_agents_serve_stages(folder):
    loaded = load_template(written(folder / "main.yaml", "shared.yaml"))
    assert loaded.stages["x"].agent == "shared"
    assert loaded.files == {"shared.yaml": SHARED}
    assert loaded.warnings == ()


def test_agents_that_are_only_shared_are_no_warning(folder):
    (folder / "shared.yaml").write_text(SHARED + "  more: {type: python, callable: 'c:d'}\n")
    assert load_template(written(folder / "main.yaml", "shared.yaml")).warnings == ()


@pytest.mark.parametrize("name", ["../shared.yaml", "./../shared.yaml", "../team/../shared.yaml"])
def test_a_root_widens_what_can_be_included(folder, name):
    main = written(folder / "team" / "main.yaml", name)
    with pytest.raises(TemplateError) as caught:
        load_template(main)
    assert "AGT212" in codes(caught)
    assert load_template(main, root=folder).stages["x"].agent == "shared"


@pytest.mark.parametrize("name", ["../outside.yaml", "link.yaml", "linked/outside.yaml"])
def test_nothing_outside_of_the_root_can_be_included(folder, name):
    (folder / "link.yaml").symlink_to(folder.parent / "outside.yaml")
    (folder / "linked").symlink_to(folder.parent)
    with pytest.raises(TemplateError) as caught:
        load_template(written(folder / "main.yaml", name), root=folder)
    assert "lies outside of the templates' folder" in str(caught.value)


def test_a_link_inside_of_the_root_is_fine(folder):
    (folder / "team" / "link.yaml").symlink_to(folder / "shared.yaml")
    assert load_template(written(folder / "main.yaml", "team/link.yaml")).stages["x"].agent == "shared"


def test_included_files_have_the_same_bounds(folder):
    (folder / "shared.yaml").write_text(SHARED + "x-deep: " + "[" * 100 + "]" * 100 + "\n")
    with pytest.raises(TemplateError) as caught:
        load_template(written(folder / "main.yaml", "shared.yaml"))
    assert "AGT105" in codes(caught)
    (folder / "shared.yaml").write_bytes(b"a" * 5_000_000)
    with pytest.raises(TemplateError) as caught:
        load_template(written(folder / "main.yaml", "shared.yaml"))
    assert "AGT103" in codes(caught)


def test_problems_of_all_files_are_reported(folder):
    (folder / "shared.yaml").write_text("agents:\n  shared: {type: python, callable: wrong}\n")
    main = written(folder / "main.yaml", "shared.yaml")
    main.write_text(main.read_text() + "nmae: x\n")
    with pytest.raises(TemplateError) as caught:
        load_template(main)
    assert [(problem.path.rsplit("/")[-1], problem.code) for problem in caught.value.problems] == [
        ("main.yaml", "AGT202"),
        ("shared.yaml", "AGT204"),
    ]


# --- what comes out -----------------------------------------------------------------------------------------------


def test_warnings_of_a_template_that_passes_are_kept():
    loaded = load_text(template("a: {agent: tool}\nb: {agent: tool, input: {x: a}}"), "t.yaml")
    assert [problem.code for problem in loaded.warnings] == ["AGT413", "AGT310"]
    assert {problem.severity for problem in loaded.warnings} == {"warning"}


def test_errors_can_be_pickled_and_printed():
    with pytest.raises(TemplateError) as caught:
        load_text("version: 2\n\tstages: {}\n", "t.yaml")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.problems == caught.value.problems


def test_a_problem_shows_its_line_and_points_at_the_place():
    with pytest.raises(TemplateError) as caught:
        load_text("version: 1\nstages:\n  a: {agent: nobody}\n", "folder/t.yaml")
    assert str(caught.value) == (
        "folder/t.yaml:3:14: AGT405 there is no agent 'nobody'\n"
        "      a: {agent: nobody}\n"
        "                 ^\n"
        "    hint: declare it in agents:"
    )


def test_a_long_line_is_cut_around_the_place():
    with pytest.raises(TemplateError) as caught:
        load_text(f"version: 1\nstages: {{a: {{description: '{'x' * 500}', agent: nobody}}}}\n", "t.yaml")
    (_, shown, pointer, _) = str(caught.value).split("\n")
    assert len(shown) < 130
    assert shown[pointer.index("^") :].startswith("nobody")


def test_long_lists_of_names_are_cut():
    stages = "\n".join(f"stage_number_{number}: {{agent: tool}}" for number in range(200))
    with pytest.raises(TemplateError) as caught:
        load_text(template(f"{stages}\nlast: {{agent: tool, needs: zzz}}"), "t.yaml")
    assert len(str(caught.value)) < 1_000
