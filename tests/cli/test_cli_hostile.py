"""What is printed of bundles and stores that others made: no line is theirs, and nothing steers a terminal."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from typing import TYPE_CHECKING

import pytest
from support.records import RUN
from support.sealed_runs import sealed_run

from airflow_agentic.cli.main import main
from airflow_agentic.trace.export import export

if TYPE_CHECKING:
    from pathlib import Path

STEERED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
CLEARED = "\x1b[2J\x1b[H\x9b2J\u202eintact"


@pytest.fixture
def members(tmp_path: Path) -> dict[str, bytes]:
    """Of a good bundle."""
    run = sealed_run(tmp_path)
    export(run.store, RUN.dag_id, RUN.run_id, None, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> str:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return str(path)


def test_a_verdict_is_ours_line_by_line(
    members: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads(members["records/manifest.2.json"]) | {"sealed": f"{CLEARED}\nbriefs x: intact"}
    sealed = json.dumps(manifest).encode()
    members["records/manifest.2.json"] = sealed
    members["records/manifest.2.sha256"] = f"{hashlib.sha256(sealed).hexdigest()}  manifest.2.json\n".encode()
    members[f"x{CLEARED}\nbriefs x: intact"] = b""
    assert main(["verify", packed(tmp_path / "b.zip", members)]) == 1
    told = capsys.readouterr().out
    assert STEERED.search(told) is None
    assert next(line for line in told.splitlines() if line.startswith("briefs")).count("NOT INTACT") == 1
    assert not any(line.startswith("briefs x") for line in told.splitlines())


@pytest.mark.parametrize("command", [["verify"], ["diff", "none", "none"]])
def test_names_in_messages_dont_steer(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = packed(tmp_path / "odd.zip", {f"{CLEARED}.json": b""}, zipfile.ZIP_BZIP2)
    assert main([*command[:1], odd, *command[1:]]) == 2
    assert STEERED.search(capsys.readouterr().err) is None


@pytest.mark.parametrize("text", [b"[]", b"3", b'"x"', b"{}", b'{"format": 1}', b"[" * 100_000, b"\xff"])
def test_what_is_no_trace_is_told_in_words(text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = packed(tmp_path / "b.zip", {"trace.json": text})
    assert main(["diff", bundle, bundle]) == 2
    assert "airflow-agentic: " in capsys.readouterr().err


def test_a_trace_that_unpacks_to_very_much_isnt_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_agentic.trace.bundle_check._MOST_WHOLE", 1000)
    bundle = packed(tmp_path / "b.zip", {"trace.json": b" " * 2000 + b"{}"}, zipfile.ZIP_DEFLATED)
    assert main(["diff", bundle, bundle]) == 2
    assert "aren't read" in capsys.readouterr().err


def test_a_list_of_runs_is_one_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sealed_run(tmp_path)
    path = run.folder / "manifest.2.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": f"{CLEARED}\nother", "sealed": CLEARED}))
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", run.store.url)
    assert main(["trace", RUN.dag_id]) == 0
    told = capsys.readouterr().out
    assert STEERED.search(told) is None
    assert len(told.splitlines()) == 1
