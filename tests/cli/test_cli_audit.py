"""``trace``, ``verify``, ``diff`` and ``export`` as an auditor calls them: what they print, and their exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator
from support.command_line import CommandLine, Ended
from support.records import RUN, attempt
from support.sealed_runs import SealedRun, sealed_run

from airflow_agentic.cli.main import main
from airflow_agentic.trace import bundle
from airflow_agentic.trace.bundle import about
from airflow_agentic.trace.drawn_by import DrawnBy
from airflow_agentic.trace.schema import trace_schema

if TYPE_CHECKING:
    from pathlib import Path

KEY = (RUN.dag_id, RUN.run_id)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SealedRun:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__AGENTIC__TRACE_URL", str(tmp_path / "trace"))
    return sealed_run(tmp_path)


def shell(folder: Path, *arguments: str, **options: str) -> Ended:
    return CommandLine(folder=folder).call(*arguments, AIRFLOW__AGENTIC__TRACE_URL=str(folder / "trace"), **options)


def test_an_auditors_way_from_the_store_to_a_bundle(run: SealedRun, tmp_path: Path) -> None:
    good = shell(tmp_path, "verify", *KEY)
    assert (good.code, good.err) == (0, "")
    assert good.out.splitlines()[-2] == f"seal {run.seals[1]}"
    assert "compare this seal with one that was kept elsewhere" in good.out
    sealed = shell(tmp_path, "verify", *KEY, "--seal", run.seals[1], "--json")
    assert (sealed.code, sealed.document["state"], sealed.document["findings"]) == (0, "intact", [])
    exported = shell(tmp_path, "export", *KEY, "-o", "bundle.zip")
    assert (exported.code, exported.err) == (0, "")
    assert f"seal {run.seals[1]}" in exported.out
    again = shell(tmp_path, "export", *KEY, "-o", "bundle.zip")
    assert again.code == 2
    assert "bundle.zip is there already" in again.err
    assert shell(tmp_path, "verify", "bundle.zip", "--seal", run.seals[1]).code == 0
    record = run.folder / "merges/all.-1.1.json"
    record.write_bytes(record.read_bytes().replace(b"a", b"b", 1))
    broken = shell(tmp_path, "verify", *KEY)
    assert broken.code == 1
    assert broken.out.startswith("ALTERED  merges/all.-1.1.json: ")
    assert "NOT INTACT: 1 finding" in broken.out


def test_the_same_commands_in_airflows_command_line(run: SealedRun, tmp_path: Path) -> None:
    """Where the records are altered, its exit code says so, too."""
    (run.folder / "notes.txt").write_text("x")
    ended = shell(tmp_path, "agentic", "verify", *KEY, "--json", module="airflow")
    assert (ended.code, ended.document["findings"][0]["path"]) == (1, "notes.txt"), ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", *KEY, "more"], "Give DAG_ID and RUN_ID, or the file of an audit bundle."),
        (["verify", "nothing.zip"], "There is no file nothing.zip"),
        (["verify", RUN.dag_id, "never"], "There are no records of the run 'never'"),
        (["verify", *KEY, "--seal", "x"], "'x' is no seal"),
        (["export", RUN.dag_id, "never"], "There are no records of the run 'never'"),
        (["export", *KEY, "-o", "trace"], "trace is a folder: give the name of a file in it"),
        (["diff", RUN.dag_id, "never", "ever"], "There are no records of the run 'never'"),
        (["diff", *KEY], "Give DAG_ID RUN_A RUN_B"),
        (["diff", "a.zip"], "Give DAG_ID RUN_A RUN_B"),
        (["diff", *KEY, "a.zip", "b.zip"], "Give DAG_ID RUN_A RUN_B"),
        (["diff", "a.zip", "b.zip"], "There is no file a.zip"),
        (["diff", *KEY, RUN.run_id, "--json", "--markdown"], "One format at a time"),
    ],
)
def test_trouble_is_told_and_is_neither_same_nor_different(
    run: SealedRun, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_bundle_is_no_dag(run: SealedRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "a.zip"]) != 0
    assert "`airflow-agentic verify a.zip --html FILE`" in capsys.readouterr().err


def test_a_run_that_is_not_sealed_has_a_code_of_its_own(run: SealedRun, capsys: pytest.CaptureFixture[str]) -> None:
    run.store.write(attempt(run=replace(RUN, run_id="open")))
    assert main(["verify", RUN.dag_id, "open"]) == 3
    assert "not sealed" in capsys.readouterr().out
    assert main(["export", RUN.dag_id, "open"]) == 0
    assert "the run's records are unsealed" in capsys.readouterr().err
    assert main(["verify", f"{RUN.dag_id}.open.zip", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["state"] == "unsealed"


def test_a_page_that_cant_be_compared_has_a_code_of_its_own_and_is_drawn_again(
    run: SealedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DrawnBy(made_by="airflow-agentic 0.0.9, code \x1b[2J" + 500 * "x", drawn_with={})
    with monkeypatch.context() as patched:
        patched.setattr("airflow_agentic.view.page.trace_page", lambda trace: "<!doctype html>of another program")
        patched.setattr(bundle, "about", lambda dag_id, run_id, _: about(dag_id, run_id, other))
        assert main(["export", *KEY, "-o", "b.zip"]) == 0
    capsys.readouterr()
    assert main(["verify", "b.zip", "--html", "page.html"]) == 4
    told = capsys.readouterr().out
    assert "records and artifacts intact, the page NOT VERIFIED" in told
    assert ": intact" not in told
    assert "\x1b" not in told
    assert max(map(len, told.splitlines())) < 700
    page = (tmp_path / "page.html").read_text()
    assert RUN.run_id in page
    assert "of another program" not in page
    assert main(["verify", "b.zip", "--json"]) == 4
    capsys.readouterr()
    assert main(["verify", *KEY, "--html", "x.html"]) == 2
    assert main(["verify", "b.zip", "--html", "no/x.html"]) == 2
    err = capsys.readouterr().err
    assert "--html is for an audit bundle" in err
    assert "no/x.html can't be written" in err


def test_an_export_tells_what_it_wrote(run: SealedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *KEY, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == "briefs.manual__2026-01-01T00%3A00%3A00%2B00%3A00.zip"
    assert told["bytes"] == (tmp_path / told["file"]).stat().st_size
    assert told["verdict"]["state"] == "intact"
    run.artifact.unlink()
    assert main(["export", *KEY, "-o", "b.zip"]) == 0
    assert "missing: file:///" in capsys.readouterr().err


def test_diff_has_the_exit_codes_of_diff(run: SealedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *KEY, "-o", "a.zip"]) == 0
    assert main(["diff", RUN.dag_id, RUN.run_id, RUN.run_id]) == 0
    assert main(["diff", *KEY, "a.zip"]) == 0
    assert main(["diff", "a.zip", *KEY]) == 0
    assert main(["diff", "a.zip", "a.zip"]) == 0
    assert "are the same, apart from times" in capsys.readouterr().out
    other = replace(RUN, run_id="other")
    run.store.write(attempt(run=other, output="another"))
    assert main(["diff", RUN.dag_id, RUN.run_id, "other", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["b"]["run_id"] == "other"
    assert main(["diff", *KEY, RUN.dag_id, "other"]) == 1
    assert "They parted here: " in capsys.readouterr().out
    assert main(["diff", *KEY, RUN.dag_id, "other", "--markdown"]) == 1
    assert capsys.readouterr().out.startswith("# A (briefs ")


def test_a_trace_in_all_forms(run: SealedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", *KEY, "--json"]) == 0
    Draft202012Validator(trace_schema()).validate(json.loads(capsys.readouterr().out))
    assert main(["trace", *KEY, "--html", "-"]) == 0
    page = capsys.readouterr().out
    assert page.startswith(("<!DOCTYPE html>", "<!doctype html>"))
    assert main(["trace", *KEY, "--html", "page.html"]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert main(["trace", *KEY, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("# briefs")
    assert main(["trace", *KEY]) == 0
    assert capsys.readouterr().out.startswith("briefs success in 42.0 s")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*KEY, "--json", "--markdown"], "One format at a time: --json or --markdown."),
        ([RUN.dag_id, "--html", "x.html"], "--html is for one run: give its RUN_ID."),
        ([*KEY, "--html", "nowhere/x.html"], "nowhere/x.html can't be written: No such file or directory"),
    ],
)
def test_a_form_that_cant_be_had_is_told(
    run: SealedRun, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["trace", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_what_agents_wrote_never_steers_a_terminal(run: SealedRun, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\ud800 {{ 7*7 }}"
    run.store.write(attempt("steers", output=hostile, run=replace(RUN, run_id="r3")))
    for arguments in (
        ["verify", *KEY],
        ["diff", RUN.dag_id, RUN.run_id, "r3"],
        ["diff", RUN.dag_id, RUN.run_id, "r3", "--markdown"],
        ["trace", RUN.dag_id, "r3", "--markdown"],
        ["trace", RUN.dag_id, "r3", "--html", "-"],
    ):
        main(arguments)
        assert "\x1b" not in capsys.readouterr().out, arguments
