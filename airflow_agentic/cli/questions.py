"""Questions of a run, asked on a terminal: what is to be decided, the options by number, the fields with defaults."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from select import select
from typing import TYPE_CHECKING, Any

from rich.markdown import Markdown
from rich.text import Text

from airflow_agentic.cli.answers import Given
from airflow_agentic.cli.inputs import read_value
from airflow_agentic.cli.report import plain
from airflow_agentic.operators.people import FieldError, checked_fields, default_of, options_of, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

#: As much as a terminal gives at once for one line.
_LINE = 4096


class NoAnswerError(Exception):
    """Nobody has answered: the time is up, or whoever sits at the terminal has closed the input."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    What is asked.

    :param name: of the stage, for people.
    :param config: the stage's, as in a plan.
    :param until: seconds since 1970; null: forever.
    """

    name: str
    subject: str
    body: str | None
    config: Mapping[str, Any]
    until: float | None


def is_interactive() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(console: Console, question: Question) -> Given | None:
    """
    Ask on the terminal.

    :returns: the answer; None when there was none.
    """
    _show(console, question)
    try:
        choice = _choice(console, question)
        fields = {name: _field(console, question, name) for name in question.config["fields"]}
    except NoAnswerError as reason:
        console.print(Text(str(reason), style="yellow"))
        return None
    return Given(choice=choice, fields=fields)


def otherwise(config: Mapping[str, Any]) -> str:
    """What happens without an answer, for people."""
    default = default_of(config["on_timeout"])
    return "the stage fails" if default is None else f"the answer is {default}"


def _show(console: Console, question: Question) -> None:
    console.print()
    console.print(Text.assemble((f"{question.name}: ", "dim"), (plain(question.subject), "bold")))
    if question.body:
        console.print(Markdown(plain(question.body), hyperlinks=False))
    if question.until is not None:
        left = readable(question.until - time.time())
        console.print(Text(f"Without an answer within {left}, {otherwise(question.config)}.", style="dim"))


def _choice(console: Console, question: Question) -> str:
    options = options_of(question.config["options"])
    if len(options) == 1:
        if not question.config["fields"]:
            _line(console, question, f"Enter for {options[0]}: ")
        return options[0]
    for number, option in enumerate(options, start=1):
        console.print(Text(f"  {number}. {plain(option)}"))

    def read(text: str) -> str:
        if text.isdecimal() and 1 <= int(text) <= len(options) and text not in options:
            return options[int(text) - 1]
        for option in (*(one for one in options if one == text), *options):
            if text.casefold() == option.casefold():
                return option
        raise FieldError(f"write a number from 1 to {len(options)}, or the option itself")

    return str(_until_right(console, question, "Your choice: ", read))


def _field(console: Console, question: Question, name: str) -> Any:
    field = question.config["fields"][name]
    described = f" ({plain(field['description'])})" if field.get("description") else ""
    default = f" [{plain(_shown(field['default']))}]" if "default" in field else ""

    def read(text: str) -> Any:
        given = {name: read_value(text, field)} if text or "default" not in field else {}
        return checked_fields({name: field}, given)[name]

    return _until_right(console, question, f"{plain(field.get('title') or name)}{described}{default}: ", read)


def _until_right(console: Console, question: Question, prompt: str, read: Callable[[str], Any]) -> Any:
    while True:
        try:
            return read(_line(console, question, prompt))
        except FieldError as error:
            console.print(Text(plain(str(error)), style="red"))


def _line(console: Console, question: Question, prompt: str) -> str:
    """
    A line from the terminal, which gives whole lines.

    :raises NoAnswerError: none came in time, or no more will.
    """
    console.print(Text(prompt, style="bold"), end="")
    wait = None if question.until is None else max(0.0, question.until - time.time())
    ready, _, _ = select([sys.stdin], [], [], wait)
    if not ready:
        raise NoAnswerError(f"\nThe time is up: {otherwise(question.config)}.")
    line = os.read(sys.stdin.fileno(), _LINE)
    if not line:
        raise NoAnswerError(f"\nNo answer: {otherwise(question.config)}.")
    return line.decode(errors="replace").strip()


def _shown(value: Any) -> str:
    from airflow_agentic.template.expressions import to_text

    return to_text(value)
