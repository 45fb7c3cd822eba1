"""Libraries that come with an extra: imported when used, with a message that says which extra brings them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_agentic.errors import FinalError


def need(module: str, *, extra: str) -> Any:
    """
    Import a module of an optional dependency.

    :param module: its dotted name.
    :param extra: the extra of this package that installs it.
    :raises FinalError: it isn't installed; trying again would not help.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        message = f"This needs {module.split('.')[0]!r}: pip install 'airflow-agentic[{extra}]'."
        raise FinalError(message, kind="rejected") from None
