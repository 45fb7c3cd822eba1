from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from airflow_agentic.agents.library.reading import files
from airflow_agentic.agents.library.sources import folder, load
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "The password of the database is hunter2, as everybody knows."


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "root-but-not").mkdir()
    (tmp_path / "root-but-not" / "secret.txt").write_text(SECRET)
    (folder / "notes.md").write_text("# Notes\n\nRetries should wait longer each time.\n")
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", str(folder))
    return folder


def loaded(*sources: str, **options: Any) -> dict[str, Any]:
    return asyncio.run(load(list(sources), **options))


def test_a_file_below_the_root_is_read_by_relative_and_absolute_name(root: Path) -> None:
    for name in ("notes.md", str(root / "notes.md"), "./sub/../notes.md"):
        (source,) = loaded(name)["sources"]
        assert source == {
            "id": "s1",
            "title": "Notes",
            "uri": name,
            "text": "# Notes\n\nRetries should wait longer each time.",
            "characters": 46,
        }


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "/etc/passwd", "sub/../../secret.txt", "../root-but-not/secret.txt", "..", "/", "link.txt"],
)
def test_what_lies_outside_the_roots_is_refused(root: Path, name: str) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    with pytest.raises(FinalError, match="source_roots") as caught:
        loaded("notes.md", name)
    assert caught.value.kind == "rejected"


def test_a_linked_folder_does_not_lead_out(root: Path) -> None:
    (root / "out").symlink_to(root.parent)
    with pytest.raises(FinalError, match="source_roots"):
        loaded("out/secret.txt")


def test_the_error_is_the_same_whether_the_file_exists(root: Path) -> None:
    messages = set()
    for name in ("../secret.txt", "../nothing.txt"):
        with pytest.raises(FinalError) as caught:
            loaded(name)
        messages.add(str(caught.value).replace(name, "…"))
    assert len(messages) == 1


def test_a_link_within_the_root_is_followed(root: Path) -> None:
    (root / "link.md").symlink_to(root / "notes.md")
    assert loaded("link.md")["sources"][0]["title"] == "Notes"


def test_what_was_put_in_the_files_place_after_the_check_is_not_read(root: Path) -> None:
    path = files.locate("notes.md")
    (root / "notes.md").unlink()
    (root / "notes.md").symlink_to(root.parent / "secret.txt")
    with pytest.raises((FinalError, OSError)):
        files.read_bytes(path, max_bytes=1000)


def test_a_folder_gives_its_documents_in_a_fixed_order_and_says_what_it_left_out(root: Path) -> None:
    for name in ("b.txt", "a.rst", "sub/c.html", "z.bin", ".hidden.md", "sub/.git/x.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("<html><body><p>Some words.</p></body></html>" if "html" in name else "Words.")
    (root / "out.md").symlink_to(root.parent / "secret.txt")
    (root / "empty.txt").write_text(" \n")
    result = loaded(".")
    assert [source["uri"] for source in result["sources"]] == ["./a.rst", "./b.txt", "./notes.md", "./sub/c.html"]
    assert {entry["uri"]: entry["reason"] for entry in result["skipped"]} == {
        "./empty.txt": "it holds no text",
        "./out.md": "it is a link that leads out of [agentic] source_roots",
    }
    assert SECRET not in str(result)


def test_a_folders_documents_can_be_listed_without_reading_them(root: Path) -> None:
    (root / "deep").mkdir()
    for name in ("b.md", "a.txt", "deep/c.rst", "picture.png", ".hidden.md"):
        (root / name).write_bytes(b"\xff")
    assert folder(".") == {"documents": ["./a.txt", "./b.md", "./deep/c.rst", "./notes.md"], "skipped": []}
    assert folder("deep/")["documents"] == ["deep/c.rst"]
    with pytest.raises(FinalError, match="There is no folder 'nowhere'"):
        folder("nowhere")
    with pytest.raises(FinalError, match="not below"):
        folder("..")


def test_a_folder_with_too_many_documents_is_refused(root: Path) -> None:
    for number in range(5):
        (root / f"{number}.md").write_text("Words.")
    with pytest.raises(FinalError, match="more than 3 documents"):
        loaded(".", max_sources=3)


def test_a_large_file_is_refused_when_named_and_left_out_of_a_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__MAX_SOURCE_BYTES", "100")
    (root / "large.txt").write_text("x" * 101)
    with pytest.raises(FinalError, match="larger than 100 bytes"):
        loaded("large.txt")
    assert loaded(".")["skipped"] == [
        {"uri": "./large.txt", "reason": "it is larger than 100 bytes ([agentic] max_source_bytes)"}
    ]


def test_what_can_not_be_read_is_skipped_while_something_is(root: Path) -> None:
    os.mkfifo(root / "pipe.txt")
    (root / "binary.dat").write_bytes(b"\0\1\2" * 100)
    (root / "broken.pdf").write_bytes(b"%PDF-1.7 but not really")
    result = loaded("notes.md", "missing.md", "pipe.txt", "binary.dat", "broken.pdf")
    reasons = {entry["uri"]: entry["reason"] for entry in result["skipped"]}
    assert reasons["missing.md"] == "there is no such file"
    assert reasons["pipe.txt"] == "it can't be read: it is no regular file"
    assert reasons["binary.dat"] == "it is not text, and not a PDF"
    assert reasons["broken.pdf"].startswith("it is no readable PDF")


def test_nothing_to_read_is_an_error_that_names_every_reason(root: Path) -> None:
    with pytest.raises(
        FinalError, match=r"Only 0 of at least 1 .* a\.md: there is no such file; b\.md: there is"
    ) as caught:
        loaded("a.md", "b.md")
    assert caught.value.kind == "rejected"


@pytest.mark.parametrize("sources", ["notes.md", [""], [None], [{"uri": "notes.md"}]])
def test_sources_are_a_list_of_texts(root: Path, sources: Any) -> None:
    with pytest.raises(FinalError, match="must be a list of texts"):
        asyncio.run(load(sources))


def test_the_same_source_twice_is_one_source(root: Path) -> None:
    assert len(loaded("notes.md", " notes.md ", "notes.md")["sources"]) == 1


def test_several_roots(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "more.txt").write_text("More words.")
    monkeypatch.setenv("AIRFLOW__AGENTIC__SOURCE_ROOTS", f"{root}, {second}")
    assert [source["title"] for source in loaded("more.txt", "notes.md")["sources"]] == ["more.txt", "Notes"]


def test_control_characters_do_not_reach_the_database(root: Path) -> None:
    (root / "odd.txt").write_text("A bell\x07, a form feed\x0c and\r\nan escape\x1b[0m.", newline="")
    assert loaded("odd.txt")["sources"][0]["text"] == "A bell, a form feed and\nan escape[0m."
