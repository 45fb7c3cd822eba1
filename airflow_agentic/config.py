"""
The options of the ``[agentic]`` section, in one table.

Airflow's own configuration answers when Airflow is already imported, or may be (``AIRFLOW__AGENTIC__…`` variables
included); the commands that must not import Airflow read the same environment variables directly.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airflow_agentic.errors import ConfigError

SECTION = "agentic"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option: its default as text (None: computed by the reader), and what it means."""

    name: str
    default: str | None
    type: Literal["string", "integer", "float", "boolean"]
    description: str
    example: str | None = None


OPTIONS: dict[str, Option] = {
    option.name: option
    for option in (
        Option(
            name="trace_url",
            default=None,
            type="string",
            description=(
                "Where the records of runs are kept: any fsspec URL. Default: ``agentic/trace`` under ``AIRFLOW_HOME``."
            ),
            example="s3://my-bucket/agentic/trace",
        ),
        Option(
            name="artifact_url",
            default=None,
            type="string",
            description=(
                "Where artifacts are written: any fsspec URL. Default: ``agentic/artifacts`` under ``AIRFLOW_HOME``."
            ),
            example="s3://my-bucket/agentic/artifacts",
        ),
        Option(
            name="version_url",
            default=None,
            type="string",
            description=(
                "Where the template bundle keeps its versions for the workers: any fsspec URL that all of them "
                "reach. Default: ``agentic/versions`` under ``AIRFLOW_HOME``."
            ),
            example="s3://my-bucket/agentic/versions",
        ),
        Option(
            name="limiter_url",
            default=None,
            type="string",
            description=(
                "Where it is kept what is used of the connections' rate limits and of the runs' budgets: the path of a "
                "SQLite file, for the processes of one machine, or a ``redis://`` URL, for those of several. Default: "
                "``agentic/limits.db`` under ``AIRFLOW_HOME``."
            ),
            example="redis://:password@redis.example.com:6379/0",
        ),
        Option(
            name="cache_url",
            default=None,
            type="string",
            description=(
                "Where answers are kept that stages with ``cache`` may use again: any fsspec URL that all workers "
                "reach. Default: ``agentic/cache`` under ``AIRFLOW_HOME``."
            ),
            example="s3://my-bucket/agentic/cache",
        ),
        Option(
            name="inline_wait",
            default="30",
            type="float",
            description=(
                "Seconds. A wait between two attempts, or for a connection's limit, up to this long stays in the "
                "worker; a longer one frees the worker slot through Airflow's retry."
            ),
        ),
        Option(
            name="inline_value_bytes",
            default="65536",
            type="integer",
            description="Bytes. A larger value in a record is stored once, under its digest, and referred to.",
        ),
        Option(
            name="python_callables",
            default="*",
            type="string",
            description=(
                "Which callables a ``python`` agent or tool may name: patterns over ``module:name``, separated by "
                "commas (``*`` matches anything). A template is code; restrict this where its authors are not "
                "trusted to run any."
            ),
            example="airflow_agentic.agents.library.*, my_project.agents:*",
        ),
        Option(
            name="source_roots",
            default=None,
            type="string",
            description=(
                "Folders, separated by commas, below which the library's agents may read files that a run's input "
                "names. Default: the folder that the process was started in."
            ),
            example="/srv/documents",
        ),
        Option(
            name="private_hosts",
            default="",
            type="string",
            description=(
                "Hosts, addresses or networks, separated by commas, that the library's agents may fetch although "
                "they are private, loopback or link-local."
            ),
            example="127.0.0.1, intranet.example, 10.1.0.0/16",
        ),
        Option(
            name="max_source_bytes",
            default="20000000",
            type="integer",
            description="Bytes. A source larger than this is refused by the library's agents.",
        ),
        Option(
            name="telemetry_content",
            default="False",
            type="boolean",
            description=(
                "Whether OpenTelemetry spans also hold what people, agents and models wrote: prompts, answers, tool "
                "calls, messages of errors. Secrets are masked as in the records."
            ),
        ),
    )
}


def get(name: str) -> str:
    """
    The option's value as text, without surrounding space.

    :raises KeyError: no such option.
    """
    option = OPTIONS[name]
    value = os.environ.get(f"AIRFLOW__{SECTION.upper()}__{name.upper()}")
    if value is None and "airflow.sdk" in sys.modules:
        from airflow.sdk.configuration import conf

        value = conf.get(SECTION, name, fallback=None)
    if value is None or value == "":
        value = option.default if option.default is not None else _computed_default(name)
    return value.strip()


def get_float(name: str) -> float:
    """
    The option as a number of at least 0.

    :raises ConfigError: it isn't one.
    """
    text = get(name)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ConfigError(f"[{SECTION}] {name} must be a number of at least 0, not {text!r}.")
    return number


def get_int(name: str) -> int:
    """
    The option as a whole number of at least 0.

    :raises ConfigError: it isn't one.
    """
    text = get(name)
    if not text.isdecimal():
        raise ConfigError(f"[{SECTION}] {name} must be a whole number of at least 0, not {text!r}.")
    return int(text)


def get_bool(name: str) -> bool:
    """
    The option as a yes or a no, as Airflow reads one.

    :raises ConfigError: it is neither.
    """
    text = get(name)
    if text.lower() in ("t", "true", "1"):
        return True
    if text.lower() in ("f", "false", "0"):
        return False
    raise ConfigError(f"[{SECTION}] {name} must be True or False, not {text!r}.")


def get_list(name: str) -> tuple[str, ...]:
    """The option's comma-separated parts, without empty ones."""
    return tuple(part.strip() for part in get(name).split(",") if part.strip())


def airflow_home() -> str:
    """``AIRFLOW_HOME``, by Airflow's own rule."""
    return str(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser())


def _computed_default(name: str) -> str:
    folders = {
        "trace_url": "trace",
        "artifact_url": "artifacts",
        "version_url": "versions",
        "limiter_url": "limits.db",
        "cache_url": "cache",
    }
    if name in folders:
        return str(Path(airflow_home(), "agentic", folders[name]))
    if name == "source_roots":
        return str(Path.cwd())
    raise KeyError(name)
