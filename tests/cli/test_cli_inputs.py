"""The inputs of a command line: how they are read, and how wrong ones are named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_agentic.cli.inputs import check_inputs, read_inputs
from airflow_agentic.errors import InputError, TemplateError
from airflow_agentic.planning.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path


def _plan(**schemas: dict[str, Any]) -> Plan:
    inputs = {name: {"schema": schema, "required": True, "description": None} for name, schema in schemas.items()}
    return Plan(name="p", digest="", source="", file="", dag={}, inputs=inputs, agents={}, tasks=())


PLAN = _plan(
    text={"type": "string"},
    number={"type": "number"},
    either={"type": ["string", "integer"]},
    free={},
    code={"type": "string", "enum": ["1", "2"]},
)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("number=3", 3),
        ("number=many", "many"),
        ("text=hello", "hello"),
        ("text=2026", "2026"),
        ("text=true", "true"),
        ("text={{ 7*7 }}", "{{ 7*7 }}"),
        ('text="quoted"', "quoted"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("either=3", 3),
        ('free={"a": [1]}', {"a": [1]}),
        ("free=NaN", "NaN"),
        ("code=1", "1"),
        ("unknown=3", 3),
    ],
)
def test_a_value_is_json_where_the_input_takes_it(pair: str, value: Any) -> None:
    assert read_inputs(PLAN, [pair], None) == {pair.split("=")[0]: value}


@pytest.mark.parametrize("pair", ["text", "=text", ""])
def test_a_pair_needs_a_name_and_an_equals_sign(pair: str) -> None:
    with pytest.raises(InputError, match="NAME=VALUE"):
        read_inputs(PLAN, [pair], None)


def test_a_file_is_yaml_and_pairs_win(tmp_path: Path) -> None:
    file = tmp_path / "inputs.yaml"
    file.write_text("text: 2026-01-01\nnumber: 1\nfree: [yes, no]\n")
    found = read_inputs(PLAN, ["number=2"], str(file))
    assert found == {"text": "2026-01-01", "number": 2, "free": ["yes", "no"]}


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("[1, 2]", InputError, "must hold a mapping"),
        ("a: [1", TemplateError, "inputs.yaml:"),
        ("a: 1\na: 2", TemplateError, "inputs.yaml:2:1"),
        ("", InputError, "must hold a mapping"),
    ],
)
def test_a_file_that_holds_no_inputs(tmp_path: Path, content: str, error: type[Exception], message: str) -> None:
    file = tmp_path / "inputs.yaml"
    file.write_text(content)
    with pytest.raises(error, match=message):
        read_inputs(PLAN, [], str(file))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"nowhere\.yaml"):
        read_inputs(PLAN, [], str(tmp_path / "nowhere.yaml"))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    plan = _plan(topic={"type": "string", "minLength": 3}, limit={"type": "integer"}, sources={"type": "array"})
    with pytest.raises(InputError) as caught:
        check_inputs(plan, {"tpic": "x", "limit": "a", "zzz": 1, "sources": []})
    assert str(caught.value).splitlines() == [
        "p can't run with these inputs:",
        "  tpic: there is no such input; did you mean 'topic'?",
        "  zzz: there is no such input; it takes topic, limit, sources",
        "  topic: is required",
        "  limit: 'a' is not of type 'integer'",
    ]


def test_good_inputs_pass() -> None:
    check_inputs(_plan(topic={"type": "string"}), {"topic": "bees"})
