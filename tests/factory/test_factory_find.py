"""Which files of a folder are templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_agentic.factory import find

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nstages: {}\n",
        "stages:\n  a: {}\n",
        "version: 1\nstage: {a: {}}\n",
        "# a comment\nversion: 1  # ours\n",
        "version: 1\r\nstages:\r\n",
        '"stages": {}\n',
        '{"version": 1, "stages": {}}',
        "\ufeffversion: 1\n",
        "stages: [unclosed\n",
    ],
)
def test_a_template_is_recognised_even_broken(text: str) -> None:
    assert find.is_template(text.encode())
    assert find.is_template(text.removeprefix("\ufeff").encode("utf-16"))


@pytest.mark.parametrize(
    "text",
    [
        "agents:\n  a: {type: llm}\n",
        "version: '3.8'\nservices: {}\n",
        "version: 10\n",
        "version: 2\n",
        "",
        "apiVersion: v1\nspec:\n  stages: [a]\n",
        "job:\n  version: 1\n",
    ],
)
def test_other_yaml_is_left_alone(text: str) -> None:
    assert not find.is_template(text.encode())


def test_bytes_of_any_kind_are_looked_at() -> None:
    assert not find.is_template(bytes(range(256)))
    assert find.is_template(b"version: 1\nname: \xff\n")


def test_files_are_sorted_and_stay_inside(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    for name in ("b.yaml", "a.yml", "sub/c.yaml", ".hidden.yaml", ".git/d.yaml", "__pycache__/e.yaml", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("stages: {}\n")
    (tmp_path / "outside.yaml").write_text("stages: {}\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "f.yaml").write_text("stages: {}\n")
    (folder / "link_in.yaml").symlink_to(folder / "b.yaml")
    (folder / "link_out.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "link_gone.yaml").symlink_to(folder / "gone.yaml")
    (folder / "linked").symlink_to(tmp_path / "other")
    assert list(find.files(folder, find.SUFFIXES)) == ["a.yml", "b.yaml", "link_in.yaml", "sub/c.yaml"]


def test_a_linked_folder_can_be_the_root(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.yaml").write_text("stages: {}\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert list(find.files(tmp_path / "link", find.SUFFIXES)) == ["a.yaml"]


@pytest.mark.parametrize(
    ("text", "claim", "line"),
    [
        ("version: 1\nname: brief\n", "brief", 2),
        ("name: 'brief' # the name\n", "brief", 1),
        ('"name": "my.brief-2"\r\n', "my.brief-2", 1),
        ("version: 1\nagents:\n  name: x\n", "file", 1),
        ("version: 1\n", "file", 1),
    ],
)
def test_the_claimed_name(text: str, claim: str, line: int) -> None:
    candidate = find.Candidate(path="sub/file.yaml", content=text.encode())
    assert (candidate.claim, candidate.name_line) == (claim, line)


def test_the_file_called_by_the_name_has_it() -> None:
    assert find.duplicates({"a.yaml": "brief", "brief.yaml": "brief", "z.yaml": "brief"}) == {
        "a.yaml": "brief.yaml",
        "z.yaml": "brief.yaml",
    }
    assert find.duplicates({"b.yaml": "x", "a.yaml": "x", "c.yaml": "y"}) == {"b.yaml": "a.yaml"}
