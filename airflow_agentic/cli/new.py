"""``new``: a commented starter template, which passes ``check`` and runs as it is."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentic.errors import InputError

if TYPE_CHECKING:
    import argparse

_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")


def new_command(arguments: argparse.Namespace) -> int:
    """
    Write ``NAME.yaml`` into the current folder.

    :raises InputError: the name can't be a DAG's, or the file is there already.
    """
    name = arguments.name.removesuffix(".yaml").removesuffix(".yml")
    if not _NAME.match(name) or len(name) > 250 or name.startswith("."):
        message = f"'{arguments.name}' can't be a template's name: letters, digits, '_', '-' and '.' only"
        raise InputError(message)
    path = Path(f"{name}.yaml")
    starter = resources.files("airflow_agentic.cli").joinpath("starter.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(starter.replace("NAME", name))
    except FileExistsError:
        raise InputError(f"{path} is there already; choose another name, or remove it") from None
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}") from None
    print(f"{path} written. Next: airflow-agentic check {path}; airflow-agentic run {path}")
    return 0
