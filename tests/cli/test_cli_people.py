"""``run`` with stages that ask people: answered on the command line, on a terminal, or by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.command_line import CommandLine
from support.terminal import call_on_terminal

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = """
version: 1
name: review
agents:
  echo: {type: python, callable: "agents:echo", output: string}
stages:
  draft: {agent: echo, input: {value: "draft {{ round }} {{ feedback.note | default('-') }}"}}
  check:
    human:
      ask: "Is {{ draft }} good?"
      body: "**Look** at {{ draft }}"
      options: [Publish, Again]
      fields: {note: {type: string, default: nothing, description: For the author}, stars: {type: integer, default: 3}}
      timeout: 2h
      on_timeout: Publish
    routes:
      - when: check.choice == 'Again'
        back_to: draft
        max_rounds: 3
        with: {note: "{{ check.note }}"}
        exhausted: next
      - {to: next}
  each:
    for_each: "['a', 'b']"
    needs: check
    human: {ask: "Keep {{ item }}?", timeout: 2s, on_timeout: fail}
    tolerate: 2
notify: {on_escalation: [{notifier: agents.Notifier}]}
output: {draft: "{{ draft }}", last: "{{ check }}", each: "{{ each.results }}"}
"""
MODULE = """
from pathlib import Path
from airflow.sdk.bases.notifier import BaseNotifier
def echo(value):
    return value
class Notifier(BaseNotifier):
    def notify(self, context):
        Path("told").touch()
"""


@pytest.fixture
def shell(tmp_path: Path) -> CommandLine:
    (tmp_path / "review.yaml").write_text(TEMPLATE)
    (tmp_path / "agents.py").write_text(MODULE)
    return CommandLine(folder=tmp_path)


def test_answers_given_beforehand_are_used_in_their_order(shell: CommandLine) -> None:
    first = ("--answer", "check.note=shorter", "--answer", "check=Again")
    second = ("--answer", "check=Publish", "--answer", "check.stars=5")
    ran = shell.call("run", "review.yaml", *first, *second, "--answer", "each=Submit", "--json")
    assert ran.code == 0, ran.err
    output = ran.document["output"]
    assert output["draft"] == "draft 2 shorter"
    assert {name: output["last"][name] for name in ("choice", "note", "stars", "timed_out")} == {
        "choice": "Publish",
        "note": "nothing",
        "stars": 5,
        "timed_out": False,
    }
    assert output["last"]["by"]
    assert [one["output"]["choice"] for one in output["each"]] == ["Submit", "Submit"]
    assert "check (round 1) asks: Is draft 1 - good? → Again, as given" in ran.err
    assert "each, item 2 asks: Keep b? → Submit, as given" in ran.err
    assert "no terminal" not in ran.err


def test_without_a_terminal_a_run_goes_on_as_if_the_time_were_up(shell: CommandLine) -> None:
    ran = shell.call("run", "review.yaml", "--json")
    assert ran.code == 0, ran.err
    told = ran.err.splitlines()
    hint = "--answer check=Publish|Again"
    assert told[0] == f"check asks people, and there is no terminal: the answer is Publish, unless you add {hint}"
    assert "check (round 1) asks: Is draft 1 - good? → nobody can answer here: the answer is Publish" in told
    assert "each, item 1 asks: Keep a? → nobody can answer here: the stage fails" in told
    output = ran.document["output"]
    assert output["last"] == {"choice": "Publish", "note": "nothing", "stars": 3, "by": None, "timed_out": True}
    assert [one["error"]["kind"] for one in output["each"]] == ["timeout", "timeout"]
    assert not (shell.folder / "told").exists(), "a trial tells nobody"


def test_on_a_terminal_people_are_asked(shell: CommandLine) -> None:
    typed = [
        ("Your choice", "3\n"),
        ("Your choice", "again\n"),
        ("For the author", "more tea\n"),
        ("stars", "many\n"),
        ("stars", "\n"),
        ("Is draft 2 more tea good?", "1\n\n\n"),
        ("Keep a?", "\n"),
    ]
    code, shown = call_on_terminal(shell, "run", "review.yaml", typed=typed)
    assert code == 0, shown
    assert "Look at draft 1 -" in shown
    assert "Without an answer within 2h, the answer is Publish." in shown
    assert "write a number from 1 to 2, or the option itself" in shown
    assert "stars: 'many' is not of type 'integer'" in shown
    assert "The time is up: the stage fails." in shown
    assert "draft: draft 2 more tea" in shown


def test_answers_to_nothing_that_is_asked_are_refused_before_the_run(shell: CommandLine) -> None:
    refused = shell.call("run", "review.yaml", "--answer", "chek=Publish")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "airflow-agentic: --answer chek: no such stage asks people; did you mean 'check'?\n"
