"""``render``: a template as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.errors import InputError
from airflow_agentic.render.mermaid import to_mermaid
from airflow_agentic.render.picture import picture_of
from airflow_agentic.render.svg import to_svg
from airflow_agentic.template.parse import load_template

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from airflow_agentic.render.picture import Picture

_FORMATS: dict[str, Callable[[Picture], str]] = {"mermaid": to_mermaid, "svg": to_svg}


def render_command(arguments: argparse.Namespace) -> int:
    """
    Print a template's picture, or write it into a file.

    :raises InputError: the file can't be written.
    """
    drawn = _FORMATS[arguments.format](picture_of(load_template(arguments.template)))
    if arguments.output is None:
        print(drawn, end="")
        return 0
    try:
        Path(arguments.output).write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{arguments.output} can't be written: {error.strerror or error}") from None
    return 0
