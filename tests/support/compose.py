"""
docker-compose.yaml as data: what Docker Compose makes of it, as far as the file uses it.

The tests of the file and the topology without containers (:mod:`support.topology`) read it by this module, so that
there is no second description of the services.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE = Path(__file__).parent.parent.parent / "docker-compose.yaml"
#: ``$$``, ``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}``
_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<rest>[^}]*))?\})")


class MissingVariableError(Exception):
    """A variable that the file needs isn't set."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service, with all variables in their places."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    health_check: tuple[str, ...]
    more: dict[str, Any]


def raw() -> dict[str, Any]:
    """The file as YAML: merged, with its variables."""
    content: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return content


def services(variables: Mapping[str, str]) -> dict[str, Service]:
    """
    The services by name.

    :raises MissingVariableError: one is needed and has no value.
    """
    return {name: _service(name, interpolated(content, variables)) for name, content in raw()["services"].items()}


def new_variables() -> dict[str, str]:
    """What ``make env`` writes into ``.env``: all secrets that the file needs."""
    specification = importlib.util.spec_from_file_location("agentic_env", FILE.parent / "scripts" / "env.py")
    if specification is None or specification.loader is None:
        raise ImportError("scripts/env.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    lines = module.filled(module.EXAMPLE.read_text(encoding="utf-8")).splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """A part of the file with the variables in their places."""
    if isinstance(value, dict):
        return {key: interpolated(part, variables) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, variables) for part in value]
    if not isinstance(value, str):
        return value

    def replaced(reference: re.Match[str]) -> str:
        if reference["dollar"]:
            return "$"
        if found := variables.get(reference["name"]):
            return found
        if reference["how"] == ":?":
            raise MissingVariableError(f"{reference['name']}: {reference['rest']}")
        return reference["rest"] or ""

    return _REFERENCE.sub(replaced, value)


def references(value: Any) -> Iterator[tuple[str, str, str]]:
    """All variables of a part of the file: name, ``:-``, ``:?`` or nothing, default or message."""
    if isinstance(value, dict):
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)
    elif isinstance(value, str):
        for reference in _REFERENCE.finditer(value):
            if reference["name"]:
                yield reference["name"], reference["how"] or "", reference["rest"] or ""


def _service(name: str, content: dict[str, Any]) -> Service:
    return Service(
        name=name,
        command=tuple(content.get("command", ())),
        environment=dict(content.get("environment", {})),
        health_check=tuple(content.get("healthcheck", {}).get("test", ())),
        more={key: part for key, part in content.items() if key not in ("command", "environment", "healthcheck")},
    )
